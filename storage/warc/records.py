"""One WARC/1.1 record, from a draft of it to its uncompressed bytes.

Which fields a record of which type may carry is left to `drafts`, compression to `members`, files to
`segments`. Why no library prints them is told in `ops/decisions/0002-warc-serializer.md`. Source: ISO
28500:2017 sections 4 to 6. `WARC-Protocol` and `WARC-Cipher-Suite` are extensions listed by the IIPC, not
part of the standard.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from schemas.errors import InvalidValue
from schemas.instants import warc_date
from schemas.records import MAX_RECORD_HEAD, NONCE
from storage.warc.drafts import Draft, check_draft
from storage.warc.rules import FIELD_NAME

#: Bytes of the nonce that hides a record behind its digest (schemas/FORMAT.md): as many as the digest itself.
NONCE_BYTES: Final = 32

_VERSION: Final = "WARC/1.1"
#: What follows a block (ISO 28500:2017 section 4).
RECORD_END: Final = b"\r\n\r\n"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
#: Names that `_header_lines` puts: known to be names.
_OWN_NAMES: Final = frozenset({
    "WARC-Type", "WARC-Record-ID", "WARC-Date", "WARC-Target-URI", "WARC-IP-Address", "WARC-Protocol",
    "WARC-Cipher-Suite", "WARC-Concurrent-To", "WARC-Refers-To", "WARC-Refers-To-Target-URI", "WARC-Refers-To-Date",
    "WARC-Profile", "WARC-Truncated", "WARC-Identified-Payload-Type", "WARC-Warcinfo-ID", "WARC-Payload-Digest",
    "WARC-Block-Digest", NONCE, "Content-Type", "Content-Length",
})  # fmt: skip


def encode_record(draft: Draft, *, warcinfo_id: str | None, nonce: bytes) -> bytes:
    """The uncompressed bytes of one record, from `WARC/1.1` through both closing CRLFs.

    As `encode_head` says it; the record is that header, the block and RECORD_END.
    """
    return b"".join((encode_head(draft, warcinfo_id=warcinfo_id, nonce=nonce), draft.block, RECORD_END))


def encode_head(draft: Draft, *, warcinfo_id: str | None, nonce: bytes) -> bytes:
    """The header of one record, from `WARC/1.1` through the blank line.

    `warcinfo_id` is the id of the file's warcinfo record (None for that record itself), `nonce` 32 random
    bytes. Raises InvalidValue where the draft breaks a rule of ISO 28500 or one of ours
    (storage/warc/drafts.py).
    """
    block_digest = f"sha256:{hashlib.sha256(draft.block).hexdigest()}"
    check_draft(draft, block_digest=block_digest, warcinfo_id=warcinfo_id)
    if len(nonce) != NONCE_BYTES:
        raise InvalidValue(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
    lines = _header_lines(draft, block_digest=block_digest, warcinfo_id=warcinfo_id)
    lines.append((NONCE, nonce.hex()))
    if draft.content_type:
        lines.append(("Content-Type", draft.content_type))
    lines.append(("Content-Length", str(len(draft.block))))
    return print_head(lines)


def print_head(lines: list[tuple[str, str]]) -> bytes:
    """The header of a WARC/1.1 record with the blank line that ends it. Raises InvalidValue.

    CR, LF, NUL and other control characters are refused in names and values: whatever came from outside, a
    header line stays one line (ISO 28500:2017 section 4).
    """
    names, values = zip(*lines, strict=True)
    if not (_OWN_NAMES.issuperset(names) and _stay_on_lines(values)):
        _check_lines(lines)
    text = "\r\n".join([_VERSION, *[f"{name}: {value}" for name, value in lines], "\r\n"])
    head = text.encode("utf-8", "surrogatepass")
    if len(head) > MAX_RECORD_HEAD:
        raise InvalidValue(f"a WARC header of {len(head)} bytes; at most {MAX_RECORD_HEAD} are written")
    return head


def _stay_on_lines(values: Sequence[str]) -> bool:
    """Whether values are printable ASCII without a blank at an end, looked at all together. False for some that would
    do as well: these are looked at one by one.
    """
    text = " ".join(values)
    return text.isascii() and text.isprintable() and "  " not in text and text == text.strip(" ")


def _check_lines(lines: list[tuple[str, str]]) -> None:
    for name, value in lines:
        if name not in _OWN_NAMES and FIELD_NAME.fullmatch(name) is None:
            raise InvalidValue(f"not a name of a WARC header: {name[:60]!r}")
        if value != value.strip() or (not value.isprintable() and _UNPRINTABLE.search(value)):
            raise InvalidValue(f"the WARC header {name} cannot hold {value[:80]!r}")


def warc_fields(pairs: list[tuple[str, str]]) -> bytes:
    """A block of `application/warc-fields`: `name: value` lines (ISO 28500:2017 sections 4 and 8).

    Raises InvalidValue where a name or value would not stay on its line.
    """
    for name, value in pairs:
        if FIELD_NAME.fullmatch(name) is None:
            raise InvalidValue(f"not a name of a WARC field: {name[:60]!r}")
        if _UNPRINTABLE.search(value) or value != value.strip():
            raise InvalidValue(f"the WARC field {name} cannot hold {value[:80]!r}")
    return "".join(f"{name}: {value}\r\n" for name, value in pairs).encode()


def _header_lines(draft: Draft, *, block_digest: str, warcinfo_id: str | None) -> list[tuple[str, str]]:
    """All fields but nonce, Content-Type and Content-Length, in the order that every record of ours has."""
    lines = [
        ("WARC-Type", draft.type),
        ("WARC-Record-ID", f"<{draft.record_id}>"),
        ("WARC-Date", warc_date(draft.date)),
    ]
    if draft.target_uri is not None:
        lines.append(("WARC-Target-URI", draft.target_uri))
    if draft.ip_address is not None:
        lines.append(("WARC-IP-Address", draft.ip_address))
    for protocol in draft.protocols:
        lines.append(("WARC-Protocol", protocol))
    if draft.cipher is not None:
        lines.append(("WARC-Cipher-Suite", draft.cipher))
    for other in draft.concurrent_to:
        lines.append(("WARC-Concurrent-To", f"<{other}>"))
    if draft.refers_to is not None:
        lines += _reference_lines(draft)
    if draft.truncated is not None:
        lines.append(("WARC-Truncated", draft.truncated))
    if draft.identified_payload_type is not None:
        lines.append(("WARC-Identified-Payload-Type", draft.identified_payload_type))
    if warcinfo_id is not None:
        lines.append(("WARC-Warcinfo-ID", f"<{warcinfo_id}>"))
    if draft.payload_digest is not None:
        lines.append(("WARC-Payload-Digest", str(draft.payload_digest)))
    lines.append(("WARC-Block-Digest", block_digest))
    return [*lines, *draft.extra] if draft.extra else lines


def _reference_lines(draft: Draft) -> list[tuple[str, str]]:
    """Which record another one is made of, or repeats."""
    lines = [("WARC-Refers-To", f"<{draft.refers_to}>")]
    if draft.refers_to_target_uri is not None:
        lines.append(("WARC-Refers-To-Target-URI", draft.refers_to_target_uri))
    if draft.refers_to_date is not None:
        lines.append(("WARC-Refers-To-Date", warc_date(draft.refers_to_date)))
    if draft.profile is not None:
        lines.append(("WARC-Profile", draft.profile))
    return lines
