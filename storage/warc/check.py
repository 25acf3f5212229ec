"""`warc check`: is this a valid WARC file, and where not, by which rule?

Takes files of others as they are (1.0 and 1.1, plain or gzip) and goes on behind what is wrong. Framing is
found by `frames`, fields are checked by `fields`; here are digests, HTTP messages, and what only a whole file
can tell.
"""

from __future__ import annotations

import mmap
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from schemas.digests import DIGEST_SIZES, Digest
from schemas.errors import DiskError, InvalidValue, NotFound
from schemas.http1 import ResponseView, entity_body, parse_request, parse_response, payload_with_framing
from storage.warc.fields import check_fields, section_of
from storage.warc.frames import Buffer, Frame, walk
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
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            if size == 0:  # nothing that could be mapped
                return check_data(b"", str(path))
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return check_data(data, str(path))
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise DiskError(f"cannot read {path}: {error.strerror or error}") from error


def check_data(data: Buffer, name: str) -> list[Finding]:
    """All findings about the bytes of a WARC file called `name`."""
    checker = _Checker(name)
    for frame in walk(data, checker.say):
        checker.check(frame)
    checker.finish()
    return checker.findings


def is_valid(findings: list[Finding]) -> bool:
    """True where no finding is an error."""
    return all(finding.severity != ERROR for finding in findings)


class _Checker:
    """What is known of one file while it is walked."""

    def __init__(self, name: str) -> None:
        self.findings: list[Finding] = []
        self._name = name
        self._ids: Counter[str] = Counter()
        self._links: list[tuple[int, str | None, str, str, str]] = []
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

    def check(self, frame: Frame) -> None:
        """All that one record tells."""

        def say(rule: str, section: str, severity: str, message: str) -> None:
            self.say(frame.offset, rule, section, severity, message, frame.record_id)

        if self._records == 0 and frame.type != "warcinfo":
            say("warcinfo-first", section_of("warc-type", frame.version), NOTE, "no warcinfo begins the file")
        self._records += 1
        check_fields(frame, say)
        self._note_links(frame)
        if frame.complete:
            _Digests(frame, say).check()

    def finish(self) -> None:
        """What only the whole file tells: ids given twice, links that lead out of it."""
        for offset, record_id, name, target, version in self._links:
            section = section_of(name, version)
            if name == "warc-record-id":
                if self._ids[target] > 1:
                    count = self._ids[target]
                    self.say(offset, "record-id", section, ERROR, f"{count} records have this id", record_id)
            elif target not in self._ids:
                self.say(offset, "link", section, NOTE, f"{proper(name)} names {target}, which is not here", record_id)

    def _note_links(self, frame: Frame) -> None:
        for name in ("warc-record-id", "warc-concurrent-to", "warc-warcinfo-id"):
            for key, value in frame.fields:
                if key.lower() == name and value:
                    target = value.strip("<>")
                    self._links.append((frame.offset, frame.record_id, name, target, frame.version))
                    if name == "warc-record-id":
                        self._ids[target] += 1


class _Digests:
    """The digests of one record, recomputed (ISO 28500:2017 5.8, 5.9)."""

    def __init__(self, frame: Frame, say: Any) -> None:
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
        view = parse_response(self._frame.block)
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
