"""What ISO 28500 asks of each record, and what we ask beyond it of our own.

Tables and pure checks, shared by the writer (`records`) and the validator (`check`). Section numbers are
those of ISO 28500:2017 (WARC/1.1) unless said otherwise. Framing and digests of files are left to `reader`
and `check`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.instants import utc

if TYPE_CHECKING:
    from storage.warc.records import Draft

#: 6.7.2: the payload is the same as that of the record referred to.
PROFILE_IDENTICAL: Final = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
#: 6.7.3: the server answered 304.
PROFILE_NOT_MODIFIED: Final = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
#: The same two as ISO 28500:2009 (WARC/1.0) spells them.
PROFILES_1_0: Final = (
    "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest",
    "http://netpreserve.org/warc/1.0/revisit/server-not-modified",
)

#: Content types of blocks, spelled as 6.3.2, 6.5.2, 6.2 and 6.4.4 spell them.
HTTP_RESPONSE: Final = "application/http;msgtype=response"
HTTP_REQUEST: Final = "application/http;msgtype=request"
WARC_FIELDS: Final = "application/warc-fields"
TEXT_DNS: Final = "text/dns"

#: 5.5: the record types of the standard.
TYPES: Final = (
    "warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation",
)  # fmt: skip
#: Types that Pressmark writes: a record that outgrows a segment makes a longer segment, never a continuation.
WRITTEN_TYPES: Final = TYPES[:-1]
#: 5.15: the reasons of the standard.
TRUNCATIONS: Final = ("length", "time", "disconnect", "unspecified")

_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
#: Section 4, `token`.
FIELD_NAME: Final = re.compile(_NAME)
#: 5.6, `media-type`, with the optional white space that the IIPC's erratum 38 puts right.
MEDIA_TYPE: Final = re.compile(
    rf"(?P<type>{_NAME}/{_NAME})(?:[ \t]*;[ \t]*{_NAME}=(?:{_NAME}|\"(?:[^\"\\]|\\.)*\"))*[ \t]*"
)
# RFC 3986 section 3: a scheme, then unreserved, reserved and percent-encoded characters alone, one `#` at
# most.
_URI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*:(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
    r"(?:#(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?"
)
_RECORD_ID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: Field (lower case) -> its section in ISO 28500:2017.
SECTIONS: Final[dict[str, str]] = {
    "warc-record-id": "5.2",
    "content-length": "5.3",
    "warc-date": "5.4",
    "warc-type": "5.5",
    "content-type": "5.6",
    "warc-concurrent-to": "5.7",
    "warc-block-digest": "5.8",
    "warc-payload-digest": "5.9",
    "warc-ip-address": "5.10",
    "warc-refers-to": "5.11",
    "warc-refers-to-target-uri": "5.12",
    "warc-refers-to-date": "5.13",
    "warc-target-uri": "5.14",
    "warc-truncated": "5.15",
    "warc-warcinfo-id": "5.16",
    "warc-filename": "5.17",
    "warc-profile": "5.18",
    "warc-identified-payload-type": "5.19",
    "warc-segment-number": "5.20",
    "warc-segment-origin-id": "5.21",
    "warc-segment-total-length": "5.22",
}
#: 5.1: fields that every record shall have.
MANDATORY: Final = ("warc-record-id", "content-length", "warc-date", "warc-type")
#: Fields that may stand more than once: 5.7, and WARC-Protocol of the IIPC's extensions.
REPEATABLE: Final = frozenset({"warc-concurrent-to", "warc-protocol"})

_CAPTURED: Final = frozenset({"response", "resource", "request", "metadata", "revisit"})
_ALL: Final = frozenset(TYPES)
#: Field (lower case) -> the types that may carry it. A field that is not named may stand in any record.
ALLOWED_IN: Final[dict[str, frozenset[str]]] = {
    "warc-concurrent-to": _CAPTURED,
    "warc-ip-address": _CAPTURED,
    "warc-protocol": _CAPTURED,
    "warc-cipher-suite": _CAPTURED,
    "warc-refers-to": frozenset({"metadata", "revisit", "conversion"}),
    "warc-refers-to-target-uri": frozenset({"revisit"}),
    "warc-refers-to-date": frozenset({"revisit"}),
    "warc-target-uri": _ALL - {"warcinfo"},
    "warc-warcinfo-id": _ALL - {"warcinfo"},
    "warc-filename": frozenset({"warcinfo"}),
    "warc-profile": frozenset({"revisit"}),
    "warc-payload-digest": _ALL - {"warcinfo", "metadata"},
    "warc-identified-payload-type": _ALL - {"warcinfo", "metadata"},
    "warc-segment-origin-id": frozenset({"continuation"}),
    "warc-segment-total-length": frozenset({"continuation"}),
}
#: Type -> the fields (lower case) that it shall have beyond MANDATORY.
REQUIRED_BY: Final[dict[str, tuple[str, ...]]] = {
    "response": ("warc-target-uri",),
    "resource": ("warc-target-uri",),
    "request": ("warc-target-uri",),
    "revisit": ("warc-target-uri", "warc-profile"),
    "conversion": ("warc-target-uri",),
    "continuation": ("warc-target-uri", "warc-segment-origin-id", "warc-segment-number"),
}


def proper(name: str) -> str:
    """A field's name as the standard writes it, from the lower-case form: `warc-record-id` ->
    `WARC-Record-ID`.
    """
    return "-".join(part.upper() if part in ("warc", "id", "ip", "uri") else part.title() for part in name.split("-"))


def is_uri(text: str) -> bool:
    """True for an absolute RFC 3986 URI that is written out: percent-encoded, no white space, no angle
    brackets.
    """
    return _URI.fullmatch(text) is not None


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
        allowed = draft.type in ALLOWED_IN.get(name, _ALL)
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
