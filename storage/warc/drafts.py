"""A record about to be written, and whether it may be: the rules of ISO 28500:2017 and ours beyond them.

The tables that the rules stand in are left to `rules`, turning a draft into bytes to `records`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.instants import utc
from storage.warc.rules import (
    ALL_TYPES,
    ALLOWED_IN,
    HTTP_REQUEST,
    HTTP_RESPONSE,
    MEDIA_TYPE,
    PROFILE_IDENTICAL,
    PROFILE_NOT_MODIFIED,
    REPEATABLE,
    REQUIRED_BY,
    SECTIONS,
    TEXT_DNS,
    TRUNCATIONS,
    WRITTEN_TYPES,
    is_uri,
    proper,
)

#: Source of random bytes: takes a count. Tests pin it; everything else uses the system's.
Entropy = Callable[[int], bytes]

_RECORD_ID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HTTP_BLOCKS: Final = {"response": HTTP_RESPONSE, "revisit": HTTP_RESPONSE, "request": HTTP_REQUEST}
#: Judgements kept of values that stand in record after record; a URL has 8 KiB at most.
_REMEMBERED: Final = 256


def new_record_id(entropy: Entropy = os.urandom, clock: Callable[[], int] = time.time_ns) -> str:
    """A fresh `urn:uuid:…` (RFC 9562 version 7), without angle brackets as everywhere in our values.

    It begins with the time in milliseconds, so that ids made one after the other stand side by side in an index.
    `clock` gives nanoseconds since 1970.
    """
    return new_record_ids(1, entropy, clock)[0]


def new_record_ids(count: int, entropy: Entropy = os.urandom, clock: Callable[[], int] = time.time_ns) -> list[str]:
    """Fresh ids for the records of one event: they share the time, and are drawn at once."""
    milliseconds, drawn = clock() // 1_000_000 << 80, entropy(10 * count)
    return [_record_id(milliseconds | int.from_bytes(drawn[at : at + 10])) for at in range(0, 10 * count, 10)]


def _record_id(bits: int) -> str:
    bits = bits & ~(0xF << 76) | 7 << 76  # version 7
    text = f"{bits & ~(3 << 62) | 2 << 62:032x}"  # the variant of RFC 9562
    return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A record about to be written: what its writer decides. Lengths, block digest and nonce are added on
    writing.
    """

    type: str  # WARC-Type
    date: datetime  # aware: when the capture began, the same for all records of one capture event
    block: bytes  # exactly as received, or as made
    content_type: str | None  # of the block; None only where the block is empty
    target_uri: str | None = None
    record_id: str = field(default_factory=new_record_id)
    concurrent_to: tuple[str, ...] = ()  # ids of other records of the same capture event
    refers_to: str | None = None
    refers_to_target_uri: str | None = None
    refers_to_date: datetime | None = None
    profile: str | None = None
    payload_digest: Digest | None = None  # after all transfer-codings, before content-decoding
    truncated: str | None = None  # length | time | disconnect | unspecified
    ip_address: str | None = None
    protocols: tuple[str, ...] = ()  # WARC-Protocol, from the higher level to the lower
    cipher: str | None = None  # WARC-Cipher-Suite
    identified_payload_type: str | None = None
    extra: tuple[tuple[str, str], ...] = ()  # extension fields, in order


def check_draft(draft: Draft, *, block_digest: str, warcinfo_id: str | None) -> None:
    """Raise InvalidValue where a draft breaks a rule, naming the section. `block_digest` is that of its
    block, `sha256:hex`.
    """
    utc(draft.date)
    extra = tuple([name for name, _ in draft.extra]) if draft.extra else ()
    _check_shape(draft.type, _present(draft, warcinfo_id), extra)
    _check_ids(draft)
    _check_values(draft)
    scheme = (draft.target_uri or "").partition(":")[0].lower()
    _check_content_type(draft.type, scheme, draft.content_type, draft.identified_payload_type, draft.block == b"")
    _check_payload_digest(draft, block_digest)
    if draft.type == "revisit":
        _check_revisit(draft)
    elif draft.type == "conversion" and draft.refers_to is None:
        raise _broken("a conversion names the record that it was made from", "6.8")


def _broken(what: str, section: str) -> InvalidValue:
    return InvalidValue(f"{what} (ISO 28500:2017 {section})")


#: Names (lower case) of the type-bound fields, in the order in which `_present` tells whether each is there.
_BOUND: Final = (
    "warc-target-uri",
    "warc-concurrent-to",
    "warc-refers-to",
    "warc-refers-to-target-uri",
    "warc-refers-to-date",
    "warc-profile",
    "warc-payload-digest",
    "warc-ip-address",
    "warc-protocol",
    "warc-cipher-suite",
    "warc-identified-payload-type",
    "warc-warcinfo-id",
)


def _present(draft: Draft, warcinfo_id: str | None) -> tuple[bool, ...]:
    return (
        draft.target_uri is not None,
        draft.concurrent_to != (),
        draft.refers_to is not None,
        draft.refers_to_target_uri is not None,
        draft.refers_to_date is not None,
        draft.profile is not None,
        draft.payload_digest is not None,
        draft.ip_address is not None,
        draft.protocols != (),
        draft.cipher is not None,
        draft.identified_payload_type is not None,
        warcinfo_id is not None,
    )


@lru_cache(maxsize=_REMEMBERED)
def _check_shape(type: str, bound: tuple[bool, ...], extra: tuple[str, ...]) -> None:
    """Which fields a record of this type has, whatever their values. A crawl writes a handful of shapes, so that what
    was found right is remembered.
    """
    if type not in WRITTEN_TYPES:
        raise InvalidValue(f"records of type {type[:40]!r} are not written")
    present = {name for name, there in zip(_BOUND, bound, strict=True) if there} | {name.lower() for name in extra}
    for name in REQUIRED_BY.get(type, ()):
        if name not in present:
            raise _broken(f"a {type} record shall have {proper(name)}", SECTIONS[name])
    for name in sorted(present):
        if type not in ALLOWED_IN.get(name, ALL_TYPES):
            raise _broken(f"a {type} record shall not have {proper(name)}", SECTIONS.get(name, "6"))
    if "warc-warcinfo-id" not in present and type != "warcinfo":
        raise _broken(f"a {type} record names its warcinfo", "5.16")
    seen = set()
    for name in extra:
        lower = name.lower()
        if (lower in SECTIONS and lower != "warc-filename") or lower == "pressmark-nonce":
            raise _broken(f"{name} is not an extension field", "5.1")
        if lower in seen and lower not in REPEATABLE:
            raise _broken(f"{name} shall not be repeated", "5.1")
        seen.add(lower)


def _check_ids(draft: Draft) -> None:
    own, others = draft.record_id, draft.concurrent_to
    for record_id in (own, *others) if draft.refers_to is None else (own, *others, draft.refers_to):
        if not _is_own_id(record_id) and not is_uri(record_id):
            raise _broken(f"not a record id: {record_id[:80]!r}", "5.2")
    if not _is_own_id(own):
        raise _broken("our own record ids are urn:uuid in lower case", "5.2")
    if own in others:
        raise _broken("a record is not concurrent to itself", "5.7")
    if len(others) > 1 and len(set(others)) != len(others):
        raise _broken("WARC-Concurrent-To names an id twice", "5.7")
    if draft.refers_to == own:
        raise _broken("a record does not refer to itself", "5.11")


def _check_values(draft: Draft) -> None:
    for section, uri in (("5.14", draft.target_uri), ("5.12", draft.refers_to_target_uri)):
        if uri is not None and not _is_target(uri):
            raise _broken(f"not a clean RFC 3986 URI: {str(uri)[:80]!r}", section)
    if draft.ip_address is not None and not _is_address(draft.ip_address):
        raise _broken(f"not an IP address: {draft.ip_address[:60]!r}", "5.10")
    if draft.truncated is not None and draft.truncated not in TRUNCATIONS:
        raise _broken("an unknown reason of truncation", "5.15")


@lru_cache(maxsize=_REMEMBERED)
def _is_own_id(text: str) -> bool:
    """Each record of an event names the others."""
    return _RECORD_ID.fullmatch(text) is not None


@lru_cache(maxsize=_REMEMBERED)
def _is_target(uri: str) -> bool:
    """As `is_uri`; the records of one event have one target."""
    return is_uri(uri)


@lru_cache(maxsize=_REMEMBERED)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=_REMEMBERED)
def _check_content_type(type: str, scheme: str, content: str | None, payload: str | None, empty: bool) -> None:
    """Media types by record type and scheme of the target; few combinations of them come, which are remembered."""
    if content is None and not empty:
        raise _broken("a block has a Content-Type", "5.6")
    for value in (content, payload):
        if value is not None and MEDIA_TYPE.fullmatch(value) is None:
            raise _broken(f"not a media type: {value!r}", "5.6")
    if type == "resource" and scheme == "dns" and content != TEXT_DNS:
        raise _broken("a dns: resource is text/dns", "6.4.4")
    if scheme not in ("http", "https") or content is None:
        return
    wanted = _HTTP_BLOCKS.get(type)
    if wanted is not None and content != wanted:
        raise _broken(f"the block of an HTTP {type} is {wanted}", "6.3.2")


def _check_payload_digest(draft: Draft, block_digest: str) -> None:
    digest = draft.payload_digest
    if digest is None:
        return
    if digest.algorithm != "sha256":
        raise _broken("our own payload digests are sha256", "5.9")
    if draft.type in ("resource", "conversion") and str(digest) != block_digest:
        raise _broken(f"the payload of a {draft.type} is its block", "6.4.1")


def _check_revisit(draft: Draft) -> None:
    if draft.refers_to is None:
        raise _broken("a revisit names its original", "6.7.2")
    if draft.refers_to_target_uri is None:
        raise _broken("a revisit names the URI of its original", "6.7.2")
    if draft.refers_to_date is None:
        raise _broken("a revisit names the date of its original", "6.7.2")
    if draft.profile == PROFILE_IDENTICAL:
        what = "an identical-payload revisit"
        if draft.payload_digest is None:
            raise _broken(f"{what} shall have its payload digest", "6.7.2")
        if draft.truncated != "length":
            raise _broken(f"{what} shall be truncated by length", "6.7.2")
        if not draft.block:
            raise _broken(f"{what} of ours keeps the response's head", "6.7.2")
    elif draft.profile == PROFILE_NOT_MODIFIED:
        if draft.block.split(None, 2)[1:2] != [b"304"]:
            raise _broken("server-not-modified stands for a real 304", "6.7.3")
    else:
        raise _broken(f"an unknown revisit profile: {str(draft.profile)[:80]!r}", "5.18")
