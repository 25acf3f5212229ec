"""The checks of an evidence bundle, step by step, and what they prove in words.

Everything is recomputed from the parts; nothing that the bundle says of itself is believed unchecked. Each
fault is a finding that names the part. Keys, witnesses and timestamps are judged in `bundle_trust`; layout and
assembly are in `bundle_layout`.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

from schemas.bundle_layout import (
    CHECKPOINT,
    ENTRY_ROLE,
    LAYOUT,
    SUMS,
    Layout,
    Part,
    is_optional,
    parse_sums,
    parse_zip,
    print_zip,
)
from schemas.bundle_report import BundleState, Report
from schemas.bundle_trust import CheckTimestamp, Trust, check_checkpoint, check_time, read_keys
from schemas.canonical import loads
from schemas.checkpoints import Checkpoint, VerifierKey
from schemas.digests import Digest
from schemas.entries import Entry
from schemas.errors import CheckFailed, InvalidValue
from schemas.instants import rfc3339
from schemas.manifests import Manifest
from schemas.proofs import LogProof
from schemas.records import NONCE, RecordView, parse_record, record_digest, record_findings

#: Bytes that one record may decompress to: what the archive itself reads at most, far below what a bomb reaches.
MAX_RECORD: Final = 1024 * 1024 * 1024

#: Digests that a sentence about a redaction names.
TOLD: Final = 8

_NONCE_VALUE: Final = re.compile(r"[0-9a-f]{64}")
_MAIN_ROLES: Final = ("response", "revisit")


def verify_bundle(
    zip_bytes: bytes,
    *,
    key: VerifierKey | None = None,
    check_timestamp: CheckTimestamp | None = None,
    trust: Trust | None = None,
) -> Report:
    """Check the zip of an evidence bundle.

    Never raises: what cannot be read is a finding. See `verify_parts`.
    """
    try:
        parts = parse_zip(zip_bytes)
    except InvalidValue as error:
        state = BundleState(parts={})
        state.wrong("bundle", error)
        return state.report()
    report = verify_parts(parts, key=key, check_timestamp=check_timestamp, trust=trust)
    if report.ok and print_zip(parts) != zip_bytes:
        again = "the zip was packed again by somebody; its parts are unchanged"
        return Report(
            findings=(),
            proven=report.proven,
            unproven=report.unproven,
            notes=(*report.notes, again),
            timestamped=report.timestamped,
        )
    return report


def verify_parts(
    parts: Mapping[str, bytes],
    *,
    key: VerifierKey | None = None,
    check_timestamp: CheckTimestamp | None = None,
    trust: Trust | None = None,
) -> Report:
    """Check the parts of a bundle, by name.

    `trust` is what the caller knows by another way; `key` (the archive's) and `check_timestamp` say the same of it in
    short.
    """
    trust = trust or Trust(key=key, check_timestamp=check_timestamp)
    state = BundleState(parts=parts)
    # 1. SHA256SUMS covers every part exactly, and nothing else. Where it does not, nothing more is worth
    # saying.
    _check_sums(state)
    if state.findings:
        return state.report()
    # 2. bundle.json says which part plays which role, and accounts for all of them.
    layout = _read_layout(state)
    # 3. The log's key is the one that the caller trusts, or one to which that handed over.
    keys = read_keys(state, layout, trust)
    if layout is None or not keys:
        return state.report()
    # 4. The checkpoint is signed by that key, for the log that bundle.json names, and rightly by all others.
    checkpoint = check_checkpoint(state, layout, keys, trust)
    if checkpoint is None:
        return state.report()
    # 5. Each entry is canonical and stands in the log at its index.
    for index in sorted({part.index for part in layout.parts}):
        _check_log_entry(state, index, keys[0], checkpoint)
    # 6. Each record is the one whose digest its entry holds, and its own digests are right.
    for part in layout.parts:
        _check_part_bytes(state, part)
    # 7. The records of an entry belong together, and an article to its capture.
    for index, entry in state.entries.items():
        _check_relations(state, index, entry)
    # 8. The subject is among them.
    _check_subject(state, layout)
    # 9. Timestamps over the checkpoint, where there are any, and cosignatures: nothing is dated later.
    check_time(state, trust)
    return state.report()


def _check_sums(state: BundleState) -> None:
    try:
        sums = parse_sums(state.parts[SUMS])
    except KeyError:
        state.wrong(SUMS, "it is missing")
        return
    except InvalidValue as error:
        state.wrong(SUMS, error)
        return
    for name in sorted(state.parts.keys() - sums.keys() - {SUMS}):
        state.wrong(name[:200], "a part that SHA256SUMS does not cover")
    for name, digest in sums.items():
        if name not in state.parts:
            state.wrong(name, "SHA256SUMS names it, but it is missing")
        elif hashlib.sha256(state.parts[name]).hexdigest() != digest:
            state.wrong(name, "its bytes are not those that SHA256SUMS names")


def _read_layout(state: BundleState) -> Layout | None:
    try:
        layout = Layout.decode(state.parts.get(LAYOUT, b""))
    except InvalidValue as error:
        state.wrong(LAYOUT, error)
        return None
    present = set(state.parts) - {SUMS}
    for name in sorted(layout.names - present):
        state.wrong(name, "it is missing")
    for name in sorted(present - layout.names):
        if not is_optional(name):
            state.wrong(name, "a part that bundle.json does not account for")
    return None if state.findings else layout


def _check_log_entry(state: BundleState, index: int, vkey: VerifierKey, checkpoint: Checkpoint) -> None:
    entry_part, proof_part = f"entries/{index}.json", f"proofs/{index}.tlog-proof"
    data = state.parts[entry_part]
    try:
        entry = Entry.decode(data)
        if entry.encode() != data:
            raise InvalidValue("an entry that does not print back to the same bytes")
    except InvalidValue as error:
        state.wrong(entry_part, error)
        return
    try:
        proof = LogProof.parse(state.parts[proof_part])
        if proof.encode() != state.parts[proof_part]:
            raise InvalidValue("a proof that does not print back to the same bytes")
        if proof.index != index:
            raise CheckFailed(f"it is the proof of entry {proof.index}, not of {index}")
        if proof.extra is not None:
            raise InvalidValue("it carries extra data, which no bundle does")
        if proof.checkpoint != state.parts[CHECKPOINT]:
            raise CheckFailed("its checkpoint is not the checkpoint of the bundle")
        proof.verify(data, vkey)
    except (InvalidValue, CheckFailed) as error:
        state.wrong(proof_part, error)
        return
    state.entries[index] = entry
    state.proven.append(f"entry {index} ({entry.type}) stands in that log of {checkpoint.size} entries")


def _check_part_bytes(state: BundleState, part: Part) -> None:
    entry = state.entries.get(part.index)
    if entry is None:
        return  # found wrong before
    if part.role == ENTRY_ROLE:
        return
    if part.role == "manifest":
        _check_manifest(state, part, entry)
        return
    try:
        view, digest = _open_member(state.parts[part.record])
        committed = entry.records.get(part.role)
        if committed != str(digest):
            raise CheckFailed(
                f"its digest is {digest}; entry {part.index} holds {committed} as its {part.role}"
            )
        if view.type != part.role:
            raise CheckFailed(f"it is a {view.type} record, not a {part.role}")
        if len(nonces := view.all(NONCE)) != 1 or _NONCE_VALUE.fullmatch(nonces[0]) is None:
            raise CheckFailed(f"it has not exactly one {NONCE} of 64 hex digits")
        if len(view.all("WARC-Block-Digest")) != 1 or len(view.all("WARC-Payload-Digest")) > 1:
            raise CheckFailed("it has not exactly one block digest and at most one payload digest")
        if view.record_id in state.records:
            raise CheckFailed("a second record of one id")
        for finding in record_findings(view):
            state.wrong(part.record, finding)
        said = f"{part.role} record {view.record_id}, dated {rfc3339(view.date)} by the archive"
    except (InvalidValue, CheckFailed) as error:
        state.wrong(part.record, error)
        return
    where = f" of {view.target_uri}" if view.target_uri else ""
    state.records[view.record_id] = (part, view, digest)
    state.proven.append(f"entry {part.index} commits to the {said}{where}: {len(view.block)} bytes")


def _open_member(member: bytes) -> tuple[RecordView, Digest]:
    """Gunzip one member with nothing behind it, and read the record in it."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        data = inflater.decompress(member, MAX_RECORD)
    except zlib.error as error:
        raise InvalidValue(f"not a gzip member: {error}") from error
    if inflater.unconsumed_tail:
        raise InvalidValue(f"a record of more than {MAX_RECORD} bytes")
    if not inflater.eof:
        raise InvalidValue("a gzip member that breaks off")
    if inflater.unused_data:
        raise InvalidValue("bytes behind the one gzip member")
    return parse_record(data), record_digest(data)


def _check_manifest(state: BundleState, part: Part, entry: Entry) -> None:
    data = state.parts[part.record]
    try:
        manifest = Manifest.decode(data)
        expected = {
            "manifest": str(Digest.sha256(data)),
            "name": manifest.name,
            "version": manifest.version,
            "root": str(manifest.root),
            "rows": manifest.rows,
        }
        for name, value in expected.items():
            if entry.type != "snapshot" or entry.fields.get(name) != value:
                raise CheckFailed(f"its {name} is not what entry {part.index} holds")
    except (InvalidValue, CheckFailed) as error:
        state.wrong(part.record, error)
        return
    state.manifest = manifest
    state.proven.append(
        f"entry {part.index} commits to the snapshot {manifest.name} {manifest.version}, {manifest.rows} rows"
    )


def _check_relations(state: BundleState, index: int, entry: Entry) -> None:
    mine = {part.role: (part, view) for part, view, _ in state.records.values() if part.index == index}
    for role in sorted(entry.records.keys() - mine.keys()):
        state.notes.append(f"entry {index} commits to a {role} record too, which is not in this bundle")
    dates = {view.date for _, view in mine.values()}
    if entry.type in ("capture", "attempt"):
        ids = {view.record_id for _, view in mine.values()}
        if len(dates) > 1:
            state.wrong(f"entries/{index}.json", "the records of one capture bear different dates")
        if len({view.target_uri for _, view in mine.values()}) > 1:
            state.wrong(f"entries/{index}.json", "the records of one capture bear different target URIs")
        for part, view in mine.values():
            named = {value.strip("<>") for value in view.all("WARC-Concurrent-To")}
            if len(mine) == len(entry.records) and not named <= ids:
                state.wrong(part.record, "it is concurrent to a record that is not of its capture")
    if entry.type == "import":
        file = entry.fields["file"]
        state.unproven.append(
            f"what stands in the imported file of entry {index}: it is not in the bundle; it has {file['length']} "
            f"bytes and the digest {file['sha256']}, and its dates are claims of whoever made it"
        )
    if entry.type == "redaction":
        targets, code, authority = (entry.fields[name] for name in ("targets", "code", "authority"))
        state.proven.append(
            f"entry {index} says that the content of {len(targets)} records was erased, for {code}, by {authority}: "
            + ", ".join(targets[:TOLD])
            + (f" and {len(targets) - TOLD} more" if len(targets) > TOLD else "")
        )
    if "revisit" in mine:
        _check_revisit(state, *mine["revisit"])
    if entry.type == "article" and "conversion" in mine:
        _check_conversion(state, entry, *mine["conversion"])


def _check_revisit(state: BundleState, part: Part, view: RecordView) -> None:
    """A revisit says its payload was an earlier capture's; with that capture at hand, it can be checked."""
    original = state.records.get(view.refers_to or "")
    if original is None:
        state.unproven.append(
            f"what the payload of {view.record_id} was: it revisits {view.refers_to}, not in this bundle"
        )
        return
    _, earlier, _ = original
    if earlier.type != "response":
        state.wrong(part.record, "it revisits a record that is no response")
        return
    declared = view.get("WARC-Payload-Digest")
    if declared is not None and declared != earlier.get("WARC-Payload-Digest"):
        state.wrong(part.record, "its payload digest is not that of the capture it revisits")
    if earlier.date > view.date:
        state.wrong(part.record, "it revisits a later capture")


def _check_conversion(state: BundleState, entry: Entry, part: Part, view: RecordView) -> None:
    """An article: canonical JSON, made from a capture that is here and that the entry names by digest."""
    original = state.records.get(view.refers_to or "")
    if original is None or not _may_be_read(state, original[0]):
        state.wrong(part.record, "the capture that it was made from is not in the bundle")
    elif entry.fields["capture"] != str(original[2]):
        state.wrong(part.record, f"entry {part.index} names another capture than WARC-Refers-To does")
    try:
        article = loads(view.block)
        text = "\n\n".join(article["paragraphs"])
        if article["text_sha256"] != hashlib.sha256(text.encode("utf-8")).hexdigest():
            raise CheckFailed("its text_sha256 is not that of its paragraphs")
    except (InvalidValue, CheckFailed) as error:
        state.wrong(part.record, error)
        return
    except (KeyError, TypeError) as error:
        state.wrong(part.record, f"its block is no article: {error}")
        return
    state.proven.append(
        f"its text (SHA-256 {article['text_sha256']}) was committed to as made from that capture"
    )


def _may_be_read(state: BundleState, part: Part) -> bool:
    """True for what an article can be made from: an answer, or the record on an answer in an imported file."""
    entry = state.entries.get(part.index)
    return part.role in _MAIN_ROLES or (entry is not None and entry.type == "import")


def _check_subject(state: BundleState, layout: Layout) -> None:
    subject = layout.subject
    if subject.kind == "capture":
        found = state.records.get(subject.id)
        fits = found is not None and found[0].role in (*_MAIN_ROLES, "metadata")
    elif subject.kind == "import":
        found = state.records.get(subject.id)
        entry = None if found is None else state.entries.get(found[0].index)
        fits = entry is not None and entry.type == "import"
    elif subject.kind == "redaction":
        fits = any(str(n) == subject.id and entry.type == "redaction" for n, entry in state.entries.items())
    elif subject.kind == "article":
        fits = any(_article_id(view) == subject.id for _, view, _ in state.records.values())
    else:
        fits = state.manifest is not None and f"{state.manifest.name}/{state.manifest.version}" == subject.id
    if not fits and not state.findings:
        state.wrong(LAYOUT, f"no part is the {subject.kind} {subject.id[:80]!r} that the bundle is about")


def _article_id(view: RecordView) -> Any:
    if view.type != "conversion":
        return None
    try:
        article = loads(view.block)
    except InvalidValue:
        return None
    return article.get("id") if isinstance(article, dict) else None
