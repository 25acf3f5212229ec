"""What records of a set of files say of each other: ids, concurrency, revisits and their originals.

Settled when all files were read, for the standard lets a record refer to one in another file. What a single record
tells is left to `fields` and `check`. Memory: some hundred bytes a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.instants import parse_warc_date
from storage.warc.fields import SayOfRecord, section_of
from storage.warc.frames import Frame
from storage.warc.rules import proper

#: Fields that name other records.
_LINKS: Final = ("warc-concurrent-to", "warc-refers-to", "warc-warcinfo-id", "warc-segment-origin-id")
#: What a field may point at: anything else that is there is the wrong record.
_TARGETS: Final[dict[str, frozenset[str]]] = {
    "warc-warcinfo-id": frozenset({"warcinfo"}),
    "warc-concurrent-to": frozenset({"request", "response", "resource", "metadata", "revisit"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """What is remembered of a record."""

    type: str
    version: str
    record_id: str | None
    date: str | None
    uri: str | None
    payload_digest: str | None
    length: int  # bytes of the block
    profile: str | None
    refers_to_uri: str | None
    refers_to_date: str | None
    links: tuple[tuple[str, str], ...]  # (field in lower case, record id)
    say: SayOfRecord

    def section(self, name: str) -> str:
        """The section that defines a field, in the record's edition."""
        return section_of(name, self.version)

    @property
    def edition(self) -> str:
        return "ISO 28500:2017" if self.version == "1.1" else "ISO 28500:2009"


class Links:
    """The records of a set of files."""

    def __init__(self) -> None:
        self._records: list[_Record] = []
        self._by_id: dict[str, list[_Record]] = {}

    def note(self, frame: Frame, say: SayOfRecord) -> None:
        """Remember a record; `say` is kept, and told when the set is whole."""
        record = _Record(
            type=frame.type,
            version=frame.version,
            record_id=frame.record_id,
            date=frame.get("warc-date"),
            uri=_bare(frame.get("warc-target-uri")),
            payload_digest=frame.get("warc-payload-digest"),
            length=len(frame.block),
            profile=_bare(frame.get("warc-profile")),
            refers_to_uri=_bare(frame.get("warc-refers-to-target-uri")),
            refers_to_date=frame.get("warc-refers-to-date"),
            links=tuple(
                (key.lower(), value.strip("<>")) for key, value in frame.fields if key.lower() in _LINKS and value
            ),
            say=say,
        )
        self._records.append(record)
        if record.record_id:
            self._by_id.setdefault(record.record_id, []).append(record)

    def settle(self) -> None:
        """Tell what is wrong between records."""
        for record in self._records:
            same = self._by_id.get(record.record_id or "", ())
            if len(same) > 1:
                record.say("record-id", record.section("warc-record-id"), "error", f"{len(same)} records have this id")
            for name, target in record.links:
                self._check_link(record, name, target)

    def _check_link(self, record: _Record, name: str, target: str) -> None:
        section = record.section(name)
        found = self._by_id.get(target)
        if found is None:
            record.say("link", section, "note", f"{proper(name)} names {target}, which is not here")
            return
        other = found[0]
        if other is record:
            record.say("link", section, "error", f"{proper(name)} names the record itself")
        elif name in _TARGETS and other.type not in _TARGETS[name]:
            record.say("link", section, "error", f"{proper(name)} names a {other.type or 'record without type'}")
        elif name == "warc-concurrent-to":
            _check_event(record, other)
        elif name == "warc-segment-origin-id":
            _check_origin(record, other)
        elif name == "warc-refers-to" and record.type == "revisit":
            _check_revisit(record, other)


def _check_event(record: _Record, other: _Record) -> None:
    """5.4, 5.7: records of one capture event have one WARC-Date and come of one target URI."""
    if record.date != other.date:
        message = f"of one capture event, but dated {record.date} and {other.date}"
        record.say("event-date", record.section("warc-date"), "error", message)
    if record.uri and other.uri and record.uri != other.uri:
        message = f"of one capture event, but of {record.uri[:100]!r} and {other.uri[:100]!r}"
        record.say("event-uri", record.section("warc-concurrent-to"), "warning", message)


def _check_origin(record: _Record, other: _Record) -> None:
    """Section 7: all segments of a set have the same target URI."""
    if record.uri != other.uri:
        message = f"a segment of {record.uri!r} continues one of {other.uri!r}"
        record.say("segment-uri", f"{record.edition} 7", "error", message[:200])


def _check_revisit(record: _Record, other: _Record) -> None:
    """6.7: the original holds the content; 5.12, 5.13: what the revisit says of it is true of it."""
    if other.type == "revisit":
        message = "WARC-Refers-To names another revisit, from which no content can be had"
        record.say("revisit-original", f"{record.edition} 6.7", "warning", message)
    elif other.type not in ("response", "resource"):
        record.say("revisit-original", f"{record.edition} 6.7", "error", f"a revisit of a {other.type}")
    if (record.profile or "").endswith("identical-payload-digest"):
        _check_same_payload(record, other)
    if record.refers_to_uri and other.uri and record.refers_to_uri != other.uri:
        message = f"the original is of {other.uri[:100]!r}, not of {record.refers_to_uri[:100]!r}"
        record.say("revisit-original", record.section("warc-refers-to-target-uri"), "error", message)
    if record.refers_to_date and other.date and _differ(record.refers_to_date, other.date):
        message = f"the original is dated {other.date}, not {record.refers_to_date}"
        record.say("revisit-original", record.section("warc-refers-to-date"), "error", message)
    if record.date and other.date and _later(other.date, record.date):
        message = f"a revisit of {record.date} names an original of {other.date}, which is no prior record"
        record.say("revisit-original", record.section("warc-refers-to"), "warning", message)


def _check_same_payload(record: _Record, other: _Record) -> None:
    """6.7.2: the payload is the original's, and so is its digest."""
    try:
        mine, its = Digest.parse(record.payload_digest or ""), Digest.parse(other.payload_digest or "")
    except InvalidValue:
        return  # one is missing, or told by `fields`
    if mine.algorithm == its.algorithm and mine != its:
        message = f"the payload digest is {mine}, that of the original {its}"
        record.say("revisit-payload", f"{record.edition} 6.7.2", "error", message)


def _differ(one: str, other: str) -> bool:
    try:
        return parse_warc_date(one) != parse_warc_date(other)
    except InvalidValue:
        return False  # told by `fields`


def _later(one: str, other: str) -> bool:
    try:
        return parse_warc_date(one) > parse_warc_date(other)
    except InvalidValue:
        return False


def _bare(value: str | None) -> str | None:
    return value.strip("<>") if value is not None else None
