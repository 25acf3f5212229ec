"""Photo credits: who took a picture and through whom it came, read out of the line under it.

Pure functions on strings. `parse_credit` splits a credit into photographers and agencies, `split_caption_credit`
tells a caption from a credit where one string holds both, `looks_like_credit` says whether a string on its own is
one. Which strings of a page to ask about is left to `ingest.extract.photos`. The rules know credit words of many
languages and the names of photo agencies, never of outlets. No printer here: the raw string is kept beside the parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: A credit longer than this is a caption or a legal text.
MAX_CREDIT_CHARS: Final = 200
#: Characters beyond which a string is not read at all, but given back: a bound on time.
MAX_READ_CHARS: Final = 1200

# Photo agencies and picture libraries, one a line: the name, then the other ways that credits write it.
_AGENCY_TABLE: Final = """
123RF
AAP
Abaca = abacapress
action press
Adobe Stock = stock.adobe.com, fotolia
AFP = afp photo, afp/getty images, agence france-presse, afp forum, afp via getty images
AFP = أ ف ب, أ.ف.ب, فرانس برس, 法新社, एएफपी
Aflo = アフロ
Agência Brasil
Agerpres
Alamy = alamy stock photo
Anadolu = anadolu agency, anadolu ajansı, aa, الأناضول
ANI = एएनआई
ANP
ANSA
Antara
AP = ap photo, ap photos, ap images, ap file, the ap, ap via, associated press, the associated press
AP = ap通信, 美聯社, 美联社, أسوشيتد برس, एपी
APA = apa-images, apa images
Backgrid
Belga
Bernama
Bestimage
Bloomberg
BNS
BPA
CNA = 中央社
CNS = 中新社
Contacto = zuma/contacto
Corbis
Cover Images
ddp = ddp images
Depositphotos
DHA
East News
dpa = dpa-zentralbild, dpa images, dpa picture-alliance, dpa-infocom
Dreamstime
EFE
ELTA
EPA = epa-efe, epa images
epd
ESA
Europa Press
eyevine
FilmMagic
Flickr
Folhapress
Freepik
Gamma-Rapho
Getty Images = getty, gettyimages, getty images europe
Global Look Press = globallookpress
Hans Lucas
Icon Sportswire
ICP
İHA = iha
Imagn = usa today sports, imagn images
Imago = imago images, imago sport, www.imago-images.de
iStock = istockphoto
Jiji = jiji press, 時事, 時事通信
Keystone = keystone-sda
KNA
Kommersant Photo = коммерсантъ
Kyodo = kyodo news, 共同, 共同通信
laif
LaPresse
Lehtikuva
Lusa = agência lusa
Magnum = magnum photos
MaxPPP
MEGA
MTI
NASA
News1 = 뉴스1
Newsis = 뉴시스
NOOR
Nordphoto
NTB = ntb scanpix
NurPhoto
PA = pa images, pa wire, pa media, press association
Panos
PAP
Pexels
Picture Alliance = picture-alliance, picturealliance
Pixabay
Polaris
Profimedia
PTI = पीटीआई
Quality Sport Images
Redux
Reuters = reuters connect, via reuters, ロイター, ロイター通信, 路透社, 路透, رويترز, रॉयटर्स, рейтер, 로이터
RIA = ria novosti, риа новости
Ritzau = ritzau scanpix
Scanpix
SDA
Shutterstock = rex, rex features
Sipa = sipa usa, sipa press
Splash News = splash
Sputnik = sputniknews
SWNS
TASS = тасс
The Canadian Press = cp, canadian press
TT = tt nyhetsbyrån
TTXVN = vna
Unsplash
Ukrinform = укрінформ
UNIAN = уніан, униан
UPI
VII
Wikimedia Commons = wikimedia
WireImage
Witters
Xinhua = 新华社, 新華社
Yonhap = 연합뉴스
Zuma = zuma press, zuma wire, zuma press wire, zumapress
ČTK = ctk
"""


def _agencies() -> dict[str, str]:
    """Lower-case alias -> name."""
    table: dict[str, str] = {}
    for line in _AGENCY_TABLE.strip().splitlines():
        name, _, aliases = line.partition(" = ")
        for alias in (name, *aliases.split(", ")):
            if alias:
                table[alias.lower()] = name
    return table


_AGENCIES: Final = _agencies()

# Words for "photo" and "source" that open a credit before a colon; longest first where one begins another.
_NOUNS: Final = (
    r"(?:(?:image|picture|photo(?:graph)?|photos|file photo|cover photo|lead photo|illustration|graphic|map|video|"
    r"screenshot|screengrab|still|main image)?\s*(?:credits?|source|courtesy(?: of)?|provided by|supplied by|by)|"
    r"photo(?:s|graph|graphs|graphy|grapher)?(?: illustration)?|images?|pictures?|pics?|handout|"
    r"foto(?:s|grafía|grafia|grafie|graf|graaf|kredit|credits?|nachweis|quelle|hinweis)?|fotó|fotók|bild(?:er|quelle|nachweis|rechte|credits?)?|"
    r"illustration(?:en)?|grafik|collage|montage|fotomontage|quelle|crédits?(?: photo)?|crédito|créditos|photographie|"
    r"fotoğraf|görsel|kaynak|світлина|джерело|источник|снимок|तस्वीर|स्रोत|المصدر|الصورة|مصدر الصورة|"
    r"imagen|imatge|imagem|fuente|cedida|cortesía|reprodução|divulgação|fonte|immagine|credito|"
    r"фото|фотография|снимка|zdjęcie|fot\.?|źródło|zdroj|nuotr\.?|nuotrauka|valokuva|kuva|kilde|foto av|bild från|"
    r"fotograf[ií]a|ảnh|hình ảnh|nguồn(?: ảnh)?|sumber|dok\.?|dokumentasi|isithombe|izithombe|umfanekiso|"
    r"picha|foto's|beeld|"
    r"ภาพ|صورة|تصوير|عکس|写真|画像|圖片?|图片?|來源|来源|摄影|攝影|사진\s*(?:출처|제공)?|फोटो|copyright|rechte|screenshot)"
)
_SIGN: Final = r"(?:[©ⓒ℗]|\(\s*[cC]\s*\)|📷|📸)"
_BY: Final = (
    r"(?:(?:file |stock )?(?:photo(?:graph)?|picture|image|illustration|pix|pic|graphic)s?\s+(?:by|credit|"
    r"courtesy(?: of)?|via|from|(?:provided|supplied|released|taken|made) by)[:\s]|"
    r"(?:foto|bild|illustration|grafik)\s+(?:von|av|af|de|di|do|oleh)\s|courtesy of\s|cedid[ao]s? por\s|cortesía de\s)"
)
_RIGHTS: Final = (
    r"(?:all rights reserved|alle rechte vorbehalten|tous droits réservés|todos los derechos reservados|"
    r"diritti riservati|"
    r"droits d.auteur|copyright(?:ed)?)"
)
_LEAD: Final = re.compile(
    rf"^\s*(?:[\[(（【<]\s*)?(?:{_NOUNS}\s*[:：｜|=／]\s*|fot\.\s+|{_SIGN}\s*|"
    rf"{_RIGHTS}[\s:.,-]+(?=\S)|{_BY}\s*)", re.IGNORECASE
)
_YEAR: Final = re.compile(r"^(?:19|20)\d\d\b[,:\s]*")
_TAIL: Final = re.compile(
    r"[\s.,;]*(?:\(\s*\)|撮影|摄|攝|\s(?:vis mer|read more|show more|see more|mehr anzeigen|ver más)|\s?(?:선임|인턴|"
    r"사진)?기자|all rights reserved\.?|alle rechte vorbehalten\.?|tous droits réservés\.?|"
    r"todos los derechos reservados\.?)\s*$",
    re.IGNORECASE,
)
_SPLIT: Final = re.compile(
    r"\s*(?:/|\||;|•|·|,|&|\+| - | – | — |\bvia\b|\bfor\b|\bfür\b|\bpara\b|\bpour\b|\s+and\s+|\s+und\s+|"
    r"\s+et\s+|\s+y\s+|\s+on\s+(?=(?i:unsplash|pexels|pixabay|flickr)))\s*"
)
_FOR: Final = re.compile(r"\s(?:for|für|para|pour)\s+(?:(?!\bvia\b)[^/|,;])+", re.IGNORECASE)
_STAFF: Final = re.compile(
    r"\b(?:the|of|handout|pool|file|archiv|archive|archives|archivo|staff|photo|foto|bild|image|images|wire|news|press|agency|"
    r"illustration|montage|collage|grafik|screenshot|courtesy|copyright|uncredited|stringer|symbolbild|newspapers|media|"
    r"ministry|university|museum|police|polizei|government|department|office|service|library|studio|studios|group|"
    r"board|council|committee|association|foundation|festival|institute|company|airport|army|navy|gmbh|ltd|inc|llc|verlag|magazine|times|post|facebook|instagram|twitter|youtube|tiktok|\.com|\.de|\.org)\b",
    re.IGNORECASE,
)
# What stands beside a name within its part of a chain.
_ROLE: Final = re.compile(
    r"^(?:by|von|de|foto|fot|photo|bild|photograph)\b[.:\s]+|^\S{2,4}社?[记記]者\s*|\s*(?:提供|제공|撮影|写す|摄|攝)$",
    re.IGNORECASE,
)
# Who gave a picture away did not take it.
_GIVEN: Final = re.compile(
    r"\b(?:courtesy|handout|provided|supplied|cedid[ao]s?|cortesía|divulgação|reprodução)\b", re.IGNORECASE
)
_PERSON: Final = re.compile(r"^[^\W\d_][\w'’.\-]*(?:\s+(?:[a-z]{1,4}\s+)?[^\W\d_][\w'’.\-]*){1,3}$")
_CJK_PERSON: Final = re.compile(r"^[\u4e00-\u9fff\uac00-\ud7af]{2,5}$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Credit:
    """A photo credit, raw and split."""

    raw: str  # as given to `parse_credit`
    text: str  # without lead-in words, enclosing brackets and rights formulas
    photographers: tuple[str, ...]
    agencies: tuple[str, ...]


def strip_lead(text: str) -> str:
    """A credit without "Photo:", "©", enclosing brackets, rights formulas and a part said twice."""
    if len(text) > MAX_READ_CHARS:
        return text
    previous = None
    while previous != text:
        previous = text
        text = _LEAD.sub("", text).strip()
        text = _YEAR.sub("", text) or text
        if len(text) > 2 and text[0] in "([（【<" and text[-1] in ")]）】>" and not _BRACKET.search(text[1:-1]):
            text = text[1:-1].strip()
        if text.endswith((")", "）", "]", "】")) and not re.search(r"[(\[（【]", text):
            text = text[:-1].strip()
        if text.startswith(("(", "（", "[", "【")) and not re.search(r"[)\]）】]", text):
            text = text[1:].strip()
    text = _TAIL.sub("", text) or text
    return _once(text.strip(" \t\n/|,;:–—-·"))


_BRACKET: Final = re.compile(r"[()\[\]（）【】]")


def _once(text: str) -> str:
    """`imago/A B | IMAGO/A B` -> `imago/A B`; a chain whose last part stands in it already loses that part."""
    head, bar, tail = text.rpartition(" | ")
    if bar and (tail.casefold() in head.casefold() or head.casefold() in tail.casefold()):
        return head if len(head) >= len(tail) else tail
    return text


def parse_credit(raw: str) -> Credit:
    """Split a credit into photographers and agencies.

    `© AP Photo/Kostiantyn Liberov` gives photographer Kostiantyn Liberov, agency AP. What is neither a known agency
    nor shaped like a person's name stays in `text` alone: nothing is guessed.
    """
    if len(raw) > MAX_READ_CHARS:
        return Credit(raw=raw, text=raw.strip(), photographers=(), agencies=())
    text = strip_lead(raw)
    photographers: list[str] = []
    agencies: list[str] = []
    given = _GIVEN.search(raw) is not None
    text_of_persons = _FOR.sub(" / ", text)  # whom a picture was taken for is neither
    for part in _SPLIT.split(re.sub(r"[()\[\]（）]", " / ", text_of_persons)):
        part = _ROLE.sub("", part.strip(" .:"))
        if not part:
            continue
        agency = agency_name(part)
        if agency:
            if agency not in agencies:
                agencies.append(agency)
            continue
        if not given and _looks_like_person(part) and part not in photographers:
            photographers.append(_recase(part))
    return Credit(raw=raw, text=text, photographers=tuple(dict.fromkeys(photographers)), agencies=tuple(agencies))


def agency_name(part: str) -> str | None:
    """The name of the photo agency that a string stands for, or None."""
    key = " ".join(part.lower().strip(" .:").split())
    return _AGENCIES.get(key) or _AGENCIES.get(key.removesuffix(" photo").removesuffix(" images").strip())


def _looks_like_person(part: str) -> bool:
    if _CJK_PERSON.match(part):
        return True
    # Two short words are a name ("Bo Li") unless they are written as letters ("EU DC").
    spelled = any(len(word) > 2 or (len(word) == 2 and not word.isupper()) for word in part.split())
    named = _PERSON.match(part) is not None and spelled
    return named and not _STAFF.search(part) and not part.islower()


def _recase(name: str) -> str:
    """`BERTRAND GUAY` -> `Bertrand Guay`; mixed case stays as written."""
    return name.title() if name.isupper() and name.isascii() and " " in name else name


def looks_like_credit(text: str) -> bool:
    """True where a string on its own reads as a photo credit: a lead-in word, or a chain that holds an agency."""
    text = text.strip()
    if not text or len(text) > MAX_CREDIT_CHARS:
        return False
    if _LEAD.match(text):
        return len(strip_lead(text)) > 1
    inner = text.strip("()（）[]【】 ")
    if _SELF_NAMED.match(inner):
        return True
    if _BRACKET.search(inner):
        return False
    if "＝" not in inner and inner.endswith(_ENDINGS) and len(inner) <= 40 and "。" not in inner:
        return True
    parts = [p for p in _SPLIT.split(inner) if p]
    return (
        len(parts) <= 6
        and any(agency_name(p) for p in parts)
        and all(agency_name(p) or (len(p.split()) <= 5 and not _is_phrase(p)) for p in parts)
    )


_ENDINGS: Final = ("提供", "撮影", "제공", "nuotr.", "공동취재단", "写す", "摄", "攝")
_PARTICLE_WORDS: Final = """
von van der den de la del della di da do dos du el al bin for the via of and und y e by
"""
_PARTICLES: Final = frozenset(_PARTICLE_WORDS.split())


def _is_phrase(part: str) -> bool:
    """True for running words: names and firms are written with capitals."""
    return sum(1 for w in part.split() if w.islower() and w.isalpha() and w not in _PARTICLES) >= 2


# Openings that are part of the credit itself: no one is named without them.
_SELF_NAMED: Final = re.compile(
    r"^(?:dok\.|handout\b|screenshots?\b|captures? d.écran|bildschirmfoto|divulgação|reprodução)", re.IGNORECASE
)
# A credit that follows its caption in one string: a sign or a noun with a colon after a space or an end of phrase,
# "Photo by" only after an end of phrase, a bracket or a dash.
_EMBEDDED: Final = re.compile(
    rf"(?:(?<=[\s.!?…»”\"')\]。）])|^)[\[(（【|–—-]?\s*(?:{_NOUNS}\s*[:：=]|{_SIGN}|(?-i:Fot\.)\s)|"
    rf"(?<=[.!?…»”\"')\]。）(（|–—\[])\s*{_BY}",
    re.IGNORECASE,
)
_PAREN: Final = re.compile(r"[\[(（【]\s*([^()\[\]（）【】]{2,120}?)\s*[\])）】]\s*\.?\s*$")
# A name in capitals between the end of a caption and its agency: "… the quay.ADA LENS (AFP)".
_NAME_BEFORE: Final = re.compile(r"(?<=[.!?”\"»])\s*[A-ZÀ-Ý][A-ZÀ-Ý'’.\-]+(?:\s+[A-ZÀ-Ý'’.\-]+){1,4}$")
# A name and whom the picture was taken for.
_ASSIGNED: Final = re.compile(
    r"^(?:[A-ZÀ-Ý][\w'’.\-]+\s+){2,4}(?:for|für|para|pour)\s+(?:the\s+)?[A-ZÀ-Ý][\w&'’.\- ]{2,40}$"
)
_SQUARE_TAIL: Final = re.compile(r"[＝=]\s*([^＝=]{1,30}(?:撮影|提供|写す))\s*$")
_SUFFIX_CHAIN: Final = re.compile(r"^(.+?)\s/\s(.{2,80}(?:nuotr\.|fotó|felvétele|foto|fotografija))$", re.IGNORECASE)
_CJK_TAIL: Final = re.compile(r"^(.*다\.)\s*([\uac00-\ud7af]{2,4}(?:\s*(?:기자|선임기자|인턴기자|작가))?)\.?$")
_SLASHED: Final = re.compile(r"^[^\W\d_][\w'’.\- ]{1,40}\s?/\s?[^\W\d_][\w'’.&\- ]{1,40}$")


def split_caption_credit(text: str) -> tuple[str, str | None]:
    """Caption and credit of a string that may hold both; the credit is raw, lead-in words included.

    Recognised: a credit word or sign that follows the caption, a bracketed credit at its end, an agency chain after
    the last full stop or bar.
    """
    text = text.strip()
    if len(text) > MAX_READ_CHARS:
        return text, None
    if looks_like_credit(text) and not re.search(r"[.!?]\s+\w{3,}[\s:]+\w", strip_lead(text)):
        return "", text
    if text[:1] in "([（" and text[-1:] in ")]）" and _SLASHED.match(text[1:-1].strip()):
        return "", text
    for match in reversed(list(_EMBEDDED.finditer(text))):
        head, tail = text[: match.start()].rstrip(" |–—-([（【"), text[match.start() :].strip(" |–—-")
        if head and tail and len(tail) <= MAX_CREDIT_CHARS and len(strip_lead(tail)) > 1:
            return head, tail
    for split in (_bracketed, _tailed):
        found = split(text)
        if found is not None:
            return found
    return text, None


def _bracketed(text: str) -> tuple[str, str] | None:
    paren = _PAREN.search(text)
    if paren and paren.start() > 0:
        inner = paren.group(1)
        head = text[: paren.start()].rstrip()
        if looks_like_credit(inner) or _SELF_NAMED.match(inner) or _SLASHED.match(inner):
            name = _NAME_BEFORE.search(head)
            return (head[: name.start()].rstrip(), text[name.start() :].strip()) if name else (head, inner)
    return None


def _tailed(text: str) -> tuple[str, str] | None:
    for pattern in (_SUFFIX_CHAIN, _CJK_TAIL):
        match = pattern.match(text)
        if match:
            return match.group(1), match.group(2)
    square = _SQUARE_TAIL.search(text)
    if square:
        return text[: square.start()].rstrip(), square.group(1)
    for sep in (" | ", "| ", ". ", "! ", "? ", "。", " – ", " — "):
        at = text.rfind(sep)
        tail = text[at + len(sep) :].strip()
        if at > 0 and tail and (
            looks_like_credit(tail) or (sep == ". " and (_SLASHED.match(tail) or _ASSIGNED.match(tail)))
        ):
            return text[: at + len(sep.rstrip())].rstrip(" |–—"), tail
    return None
