"""Walls: what stands where an article should: bot checks, consent and login pages, soft 404s. Told before it is kept.

Pure, and judged from the answer alone: status, headers, the address and the first of the page. General rules, none for
single sites, and careful: an answer with an article's worth of paragraphs is no wall, whatever else it says. What only
the reading of the page shows is left to `ingest.extract.walls`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Final
from urllib.parse import urlsplit

#: Bytes of a decoded page that are looked at.
WINDOW: Final = 128 * 1024
#: Words in paragraphs from which on a page is none of these, and for a page that says so in its title only in passing.
ENOUGH: Final = 120
#: Characters of a title that are looked at.
_MAX_TITLE: Final = 300
#: Statuses with which bot checks come (200 and 202 as well as refusals).
_CHECKED: Final = frozenset({200, 202, 401, 403, 405, 406, 429, 503})

_TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{0,2000})", re.I)
_PARAGRAPH: Final = re.compile(r"<p[\s>]", re.I)
_PARAGRAPH_END: Final = re.compile(r"</(?:p|div|article|body)\b", re.I)
_TAG: Final = re.compile(r"<[^<>]*>")
_SCRIPT: Final = re.compile(r"<(?:script|style|noscript)\b", re.I)
_SCRIPT_END: Final = re.compile(r"</(?:script|style|noscript)\b", re.I)

#: Header fields by which services say that this is their check and not the page.
_CHALLENGE: Final = {
    "cf-mitigated": re.compile(r"challenge", re.I),
    "x-amzn-waf-action": re.compile(r"challenge|captcha", re.I),
    "x-datadome": re.compile(r"protected", re.I),
}
_BOT: Final = re.compile(
    r"^(?:just a moment|checking your browser|attention required|ddos[- ]guard|pardon our interruption|"
    r"access (?:to this page has been )?denied|are you (?:a )?(?:robot|human)|security check|bot (?:detection|check)|"
    r"(?:please )?verify(?:ing)? (?:that )?you are (?:a )?human|human verification|robot check|captcha|"
    r"request (?:unsuccessful|rejected|blocked)|un instant|nur einen moment|einen moment)\b",
    re.I,
)
_BOT_MARK: Final = re.compile(
    r"/cdn-cgi/challenge-platform|cf_chl_|captcha-delivery\.com|px-captcha|_incapsula_resource|awswafcaptcha|"
    r"\bsec-if-cpt-container|bm-verify=",
    re.I,
)
_GONE: Final = re.compile(
    r"^(?:(?:error|fehler|erreur)?\W{0,3}404\b|(?:the )?page (?:you.{0,40} )?(?:is )?(?:not found|could not be found|"
    r"does(?:n.t| not) exist|no longer)|not found|(?:die )?seite (?:wurde )?nicht gefunden|page (?:introuvable|"
    r"non trouvée)|página no encontrada|pagina non trovata|siden (?:finnes|findes) ikke|sidan (?:hittades|finns) inte|"
    r"ページが見つかりません|페이지를 찾을 수 없)|\W404$",
    re.I,
)
_LOGIN: Final = re.compile(
    r"^(?:log ?-?in|sign ?-?in|anmelden|einloggen|connexion|se connecter|iniciar sesión|accedi|inloggen)\b", re.I
)
_CONSENT: Final = re.compile(
    r"^(?:before you continue|(?:your )?(?:privacy|cookie) (?:choices|consent|settings|preferences|notice)|"
    r"we value your privacy|cookie[- ]?(?:consent|hinweis)|zustimm|datenschutz|werbung und tracking|"
    r"accepter (?:et continuer|les cookies)|aceptar (?:y continuar|cookies))",
    re.I,
)
_LOGIN_PATH: Final = re.compile(
    r"/(?:log-?in|sign-?in|signon|anmelden|connexion|sso|oauth2?|authorize)(?:[/.?]|$)", re.I
)
_CONSENT_PLACE: Final = re.compile(
    r"^(?:[a-z0-9-]+\.)?(?:consent|guce|cmp|privacy-mgmt)\.|/(?:collect-?)?consent\b", re.I
)
_PASSWORD: Final = re.compile(r"<input\b[^>]{0,500}type\s*=\s*[\"']?password", re.I)


def wall_of(
    *, url: str, status: int | None, headers: Sequence[tuple[str, str]], body: bytes, asked: str | None = None
) -> str | None:
    """bot | consent | login | soft404, or None where an answer is no wall.

    `body` is the beginning of the decoded body, `asked` the URL with which the chain of redirects began, where this
    answer ended one. A refusal that says no more than its status is none: the status tells it.
    """
    if status is None or status not in _CHECKED:
        return None
    if any(rule.search(value) for name, value in headers if (rule := _CHALLENGE.get(name.lower()))):
        return "bot"
    kind = next((value for name, value in headers if name.lower() == "content-type"), "text/html")
    if "html" not in kind.lower():
        return None
    page = body[:WINDOW].decode("utf-8", "replace")
    found = _TITLE.search(page)
    title = " ".join(unescape(found[1]).split())[:_MAX_TITLE] if found else ""
    if asked is not None and _sent_to_front(url, asked):
        return "soft404" if 200 <= status < 300 else None
    wall = _by_words(title, page) or _by_place(url, asked, page)
    if wall is None or (wall != "bot" and not 200 <= status < 300):
        return None
    return wall if _words(page) < ENOUGH else None


def _by_words(title: str, page: str) -> str | None:
    """What the title, or a service's own mark in the page, says."""
    for wall, rule in (("bot", _BOT), ("soft404", _GONE), ("login", _LOGIN), ("consent", _CONSENT)):
        if rule.search(title):
            return wall
    return "bot" if _BOT_MARK.search(page) else None


def _by_place(url: str, asked: str | None, page: str) -> str | None:
    """What it means to have been sent from the page that was asked for to this address."""
    if asked is None or asked == url:
        return None
    here, there = urlsplit(url), urlsplit(asked)
    if _CONSENT_PLACE.search(here.hostname or "") or _CONSENT_PLACE.search(here.path):
        return "consent"
    if _LOGIN_PATH.search(here.path) and not _LOGIN_PATH.search(there.path) and _PASSWORD.search(page):
        return "login"
    return None


def _sent_to_front(url: str, asked: str) -> bool:
    """Whether a page further in was asked for, and the same site's front page came."""
    here, there = urlsplit(url), urlsplit(asked)
    front = here.path in ("", "/") and not here.query and bool(there.path.strip("/"))
    return front and _site(here.hostname) == _site(there.hostname)


def _site(host: str | None) -> str:
    return (host or "").lower().removeprefix("www.")


def _words(page: str) -> int:
    """Words that stand in paragraphs, scripts left out, up to about ENOUGH. Linear in the page."""
    first, *others = _SCRIPT.split(page)
    shown = first + " ".join(part[end.end() :] for part in others if (end := _SCRIPT_END.search(part)))
    count = 0
    for part in _PARAGRAPH.split(shown)[1:]:
        text = unescape(_TAG.sub(" ", _PARAGRAPH_END.split(part, maxsplit=1)[0]))
        wide = sum(1 for char in text if char >= "\u3040")  # scripts that put no spaces between words
        count += max(len(text.split()), wide // 2)
        if count >= ENOUGH:
            break
    return count
