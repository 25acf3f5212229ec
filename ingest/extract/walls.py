"""Walls: pages that stand where an article should: bot checks, consent and login pages, soft 404s.

Judged from the page alone: little text, and words that such pages share. Conservative: a page with an article's worth
of text is none, whatever else it says.
"""

from __future__ import annotations

import re
from typing import Final

from ingest.extract.page import Page
from schemas.articles import clean

#: Words of article text from which on a page is no wall.
ENOUGH: Final = 120
#: Characters of visible text that are searched.
_WINDOW: Final = 4000
#: Characters of the source that are searched for the marks of a bot check.
_MARK_WINDOW: Final = 200_000

_BOT: Final = re.compile(
    r"just a moment|checking your browser|attention required|verify (?:that )?you are (?:a )?human|"
    r"are you a robot|unusual traffic|"
    r"access (?:to this page has been )?denied|enable javascript and cookies to continue|captcha|"
    r"ddos protection|request unsuccessful|"
    r"pardon our interruption|bot detection|security check",
    re.I,
)
_BOT_MARK: Final = re.compile(
    r"cf-challenge|cf_chl|captcha-delivery|perimeterx|px-captcha|_incapsula_|datadome|hcaptcha|g-recaptcha", re.I
)
_CONSENT: Final = re.compile(
    r"before you continue|we (?:and our partners )?(?:value|use|store).{0,60}(?:privacy|cookies)|"
    r"accept (?:all )?cookies|cookie consent|"
    r"zustimmen und weiter|werbung und tracking|mit werbung weiterlesen|accepter et continuer|aceptar y continuar",
    re.I,
)
_LOGIN: Final = re.compile(r"^(?:log ?in|sign ?in|anmelden|einloggen|connexion|iniciar sesión|login)\b", re.I)
_GONE: Final = re.compile(
    r"\b404\b|page (?:you.{0,40} )?(?:not found|could not be found|does(?:n.t| not) exist|no longer)|"
    r"seite (?:wurde )?nicht gefunden|"
    r"page (?:introuvable|non trouvée)|página no encontrada|pagina non trovata|siden (?:finnes|"
    r"findes) ikke|sidan (?:hittades|finns) inte|"
    r"ページが見つかりません|페이지를 찾을 수 없",
    re.I,
)


def wall_of(page: Page, title: str | None, words: int) -> str | None:
    """bot | consent | login | soft404, or None where the page is no wall."""
    if words >= ENOUGH:
        return None
    name = title or ""
    seen = clean(page.tree.text_content()[: _WINDOW * 8])[:_WINDOW] if words < 60 else ""
    if _BOT.search(name) or (words < 60 and _BOT.search(seen) and _BOT_MARK.search(page.text[:_MARK_WINDOW])):
        return "bot"
    if _GONE.search(name):
        return "soft404"
    if _LOGIN.search(name) and words < 60:
        return "login"
    if (_CONSENT.search(name) or _CONSENT.search(seen)) and words < 30:
        return "consent"
    return None
