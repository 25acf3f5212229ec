"""The evidence bundle as files: names, `bundle.json`, checksums, README, and the zip around them.

Assembly is pure and deterministic: the same parts give the same zip, byte for byte. What the parts must prove
is left to `bundles`.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.canonical import dumps, loads
from schemas.checkpoints import MAX_SIGNATURES, VerifierKey
from schemas.cosignatures import WITNESS_TYPES
from schemas.digests import Digest
from schemas.entries import RECORD_ROLES
from schemas.errors import InvalidValue

BUNDLE_FORMAT: Final = "pressmark-evidence/1"

#: Bytes of all parts together; a bundle holds a handful of records, each within the archive's limit on
#: bodies.
MAX_BUNDLE: Final = 1024 * 1024 * 1024

#: Parts of a bundle; more is an attack on the reader, not evidence.
MAX_PARTS: Final = 10_000

SUMS: Final = "SHA256SUMS"
README: Final = "README.txt"
PROGRAM: Final = "verify.py"
LAYOUT: Final = "bundle.json"
CHECKPOINT: Final = "checkpoint"
LOG_KEY: Final = "log.vkey"
MANIFEST: Final = "manifest.json"
TIMESTAMP: Final = "timestamp/"
WITNESSES: Final = "witness.vkeys"
HANDOVERS: Final = "keys/"

SUBJECT_KINDS: Final = ("capture", "article", "snapshot", "import", "redaction")

#: The role of a part that is a log entry and nothing behind it.
ENTRY_ROLE: Final = "entry"

#: Timestamps of one checkpoint, each by another authority.
MAX_TIMESTAMPS: Final = 16

_RECORD_NAME: Final = re.compile(r"records/[0-9a-z-]{1,80}\.warc\.gz")
_TIMESTAMP_NAME: Final = re.compile(r"timestamp/(response|request|chain)((?:-[0-9]{1,2})?)\.(tsr|tsq|pem)")
_TIMESTAMP_FILES: Final = ("response.tsr", "request.tsq", "chain.pem")
_SUM_LINE: Final = re.compile(r"([0-9a-f]{64})  ([0-9A-Za-z./_-]{1,200})")

# The date of every zip member: the first that the format can hold, for a bundle has no date of its own.
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)

_README_TEXT: Final = r"""\
Evidence bundle of the archive {origin}
Subject: {kind} {id}

Check it (Python 3.11 or later, nothing else):
    python3 -I verify.py --key 'KEY'
KEY is the archive's public key as you got it from somebody you trust; without
it you learn only that the bundle fits the key that lies in it (log.vkey).

Check it by hand:
  1. sha256sum -c SHA256SUMS
  2. For each line of the list below that names a record: gunzip -c RECORD | sha256sum
     gives the digest that ENTRY names for that role.
  3. PROOF leads from ENTRY to the root in the file checkpoint, by the rules of
     RFC 6962 section 2.1.1 (format: c2sp.org/tlog-proof). The leaf that it starts
     from: (printf '\000'; cat ENTRY) | sha256sum
  4. checkpoint is a signed note (c2sp.org/signed-note): an Ed25519 signature by
     the key in log.vkey over the text before the empty line.
         sed '/^$/,$d' checkpoint > text
         sed '1,/^$/d' checkpoint | head -n 1 | sed 's/.* //' | base64 -d | tail -c 64 > signature
         (printf '\060\052\060\005\006\003\053\145\160\003\041\000'
          sed 's/^[^+]*+[^+]*+//' log.vkey | base64 -d | tail -c 32) > key.der
         openssl pkeyutl -verify -pubin -keyform DER -inkey key.der \
             -rawin -in text -sigfile signature
  5. Where there is a folder timestamp:
         openssl ts -reply -in timestamp/response.tsr -text
         openssl ts -verify -data text -in timestamp/response.tsr -CAfile timestamp/chain.pem
     with the file text from step 4; the first says when. Where there are several,
     their files are numbered. chain.pem came with the bundle: that it leads to the
     authority which it names is yours to find out.

{listing}
What this proves: the archive that holds the key committed to exactly these
bytes, at these places of its log; and, where a timestamp verifies, that it had
them by then at the latest.
What it does not prove: that a server sent them. TLS leaves no evidence that a
third party could check, so the content of a response is the archive's word, and
so is WARC-Date. Nor that the text is true, or that it appeared nowhere earlier.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a bundle is about."""

    kind: str  # capture | article | snapshot
    id: str  # record id of the capture, article id, or NAME/VERSION of the snapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleRecord:
    """A record as it goes into a bundle."""

    role: str  # its role in the entry: request, response, revisit, metadata, conversion, resource
    index: int  # log index of the entry that commits to it
    member: bytes  # its gzip member as it stands in the archive


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleEntry:
    """A log entry as it goes into a bundle."""

    index: int
    entry: bytes  # canonical bytes
    proof: bytes  # .tlog-proof, its checkpoint that of the bundle


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of `bundle.json`: a record (or a snapshot's manifest), the entry and proof that hold it.

    Of a part that is an entry and no more, `record` is that entry.
    """

    role: str
    record: str
    entry: str
    proof: str
    index: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """`bundle.json`: which part plays which role."""

    origin: str
    subject: Subject
    parts: tuple[Part, ...]
    handovers: tuple[int, ...] = ()  # log indices of the key entries that lead from older keys to log.vkey, in order

    def encode(self) -> bytes:
        """The bytes of `bundle.json`."""
        parts = [
            {"role": p.role, "record": p.record, "entry": p.entry, "proof": p.proof, "index": p.index}
            for p in self.parts
        ]
        subject = {"kind": self.subject.kind, "id": self.subject.id}
        value = {"format": BUNDLE_FORMAT, "origin": self.origin, "subject": subject, "parts": parts}
        return dumps({**value, "handovers": list(self.handovers)} if self.handovers else value)

    @classmethod
    def decode(cls, data: bytes) -> Layout:
        """Read `bundle.json`. Raises InvalidValue."""
        value = loads(data)
        try:
            if value["format"] != BUNDLE_FORMAT:
                raise InvalidValue(f"not an evidence bundle of the format {BUNDLE_FORMAT}")
            found = cls(
                origin=value["origin"],
                subject=Subject(kind=value["subject"]["kind"], id=value["subject"]["id"]),
                parts=tuple(Part(**part) for part in value["parts"]),
                handovers=tuple(value.get("handovers", ())),
            )
        except (KeyError, TypeError) as error:
            raise InvalidValue(f"bundle.json lacks or has a wrong field: {error}") from error
        texts: list[Any] = [found.origin, found.subject.kind, found.subject.id]
        if not all(isinstance(text, str) and text for text in texts):
            raise InvalidValue("origin and subject in bundle.json are texts")
        if found.subject.kind not in SUBJECT_KINDS or not found.parts or found.encode() != data:
            raise InvalidValue("bundle.json names no known subject, no part, or has fields unknown here")
        for part in found.parts:
            _check_part(part)
        if len({part.record for part in found.parts}) != len(found.parts):
            raise InvalidValue("bundle.json names a record twice")
        numbers = list(found.handovers)
        if any(type(n) is not int or n < 0 for n in numbers) or numbers != sorted(set(numbers)):
            raise InvalidValue("the handovers in bundle.json are not log indices in order")
        return found

    @property
    def names(self) -> set[str]:
        """Every part that it accounts for; timestamps, keys of witnesses and SHA256SUMS apart."""
        own = {README, PROGRAM, LAYOUT, CHECKPOINT, LOG_KEY}
        handed = {name for index in self.handovers for name in handover_names(index)}
        return own | handed | {name for p in self.parts for name in (p.record, p.entry, p.proof)}


def build_bundle(
    *,
    subject: Subject,
    vkey: VerifierKey,
    checkpoint: bytes,
    records: Sequence[BundleRecord],
    entries: Sequence[BundleEntry],
    verify_py: str,
    timestamp: Mapping[str, bytes] | None = None,
    manifest: tuple[int, bytes] | None = None,
    bare: Sequence[int] = (),
    witnesses: Sequence[VerifierKey] = (),
    handovers: Sequence[BundleEntry] = (),
) -> bytes:
    """Assemble the zip of an evidence bundle. Pure: the same arguments give the same bytes.

    `timestamp` maps bare file names (response.tsr, chain.pem, request.tsq; a second one's response-2.tsr, …) to bytes.
    `manifest` is, for a snapshot, the log index of its entry and the bytes of its manifest.json. `bare` are the indices
    of entries that are parts themselves. `witnesses` are the keys of the cosignatures on the checkpoint. `handovers`
    are key entries, each with its proof under a checkpoint that the older key signed. Raises InvalidValue where a
    record's entry is not given.
    """
    parts = [
        Part(
            role=record.role,
            record=f"records/{number:02d}-{record.role}.warc.gz",
            entry=entry_name(record.index),
            proof=proof_name(record.index),
            index=record.index,
        )
        for number, record in enumerate(records)
    ]
    files = {part.record: record.member for part, record in zip(parts, records, strict=True)}
    if manifest is not None:
        index, data = manifest
        parts.append(
            Part(
                role="manifest",
                record=MANIFEST,
                entry=entry_name(index),
                proof=proof_name(index),
                index=index,
            )
        )
        files[MANIFEST] = data
    for index in bare:
        name = entry_name(index)
        parts.append(Part(role=ENTRY_ROLE, record=name, entry=name, proof=proof_name(index), index=index))
    for handed in handovers:
        files.update(zip(handover_names(handed.index), (handed.entry, handed.proof), strict=True))
    if witnesses:
        files[WITNESSES] = print_witnesses(witnesses)
    for entry in entries:
        files[entry_name(entry.index)] = entry.entry
        files[proof_name(entry.index)] = entry.proof
    given = tuple(handed.index for handed in handovers)
    layout = Layout(origin=vkey.name, subject=subject, parts=tuple(parts), handovers=given)
    files[LAYOUT] = layout.encode()
    Layout.decode(files[LAYOUT])
    files[CHECKPOINT] = checkpoint
    files[LOG_KEY] = f"{vkey}\n".encode()
    files[PROGRAM] = verify_py.encode("utf-8")
    files[README] = readme_text(layout).encode("utf-8")
    for name, data in (timestamp or {}).items():
        files[TIMESTAMP + name] = data
    accounted = layout.names | {name for name in files if is_optional(name)}
    if accounted != set(files):
        raise InvalidValue(
            f"parts and entries of the bundle do not fit: {sorted(accounted ^ set(files))[:3]}"
        )
    files[SUMS] = print_sums(files)
    return print_zip(files)


def readme_text(layout: Layout) -> str:
    """The words for people."""
    rows = [f"  {p.role:<10} {p.record}\n             {p.entry}  {p.proof}" for p in layout.parts]
    return _README_TEXT.format(
        origin=layout.origin, kind=layout.subject.kind, id=layout.subject.id, listing="\n".join(rows) + "\n"
    )


def print_sums(files: Mapping[str, bytes]) -> bytes:
    """`SHA256SUMS` as sha256sum reads it, in order of names."""
    return "".join(f"{Digest.sha256(files[name]).hex}  {name}\n" for name in sorted(files)).encode("ascii")


def parse_sums(data: bytes) -> dict[str, str]:
    """Name -> digest in hex. Raises InvalidValue for anything that `print_sums` would not have written."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise InvalidValue("SHA256SUMS is not ASCII") from error
    lines = text.split("\n")
    if lines[-1] or len(lines) > MAX_PARTS:
        raise InvalidValue("SHA256SUMS has too many lines or does not end with one")
    sums: dict[str, str] = {}
    for line in lines[:-1]:
        match = _SUM_LINE.fullmatch(line)
        if match is None or match[2].startswith("/") or ".." in match[2].split("/"):
            raise InvalidValue(f"not a line of SHA256SUMS: {line[:80]!r}")
        sums[match[2]] = match[1]
    if list(sums) != sorted(sums) or len(sums) != len(lines) - 1:
        raise InvalidValue("the lines of SHA256SUMS are not in order of their names, or one is there twice")
    return sums


def print_zip(files: Mapping[str, bytes]) -> bytes:
    """A zip of stored members, SHA256SUMS first, the others in order of names, all of one date."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as box:
        for name in sorted(files, key=lambda name: (name != SUMS, name)):
            info = zipfile.ZipInfo(name, _ZIP_DATE)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            box.writestr(info, files[name])
    return out.getvalue()


def parse_zip(data: bytes) -> dict[str, bytes]:
    """Name -> bytes of the members of a bundle's zip, whoever packed it. Raises InvalidValue.

    Refused: duplicate names, folders, encryption, more parts or bytes than a bundle may have.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as box:
            infos = [info for info in box.infolist() if not info.is_dir()]
            names = [info.filename for info in infos]
            if len(infos) > MAX_PARTS or sum(info.file_size for info in infos) > MAX_BUNDLE:
                raise InvalidValue("the zip holds more than an evidence bundle may")
            if len(set(names)) != len(names):
                raise InvalidValue("the zip holds two parts of one name")
            return {info.filename: _read_member(box, info) for info in infos}
    except InvalidValue:
        raise
    except _ZIP_ERRORS as error:
        raise InvalidValue(f"the zip cannot be read: {error}") from error


# What zipfile raises for damaged containers, beside BadZipFile.
_ZIP_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,  # UnicodeError, and offsets before the file's start
    OverflowError,
)


def _read_member(box: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with box.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise InvalidValue(f"the zip says a wrong size for {info.filename[:80]!r}")
    return data


def entry_name(index: int) -> str:
    """Where the entry of that log index lies in a bundle."""
    return f"entries/{index}.json"


def proof_name(index: int) -> str:
    """Where the proof of that log index lies in a bundle."""
    return f"proofs/{index}.tlog-proof"


def handover_names(index: int) -> tuple[str, str]:
    """Where the key entry of that log index lies in a bundle, and its proof under the older key's checkpoint."""
    return f"{HANDOVERS}{index}.json", f"{HANDOVERS}{index}.tlog-proof"


def is_optional(name: str) -> bool:
    """True for what bundle.json need not name: files of the folder timestamp, the keys of witnesses."""
    match = _TIMESTAMP_NAME.fullmatch(name)
    return name == WITNESSES or (match is not None and f"{match[1]}.{match[3]}" in _TIMESTAMP_FILES)


def timestamp_sets(parts: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """The timestamps of a bundle: the name of each response -> its files under their unnumbered names.

    Raises InvalidValue where one lacks its response or chain, or there are too many.
    """
    sets: dict[str, dict[str, bytes]] = {}
    for name in sorted(parts):
        if (match := _TIMESTAMP_NAME.fullmatch(name)) is not None:
            response = f"{TIMESTAMP}response{match[2]}.tsr"
            sets.setdefault(response, {})[f"{match[1]}.{match[3]}"] = parts[name]
    for response, files in sets.items():
        if not {"response.tsr", "chain.pem"} <= files.keys():
            raise InvalidValue(f"{response} is not there, or its chain is not")
    if len(sets) > MAX_TIMESTAMPS:
        raise InvalidValue(f"there are more than {MAX_TIMESTAMPS} timestamps")
    return sets


def print_witnesses(keys: Sequence[VerifierKey]) -> bytes:
    """`witness.vkeys`: one key a line, in order."""
    return "".join(f"{key}\n" for key in sorted(keys, key=str)).encode("utf-8")


def parse_witnesses(data: bytes) -> tuple[VerifierKey, ...]:
    """Read `witness.vkeys`. Raises InvalidValue for anything that `print_witnesses` would not have written."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidValue("keys of witnesses are UTF-8") from error
    if len(lines) > MAX_SIGNATURES:
        raise InvalidValue(f"there are more than {MAX_SIGNATURES} keys of witnesses")
    keys = tuple(VerifierKey.parse(line, types=WITNESS_TYPES) for line in lines[:-1])
    if not keys or len(set(keys)) != len(keys) or print_witnesses(keys) != data:
        raise InvalidValue("keys of witnesses are one a line, in order, none twice")
    return keys


def _check_part(part: Part) -> None:
    values: list[Any] = [part.role, part.record, part.entry, part.proof]
    if type(part.index) is not int or part.index < 0 or not all(isinstance(value, str) for value in values):
        raise InvalidValue("a part in bundle.json has a wrong field")
    if part.role in RECORD_ROLES:
        fits = _RECORD_NAME.fullmatch(part.record) is not None
    else:
        fits = part.record == {"manifest": MANIFEST, ENTRY_ROLE: part.entry}.get(part.role)
    if not fits:
        raise InvalidValue(f"a part in bundle.json has an unknown role or place: {part.role[:40]!r}")
    if part.entry != entry_name(part.index) or part.proof != proof_name(part.index):
        raise InvalidValue(f"the entry and proof of {part.record} are not named after their log index")
