"""One WARC record as bytes: parse, print, digest, and the checks that need nothing but the record.

Strict, for verification: what a lenient reader of other people's files must swallow is left to
`storage.warc`. Source: ISO 28500:2017 (WARC/1.1) sections 4 and 5. The record digest and the nonce are
Pressmark's own (FORMAT.md).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.http1 import ResponseView, parse_response, parse_response_head, payload_with_framing, plain_payload
from schemas.instants import parse_warc_date

#: WARC header that carries 32 random bytes in hex; it makes the record digest a commitment that hides the
#: content.
NONCE: Final = "Pressmark-Nonce"

#: Bytes of a record's header; ours stay far below, and a stranger's longer one is refused, not read on.
MAX_RECORD_HEAD: Final = 256 * 1024

_RECORD_END: Final = b"\r\n\r\n"
#: Bytes behind the block: two CRLF.
RECORD_TAIL: Final = len(_RECORD_END)
_RECORD_VERSION: Final = re.compile(r"WARC/[0-9]\.[0-9]+")
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# A field with the CRLF before it; where all matches together make the whole head, nothing in it is amiss.
_FIELD: Final = re.compile(rf"\r\n({_FIELD_NAME.pattern}):([^\x00-\x08\x0a-\x1f]*)")
# What may not stand in a line once the head was split at its CRLFs.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f]")

# Names of fields that need not be looked at again: there are some thirty.
_NAMES_KEPT: Final = 256

# Fields that ISO 28500:2017 5.1 asks of every record.
_SPELT: Final = {name.lower(): name for name in ("WARC-Record-ID", "Content-Length", "WARC-Date", "WARC-Type")}
_MANDATORY: Final = tuple(_SPELT)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordView:
    """A parsed record. `headers` are (name, value) in order of appearance, names as written."""

    version: str  # "1.1"
    headers: tuple[tuple[str, str], ...]
    block: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header, by case-insensitive name, or None."""
        wanted = name.lower()
        for key, value in self.headers:
            if key == name or key.lower() == wanted:
                return value
        return None

    def all(self, name: str) -> list[str]:
        """Every value of a header, by case-insensitive name."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]

    def need(self, name: str) -> str:
        """The one value of a header. Raises InvalidValue where it is missing."""
        value = self.get(name)
        if value is None:
            raise InvalidValue(f"the record has no {name}")
        return value

    @property
    def type(self) -> str:
        """WARC-Type, lower case."""
        return self.need("WARC-Type").lower()

    @property
    def record_id(self) -> str:
        """WARC-Record-ID without its angle brackets."""
        return bare_id(self.need("WARC-Record-ID"))

    @property
    def refers_to(self) -> str | None:
        """WARC-Refers-To without its angle brackets, or None."""
        value = self.get("WARC-Refers-To")
        return None if value is None else bare_id(value)

    @property
    def date(self) -> datetime:
        """WARC-Date, in UTC. Raises InvalidValue."""
        return parse_warc_date(self.need("WARC-Date"))

    @property
    def target_uri(self) -> str | None:
        """WARC-Target-URI, bare (WARC/1.0 grammar wrote `<uri>`), or None."""
        value = self.get("WARC-Target-URI")
        return None if value is None else bare_id(value)

    @property
    def content_type(self) -> str | None:
        """Content-Type of the block, lower case, without white space, or None."""
        value = self.get("Content-Type")
        return None if value is None else "".join(value.lower().split())


def record_digest(data: bytes) -> Digest:
    """SHA-256 over one uncompressed record, `WARC/1.1` through both closing CRLFs: what the log holds."""
    return Digest.sha256(data)


def bare_id(value: str) -> str:
    """A URI without the angle brackets around it."""
    return value[1:-1] if value.startswith("<") and value.endswith(">") else value


def parse_record(data: bytes) -> RecordView:
    """Read exactly one uncompressed WARC record. Raises InvalidValue for anything else, one byte more or
    less.

    Refused here: folded lines, bare LF, control characters, a missing or repeated mandatory field.
    """
    header = parse_header(data)
    return RecordView(version=header.version, headers=header.headers, block=data[header.start : -len(_RECORD_END)])


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordHeader:
    """The header of a record, whose block is left where it stands."""

    version: str  # "1.1"
    headers: tuple[tuple[str, str], ...]  # as `RecordView` has them
    first: Mapping[str, str]  # the first value of each header, by lower-case name
    start: int  # offset of the block in the record; it ends RECORD_TAIL bytes before the record does


def parse_header(data: bytes) -> RecordHeader:
    """Check that these bytes are exactly one uncompressed record, and read its header. Raises as `parse_record`."""
    head_end = data.find(_RECORD_END, 0, MAX_RECORD_HEAD)
    if head_end < 0:
        raise InvalidValue("not a WARC record: no end of its header found")
    version, names, headers = _parse_head(data[:head_end])
    first = {name: value for name, (_, value) in zip(reversed(names), reversed(headers), strict=True)}
    for name in _MANDATORY:
        if name not in first or (len(first) != len(names) and names.count(name) != 1):
            raise InvalidValue(f"a WARC record has exactly one {_SPELT[name]}")
    length = first["content-length"]
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise InvalidValue(f"not a Content-Length: {length[:40]!r}")
    start = head_end + len(_RECORD_END)
    end = start + int(length)
    if data[end:] != _RECORD_END or len(data) != end + len(_RECORD_END):
        raise InvalidValue(f"the record does not end with two CRLF after its block of {int(length)} bytes")
    return RecordHeader(version=version[5:], headers=headers, first=first, start=start)


def print_record(view: RecordView) -> bytes:
    """The bytes of a record, each header as `Name: value`.

    Raises InvalidValue where they would not read back.
    """
    lines = [f"WARC/{view.version}", *(f"{name}: {value}" for name, value in view.headers)]
    try:
        head = "\r\n".join(lines).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValue("a WARC header cannot hold a lone surrogate") from error
    data = head + _RECORD_END + view.block + _RECORD_END
    if parse_record(data) != view:
        raise InvalidValue("these headers and block do not make a WARC record that reads back the same")
    return data


def record_findings(view: RecordView) -> list[str]:
    """Recompute the digests that a record declares; one sentence for each that is wrong, none where all hold.

    The payload of an HTTP response is its body after all transfer-codings and before content-decoding; a
    digest over the body with its chunk framing, as other tools write it, is told apart and named. Raises
    nothing.
    """
    first = {name.lower(): value for name, value in reversed(view.headers)}
    return block_findings(first, view.block)


def block_findings(
    first: Mapping[str, str], block: bytes | memoryview, http: ResponseView | None = None
) -> list[str]:
    """As `record_findings`, of a block where it stands; `first` as `RecordHeader` has it, `http` its head if parsed."""
    findings = []
    declared = first.get("warc-block-digest")
    if declared is not None and (fault := _digest_fault(declared, block)):
        findings.append(f"block digest: {fault}")
    declared, kind = first.get("warc-payload-digest"), first.get("warc-type", "").lower()
    if declared is not None and kind != "revisit":
        content_type = "".join(first.get("content-type", "").lower().split())
        if fault := _payload_fault(declared, kind, content_type, block, http):
            findings.append(f"payload digest: {fault}")
    return findings


def _payload_fault(
    declared: str, kind: str, content_type: str, block: bytes | memoryview, http: ResponseView | None
) -> str | None:
    if not content_type.startswith("application/http"):
        return _digest_fault(declared, block)
    if kind == "request":
        return None  # the payload of a request is its body; nothing of ours writes a digest of it
    span = plain_payload(http or parse_response_head(block), len(block))
    if span is not None:
        return _digest_fault(declared, memoryview(block)[span])
    response = parse_response(bytes(block))
    if response.payload is None:
        return "declared, but the block has no readable HTTP head and so no payload"
    fault = _digest_fault(declared, response.payload)
    if (
        fault
        and response.framing == "chunked"
        and not _digest_fault(declared, payload_with_framing(response))
    ):
        return "taken over the chunk framing, which is no part of the payload (ISO 28500:2017 5.9)"
    return fault


def _digest_fault(declared: str, data: bytes | memoryview) -> str | None:
    if declared == f"sha256:{hashlib.sha256(data).hexdigest()}":
        return None  # as we write it: nothing has to be read of the label
    try:
        wanted = Digest.parse(declared)
    except InvalidValue as error:
        return str(error)
    found = Digest.of(wanted.algorithm, bytes(data))
    return None if found == wanted else f"declared {wanted}, computed {found}"


def _parse_head(head: bytes) -> tuple[str, list[str], tuple[tuple[str, str], ...]]:
    """Version line, fields' names in lower case, and fields of a record's header; it comes without its blank line."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue("a WARC header that is not UTF-8") from error
    version = text.partition("\r\n")[0]
    if _RECORD_VERSION.fullmatch(version) is None:
        raise InvalidValue(f"not a WARC record: it begins {head[:20]!r}")
    fields = _FIELD.findall(text, len(version))
    if len(version) + sum([len(name) + len(value) for name, value in fields]) + 3 * len(fields) != len(text):
        raise InvalidValue(_head_fault(text[len(version) :]))
    return version, [_lower(name) for name, _ in fields], tuple([(name, value.strip(" \t")) for name, value in fields])


def _head_fault(lines: str) -> str:
    """What is wrong in the lines of a header, in words."""
    for line in lines.split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if not colon or _FIELD_NAME.fullmatch(name) is None:
            return f"not a WARC header line: {line[:60]!r}"
        if _CONTROL.search(value):
            return f"a control character in the WARC header {name}"
    return "not a WARC header"


@lru_cache(maxsize=_NAMES_KEPT)
def _lower(name: str) -> str:
    return name.lower()
