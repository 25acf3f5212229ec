"""Files of others taken in: WARC 0.17 to 1.1, plain, gzip or zstd, and WACZ; which of their records become captures.

A file is looked through twice: first for what is damaged and what refers to what, then for its captures. It is kept as
it is; what is damaged is named in its metadata record and left alone. A date in it is a claim. Reading articles is left
to `pipeline`, keeping to `storage.archive`, the zip to `wacz`.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from ingest.outlets import outlet_for
from ingest.wacz import ZIP_MAGICS, Member, read_wacz
from schemas.captures import Ending, Role
from schemas.digests import Digest
from schemas.errors import InvalidValue, NotFound, StoreError
from schemas.http1 import ResponseView, parse_response
from schemas.instants import parse_warc_date
from schemas.outlets import Outlet
from schemas.urls import join, normalize, target_of
from storage.archive import Archive
from storage.disk import disk_errors
from storage.imports import (
    Imported,
    ImportedFile,
    Quarantined,
    capture_draft,
    capture_id,
    file_draft,
    object_key,
)
from storage.segments import CHUNK, hash_stream
from storage.warc import Draft
from storage.warc.check import ERROR, check_digests, mapped
from storage.warc.foreign import compression_of, place_of, readable
from storage.warc.frames import Buffer, Frame, inflate, walk
from storage.warc.zst import read_frames

#: Metadata records written, synced and committed together.
BATCH: Final = 256
#: Bytes that must be decompressed before a record in a unit that holds several: more make each reading too dear.
MAX_SHARED: Final = 64 * 1024 * 1024
#: Bytes of a name that are kept.
MAX_NAME: Final = 255
#: What a location or media type longer than this many characters is not kept for.
MAX_VALUE: Final = 8192
#: Errors of framing that a place in the file is quarantined for.
_FRAMING: Final = frozenset({"garbage", "gzip-member", "zstd-frame", "header-end", "truncated"})
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_SOFTWARE: Final = re.compile(rb"(?mi)^software:[ \t]*([^\r\n]{1,200})")
_REDIRECTS: Final = (301, 302, 303, 307, 308)

Say = Callable[[str], None]


@dataclass(kw_only=True, slots=True)
class ImportReport:
    """What became of one file."""

    path: str
    sha256: str = ""
    records: int = 0
    captures: int = 0  # that are in it and sound
    new: int = 0  # of those, such as were not here
    quarantined: list[Quarantined] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)  # records that are no captures, by type
    outlets: Counter[str] = field(default_factory=Counter)  # captures by outlet id
    known: bool = False  # the file was here before
    refused: str | None = None  # why nothing of it was taken


@dataclass(kw_only=True, slots=True)
class _Look:
    """What the first look at a file tells."""

    path: Path
    file: ImportedFile
    report: ImportReport
    tool: str | None = None
    revisits: int = 0
    redacted: list[int] = field(default_factory=list)  # offsets of records of what was redacted
    bad: set[tuple[int, int]] = field(default_factory=set)  # (base + offset, start) of quarantined records


@dataclass(kw_only=True, slots=True)
class _Part:
    """One WARC file: the file itself, or one inside a WACZ."""

    base: int
    data: Buffer
    compression: str


class Importer:
    """Takes files in. `run` may be called once."""

    def __init__(self, archive: Archive, *, in_place: bool = False, trust: bool = False, say: Say = lambda text: None):
        """`in_place`: leave files where they are; `trust`: take their dates for the times of capture."""
        self._archive, self._in_place, self._trust, self._say = archive, in_place, trust, say
        self._received: datetime = archive.clock()
        self._by_record: dict[str, str] = {}  # the strangers' ids of responses -> ours
        self._by_payload: dict[tuple[str, str], str] = {}  # (url, payload digest) -> ours
        with archive.catalog.read() as tx:
            self._outlets: list[Outlet] = tx.outlets.all()

    def run(self, paths: Sequence[Path]) -> list[ImportReport]:
        """Take files in, one after another; a file that cannot be read as one of these is told in its report.

        Raises DiskError, StoreError, CatalogError.
        """
        looks: list[_Look | ImportReport] = []
        for path in paths:
            try:
                looks.append(self._look(path))
            except (InvalidValue, NotFound) as error:
                looks.append(ImportReport(path=str(path), refused=str(error)))
        reports = []
        for look in looks:
            if isinstance(look, _Look):
                self._take(look)
                reports.append(look.report)
            else:
                reports.append(look)
        for look in looks:  # now that their originals are here
            if isinstance(look, _Look) and look.revisits and not look.report.refused:
                self._keep_captures(look, "revisit")
        return reports

    # -- the first look ------------------------------------------------------------------------------------------------

    def _look(self, path: Path) -> _Look:
        file = self._identify(path)
        look = _Look(path=path, file=file, report=ImportReport(path=str(path), sha256=file.sha256))
        with _parts(path, self._archive.directory) as parts:
            for part in parts:
                self._look_through(look, part)
        return look

    def _identify(self, path: Path) -> ImportedFile:
        """Digest and kind of a file. Raises InvalidValue where it is neither WARC nor WACZ, NotFound, DiskError."""
        if not path.is_file():
            raise NotFound(f"there is no file {path}")
        with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
            suffix = _suffix(stream.read(1 << 16), path)
            stream.seek(0)
            sha256, length = hash_stream(stream)
        name = path.name.encode("utf-8", "replace")[:MAX_NAME].decode("utf-8", "replace")
        if self._in_place:
            where = str(path.absolute())
            if not where.isprintable():
                raise InvalidValue(f"a path that cannot be kept: {where!r}", remedy="rename it, or import a copy")
            return ImportedFile(name=name, sha256=sha256, length=length, key=None, path=where)
        return ImportedFile(name=name, sha256=sha256, length=length, key=object_key(sha256, suffix), path=None)

    def _look_through(self, look: _Look, part: _Part) -> None:
        report = look.report
        odd: set[tuple[int, str | None]] = set()

        def say(
            offset: int, rule: str, section: str, severity: str, message: str, record_id: str | None = None
        ) -> None:
            if severity == ERROR and rule in _FRAMING:
                report.quarantined.append(_quarantined(part, offset, record_id, rule, message))
            elif rule == "record-end" and section == "5.3":
                odd.add((offset, record_id))

        for frame in walk(part.data, say):
            report.records += 1
            if frame.type == "warcinfo" and look.tool is None:
                look.tool = _software(frame.block)
            problem = _problem(frame, odd) or (_uri_problem(frame) if _is_capture(frame) else None)
            if problem is not None:
                look.bad.add((part.base + frame.offset, frame.start))
                if problem[0] not in _FRAMING:  # told already
                    report.quarantined.append(_quarantined(part, frame.offset, frame.record_id, *problem))
            elif not _is_capture(frame):
                report.others[frame.type or "unknown"] += 1
            elif self._refused(frame):
                look.redacted.append(part.base + frame.offset)
            else:
                report.captures += 1
                look.revisits += frame.type == "revisit"
                self._remember(look, part, frame)

    def _refused(self, frame: Frame) -> bool:
        """Whether a record would bring back what was redacted."""
        url = _url(frame)
        view = parse_response(readable(frame.block))
        payload = str(Digest.sha256(view.payload)) if frame.type == "response" and view.payload else None
        return self._archive.refused(url, _location(view, url), payload=payload) is not None

    def _remember(self, look: _Look, part: _Part, frame: Frame) -> None:
        """What revisits may refer to."""
        if frame.type != "response":
            return
        ours = capture_id(look.file.sha256, place_of(frame, base=part.base, compression=part.compression))
        if frame.record_id:
            self._by_record[frame.record_id] = ours
        digest = _digest(frame.get("warc-payload-digest"))
        if digest is not None:
            self._by_payload.setdefault((_url(frame), digest), ours)

    # -- taking in -----------------------------------------------------------------------------------------------------

    def _take(self, look: _Look) -> None:
        report, archive = look.report, self._archive
        if not report.records:
            report.refused = "no WARC record could be read in it"
            return
        if look.redacted:
            places = ", ".join(str(offset) for offset in look.redacted[:5]) + (", …" if len(look.redacted) > 5 else "")
            report.refused = (
                f"it holds {len(look.redacted)} records of what was redacted (at {places}): take them out of it, or "
                f"import it with --include-redacted"
            )
            return
        if look.file.key is not None:
            archive.store.put_file(look.file.key, look.path)
            with archive.store.open(look.file.key) as stream:
                if hash_stream(stream) != (look.file.sha256, look.file.length):
                    raise StoreError(f"{look.path} changed while it was copied", remedy="import it again")
        draft = file_draft(
            look.file,
            self._received,
            tool=look.tool,
            records=report.records,
            captures=report.captures,
            quarantined=report.quarantined,
            trusted=self._trust,
        )
        report.known = archive.deposit_imports([draft]) == 0
        self._keep_captures(look, "response")

    def _keep_captures(self, look: _Look, kind: str) -> None:
        report, archive = look.report, self._archive
        batch: list[Draft] = []
        for imported in self._captures(look, kind):
            report.outlets[imported.outlet_id] += 1
            batch.append(capture_draft(imported, self._received))
            if len(batch) >= BATCH:
                report.new += archive.deposit_imports(batch)
                batch = []
        report.new += archive.deposit_imports(batch)

    def _captures(self, look: _Look, kind: str) -> Iterator[Imported]:
        with _parts(look.path, self._archive.directory) as parts:
            for part in parts:
                for frame in walk(part.data, lambda *finding, **more: None):
                    sound = (part.base + frame.offset, frame.start) not in look.bad
                    if sound and frame.type == kind and _is_capture(frame):
                        yield self._imported(look, part, frame)

    def _imported(self, look: _Look, part: _Part, frame: Frame) -> Imported:
        place = place_of(frame, base=part.base, compression=part.compression)
        view, url = parse_response(readable(frame.block)), _url(frame)
        revisit = frame.type == "revisit"
        refers_to = self._original(frame, url) if revisit else None
        media_type = (view.get("content-type") or "").partition(";")[0].strip().lower()[:MAX_VALUE] or None
        payload = None if revisit else view.payload
        return Imported(
            file=look.file,
            place=place,
            record=_bounded(frame.record_id),
            digest=f"sha256:{hashlib.sha256(frame.head + frame.block).hexdigest()}",
            url=url,
            claimed=_claimed(frame),
            trusted=self._trust,
            outlet_id=outlet_for(url, self._outlets),
            role=_role(url, view.status, media_type, readable=not revisit or refers_to is not None),
            ending=_ending(frame, view),
            status=view.status,
            media_type=_bounded(media_type),
            location=_location(view, url),
            payload_digest=str(Digest.sha256(payload)) if payload is not None else None,
            payload_length=len(payload) if payload is not None else None,
            refers_to=refers_to,
        )

    def _original(self, frame: Frame, url: str) -> str | None:
        """Our id of the capture whose payload a revisit says it has; None where it is not in these files."""
        named = (frame.get("warc-refers-to") or "").strip("<>")
        if named in self._by_record:
            return self._by_record[named]
        digest = _digest(frame.get("warc-payload-digest"))
        if digest is None:
            return None
        try:
            of = normalize((frame.get("warc-refers-to-target-uri") or url).strip("<>"))
        except InvalidValue:
            return None
        return self._by_payload.get((of, digest))


# -- files -------------------------------------------------------------------------------------------------------------


def _suffix(head: bytes, path: Path) -> str:
    """What kind of file begins with these bytes. Raises InvalidValue."""
    if head[:4] in ZIP_MAGICS:
        return ".wacz"
    kind = compression_of(head)
    if kind == "gzip":
        content, _, _ = inflate(head, 0)
    elif kind == "zstd":
        content = next((f.content for f in read_frames(head) if f.content), b"WARC/")  # a dictionary may come first
    else:
        content = head
    if not content.lstrip(b"\r\n").startswith(b"WARC/"):
        remedy = "give .warc, .warc.gz, .warc.zst or .wacz"
        raise InvalidValue(f"{path} is neither a WARC file nor a WACZ", remedy=remedy)
    return {"gzip": ".warc.gz", "zstd": ".warc.zst", "none": ".warc"}[kind]


@contextmanager
def _parts(path: Path, scratch: Path) -> Iterator[Iterator[_Part]]:
    """The WARC files in a file, one after another. A WACZ's are copied to a scratch file, each in its turn."""
    with ExitStack() as stack:
        whole = stack.enter_context(mapped(path))
        if whole[:4] not in ZIP_MAGICS:
            yield iter([_Part(base=0, data=whole, compression=compression_of(whole[:4]))])
        else:
            yield _members(path, read_wacz(path), scratch)


def _members(path: Path, members: Sequence[Member], scratch: Path) -> Iterator[_Part]:
    for member in members:
        with tempfile.TemporaryFile(dir=scratch) as copy:
            with disk_errors(f"cannot copy {member.name} of {path}"), path.open("rb") as stream:
                stream.seek(member.offset)
                left = member.length
                while left and (chunk := stream.read(min(left, CHUNK))):
                    copy.write(chunk)
                    left -= len(chunk)
                copy.flush()
            if member.length == 0:
                continue
            with mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield _Part(base=member.offset, data=data, compression=compression_of(data[:4]))


# -- records -----------------------------------------------------------------------------------------------------------


def _is_capture(frame: Frame) -> bool:
    """True for an HTTP answer, whole or as a revisit."""
    if frame.type not in ("response", "revisit") or frame.get("warc-segment-number") is not None:
        return False
    uri = (frame.get("warc-target-uri") or "").strip("<>").lower()
    return uri.startswith(("http:", "https:"))


def _problem(frame: Frame, odd: set[tuple[int, str | None]]) -> tuple[str, str] | None:
    """(rule, reason) that a record is quarantined for: damage, not mere bad form."""
    if frame.damaged:
        return "gzip-member", "what holds it is cut off or fails its checksum"
    if frame.start > MAX_SHARED:
        return "record-at-a-time", f"it stands {frame.start} bytes deep in one compressed unit: recompress the file"
    if not frame.complete:
        return "truncated", "its block is shorter than it says"
    if (frame.offset, frame.record_id) in odd:
        return "record-end", "its block does not end where Content-Length says"
    found: list[tuple[str, str]] = []

    def say(rule: str, section: str, severity: str, message: str) -> None:
        if severity == ERROR:
            found.append((rule, f"{message} ({section})"))

    check_digests(frame, say)
    return found[0] if found else None


def _uri_problem(frame: Frame) -> tuple[str, str] | None:
    try:
        _url(frame)
        return None
    except InvalidValue as error:
        return "uri", error.message


def _software(block: bytes) -> str | None:
    """What a warcinfo says that wrote the file."""
    match = _SOFTWARE.search(block)
    return _bounded(match[1].decode("utf-8", "replace").strip()) if match else None


def _quarantined(part: _Part, offset: int, record_id: str | None, rule: str, reason: str) -> Quarantined:
    text = reason.encode("utf-8", "replace").decode()[:500]
    return Quarantined(offset=part.base + offset, record_id=_bounded(record_id), rule=rule, reason=text)


def _bounded(text: str | None) -> str | None:
    """A stranger's text as canonical JSON can hold it, cut to a bound; None where nothing is left."""
    return text.encode("utf-8", "replace").decode()[:MAX_VALUE] or None if text is not None else None


def _url(frame: Frame) -> str:
    """The target, normalised: what is not RFC 3986 clean is escaped. Raises InvalidValue."""
    return normalize((frame.get("warc-target-uri") or "").strip("<>"))


def _digest(value: str | None) -> str | None:
    try:
        return str(Digest.parse(value or ""))
    except InvalidValue:
        return None


def _claimed(frame: Frame) -> datetime | None:
    try:
        return parse_warc_date(frame.get("warc-date") or "")
    except InvalidValue:
        return None


def _ending(frame: Frame, view: ResponseView) -> Ending:
    """How the exchange ended. Many tools undo the chunking and leave the header: the body is then taken as it is."""
    declared = frame.get("warc-truncated")
    if frame.type == "response" and declared is not None:
        known = {e.value: e for e in (Ending.LENGTH, Ending.TIME, Ending.DISCONNECT)}
        return known.get(declared, Ending.UNSPECIFIED)
    if frame.type == "revisit" or view.complete or view.framing == "unreadable":
        return Ending.COMPLETE if view.status is not None or frame.type == "revisit" else Ending.UNSPECIFIED
    return Ending.DISCONNECT


def _role(url: str, status: int | None, media_type: str | None, *, readable: bool) -> Role:
    if not readable:
        return Role.OTHER
    path = target_of(url).partition("?")[0]
    if path == "/robots.txt":
        return Role.ROBOTS
    if media_type is not None and media_type.startswith("image/"):
        return Role.IMAGE
    if media_type in _PAGES and status is not None and 200 <= status < 300:
        return Role.HOME if target_of(url) == "/" else Role.ARTICLE
    return Role.OTHER


def _location(view: ResponseView, url: str) -> str | None:
    value = view.get("location")
    if view.status not in _REDIRECTS or not value or len(value) > MAX_VALUE:
        return None
    try:
        return join(url, value.encode("latin-1").decode("utf-8", "replace"))
    except InvalidValue:
        return None
