"""The headline of a page: what its `h1`, JSON-LD, Open Graph field and window title say, weighed by who agrees.

Wordings are compared without the outlet's name, by their words alone. A page often has two: one headline for its
readers, one for wherever else the article is shown. Which of them is taken follows from which statements repeat it,
never from who publishes the page. The outlet's names are given by `metadata.site_names`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from lxml.html import HtmlElement

from ingest.extract.blocks import key_of
from ingest.extract.page import Page, class_words, path_of
from ingest.extract.sources import Found, Sources, linked_values, meta_values
from schemas.articles import clean

#: Characters that a headline keeps at least when a suffix is cut from it.
_HEADLINE: Final = 10
#: Words of a part of a suffix: names of outlets and of sections are short, the second half of a headline is not.
_SUFFIX_WORDS: Final = 4
_NAME_WORDS: Final = 7
#: Share of words that two wordings have in common from which on they are one headline told twice.
ALIKE: Final = 0.5

#: Score of an `h1` that is no less than half like what the page says, in no list or menu: said again below, it stands.
SHOWN: Final = 0.5

_SEPARATOR: Final = re.compile(r"\s+(?:[|*–—•·-]|::)\s+|\s*[|｜ㅣ]\s*|(?<=\w)：(?=\w)")
_LAST_PART: Final = re.compile(r"^(.{10,}?)\s*[-–—|·]\s*([^-–—|·]{1,24})$")
#: Statements of the headline that are no field of Open Graph or of X: what a second field repeats was meant.
_SECTION_FIELDS: Final = ("article:section", "section", "category", "content_category", "parsely-section")
_OTHER_FIELDS: Final = ("title", "dc.title", "dcterms.title", "parsely-title", "sailthru.title", "headline")


def headline(page: Page, hints: Sequence[str]) -> HtmlElement | None:
    """The `h1` of the article: the one most like what the page says elsewhere, else the only one."""
    best: tuple[float, HtmlElement] | None = None
    wanted = [set(key_of(h).split()) for h in hints if h]
    heads = [h for h in page.tags["h1"] if clean(h.text_content())]
    for order, head in enumerate(heads):
        words = set(key_of(head.text_content()).split())
        if not words:
            continue
        score = max((len(words & w) / len(words | w) for w in wanted if w), default=0.0)
        score -= 0.5 * any(a.tag in ("nav", "li", "aside", "footer", "a") for a in head.iterancestors())
        score += 0.2 * ("headline" in class_words(head) or "title" in class_words(head)) - order * 0.01
        again = best is not None and key_of(best[1].text_content()) == key_of(head.text_content())
        if best is None or (score > best[0] and not (again and best[0] > SHOWN)):
            best = (score, head)
    if best is None or (wanted and best[0] < 0.15 and len(heads) > 1):
        return None
    return best[1]


def strip_suffix(title: str, names: Sequence[str]) -> str:
    """A title without the outlet's name after a separator, and sections between.

    >>> strip_suffix("Storm in the harbour | World | The Lantern", ["The Lantern"])
    'Storm in the harbour'
    """
    known = {key for n in names if (key := key_of(n))}
    cuts = list(_SEPARATOR.finditer(title))
    for number, cut in enumerate(cuts):
        if cut.start() < _HEADLINE:
            continue
        ends = [*(c.start() for c in cuts[number + 1 :]), len(title)]
        starts = [cut.end(), *(c.end() for c in cuts[number + 1 :])]
        parts = [key_of(title[a:b]) for a, b in zip(starts, ends, strict=True)]
        named = [_is_name(part, known) for part in parts]
        if any(named) and all(
            len(part.split()) <= (_NAME_WORDS if name else _SUFFIX_WORDS)
            for part, name in zip(parts, named, strict=True)
        ):
            return title[: cut.start()].strip()
    return title


def _is_name(part: str, known: set[str]) -> bool:
    squeezed = part.replace(" ", "")
    return any(
        part == name
        or squeezed == name.replace(" ", "")
        or part.startswith(f"{name} ")
        or (name.startswith(part) and len(part) > 3)
        for name in known
    )


def all_titles(sources: Sources, site_names: Sequence[str], head: HtmlElement | None) -> tuple[str, ...]:
    """Every form of the headline that the page gives, to know it where the body repeats it."""
    values = [
        f.value
        for f in (
            *linked_values(sources, "headline", "alternativeHeadline", "name"),
            *meta_values(sources, ("og:title", "twitter:title")),
        )
    ]
    if head is not None:
        values.append(clean(head.text_content()))
    return tuple(dict.fromkeys(strip_suffix(v, site_names) for v in values))


def title_of(sources: Sources, site_names: Sequence[str]) -> tuple[Found | None, HtmlElement | None]:
    """The headline, and the `h1` that shows it where one does."""
    bare = _stripper(sources, site_names)
    linked = bare(next(linked_values(sources, "headline", "name"), None))
    shared = bare(next(meta_values(sources, ("og:title", "twitter:title")), None))
    window = bare(_window(sources))
    head = headline(sources.page, [f.value for f in (linked, shared, window) if f])
    shown = None
    if head is not None:
        text = clean(head.text_content())
        shown = bare(Found(value=text, source="dom", path=path_of(head), raw=text))
    fields = _fields(sources, bare)
    witnesses = (shown, linked, *fields)
    shared = _unless_cut(_without_tail(shared, witnesses), shown)
    window = _without_tail(window, witnesses)
    if head is not None and any(a.tag in ("nav", "li") for a in head.iterancestors()):
        seen = _seen_below_trail(sources, head, [f for f in (linked, shared) if f], fields)
        return seen or linked or shown or window, head
    return _weigh(sources, linked, shown, shared, window, fields) or window, head


def _seen_below_trail(
    sources: Sources, head: HtmlElement, offers: Sequence[Found], fields: Sequence[Found]
) -> Found | None:
    """Where an `h1` ends a trail of links, it names the page; the headline is the heading that is seen below."""
    below = [
        f" {key_of(element.text_content())}"
        for element in sources.page.tree.iter("h1", "h2")
        if element is not head and not any(a.tag in ("nav", "li", "aside", "footer") for a in element.iterancestors())
    ]
    seen = [f for f in offers if any(words.endswith(f" {key_of(f.value)}") for words in below)]
    attested = [f for f in seen if any(_same(f, field) for field in fields)]
    # A kicker before the headline is no part of it, unless another field of the page says so.
    return min(attested or seen, key=lambda f: len(f.value), default=None)


Stripper = Callable[[Found | None], Found | None]


def _stripper(sources: Sources, names: Sequence[str]) -> Stripper:
    """What takes the outlet's name, and a section before it, off a title; a title that is no more than it is none."""
    known = {key_of(n) for n in names}
    sections = {
        key_of(f.value) for f in (*linked_values(sources, "articleSection"), *meta_values(sources, _SECTION_FIELDS))
    }

    def bare(found: Found | None) -> Found | None:
        if found is None:
            return None
        value = strip_suffix(found.value, names)
        last = _LAST_PART.match(value) if value != found.value else None
        if last and key_of(last.group(2)) in sections:
            value = last.group(1)
        if not value or key_of(value) in known:
            return None
        return Found(value=value, source=found.source, path=found.path, raw=found.raw)

    return bare


def _window(sources: Sources) -> Found | None:
    element = next(iter(sources.page.tags["title"]), None)
    text = clean(element.text_content()) if element is not None else ""
    return Found(value=text, source="dom", path="title", raw=text) if text else None


def _without_tail(found: Found | None, others: Sequence[Found | None]) -> Found | None:
    """A title without a short tail after a separator, where another source gives all that stands before it."""
    for other in others:
        if found is not None and other is not None and found.value.startswith(other.value):
            tail = found.value[len(other.value) :]
            if re.match(r"\s*[-–—|｜ㅣ:：·]", tail) and len(key_of(tail).split()) <= _SUFFIX_WORDS:
                return Found(value=other.value, source=found.source, path=found.path, raw=found.raw)
    return found


def _unless_cut(found: Found | None, shown: Found | None) -> Found | None:
    """None for a title that was cut short: by dots, or by a quotation mark that ended its attribute."""
    if found is None or shown is None:
        return found
    begin, rest = found.value.rstrip(" .…"), found.value
    if shown.value.startswith(begin) and len(begin) < len(shown.value):
        cut = rest.endswith(("…", "...")) or shown.value[len(begin) :].lstrip().startswith('"')
        return None if cut else found
    return found


def _weigh(
    sources: Sources,
    linked: Found | None,
    shown: Found | None,
    shared: Found | None,
    window: Found | None,
    fields: Sequence[Found],
) -> Found | None:
    """The offer that the others bear out."""
    main = _headline_of(linked, shown, window)
    if main is None or shared is None:
        return main or shared
    for own in (linked, shown):  # two of the page's statements, of which one was made for others to show
        if _same(own, shared):
            return own
    kicked = _one_after_kickers([f for f in (linked, shown, shared) if f])
    if kicked is not None:
        return kicked
    if _same(linked, shown) and _same(window, shared):
        return main  # `h1` and JSON-LD are one field, the wording of the window another, made for search
    if any(_same(field, main) for field in fields):
        return main
    attested = any(_same(field, shared) for field in (*fields, *_alternatives(sources)))
    return shared if attested or _likeness(main, shared) >= ALIKE else main


def _headline_of(linked: Found | None, shown: Found | None, window: Found | None) -> Found | None:
    """What JSON-LD and `h1` say; where they differ, what the window title repeats, else JSON-LD."""
    if linked is None or shown is None:
        return linked or shown
    return shown if _same(window, shown) else linked


def _fields(sources: Sources, bare: Stripper) -> list[Found]:
    return [f for found in meta_values(sources, _OTHER_FIELDS) if (f := bare(found))]


def _alternatives(sources: Sources) -> list[Found]:
    """Other names that JSON-LD has for the article, or for a video that tells the same."""
    found = list(linked_values(sources, "alternativeHeadline"))
    for node in sources.linked.of_type("VideoObject", "WebPage"):
        name = node.value.get("name")
        if isinstance(name, str):
            found.append(Found(value=clean(name), source="jsonld", path=node.path, raw=name))
    return found


def _one_after_kickers(offers: Sequence[Found]) -> Found | None:
    """Different kickers before one headline: the headline."""
    for i, first in enumerate(offers):
        for other in offers[i + 1 :]:
            mine, theirs = _after_kicker(first.value), _after_kicker(other.value)
            if mine and theirs and key_of(mine[1]) == key_of(theirs[1]) and not _alike(mine[0], theirs[0]):
                return Found(value=mine[1], source=first.source, path=first.path, raw=first.raw)
    return None


def _after_kicker(title: str) -> tuple[str, str] | None:
    parts = re.split(r":\s+|\s[-–—|]\s", title, maxsplit=1)
    return (parts[0], parts[1]) if len(parts) == 2 and len(parts[1]) >= 25 else None


_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200d\u2060]")


def _key(found: Found) -> str:
    return key_of(_INVISIBLE.sub("", found.value))


def _same(one: Found | None, other: Found | None) -> bool:
    return one is not None and other is not None and _key(one) == _key(other)


def _likeness(one: Found, other: Found) -> float:
    return _share(_key(one), _key(other))


def _alike(one: str, other: str) -> bool:
    return _share(key_of(one), key_of(other)) >= ALIKE


def _share(one: str, other: str) -> float:
    """Words in common, as a share of the words of both."""
    mine, theirs = set(one.split()), set(other.split())
    return len(mine & theirs) / max(1, len(mine | theirs))
