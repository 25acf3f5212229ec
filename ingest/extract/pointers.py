"""Lines that stand among the paragraphs of an article and are none: they point elsewhere, sell, ask or sign.

Judged by how a line reads and how much of it is a link, in the languages that outlets print; never by whose page it
is. What parts of a page are called is judged in `blocks`, where the article lies in `text`.
"""

from __future__ import annotations

import re
from typing import Final

from ingest.extract.blocks import Block

#: Characters from which on a line is a paragraph, whatever it begins with.
LONG_LINE: Final = 250
#: Characters from which on a line that names channels or helpers is a paragraph.
CHANNEL_LINE: Final = 320

_LEAD_IN: Final = re.compile(
    r"^(?:\W*)(?:read (?:more|also|next|the full|:)|also read|"
    r"lesen sie (?:auch|hier|mehr|dazu)|mehr (?:zum thema|dazu|lesen)|"
    r"auch interessant|lesetipp|das könnte sie|lee (?:también|más)|leer más|te puede interesar|lea también|"
    r"leia (?:também|mais)|veja (?:também|mais)|lire aussi|à lire aussi|voir aussi|leggi anche|lees ook|"
    r"läs (?:mer|också)|les (?:også|mer)|læs også|lue myös|baca juga|"
    r"xem thêm|czytaj (?:też|także|również)|zobacz (?:też|także)|читайте (?:также|ещё)|читайте також|ayrıca okuyun|"
    r"اقرأ (?:أيضا|أيضًا|المزيد)|यह भी पढ़ें|see also|related(?: stories| articles?)?:|"
    r"more (?:from|on|stories)|recommended|trending|watch:|don't miss|sign up|subscribe|advertisement|anzeige|"
    r"publicidad|publicité|adblock|il vous reste \d|la suite est réservée|weiterlesen mit|関連記事|"
    r"あわせて読みたい|続きを読む|관련기사|더보기|相关阅读|延伸閱讀|click here to|download our app|chat with us|"
    r"follow us|folgen sie|síguenos|join our|copyright|©|all rights reserved|alle rechte vorbehalten|"
    r"tell us what you think|what do you think\?$|have your say|explore further$|comments?$|kommentare$|tags:?$|"
    r"disclaimer:|haftungsausschluss|get access to|listen to .{0,60} live\b)",
    re.I,
)
# A label before a link: "READ THIS | ...", ">> ...".
_LABEL: Final = re.compile(r"^(?:[>»→➤▶►•*\s]{1,4}\S|[^|:.!?]{3,40}\s?\|\s)")
_CHANNEL: Final = re.compile(
    r"\b(?:facebook|twitter|instagram|youtube|whatsapp|telegram|linkedin|tiktok|threads|bluesky|podcasts?|newsletters?)\b",
    re.I,
)
_FOLLOW: Final = re.compile(
    r"\b(?:follow|find us|join|like us|listen|subscribe|sign up|folgen|folge|abonnieren|suivez|abonnez|retrouvez|"
    r"sígue\w*|sigue|suscríb\w*|siga|assine|seguici|iscriviti|volg|abonneer|følg|följ|seuraa|obserwuj|"
    r"подпи\w+|підпи\w+|takip edin|ikuti|theo dõi|تابعونا)\b|フォロー|登録|구독|订阅|訂閱",
    re.I,
)
_ADDRESS: Final = re.compile(r"\b[\w.+-]+@[\w-]+\.\w{2,}|\b(?:https?://|www\.)\S+", re.I)
_MAY_ADDRESS: Final = re.compile(r"[@/]|www", re.I)  # what no address lacks
_URL_ALONE: Final = re.compile(r"(?:https?://|www\.)\S+", re.I)
_MODERATED: Final = re.compile(
    r"^\W*(?:\w+\W+)?(?:comment|coment|kommentar|commentaire|комментари)\w*\b.{0,200}\b(?:moderat|moderad|approv|aprovad|"
    r"freige|modér|модер)",
    re.I,
)
_ASK: Final = re.compile(
    r"\b(?:get in touch|contact us|e-?mail (?:us|the (?:reporter|author|writer)s?)|send us|let us know|tell us|"
    r"reach (?:the reporter|him|her|us|out)|write to us|schreiben sie uns|écrivez-nous|escríb[ae]nos|scriveteci|"
    r"letters? to the editor)\b",
    re.I,
)
# Who else worked on it: a byline at the foot.
_HANDS: Final = re.compile(
    r"^\W*(?:(?:additional |with )?(?:reporting|writing|editing|research|production) by\b|"
    r"(?:[\w'’.\-]+ ){1,40}contributed(?: reporting)?(?: to (?:this|the) (?:report|story|article)|\.?$)|"
    r"(?-i:Mit (?:Material|Informationen) (?:von|der))|avec (?:l.)?(?:afp|reuters|ap)\W*$|(?:con|com) informa\w+ de\b)",
    re.I,
)


def is_pointer(block: Block) -> bool:
    """Text that points elsewhere: a link alone, an item of a list of links, a label and a link, "read more"."""
    if _URL_ALONE.fullmatch(block.text):
        return False  # a source named by its address
    item = block.tag == "li" and len(block.text) < 160 and not block.text.endswith((".", "!", "?", "。"))
    if block.link_share > 0.75 or (item and block.link_share > 0.45):
        return True
    if len(block.text) < LONG_LINE and (_is_labelled(block) or _LEAD_IN.match(block.text) is not None):
        return True
    return len(block.text) < CHANNEL_LINE and _asks(block)


def is_link_alone(block: Block) -> bool:
    """A link alone, or a label and a link: no text, even where JSON-LD repeats it among the text."""
    return (block.link_share > 0.95 and not _URL_ALONE.fullmatch(block.text)) or _is_labelled(block)


def _is_labelled(block: Block) -> bool:
    return len(block.text) < LONG_LINE and block.link_share > 0.3 and _LABEL.match(block.text) is not None


def _asks(block: Block) -> bool:
    """True for a line that asks to follow, write or subscribe, or that says who helped."""
    text = block.text
    if _HANDS.match(text) or _MODERATED.match(text):
        return True
    linked = block.link_chars > 0
    if (linked or _MAY_ADDRESS.search(text)) and _ASK.search(text) and (linked or _ADDRESS.search(text)):
        return True
    return linked and _CHANNEL.search(text) is not None and _FOLLOW.search(text) is not None
