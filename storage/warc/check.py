"""`warc check`: is this a valid WARC file, and where not, by which rule?

Takes files of others as they are (1.0 and 1.1, plain, gzip or zstd) and goes on behind what is wrong. Framing is
found by `frames`, fields are checked by `fields`, what refers to what by `links`; here are digests and HTTP messages.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from schemas.digests import DIGEST_SIZES, Digest
from schemas.errors import DiskError, InvalidValue, NotFound
from schemas.http1 import ResponseView, entity_body, parse_request, parse_response, payload_with_framing
from storage.warc.fields import SayOfRecord, check_fields, section_of
from storage.warc.foreign import readable
from storage.warc.frames import Buffer, Frame, walk
from storage.warc.links import Links
from storage.warc.rules import proper

#: Severities: a broken `shall`, a broken `should`, something worth knowing.
ERROR: Final = "error"
WARNING: Final = "warning"
NOTE: Final = "note"

#: Findings about one file, so that a hostile one does not fill memory or terminal.
MAX_FINDINGS: Final = 10_000
#: Bytes of a body that is decoded to see whether its digest was taken over the decoded form.
_MAX_DECODED: Final = 1 << 28


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong with, or worth knowing about, a WARC file."""

    file: str
    offset: int  # bytes from the start of the file to the record, or to its gzip member
    record_id: str | None
    rule: str  # a short name, stable between versions
    section: str  # of ISO 28500, with its year
    severity: str  # error | warning | note
    message: str

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON types, in the order of its fields."""
        return asdict(self)


def check_file(path: Path) -> list[Finding]:
    """All findings about one file, by offset as found. It is valid where none is an error.

    Raises NotFound, and DiskError where the file cannot be read.
    """
    return check_files([path])[0]


def check_files(paths: Sequence[Path]) -> list[list[Finding]]:
    """Findings about each of several files that belong together: what one refers to may stand in another.

    Raises as `check_file`.
    """
    links, checkers = Links(), []
    for path in paths:
        checker = _Checker(str(path), links)
        with mapped(path) as data:
            checker.walk(data)
        checkers.append(checker)
    links.settle()
    return [checker.findings for checker in checkers]


def check_data(data: Buffer, name: str) -> list[Finding]:
    """All findings about the bytes of a WARC file called `name`."""
    links = Links()
    checker = _Checker(name, links)
    checker.walk(data)
    links.settle()
    return checker.findings


@contextmanager
def mapped(path: Path) -> Iterator[Buffer]:
    """The bytes of a file, mapped into memory. Raises NotFound, DiskError."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
            data: Buffer = b""  # of an empty file, of which nothing can be mapped
            if stream.seek(0, 2):
                data = stack.enter_context(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError as error:
            raise NotFound(f"there is no file {path}") from error
        except OSError as error:
            raise DiskError(f"cannot read {path}: {error.strerror or error}") from error
        yield data


def is_valid(findings: list[Finding], *, strict: bool = False) -> bool:
    """True where no finding is an error; with `strict`, no warning either: a broken `should` counts too."""
    wrong = (ERROR, WARNING) if strict else (ERROR,)
    return all(finding.severity not in wrong for finding in findings)


class _Checker:
    """What is known of one file while it is walked."""

    def __init__(self, name: str, links: Links) -> None:
        self.findings: list[Finding] = []
        self._name, self._links = name, links
        self._records = 0

    def say(
        self, offset: int, rule: str, section: str, severity: str, message: str, record_id: str | None = None
    ) -> None:
        """Keep one finding."""
        if len(self.findings) >= MAX_FINDINGS:
            return
        if not section.startswith("ISO"):
            section = f"ISO 28500:2017 {section}"
        finding = Finding(
            file=self._name,
            offset=offset,
            record_id=record_id,
            rule=rule,
            section=section,
            severity=severity,
            message=message,
        )
        self.findings.append(finding)

    def walk(self, data: Buffer) -> None:
        """All records of the file."""
        for frame in walk(data, self.say):
            self.check(frame)

    def check(self, frame: Frame) -> None:
        """All that one record tells."""

        offset, record_id = frame.offset, frame.record_id

        # Kept by `links` until all is read: it must not hold the frame.
        def say(rule: str, section: str, severity: str, message: str) -> None:
            self.say(offset, rule, section, severity, message, record_id)

        if self._records == 0 and frame.type != "warcinfo":
            say("warcinfo-first", section_of("warc-type", frame.version), NOTE, "no warcinfo begins the file")
        self._records += 1
        check_fields(frame, say)
        self._links.note(frame, say)
        if frame.complete:
            check_digests(frame, say)


def check_digests(frame: Frame, say: SayOfRecord) -> None:
    """Tell each digest of a whole record that is wrong, and HTTP messages that are not whole."""
    _Digests(frame, say).check()


class _Digests:
    """The digests of one record, recomputed (ISO 28500:2017 5.8, 5.9)."""

    def __init__(self, frame: Frame, say: SayOfRecord) -> None:
        self._frame, self._say = frame, say

    def check(self) -> None:
        """Tell each digest that is wrong, and HTTP messages that are not whole."""
        declared = self._declared("warc-block-digest")
        if declared is not None and _digest(declared, self._frame.block) != declared:
            self._wrong("warc-block-digest", declared, _digest(declared, self._frame.block))
        kind = self._frame.type
        segmented = self._frame.get("warc-segment-number") is not None
        if not self._is_http():
            # The payload of a segmented record is spread over records; a revisit's lies elsewhere.
            if kind in ("response", "resource", "conversion") and not segmented:
                self._check_payload({"": self._frame.block})
        elif kind == "response" and not segmented:
            self._check_response()
        elif kind == "request":
            self._check_request()

    def _is_http(self) -> bool:
        media = (self._frame.get("content-type") or "").partition(";")[0].strip().lower()
        return media == "application/http"

    def _check_response(self) -> None:
        view = parse_response(readable(self._frame.block))
        section = section_of("warc-truncated", self._frame.version)
        if view.status is None:
            self._say("http", section, WARNING, "the block does not begin with an HTTP response that can be read")
        elif not view.complete and self._frame.get("warc-truncated") is None:
            what = "its framing cannot be read" if view.truncation == "unspecified" else "it is shorter than it says"
            self._say("http", section, WARNING, f"the HTTP response is not whole ({what}) without WARC-Truncated")
        self._check_payload(_readings(view))

    def _check_request(self) -> None:
        try:
            view = parse_request(self._frame.block)
        except InvalidValue:
            section = section_of("content-type", self._frame.version)
            self._say("http", section, WARNING, "the block does not begin with an HTTP request that can be read")
            return
        self._check_payload({"": view.body})

    def _check_payload(self, readings: dict[str, bytes]) -> None:
        """`readings`: what the payload is by the standard under "", and by other readings under their names."""
        name = "warc-payload-digest"
        declared = self._declared(name)
        if declared is None:
            return
        section = section_of(name, self._frame.version)
        if not readings:
            self._say("payload-digest", section, WARNING, "a payload digest, but no payload that can be read")
            return
        for reading, data in readings.items():
            if _digest(declared, data) == declared:
                if reading:
                    self._say("payload-digest", section, WARNING, f"the payload digest is that of {reading}")
                return
        self._wrong(name, declared, _digest(declared, next(iter(readings.values()))))

    def _declared(self, name: str) -> Digest | None:
        """The digest that a field declares; None where there is none that can be checked."""
        value = self._frame.get(name)
        if not value or value.partition(":")[0].lower().replace("-", "") not in DIGEST_SIZES:
            return None
        try:
            return Digest.parse(value)
        except InvalidValue:
            return None  # told by `fields`

    def _wrong(self, name: str, declared: Digest, found: Digest) -> None:
        rule = "block-digest" if "block" in name else "payload-digest"
        section = section_of(name, self._frame.version)
        self._say(rule, section, ERROR, f"{proper(name)} is {declared}, the bytes have {found}")


def _digest(like: Digest, data: bytes) -> Digest:
    return Digest.of(like.algorithm, data)


def _readings(view: ResponseView) -> dict[str, bytes]:
    """The payload of a response: by the standard, and as other tools take it."""
    if view.payload is None:
        return {"the body behind a head that cannot be read": view.body} if view.body else {}
    readings = {"": view.payload}
    framed = payload_with_framing(view)
    if framed != view.payload:
        readings["the body with its chunk framing, which is no part of the payload"] = framed
    if view.body not in (view.payload, framed):
        readings["all that follows the head"] = view.body
    try:
        decoded, cut = entity_body(view, _MAX_DECODED)
    except InvalidValue:
        return readings
    if cut is None and decoded != view.payload:
        readings["the body after content-decoding, which the payload is before"] = decoded
    return readings
