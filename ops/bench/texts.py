"""Synthetic news in any number, made by recombining the sentences of a corpus; and fragments of it, mangled.

Few sentences exist, so that unchanged each would stand in hundreds of articles, as in no real archive: half of a
sentence's words are others of its language (at 100,000 articles a run of five words then stands in about one other).
Some articles are syndicated (a copy of a wire's text, about five of each), many end with boilerplate. The same seed
gives the same articles. What is done with them is left to `ops.bench.tracing`.
"""

from __future__ import annotations

import html
import json
import random
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ops.bench.pages import CORPUS, shared_folder
from ops.demo.stories import stories

#: Sentences of an article, from and to: 1,000 to 5,000 characters.
SENTENCES: Final = (10, 40)
#: Sentences of a paragraph at most.
PARAGRAPH: Final = 4
#: One word in so many is another's.
FOREIGN: Final = 2
#: One article in so many is a copy from the wire, which holds so many texts and gets a new one every so many articles.
SYNDICATED: Final = 20
WIRE: Final = 10
WIRE_EVERY: Final = 100
#: One article in so many ends with one of BOILERPLATE closing sentences.
CLOSED: Final = 3
BOILERPLATE: Final = 50
#: One source in so many is kept from the archive: what was never seen.
HELD_OUT: Final = 10
#: Characters of the shortest sentence taken.
SHORTEST: Final = 25
#: Characters of a script without spaces that are changed as one word.
DENSE_WORD: Final = 2

_SENTENCE: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*")
_WORD: Final = re.compile(r"(\w+)")
_DENSE: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, kw_only=True)
class Language:
    """What articles of one country are made of."""

    sentences: tuple[str, ...]
    words: tuple[str, ...]

    @cached_property
    def parts(self) -> list[list[str]]:
        """Each sentence cut into words and what lies between them."""
        return [_WORD.split(sentence) for sentence in self.sentences]


def sources() -> tuple[str, list[tuple[str, Sequence[str]]]]:
    """(what they are, (country, paragraphs) of each text)."""
    folder = shared_folder()
    if folder is None:
        return "the demo paper's stories (no corpus beside the checkout)", [("demo", s.text) for s in stories()]
    rows = (json.loads(line) for line in (folder / CORPUS).read_text(encoding="utf-8").splitlines())
    texts: list[tuple[str, Sequence[str]]] = [(row["country"], row["paragraphs"]) for row in rows]
    benchmark = json.loads((folder / "corpus" / "aeb" / "ground-truth.json").read_text(encoding="utf-8"))
    texts += [("us", row["articleBody"].split("\n")) for row in benchmark.values()]
    return "both corpora", texts


def languages(texts: Sequence[tuple[str, Sequence[str]]]) -> list[Language]:
    """The sentences and words of each country."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for country, paragraphs in texts:
        for paragraph in paragraphs:
            for sentence in _SENTENCE.split(paragraph):
                if len(sentence) >= SHORTEST:
                    found[country][sentence] = None
    return [
        Language(sentences=tuple(some), words=tuple(word for s in some for word in _WORD.findall(s) if len(word) > 1))
        for some in found.values()
    ]


class Press:
    """Articles and fragments of them. Everything drawn comes from one seed."""

    def __init__(self, seed: int = 1) -> None:
        """Read the corpus; RuntimeError where it holds too little text."""
        self.random = random.Random(seed)  # noqa: S311  # a benchmark's choice, not a secret
        self.what, texts = sources()
        kept = [text for number, text in enumerate(texts) if number % HELD_OUT]
        self._seen = languages(kept)
        known = {sentence for language in self._seen for sentence in language.sentences}
        self._unseen = [
            language
            for found in languages(texts[::HELD_OUT])
            if (language := _without(found, known)).sentences and language.words
        ]
        if not self._seen or not self._unseen:
            raise RuntimeError("the corpus holds too little text for a benchmark")
        self._weights = [len(language.sentences) for language in self._seen]
        self._unseen_weights = [len(language.sentences) for language in self._unseen]
        self._closings = self.random.sample(sorted(known), min(BOILERPLATE, len(known)))

    def articles(self, count: int) -> Iterator[list[str]]:
        """Paragraphs of so many articles."""
        wire: deque[list[str]] = deque(maxlen=WIRE)
        for number in range(count):
            if wire and number % SYNDICATED == SYNDICATED - 1:
                yield list(self.random.choice(wire))
                continue
            (language,) = self.random.choices(self._seen, self._weights)
            article = self._written(language)
            if self.random.randrange(CLOSED) == 0:
                article.append(self.random.choice(self._closings))
            if number % WIRE_EVERY == 0:
                wire.append(article)
            yield article

    def lot(self, number: int, count: int) -> Iterator[list[str]]:
        """One lot of articles, each lot from a seed of its own: whoever writes it, it is the same."""
        self.random = random.Random(f"lot {number}")  # noqa: S311
        yield from self.articles(count)

    def unseen(self) -> list[str]:
        """The paragraphs of an article made of sentences that no article of the archive has."""
        (language,) = self.random.choices(self._unseen, self._unseen_weights)
        return self._written(language)

    def _written(self, language: Language) -> list[str]:
        left = self.random.randint(*SENTENCES)
        article = []
        while left > 0:
            some = min(left, self.random.randint(1, PARAGRAPH))
            left -= some
            article.append(" ".join(self._sentence(language) for _ in range(some)))
        return article

    def _sentence(self, language: Language) -> str:
        draw, words, sentences = self.random.random, language.words, language.parts
        parts = sentences[int(draw() * len(sentences))].copy()
        for at in range(1, len(parts), 2):
            if draw() * FOREIGN < 1:
                parts[at] = words[int(draw() * len(words))]
        return "".join(parts)

    # -- fragments

    def passage(self, text: str, length: int) -> str | None:
        """A run of about so many characters of a text, from word to word; None where the text is too short."""
        if len(text) < length:
            return None
        start = self.random.randint(0, len(text) - length)
        if start and not _DENSE.match(text[start]):
            space = text.find(" ", start, len(text) - length)
            start = space + 1 if space >= 0 else 0
        return text[start : start + length].strip()

    def changed(self, passage: str, one_in: int) -> str:
        """One word in so many, and one at least, replaced by another word."""
        if len(_DENSE.findall(passage)) > len(passage) // 2:
            return self._changed_dense(passage, one_in)
        parts = _WORD.split(passage)
        places = range(1, len(parts), 2)
        for at in self.random.sample(places, max(1, len(places) // one_in) if places else 0):
            (language,) = self.random.choices(self._seen, self._weights)
            parts[at] = self.random.choice(language.words)
        return "".join(parts)

    def _changed_dense(self, passage: str, one_in: int) -> str:
        letters = list(passage)
        words = len(letters) // DENSE_WORD
        for at in self.random.sample(range(words), max(1, words // one_in)):
            letters[at * DENSE_WORD : (at + 1) * DENSE_WORD] = [chr(self.random.randint(0x4E00, 0x9FA0))] * DENSE_WORD
        return "".join(letters)

    def mangled(self, passage: str, way: int) -> str:
        """As scrapers mangle: white space gone, case, quotes, entities, or all of it, by turns."""
        ways = (_fused, str.upper, _quoted, _escaped)
        turn = way % (len(ways) + 1)
        for one in ways[turn : turn + 1] or ways:
            passage = one(passage)
        return passage


    def scraped(self, passage: str, way: int) -> str:
        """As the seed of this project came: a header mashed in, paragraphs fused, a stray digit behind; by turns with
        UTF-8 read as Windows-1252, soft hyphens, ligatures or tags.
        """
        ways = (_misread, _hyphenated, _ligatures, _tagged)
        header = "date 2022-09-13 © AP Photo/Jo Bloggs\n\n\n\n" if len(passage) >= 100 else ""
        return header + ways[way % len(ways)](passage.replace("\n\n", "")) + "2" * bool(header)


def _without(language: Language, known: set[str]) -> Language:
    left = tuple(sentence for sentence in language.sentences if sentence not in known)
    return Language(sentences=left, words=language.words)


def _misread(text: str) -> str:
    """The bytes of UTF-8 read as Windows-1252, or as Latin-1 where that leaves them open."""
    return "".join(bytes([byte]).decode("cp1252", "replace").replace("\ufffd", chr(byte)) for byte in text.encode())


def _hyphenated(text: str) -> str:
    """A soft hyphen in every longer word."""
    return re.sub(r"(\w{4})(?=\w{3})", "\\1\u00ad", text)


def _ligatures(text: str) -> str:
    return text.replace("ffi", "ﬃ").replace("fi", "ﬁ").replace("fl", "ﬂ").replace("ff", "ﬀ")


def _tagged(text: str) -> str:
    """Tags of a page left standing."""
    return "<p>" + re.sub(r"(?<=\w) (?=\w)", " <b>", text, count=3) + "</b></p>"


def _fused(text: str) -> str:
    return "".join(text.split())


def _quoted(text: str) -> str:
    """Straight quotes where they were curly, and the other way round; dashes as hyphens."""
    return text.translate(str.maketrans("“”‘’«»\"'–—", '""\'\'""”’--'))


def _escaped(text: str) -> str:
    """Every fifth letter beyond ASCII and all marks as entities."""
    return "".join(
        f"&#{ord(char)};" if not char.isascii() and at % 5 == 0 else html.escape(char) for at, char in enumerate(text)
    )
