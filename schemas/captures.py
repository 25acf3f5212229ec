"""Captures: one HTTP exchange as it came over the wire, and what the archive keeps of it.

Values only. How an exchange is made is left to `ingest.recorder`; how it becomes WARC records to `storage.archive`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """Why something was fetched."""

    ROBOTS = "robots"
    HOME = "home"
    FEED = "feed"
    SITEMAP = "sitemap"
    ARTICLE = "article"
    IMAGE = "image"
    OTHER = "other"


class Ending(StrEnum):
    """How an exchange ended.

    The first five leave response bytes (a capture; all but COMPLETE set `WARC-Truncated`, ISO 28500 5.13), the others
    none (an attempt).
    """

    COMPLETE = "complete"
    LENGTH = "length"  # a limit of ours on size
    TIME = "time"  # a limit of ours on time, after some bytes
    DISCONNECT = "disconnect"  # the peer closed or reset before the message was whole
    UNSPECIFIED = "unspecified"  # cut for another reason, e.g. framing that cannot be read
    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    TIMEOUT = "timeout"  # no response byte in time
    NO_RESPONSE = "no-response"  # connected, then closed without a byte
    UNREACHABLE = "unreachable"
    ADDRESS_DENIED = "address-denied"  # resolved to an address that policy forbids
    ROBOTS_DENIED = "robots-denied"
    BAD_URL = "bad-url"

    @property
    def has_response(self) -> bool:
        """True where response bytes were received."""
        return self in _WITH_RESPONSE

    @property
    def truncated(self) -> str | None:
        """The value of `WARC-Truncated`, or None for a whole message or an attempt."""
        return self.value if self.has_response and self is not Ending.COMPLETE else None


_WITH_RESPONSE = frozenset(
    {Ending.COMPLETE, Ending.LENGTH, Ending.TIME, Ending.DISCONNECT, Ending.UNSPECIFIED}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One HTTP exchange (or the attempt at one), byte-exact."""

    url: str  # the target URI, normalised
    started: datetime  # aware, UTC: when the capture began; the WARC-Date of all its records
    ending: Ending
    request: bytes = b""  # what was sent; empty if nothing left
    response: bytes = b""  # the final response exactly as received, head and body and framing
    informational: tuple[bytes, ...] = ()  # heads of 1xx responses, in order
    peer: str | None = None  # IP address the bytes came from
    port: int | None = None
    protocols: tuple[str, ...] = ()  # e.g. ("http/1.1", "tls/1.3"): values of WARC-Protocol
    cipher: str | None = None  # WARC-Cipher-Suite
    certificates: tuple[bytes, ...] = ()  # DER, leaf first
    chain_complete: bool = False  # False where only the leaf could be had
    addresses: tuple[str, ...] = ()  # what the name resolved to
    timings: dict[str, int] = field(
        default_factory=dict
    )  # microseconds from `started` to: dns, connect, tls, sent, first_byte, done
    detail: str = ""  # words for people on how it ended; never parsed


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Why an exchange was made: what the archive knows beside the bytes."""

    outlet_id: str | None
    role: Role
    via: str | None = None  # record id of the capture that led here (feed, redirecting page)
    item_url: str | None = None  # the URL as the feed or sitemap gave it, where it differs from the target
    hints: dict[str, str] = field(default_factory=dict)  # what the source said: title, published, lastmod
    wall: str | None = None  # bot | consent | login | soft404, where recognised
    refers_to: str | None = None  # for a 304: record id of the capture whose validators were sent


class RecordRef(NamedTuple):
    """Where one WARC record stands: a tuple, for an audit makes millions of them."""

    record_id: str  # urn:uuid:...
    type: str  # WARC-Type
    segment: str  # name of the segment, without folder or suffix
    offset: int  # bytes from the start of the segment file to the gzip member
    length: int  # bytes of the gzip member
    digest: str  # record digest, sha256:hex, over the uncompressed record (FORMAT.md)


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """One acknowledged capture or attempt: the row that points at its records."""

    id: str  # record id of the response or revisit record; of the metadata record for an attempt
    seq: int  # ascending order of acknowledgement within one catalog
    kind: str  # response | revisit | attempt
    url: str
    date: datetime
    outlet_id: str | None
    role: Role
    ending: Ending
    status: int | None  # HTTP status code, None where there is none
    media_type: str | None  # from Content-Type, lower case, without parameters
    location: str | None  # absolute redirect target of a 3xx
    etag: str | None
    last_modified: str | None
    payload_digest: str | None
    payload_length: int | None  # bytes after transfer-decoding
    refers_to: str | None  # record id of a revisit's original
    via: str | None
    wall: str | None
    log_index: int | None
    hints: dict[str, str] = field(default_factory=dict)
    item_url: str | None = None

    @property
    def usable(self) -> bool:
        """True where it is a whole 2xx answer (or a revisit of one) that no wall stands before."""
        ok = self.status is not None and (200 <= self.status < 300 or self.status == 304)
        return self.kind != "attempt" and ok and self.ending is Ending.COMPLETE and self.wall is None
