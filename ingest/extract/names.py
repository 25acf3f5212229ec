"""Bylines to names: separate authors without lead-in words, roles, places and addresses. Pure string rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from schemas.articles import clean
from schemas.credits import agency_name

_LEAD: Final = re.compile(
    r"^(?:(?:written|reported|analysis|story|text|article|opinion|words)\s+)?(?:by|von|por|par|di|door|av|af|od|przez|szerző|"
    r"oleh|penulis|nguồn|tác giả|autor(?:in|en|innen|es|a|as)?|auteur|redaktion|reporter|text|texto|texte|"
    r"testo|skrevet av|"
    r"published by|yazar|автор|текст|文|記者|글|بقلم|كتب|लेखक)\b\s*[:：／]?\s*(?=\S)",
    re.I,
)
_TAIL: Final = re.compile(
    r"\s*(?:기자|특파원|논설위원|記者|编辑|記者\b|, (?:reporter|editor|correspondent|columnist)\b.*)$", re.I
)
_ROLE_TAIL: Final = re.compile(
    r"\s+(?:(?:senior|chief|deputy|staff|special|political|foreign|sports?|business)\s+)*(?:staff )?"
    r"(?:writer|reporter|correspondent|columnist|contributor|editor|redakteur(?:in)?|korrespondent(?:in)?|journalist(?:e|a)?|"
    r"redactora?|periodista|corresponsal|inviato|repórter|dziennikarz|корреспондент)$",
    re.I,
)
# Where the author wrote it: "Ada Quay in Port Quill".
_PLACE_TAIL: Final = re.compile(r"\s+(?:in|aus|à|en|em|din|fra|från|w|из)\s+(?:[A-ZÀ-ÞА-Я][\w.\-]*\s?){1,3}$")
_EMAIL: Final = re.compile(r"\(?\S+@\S+\.\S+\)?")
_SPLIT: Final = re.compile(
    r"\s*(?:;|\||•|·|\n|\s/\s|,|\band\b|\bund\b|\s&\s|\s+y\s+|\s+et\s+|\s+och\s+|\s+og\s+|\s+dan\s+|\s+và\s+|\s+и\s+|"
    r"\s+with\s+|\bund\b|、)\s*"
)
_NAME: Final = re.compile(
    r"^(?:(?:Dr|Prof|Mag|Ing|PD|Sir|Lord|Dame|Rev)\.?\s+)*[^\W\d_][\w'’.\-]*(?:\s+[\w'’.\-]+){1,4}$"
)
_CJK: Final = re.compile(
    r"^[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2,5}(?:[\s　][\u3040-\u30ff\u4e00-\u9fff]{1,4})?$"
)
_NO_PERSON: Final = re.compile(
    r"\b(?:staff|agenc(?:y|ies|ia)|redaktion|newsroom|editor(?:ial|s)?|team|desk|correspondent|reporter|writer|press|news|"
    r"media|online|university|universit\w*|professor|chief|senior|minutes?|read|published|updated|share|follow|"
    r"contributor|columnist|guest|special|for the|photo|video|http|www)\b",
    re.I,
)
#: Longer than any list of authors seen; beyond it is a text.
MAX_BYLINE: Final = 300


def looks_like_person(name: str) -> bool:
    """True where a string has the shape of a person's name."""
    if _CJK.match(name):
        return True
    if any(c.isdigit() for c in name) or sum(not w[0].islower() for w in name.split()) < 2:
        return False
    return bool(_NAME.match(name)) and not _NO_PERSON.search(name) and not name.islower() and "." not in name[-4:-1]


def has_lead(text: str) -> bool:
    """True where a string begins as a byline does."""
    return _LEAD.match(clean(text)) is not None


def split_byline(raw: str) -> tuple[str, ...]:
    """The authors that a byline names; the whole string where it names no person (an agency, a desk)."""
    text = clean(_EMAIL.sub(" ", raw))[:MAX_BYLINE]
    if re.match(r"^(?:https?:|www\.|//)", text):
        return ()
    text = re.sub(r"https?://\S+", "", text).strip()
    while (shorter := _LEAD.sub("", text)) != text:
        text = shorter
    text = text.strip(" ,;:|/-–—·•*()")
    parts = [_TAIL.sub("", p).strip(" ,.;:|-–—") if not re.search(r"\b[A-Z]\.$", p) else p for p in _SPLIT.split(text)]
    parts = [_bare(p) for p in parts if p]
    persons = [p for p in parts if looks_like_person(p)]
    if persons and (len(parts) == len(persons) or "," in text or len(parts) > 1):
        return tuple(dict.fromkeys(persons))
    whole = _TAIL.sub("", text).strip()
    return (whole,) if whole and len(whole) <= 120 else ()


def _bare(part: str) -> str:
    """A name without role and place behind it, where a name remains."""
    for tail in (_ROLE_TAIL, _PLACE_TAIL):
        shorter = tail.sub("", part)
        if shorter != part and looks_like_person(shorter) and not agency_name(shorter.split()[0]):
            part = shorter
    return part


def authors_of(values: Iterable[str]) -> tuple[str, ...]:
    """Authors of several byline strings, each name once."""
    found: dict[str, str] = {}
    for value in values:
        for name in split_byline(value):
            found.setdefault(name.casefold(), name)
    return tuple(found.values())
