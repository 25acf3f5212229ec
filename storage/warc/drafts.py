"""A record about to be written, and whether it may be: the rules of ISO 28500:2017 and ours beyond them.

The tables that the rules stand in are left to `rules`, turning a draft into bytes to `records`.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
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


def new_record_id(entropy: Entropy = secrets.token_bytes) -> str:
    """A fresh `urn:uuid:…` (RFC 4122 version 4), without angle brackets as everywhere in our values."""
    return f"urn:uuid:{uuid.UUID(bytes=entropy(16), version=4)}"


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


def check_draft(draft: Draft, *, block_digest: Digest, warcinfo_id: str | None) -> None:
    """Raise InvalidValue where a draft breaks a rule, naming the section. `block_digest` is that of its
    block.
    """
    if draft.type not in WRITTEN_TYPES:
        raise InvalidValue(f"records of type {draft.type[:40]!r} are not written")
    utc(draft.date)
    present = _fields_of(draft, warcinfo_id)
    for name in REQUIRED_BY.get(draft.type, ()):
        _need(name in present, f"a {draft.type} record shall have {proper(name)}", SECTIONS[name])
    for name in sorted(present):
        allowed = draft.type in ALLOWED_IN.get(name, ALL_TYPES)
        _need(allowed, f"a {draft.type} record shall not have {proper(name)}", SECTIONS.get(name, "6"))
    named = warcinfo_id is not None or draft.type == "warcinfo"
    _need(named, f"a {draft.type} record names its warcinfo", "5.16")
    _check_ids(draft)
    _check_values(draft)
    _check_content_type(draft)
    _check_payload_digest(draft, block_digest)
    if draft.type == "revisit":
        _check_revisit(draft)
    if draft.type == "conversion":
        _need(draft.refers_to is not None, "a conversion names the record that it was made from", "6.8")


def _need(held: bool, what: str, section: str) -> None:
    if not held:
        raise InvalidValue(f"{what} (ISO 28500:2017 {section})")


def _fields_of(draft: Draft, warcinfo_id: str | None) -> Collection[str]:
    """Names (lower case) of the type-bound fields that the record will carry."""
    values: dict[str, object] = {
        "warc-target-uri": draft.target_uri,
        "warc-concurrent-to": draft.concurrent_to,
        "warc-refers-to": draft.refers_to,
        "warc-refers-to-target-uri": draft.refers_to_target_uri,
        "warc-refers-to-date": draft.refers_to_date,
        "warc-profile": draft.profile,
        "warc-payload-digest": draft.payload_digest,
        "warc-ip-address": draft.ip_address,
        "warc-protocol": draft.protocols,
        "warc-cipher-suite": draft.cipher,
        "warc-identified-payload-type": draft.identified_payload_type,
        "warc-warcinfo-id": warcinfo_id,
    }
    return {name for name, value in values.items() if value is not None and value != ()} | {
        name.lower() for name, _ in draft.extra
    }


def _check_ids(draft: Draft) -> None:
    for record_id in (draft.record_id, *draft.concurrent_to, *([draft.refers_to] if draft.refers_to else [])):
        _need(is_uri(record_id), f"not a record id: {record_id[:80]!r}", "5.2")
    ours = _RECORD_ID.fullmatch(draft.record_id) is not None
    _need(ours, "our own record ids are urn:uuid in lower case", "5.2")
    _need(draft.record_id not in draft.concurrent_to, "a record is not concurrent to itself", "5.7")
    once = len(set(draft.concurrent_to)) == len(draft.concurrent_to)
    _need(once, "WARC-Concurrent-To names an id twice", "5.7")
    _need(draft.refers_to != draft.record_id, "a record does not refer to itself", "5.11")


def _check_values(draft: Draft) -> None:
    for section, uri in (("5.14", draft.target_uri), ("5.12", draft.refers_to_target_uri)):
        _need(uri is None or is_uri(uri), f"not a clean RFC 3986 URI: {str(uri)[:80]!r}", section)
    if draft.ip_address is not None:
        try:
            ipaddress.ip_address(draft.ip_address)
        except ValueError as error:
            text = draft.ip_address[:60]
            raise InvalidValue(f"not an IP address: {text!r} (ISO 28500:2017 5.10)") from error
    known = draft.truncated is None or draft.truncated in TRUNCATIONS
    _need(known, "an unknown reason of truncation", "5.15")
    seen = set()
    for name, _ in draft.extra:
        lower = name.lower()
        ours = lower in SECTIONS and lower != "warc-filename"
        _need(not ours and lower != "pressmark-nonce", f"{name} is not an extension field", "5.1")
        _need(lower in REPEATABLE or lower not in seen, f"{name} shall not be repeated", "5.1")
        seen.add(lower)


def _check_content_type(draft: Draft) -> None:
    _need(draft.content_type is not None or not draft.block, "a block has a Content-Type", "5.6")
    for value in (draft.content_type, draft.identified_payload_type):
        _need(value is None or MEDIA_TYPE.fullmatch(value) is not None, f"not a media type: {value!r}", "5.6")
    uri = (draft.target_uri or "").lower()
    if draft.type == "resource" and uri.startswith("dns:"):
        _need(draft.content_type == TEXT_DNS, "a dns: resource is text/dns", "6.4.4")
    if not uri.startswith(("http:", "https:")) or draft.content_type is None:
        return
    wanted = {"response": HTTP_RESPONSE, "revisit": HTTP_RESPONSE, "request": HTTP_REQUEST}.get(draft.type)
    right = wanted is None or draft.content_type == wanted
    _need(right, f"the block of an HTTP {draft.type} is {wanted}", "6.3.2")


def _check_payload_digest(draft: Draft, block_digest: Digest) -> None:
    digest = draft.payload_digest
    if digest is None:
        return
    _need(digest.algorithm == "sha256", "our own payload digests are sha256", "5.9")
    if draft.type in ("resource", "conversion"):
        _need(digest == block_digest, f"the payload of a {draft.type} is its block", "6.4.1")


def _check_revisit(draft: Draft) -> None:
    _need(draft.refers_to is not None, "a revisit names its original", "6.7.2")
    _need(draft.refers_to_target_uri is not None, "a revisit names the URI of its original", "6.7.2")
    _need(draft.refers_to_date is not None, "a revisit names the date of its original", "6.7.2")
    if draft.profile == PROFILE_IDENTICAL:
        what = "an identical-payload revisit"
        _need(draft.payload_digest is not None, f"{what} shall have its payload digest", "6.7.2")
        _need(draft.truncated == "length", f"{what} shall be truncated by length", "6.7.2")
        _need(bool(draft.block), f"{what} of ours keeps the response's head", "6.7.2")
    elif draft.profile == PROFILE_NOT_MODIFIED:
        status = draft.block.split(None, 2)[1:2]
        _need(status == [b"304"], "server-not-modified stands for a real 304", "6.7.3")
    else:
        raise InvalidValue(f"an unknown revisit profile: {str(draft.profile)[:80]!r} (ISO 28500:2017 5.18)")
