"""What ISO 28500 asks of each record, and what we ask beyond it of our own.

Tables and pure checks, shared by the writer (`drafts`) and the validator (`fields`). Section numbers are
those of ISO 28500:2017 (WARC/1.1) unless said otherwise. Framing and digests of files are left to `reader`
and `check`.
"""

from __future__ import annotations

import re
from typing import Final

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
ALL_TYPES: Final = frozenset(TYPES)
#: Field (lower case) -> the types that may carry it. A field that is not named may stand in any record.
ALLOWED_IN: Final[dict[str, frozenset[str]]] = {
    "warc-concurrent-to": _CAPTURED,
    "warc-ip-address": _CAPTURED,
    "warc-protocol": _CAPTURED,
    "warc-cipher-suite": _CAPTURED,
    "warc-refers-to": frozenset({"metadata", "revisit", "conversion"}),
    "warc-refers-to-target-uri": frozenset({"revisit"}),
    "warc-refers-to-date": frozenset({"revisit"}),
    "warc-target-uri": ALL_TYPES - {"warcinfo"},
    "warc-warcinfo-id": ALL_TYPES - {"warcinfo"},
    "warc-filename": frozenset({"warcinfo"}),
    "warc-profile": frozenset({"revisit"}),
    "warc-payload-digest": ALL_TYPES - {"warcinfo", "metadata"},
    "warc-identified-payload-type": ALL_TYPES - {"warcinfo", "metadata"},
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
