"""The fields of one record of any WARC file against ISO 28500, in the edition that its version names.

Framing is left to `frames`, digests and what spans records to `check`. `shall` broken is an error, `should`
and `recommended` a warning, what a reader may like to know a note.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from schemas.digests import DIGEST_SIZES, Digest
from schemas.errors import InvalidValue
from schemas.instants import parse_warc_date
from storage.warc.frames import Frame
from storage.warc.rules import (
    ALLOWED_IN,
    MANDATORY,
    MEDIA_TYPE,
    PROFILE_IDENTICAL,
    PROFILE_NOT_MODIFIED,
    PROFILES_1_0,
    REPEATABLE,
    REQUIRED_BY,
    SECTIONS,
    TRUNCATIONS,
    TYPES,
    WARC_FIELDS,
    is_uri,
    proper,
)

#: Takes (rule, section, severity, message).
SayOfRecord = Callable[[str, str, str, str], None]

#: Versions that an edition of the standard defines.
VERSIONS: Final = ("1.0", "1.1")

# ISO 28500:2009 has no WARC-Refers-To-Target-URI and -Date: the fields behind them stand two sections
# earlier.
_SECTIONS_2009: Final[dict[str, str]] = {
    "warc-target-uri": "5.12",
    "warc-truncated": "5.13",
    "warc-warcinfo-id": "5.14",
    "warc-filename": "5.15",
    "warc-profile": "5.16",
    "warc-identified-payload-type": "5.17",
    "warc-segment-number": "5.18",
    "warc-segment-origin-id": "5.19",
    "warc-segment-total-length": "5.20",
}
# Section 4, `warc-fields`, with LF alone for an end of line where a writer knew no better; comments as Heritrix has.
_FIELDS_BLOCK: Final = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*|#[^\r\n]*\r?\n|\r?\n)+"
)
_IDS: Final = frozenset(
    {"warc-record-id", "warc-concurrent-to", "warc-refers-to", "warc-warcinfo-id", "warc-segment-origin-id"}
)
_URIS: Final = frozenset({"warc-target-uri", "warc-refers-to-target-uri", "warc-profile"})
_NUMBERS: Final = frozenset({"content-length", "warc-segment-number", "warc-segment-total-length"})
_DIGESTS: Final = frozenset({"warc-block-digest", "warc-payload-digest"})
_MEDIA_TYPES: Final = frozenset({"content-type", "warc-identified-payload-type"})
_DATE_1_0: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DIGEST: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[!#$%&'*+\-.^_`|~0-9A-Za-z]+={0,6}")


def section_of(name: str, version: str) -> str:
    """The section that defines a field (lower-case name), with the edition: `ISO 28500:2017 5.14`."""
    if version == "1.1":
        return f"ISO 28500:2017 {SECTIONS.get(name, '5.1')}"
    return f"ISO 28500:2009 {_SECTIONS_2009.get(name, SECTIONS.get(name, '5.1'))}"


def check_fields(frame: Frame, say: SayOfRecord) -> None:
    """Tell all that is wrong with the fields of a record."""
    edition = "ISO 28500:2017" if frame.version == "1.1" else "ISO 28500:2009"
    if frame.version not in VERSIONS:
        say("version", f"{edition} 4", "warning", f"WARC/{frame.version} is no edition's version; read as 1.0")
    _check_presence(frame, say)
    for name, value in frame.fields:
        _check_value(frame, name.lower(), value, say)
    if frame.type == "revisit":
        _check_revisit(frame, say)
    _check_segmentation(frame, say)
    _check_content_type(frame, edition, say)


def _check_presence(frame: Frame, say: SayOfRecord) -> None:
    """What is missing, what stands twice, what this type shall not have."""
    counts = Counter(name.lower() for name, _ in frame.fields)
    kind = frame.type
    for name in (*MANDATORY, *REQUIRED_BY.get(kind, ())):
        if not counts[name]:
            say(
                "missing-field",
                section_of(name, frame.version),
                "error",
                f"a {kind or 'record'} shall have {proper(name)}",
            )
    for name, count in counts.items():
        section = section_of(name, frame.version)
        if count > 1 and name in SECTIONS and name not in REPEATABLE:
            say("repeated-field", section, "error", f"{proper(name)} stands {count} times")
        if kind in TYPES and kind not in ALLOWED_IN.get(name, TYPES):
            # The fields of the extensions, and in 1.0 those of 1.1, are not the standard's to forbid.
            known = name in SECTIONS and not (frame.version != "1.1" and name.startswith("warc-refers-to-"))
            say("forbidden-field", section, "error" if known else "warning", f"a {kind} shall not have {proper(name)}")


def _check_value(frame: Frame, name: str, value: str, say: SayOfRecord) -> None:
    """Whether a field's value has the form that its definition gives it."""
    if name not in SECTIONS:
        return
    section = section_of(name, frame.version)
    if not value:
        say("empty-field", section, "error", f"{proper(name)} has no value")
    elif name in _IDS:
        _check_id(name, value, section, say)
    elif name in _URIS:
        _check_uri(frame.version, name, value, section, say)
    elif name in _NUMBERS:
        if re.fullmatch(r"[0-9]+", value) is None:
            say("number", section, "error", f"{proper(name)} is not a number: {value[:60]!r}")
    elif name in ("warc-date", "warc-refers-to-date"):
        _check_date(frame.version, name, value, section, say)
    elif name in _DIGESTS:
        _check_digest_form(name, value, section, say)
    elif name in _MEDIA_TYPES:
        if MEDIA_TYPE.fullmatch(value) is None:
            say("media-type", section, "error", f"{proper(name)} is not a media type: {value[:80]!r}")
    elif name == "warc-type":
        if value.lower() not in TYPES:
            say("record-type", section, "note", f"a type that the standard does not define: {value[:60]!r}")
        elif value not in TYPES:
            say("record-type", section, "warning", f"the type is written {value!r}, not {value.lower()!r}")
    elif name == "warc-ip-address":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            say("ip-address", section, "error", f"not an IP address: {value[:60]!r}")
    elif name == "warc-truncated":
        if _TOKEN.fullmatch(value) is None:
            say("truncated-reason", section, "error", f"not a reason of truncation: {value[:60]!r}")
        elif value not in TRUNCATIONS:
            say("truncated-reason", section, "note", f"a reason that the standard does not define: {value[:60]!r}")


def _check_id(name: str, value: str, section: str, say: SayOfRecord) -> None:
    if not (value.startswith("<") and value.endswith(">")):
        say("record-id", section, "error", f"{proper(name)} is not in angle brackets: {value[:80]!r}")
    elif not is_uri(value[1:-1]):
        say("record-id", section, "error", f"{proper(name)} is not a URI: {value[:80]!r}")


def _check_uri(version: str, name: str, value: str, section: str, say: SayOfRecord) -> None:
    bare = value
    if value.startswith("<") and value.endswith(">"):
        bare = value[1:-1]
        if version == "1.1":  # the grammar of 1.0 asks for the brackets, though hardly anybody writes them
            say("uri", section, "error", f"{proper(name)} stands in angle brackets: {value[:80]!r}")
    if not is_uri(bare):
        say("uri", section, "error", f"{proper(name)} is not a URI of RFC 3986: {bare[:80]!r}")


def _check_date(version: str, name: str, value: str, section: str, say: SayOfRecord) -> None:
    try:
        parse_warc_date(value)
    except InvalidValue:
        say("date", section, "error", f"{proper(name)} is not a date: {value[:60]!r}")
        return
    if version != "1.1" and _DATE_1_0.fullmatch(value) is None:
        say("date", section, "error", f"{proper(name)} is not of the form YYYY-MM-DDThh:mm:ssZ: {value[:60]!r}")


def _check_digest_form(name: str, value: str, section: str, say: SayOfRecord) -> None:
    algorithm = value.partition(":")[0].lower().replace("-", "")
    if _DIGEST.fullmatch(value) is None:
        say("digest-form", section, "error", f"{proper(name)} is not algorithm:value: {value[:80]!r}")
    elif algorithm not in DIGEST_SIZES:
        say("digest-form", section, "note", f"{proper(name)} uses an algorithm that is not checked: {algorithm[:40]!r}")
    else:
        try:
            Digest.parse(value)
        except InvalidValue as error:
            say("digest-form", section, "error", f"{proper(name)}: {error}")


def _check_revisit(frame: Frame, say: SayOfRecord) -> None:
    """Section 6.7. A profile that is not known is not interpreted."""
    edition = "ISO 28500:2017" if frame.version == "1.1" else "ISO 28500:2009"
    profile = (frame.get("warc-profile") or "").strip("<>")
    known = (PROFILE_IDENTICAL, PROFILE_NOT_MODIFIED, *PROFILES_1_0)
    if not profile:
        return  # told as missing or empty
    if profile not in known:
        say("profile", f"{edition} 6.7.4", "note", f"a profile that the standard does not define: {profile[:100]!r}")
        return
    if (profile in PROFILES_1_0) == (frame.version == "1.1"):
        say("profile", f"{edition} 6.7", "warning", f"the profile of another edition: {profile}")
    if frame.get("warc-refers-to") is None:
        say("refers-to", f"{edition} 6.7", "note", "no WARC-Refers-To names the original, as is recommended")
    if profile.endswith("identical-payload-digest"):
        if frame.get("warc-payload-digest") is None:
            message = "an identical-payload revisit shall have WARC-Payload-Digest"
            say("missing-field", f"{edition} 6.7.2", "error", message)
        if frame.block and frame.get("warc-truncated") != "length":
            message = "WARC-Truncated: length shall be used where the payload is left out"
            say("revisit-truncated", f"{edition} 6.7.2", "warning", message)


def _check_segmentation(frame: Frame, say: SayOfRecord) -> None:
    """Section 7: the first segment has the number 1, continuations count from 2."""
    number = frame.get("warc-segment-number")
    if number is None or not number.isdigit() or not frame.type:
        return
    section = section_of("warc-segment-number", frame.version)
    if frame.type == "continuation" and int(number) < 2:
        say("segment-number", section, "error", f"a continuation has the segment number {number}")
    if frame.type != "continuation" and int(number) != 1:
        say("segment-number", section, "error", f"a {frame.type} has the segment number {number}, which shall be 1")


def _check_content_type(frame: Frame, edition: str, say: SayOfRecord) -> None:
    """What the block should be declared as, by type and scheme."""
    value = frame.get("content-type")
    if value is None:
        if frame.block and frame.type != "continuation":
            say("content-type", f"{edition} 5.6", "warning", "a record with a block should have a Content-Type")
        return
    media = value.partition(";")[0].strip().lower()
    if frame.type == "warcinfo" and media != WARC_FIELDS:
        _say_of_warcinfo(frame, media, edition, say)
    uri = (frame.get("warc-target-uri") or "").lstrip("<").lower()
    if frame.type == "resource" and uri.startswith("dns:") and media != "text/dns":
        say("content-type", f"{edition} 6.4.4", "error", f"a dns: resource shall be text/dns, not {media!r}")
    if frame.type not in ("request", "response") or not uri.startswith(("http:", "https:")):
        return
    section = f"{edition} 6.3.2" if frame.type == "response" else f"{edition} 6.5.2"
    kind = re.search(r"msgtype\s*=\s*\"?([a-z]+)", value.lower())
    if media != "application/http" or (kind and kind[1] != frame.type):
        say("content-type", section, "warning", f"should be application/http;msgtype={frame.type}, not {value[:80]!r}")


def _say_of_warcinfo(frame: Frame, media: str, edition: str, say: SayOfRecord) -> None:
    """6.2 recommends warc-fields and lets the format vary; 5.6 has Content-Type tell the type of what is there."""
    if frame.block and _FIELDS_BLOCK.fullmatch(frame.block):
        message = f"the block is {WARC_FIELDS}, as is recommended for a warcinfo, but declared to be {media!r}"
        say("content-type", f"{edition} 5.6, 6.2", "error", message)
    else:
        say("content-type", f"{edition} 6.2", "warning", f"{WARC_FIELDS} is recommended for a warcinfo, not {media!r}")
