"""URLs: normal form, identity of an article, SURT, and "the same site".

Absolute http and https only (RFC 3986, RFC 9110 4.2). Strings in, strings out; what may be fetched is left to
`manners` and the recorder. Names are turned to ASCII by the standard library's IDNA 2003 codec: it is what is
there, and a name on which IDNA 2003 and 2008 differ is given by most publishers in its ASCII form anyway.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from schemas.errors import InvalidValue

#: Characters of a URL. Servers refuse request lines beyond some 8 kB, and the URL stands in a WARC header
#: line.
MAX_URL_CHARS: Final = 8_192

#: Octets of a host name and of one label (RFC 1035 2.3.4).
MAX_HOST: Final = 253
MAX_LABEL: Final = 63

#: URLs and hosts whose parts are kept: one fetch asks for those of its URL half a dozen times. At most 4 MiB.
_REMEMBERED: Final = 512

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SPLIT: Final = re.compile(r"(?i:(https?)):[/\\]{2}([^/\\?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@]*)(?::([0-9]*))?")
_ASCII_HOST: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_SAFE: Final = _UNRESERVED | frozenset("!$&'()*+,;=:@/")
_QUERY_SAFE: Final = _PATH_SAFE | frozenset("?")

# Query parameters that tell who sent a reader, not what is read.
_TRACKING: Final = re.compile(
    r"utm_[a-z_]+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|igsh|mc_cid|mc_eid|_ga|_gl"
    r"|mkt_tok|cmpid|cmp|ocid|icid|ico|ito|xtor|at_[a-z_]+|ns_[a-z_]+|wt_mc|wt_zmc|__twitter_impression|ref_src|ref_url"
    r"|srsltid|guccounter|guce_[a-z_]+|s_cid|smid|smtyp|spm|vero_id|hsctatracking|_hs[a-z]+|partner_source|traffic_source"
)

# Query parameters that tell the same where they name a feed, and may choose what is read where they do not.
_SENDER: Final = re.compile(r"ref|referr?er|source|src|from|origin|via|medium|channel")
_FEED: Final = re.compile(r"(?:(?:rss|atom|json)[-_.]?)?feeds?|rss[0-9.]*|atom")

# Query parameters that ask for another rendering of one article.
_RENDERING: Final = re.compile(r"amp|outputtype|print|printable|view_as|mobile|isamp|amp_js_v|usqp")
_RENDERING_VALUES: Final = frozenset({"", "1", "true", "amp", "print", "yes", "on"})

_VARIANT_HOSTS: Final = re.compile(r"(?:www[0-9]*|m|mobile|amp|mobil|touch)\.")
_VARIANT_START: Final = re.compile(r"/(?:amp|mobile|print)(?=/.)")
_VARIANT_END: Final = re.compile(r"(?:/amp|/print|/amphtml)/?$|(?<=.)\.amp(?=\.html?$|$)|/amp(?=\.html?$)")

# Labels under which publishers register in most country domains, and some that hold in one country only; a
# small
# table, not the Public Suffix List.
_SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gov", "mil", "net", "org"})
_SECOND_LEVEL_IN: Final = {
    "ar": "gob",
    "at": "gv or",
    "au": "id asn",
    "br": "nom blog jor tv inf",
    "cl": "gob",
    "co": "nom",
    "es": "gob nom",
    "fr": "gouv presse",
    "hk": "idv",
    "id": "go or web sch my",
    "in": "gen firm ind nic",
    "jp": "ne or go ad ed gr lg",
    "ke": "go or ne info",
    "kr": "go or ne re pe",
    "ma": "press",
    "mx": "gob",
    "nz": "gen geek iwi govt school",
    "pe": "gob",
    "pl": "info",
    "th": "go in or",
    "tr": "gen web bel tv info",
    "tw": "idv",
    "tz": "go or",
    "ua": "in kiev",
    "uk": "me ltd plc sch nhs police",
    "uy": "gub",
    "ve": "info",
    "za": "web nom law",
}


def normalize(url: str) -> str:
    """The RFC 3986 normal form of an absolute http or https URL, without fragment.

    Scheme and host in lower case, host in ASCII, default port and empty path settled, dot segments removed,
    escapes in upper case and undone for unreserved characters, everything illegal escaped as UTF-8. The
    result normalises to itself. Raises InvalidValue: other schemes, credentials, control characters, no or an
    impossible host, too long.
    """
    scheme, host, port, path, query = _parts(url)
    authority = f"[{host}]" if ":" in host else host
    if port is not None:
        authority = f"{authority}:{port}"
    tail = "" if query is None else f"?{query}"
    clean = f"{scheme}://{authority}{path}{tail}"
    if len(clean) > MAX_URL_CHARS:
        raise InvalidValue(f"a URL has at most {MAX_URL_CHARS} characters, this one {len(clean)}")
    return clean


def article_key(url: str) -> str:
    """One text for all addresses of one article: for identity, never for fetching. Raises InvalidValue.

    https and no port 80; without `www.`, mobile and AMP host names, AMP and print paths, tracking and
    rendering parameters, and the closing slash; the remaining parameters sorted.
    """
    _, host, port, path, query = _parts(url)
    host = _without_variant(host)
    path = _VARIANT_START.sub("", path, count=1)
    path = _VARIANT_END.sub("", path).rstrip("/") or "/"
    kept = sorted(part for part in (query or "").split("&") if part and not _is_noise(part))
    where = f"[{host}]" if ":" in host else host
    if port is not None:
        where = f"{where}:{port}"
    return f"https://{where}{path}" + (f"?{'&'.join(kept)}" if kept else "")


def surt(url: str) -> str:
    """Sort-friendly form:

    `org,example)/path?query`, lower case, `www.` dropped, parameters sorted. Raises InvalidValue.
    """
    _, host, port, path, query = _parts(url)
    host = re.sub(r"^www[0-9]*\.(?=.*\.)", "", host)
    where = host if _is_address(host) else ",".join(reversed(host.split(".")))
    where = where if port is None else f"{where}:{port}"
    path = path.rstrip("/") or "/"
    tail = "" if not query else "?" + "&".join(sorted(query.split("&")))
    return f"{where}){path}{tail}".lower()


def host_of(url: str) -> str:
    """The host of a URL: lower-case ASCII, IPv6 addresses without brackets. Raises InvalidValue."""
    return _parts(url)[1]


def port_of(url: str) -> int:
    """The port of a URL, the scheme's default where none is given. Raises InvalidValue."""
    scheme, _, port, _, _ = _parts(url)
    return _DEFAULT_PORTS[scheme] if port is None else port


def origin_of(url: str) -> str:
    """`scheme://host[:port]` of a URL (RFC 6454), without a path. Raises InvalidValue."""
    scheme, host, port, _, _ = _parts(url)
    authority = f"[{host}]" if ":" in host else host
    return f"{scheme}://{authority}" + ("" if port is None else f":{port}")


def target_of(url: str) -> str:
    """Path and query of a URL as they stand in a request line (RFC 9112 3.2.1). Raises InvalidValue."""
    _, _, _, path, query = _parts(url)
    return path if query is None else f"{path}?{query}"


def site_of(host: str) -> str:
    """The part of a host name that a publisher registers, by a small table; addresses whole."""
    host = host.lower().rstrip(".")
    if _is_address(host):
        return host
    labels = host.split(".")
    if len(labels) < 3 or len(labels[-1]) != 2:
        return ".".join(labels[-2:])
    deep = labels[-2] in _SECOND_LEVEL or labels[-2] in _SECOND_LEVEL_IN.get(labels[-1], "").split()
    return ".".join(labels[-3 if deep else -2 :])


def same_site(host_a: str, host_b: str) -> bool:
    """True where two host names lie under one registered name, as far as the small table can tell."""
    return site_of(host_a) == site_of(host_b)


def join(base: str, reference: str) -> str:
    """Resolve a reference as found in a page or header against an absolute URL, and normalise (RFC 3986 5.2).

    White space around it and line breaks inside are dropped, as browsers do. Raises InvalidValue.
    """
    reference = re.sub(r"[\t\r\n]", "", reference).strip(" \x0c")
    if re.match(r"(?i:https?):[/\\]{2}", reference):
        return normalize(reference)
    scheme, _, _, path, query = _parts(base)
    if _SCHEME.match(reference):
        raise InvalidValue(f"not an http or https URL: {reference[:80]!r}")
    reference = reference.split("#", 1)[0]
    target, mark, own_query = reference.partition("?")
    target = target.replace("\\", "/")
    if target.startswith("//"):
        return normalize(f"{scheme}:{target}{mark}{own_query}")
    if not target:
        target = path
        if not mark and query is not None:
            mark, own_query = "?", query
    elif not target.startswith("/"):
        target = path[: path.rfind("/") + 1] + target
    return normalize(f"{origin_of(base)}{target}{mark}{own_query}")


@lru_cache(maxsize=_REMEMBERED)
def _parts(url: str) -> tuple[str, str, int | None, str, str | None]:
    """(scheme, host, port or None where default, path, query), each in normal form. Raises InvalidValue."""
    url = url.strip(" ")
    if len(url) > MAX_URL_CHARS:
        raise InvalidValue(f"a URL has at most {MAX_URL_CHARS} characters, this one {len(url)}")
    if _CONTROLS.search(url):
        raise InvalidValue(f"a control character in a URL: {url[:80]!r}")
    match = _SPLIT.fullmatch(url)
    if match is None:
        raise InvalidValue(f"not an absolute http or https URL: {url[:80]!r}")
    scheme = match[1].lower()
    host, port = _read_authority(match[2])
    path = _remove_dots(_escape(match[3].replace("\\", "/"), _PATH_SAFE)) or "/"
    query = None if match[4] is None else _escape(match[4], _QUERY_SAFE)
    return scheme, host, None if port == _DEFAULT_PORTS[scheme] else port, path, query


def _read_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise InvalidValue("a URL with credentials is not fetched and not kept")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise InvalidValue(f"not a host and port: {authority[:80]!r}")
    port = int(match[2]) if match[2] and len(match[2]) <= 5 else None
    if match[2] and (port is None or not 1 <= port <= 65_535):
        raise InvalidValue(f"not a port: {match[2][:20]!r}")
    return _read_host(match[1]), port


@lru_cache(maxsize=_REMEMBERED)
def _read_host(host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError as error:
            raise InvalidValue(f"not an IPv6 address: {host[:60]!r}") from error
    try:
        name = host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidValue(f"a host name that IDNA does not allow: {host[:60]!r}") from error
    name = name.removesuffix(".")
    if not name or len(name) > MAX_HOST or any(len(label) > MAX_LABEL for label in name.split(".")):
        raise InvalidValue(f"a host name is not empty and not too long: {host[:60]!r}")
    if _ASCII_HOST.fullmatch(name) is None:
        raise InvalidValue(f"not a host name: {host[:60]!r}")
    last = name.rsplit(".", 1)[-1]
    # Browsers read `127.1`, `0x7f000001` and `2130706433` as addresses; only the plain form is taken here.
    if (last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last)) and not _is_address(name):
        raise InvalidValue(f"not an IPv4 address of four decimal numbers: {host[:60]!r}")
    return name


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _escape(text: str, safe: frozenset[str]) -> str:
    """Escape what may not stand there, settle the escapes that do."""
    out: list[str] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        out.append(_escape_plain(text[at : match.start()], safe))
        char = chr(int(match[0][1:], 16))
        out.append(char if char in _UNRESERVED else match[0].upper())
        at = match.end()
    out.append(_escape_plain(text[at:], safe))
    return "".join(out)


def _escape_plain(text: str, safe: frozenset[str]) -> str:
    if safe.issuperset(text):
        return text
    try:
        return "".join(c if c in safe else "".join(f"%{b:02X}" for b in c.encode("utf-8")) for c in text)
    except UnicodeEncodeError as error:
        raise InvalidValue("a lone surrogate in a URL") from error


def _remove_dots(path: str) -> str:
    """RFC 3986 section 5.2.4 for a path that is empty or begins with a slash."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", "..") and len(segments) > 1:
        kept.append("")
    return "/" + "/".join(kept)


def _without_variant(host: str) -> str:
    while (match := _VARIANT_HOSTS.match(host)) and "." in host[match.end() :]:
        host = host[match.end() :]
    return host


def _is_noise(parameter: str) -> bool:
    name, _, value = parameter.lower().partition("=")
    if _TRACKING.fullmatch(name) or (_SENDER.fullmatch(name) and _FEED.fullmatch(value)):
        return True
    return _RENDERING.fullmatch(name) is not None and value in _RENDERING_VALUES
