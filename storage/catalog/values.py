"""The values that the catalog returns where no noun in `schemas` fits.

Rows of SQLAlchemy never leave this package: callers get these, or values from `schemas`. All instants are
microseconds since 1970-01-01 UTC; record ids carry no angle brackets; digests read `sha256:hex`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from schemas.articles import paragraphs_of


@dataclass(frozen=True, kw_only=True, slots=True)
class HostState:
    """How one host may be asked: whose it is just now, and when the next request may leave."""

    host: str
    next_ok: int = 0  # microseconds: no request before this
    failures: int = 0  # in a row
    owner: str | None = None  # worker that holds the host
    until: int = 0  # microseconds: when the owner's claim ends by itself


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentRow:
    """One segment file."""

    name: str
    kind: str  # warc | text
    worker: str
    state: str  # open | sealed | lost
    object_key: str | None  # None until it is in the object store
    length: int | None  # bytes, once sealed
    sha256: str | None  # of the sealed file
    created: int


class RecordRow(NamedTuple):
    """One WARC record and where it stands: a tuple in the order of the table's columns, for there are three a capture
    and millions in an audit.
    """

    record_id: str
    type: str
    segment: str
    offset: int  # bytes from the start of the segment to the gzip member
    length: int  # bytes of the gzip member
    digest: str  # record digest
    block_digest: str | None
    payload_digest: str | None
    target_uri: str | None
    date: int
    event_id: str | None  # Capture.id, or the record's own id where the event is one record


@dataclass(frozen=True, kw_only=True, slots=True)
class TallyRow:
    """How many captures and attempts ended alike."""

    outlet_id: str | None
    role: str
    kind: str
    ending: str
    status: int | None
    wall: str | None
    count: int

    @property
    def reason(self) -> str:
        """How they ended, in one word or two: an attempt's ending, the wall, what cut the answer, or its status."""
        if self.kind == "attempt":
            return self.ending
        if self.wall:
            return self.wall
        return f"HTTP {self.status}" if self.ending == "complete" else f"cut ({self.ending})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionRow:
    """How extraction of one capture stands."""

    state: str  # pending | done | failed | none
    code: str | None  # why it failed
    extractor: str | None  # short identity of who tried


class VersionRow(NamedTuple):
    """One distinct content of one article under one extractor: a tuple in the order of the table's columns, for a trace
    of a text that many outlets carry reads all its copies.
    """

    row_id: int | None  # None until it was added
    article_id: str
    version: int  # from 1, by log index
    extractor: str  # short identity
    content_key: str
    conversion_id: str  # record id of the conversion record
    capture_id: str  # the first capture that showed it
    first_seen: int
    last_seen: int
    log_index: int
    outlet_id: str
    url: str
    canonical_url: str
    title: str | None
    published: str | None  # zoned instant, local date-time or date alone, as the article has it
    modified: str | None
    language: str | None
    kind: str
    access: str
    wall: str | None
    text_sha256: str
    word_count: int
    truncated: str | None
    credits: str  # one a line
    block: str  # canonical JSON of the article

    @property
    def paragraphs(self) -> list[str]:
        """The article's paragraphs, without reading the rest of its block."""
        return paragraphs_of(self.block)

    @property
    def text(self) -> str:
        """The paragraphs joined by a blank line, as the trace index has it."""
        return "\n\n".join(self.paragraphs)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogState:
    """Where the log stands in the catalog."""

    next_index: int  # index of the next entry; all below are assigned
    size: int  # of the newest committed tree
    root: bytes  # of that tree, 32 bytes
    checkpoint: str | None  # newest signed note
    epoch: int  # fencing token of the last commit
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseRow:
    """A lease as it was given last."""

    holder: str
    epoch: int
    until: int  # microseconds; 0 once it was given back


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryRow:
    """One log entry."""

    index: int
    type: str
    body: bytes  # canonical JSON, as logged
    leaf: bytes  # leaf hash, 32 bytes (RFC 6962 section 2.1)
    subject: str | None  # what it is about: a record id, a segment's name, NAME/VERSION


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotRow:
    """One sealed dataset."""

    name: str
    version: str
    tree_size: int
    root: str  # Merkle root over the row digests
    manifest_sha256: str
    rows: int
    created: int
    log_index: int
    prefix: str  # where its files lie in the object store


@dataclass(frozen=True, slots=True)
class ImageRow:
    """What one reader read in one captured image."""

    capture_id: str
    reader: str  # short identity of who read it
    url: str  # as it was asked for, before redirects, in normal form: a photo's address
    date: int  # of the capture
    payload_digest: str  # sha256:hex of the file as it decodes: the record's, where no content-encoding wraps it
    phash: str | None  # 16 hex digits
    reading: str  # schemas.images.ImageReading as canonical JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoMatch:
    """A captured image and one photo of one article version that has its address."""

    image: ImageRow
    row_id: int | None  # of the version (`Articles.by_row`); None where no version shows it
    position: int | None  # among the version's photos, from 0
    distance: int | None = None  # bits in which its hash differs from the one asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class RedactionRow:
    """One logged redaction and how far it is."""

    log_index: int
    state: str  # pending | done
    code: str
    authority: str
    scope: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasedRow:
    """One record that a redaction names, gone or about to go."""

    digest: str  # record digest
    log_index: int  # of the redaction entry
    place: int  # among its targets
    record_id: str | None
    role: str | None  # in the entry that committed to it: response, conversion, ...
    entry: int | None  # index of that entry


@dataclass(frozen=True, kw_only=True, slots=True)
class RestrictionRow:
    """What is not to be shown for now."""

    subject: str  # article id, or record id of a capture
    log_index: int
    code: str | None
    until: int | None  # microseconds; None: until it is lifted


@dataclass(frozen=True, kw_only=True, slots=True)
class FingerprintSegment:
    """One sealed segment of the trace index, an object of the store."""

    name: str
    documents: int  # versions in it
    length: int  # bytes
    sha256: str  # of the file
