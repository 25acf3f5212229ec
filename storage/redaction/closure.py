"""What goes along with a capture or article that is redacted, and what else quotes it.

Found in the catalog; lists and pages are read for the quotes. Reads, never writes. What then becomes of it is left to
`intent` and `erase`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from schemas.captures import Capture, Role
from schemas.errors import DamageError, InvalidValue, NotFound, ServiceError, UsageError
from schemas.urls import article_key
from storage import imports
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import VersionRow
from storage.fingerprints import letters, normalise
from storage.redaction.external import check_erasable
from storage.redaction.values import Closure, Quote

#: Share of a text's pieces that another holds for it to be the same text elsewhere.
SAME: Final = 0.8
#: Letters between the pieces of a text that are looked for: every common run of a piece and STEP letters holds one.
STEP: Final = 8
#: Letters of a piece by which the share is counted: longer than common words side by side, shorter than a sentence.
PIECE: Final = 24
#: Letters of a piece that alone makes a quote: as many as make a match of `trace`; phrases of a language are shorter.
QUOTE: Final = 48
#: Versions that share most with a text and are looked at.
MAX_CANDIDATES: Final = 2000
#: Roles whose addresses belong to the article itself.
OWN: Final = (Role.ARTICLE, Role.IMAGE, Role.OTHER)
_READABLE: Final = frozenset({"response", "import"})


def find_closure(archive: Archive, text: str, scope: str) -> Closure:
    """The closure of an id under a scope (`schemas.entries.SCOPES`).

    `record`: the capture, what was read from it, and revisits of it; of an article the captures that showed it.
    `payload`: also all with the same payload, all versions and captures of the article, redirects to it, its images.
    `text`: also copies of the same text elsewhere. Raises NotFound, UsageError for what cannot be redacted.
    """
    with archive.catalog.read() as tx:
        finder = _Finder(archive, tx, Closure(scope=scope))
        finder.begin(text)
        finder.quotes()
        return finder.closure


class _Finder:
    """One search, in one transaction."""

    def __init__(self, archive: Archive, tx: Tx, closure: Closure) -> None:
        self._archive, self._tx, self.closure = archive, tx, closure
        self._wide = closure.scope != "record"

    # -- what goes

    def begin(self, text: str) -> None:
        """From an id to all that goes with it."""
        name, _, number = text.partition("@")
        if number and not number.isdecimal():
            raise UsageError(f"{number!r} is no version", remedy="write ID@2 for the second version")
        version = self._tx.articles.get(name, int(number) if number else None)
        capture = self._capture(text)
        if version is not None:
            one = bool(number) and not self._wide
            rows = [version] if one else self._tx.articles.versions(version.article_id)
            for row in rows:
                self.add_version(row, "named" if one else "a version of it", deep=True)
        elif capture is not None:
            if capture.role in (Role.ROBOTS, Role.HOME, Role.FEED, Role.SITEMAP):
                self._wide = False  # an address that lists others stays one to be asked
            self.add_capture(capture, "named")
        elif not self._imported(text) and not self._alone(text):
            if self._tx.snapshots.get(*_edition(text)) is not None:
                remedy = "redact the articles in it: their rows go with them"
                raise UsageError("a snapshot is not redacted as such", remedy=remedy)
            raise NotFound(f"nothing here has the id {text!r}", remedy="give an id that `articles --json` prints")
        self._widen()

    def _capture(self, text: str) -> Capture | None:
        """The capture of an id, its own or that of any of its records."""
        for record_id in (text, f"urn:uuid:{text.lower()}"):
            row = self._tx.records.get(record_id)
            found = self._tx.captures.get(record_id if row is None else row.event_id or record_id)
            if found is None and row is not None and row.type == "conversion":
                version = self._tx.articles.by_conversion(row.record_id)
                found = self._tx.captures.get(version.capture_id) if version is not None else None
            if found is not None:
                return found
        return None

    def _imported(self, text: str) -> bool:
        """All captures that stand in an imported file, `sha256:HEX`."""
        if self._tx.meta.get(imports.META + text) is None:
            return False
        for capture in self._tx.removals.imported():
            if imports.file_of(self._archive.read(capture.id).block).sha256 == text:
                self.add_capture(capture, "stands in that file")
        return True

    def _alone(self, text: str) -> bool:
        """A record with what people said of a redaction."""
        record_id = text if text.startswith("urn:uuid:") else f"urn:uuid:{text.lower()}"
        row = self._tx.records.get(record_id)
        if row is None or row.type != "resource" or not (row.target_uri or "").startswith("urn:pressmark:redaction:"):
            return False
        self.closure.alone[row.record_id] = (row, "named")
        return True

    def add_version(self, row: VersionRow, why: str, *, deep: bool) -> None:
        """A version; `deep`: with all captures that showed it."""
        assert row.row_id is not None
        if row.row_id in self.closure.versions:
            return
        self.closure.versions[row.row_id] = (row, why)
        for capture_id in self._tx.articles.sightings(row.row_id) if deep else (row.capture_id,):
            capture = self._tx.captures.get(capture_id)
            if capture is not None:
                self.add_capture(capture, "showed it")

    def add_capture(self, capture: Capture, why: str) -> None:
        """A capture, what was read from it alone or first, and what rests on it."""
        closure = self.closure
        if capture.id in closure.captures:
            return
        if capture.kind == "import":
            check_erasable(self._archive, capture)
        closure.captures[capture.id] = (capture, why)
        for version in self._tx.articles.for_capture(capture.id):
            if self._wide or version.capture_id == capture.id:
                self.add_version(version, "read from it", deep=self._wide)
        for revisit in self._tx.removals.referring([capture.id]):
            self.add_capture(revisit, "a revisit of its payload")
        via = self._tx.captures.get(capture.via) if capture.via is not None else None
        if via is not None and via.location == capture.url:
            self.add_capture(via, "a redirect to it")
        if self._wide:
            for image in self._tx.removals.led_from([capture.id], Role.IMAGE):
                self._add_image(image)

    def _add_image(self, image: Capture) -> None:
        """An image, unless another article shows it too."""
        others = {m.row_id for m in self._tx.images.by_payload(image.payload_digest or "") if m.row_id is not None}
        articles = {v.article_id for v, _ in self.closure.versions.values()}
        rows = [self._tx.articles.by_row(row_id) for row_id in others]
        if all(row is None or row.article_id in articles for row in rows):
            self.add_capture(image, "an image of it")

    def _widen(self) -> None:
        """Until nothing more is found."""
        closure = self.closure
        while self._wide:
            before = (len(closure.captures), len(closure.versions))
            self._same_payload()
            self._same_article()
            for image in self._tx.removals.pictures_of(closure.versions):
                self._add_image(image)
            if closure.scope == "text":
                self._same_text()
            if before == (len(closure.captures), len(closure.versions)):
                return

    def _same_payload(self) -> None:
        known = [capture for capture, _ in self.closure.captures.values()]
        # An empty payload, or one of an image or error page that many share, is no copy of the article.
        digests = {c.payload_digest for c in known if c.payload_digest and c.payload_length and _speaks(c)}
        for capture in self._tx.removals.with_payload(digests):
            self.add_capture(capture, "the same payload")

    def _same_article(self) -> None:
        for article_id in {version.article_id for version, _ in self.closure.versions.values()}:
            for row in self._tx.articles.versions(article_id):
                self.add_version(row, "a version of it", deep=True)
        urls = self.addresses()
        for capture in self._tx.removals.of_urls(urls, OWN):
            self.add_capture(capture, "of its address")
        for capture in self._tx.removals.leading_to(urls):
            if capture.role in OWN:
                self.add_capture(capture, "a redirect to it")

    def _same_text(self) -> None:
        for row, share in self._sharing():
            if share >= SAME:
                self.add_version(row, "the same text elsewhere", deep=True)

    def addresses(self) -> set[str]:
        """The addresses of what goes, by which it could come again."""
        found: set[str] = set()
        for capture, _ in self.closure.captures.values():
            if capture.role in OWN and capture.id not in self.closure.extras:
                found |= {capture.url, *([capture.item_url] if capture.item_url else [])}
        for version, _ in self.closure.versions.values():
            if self._wide or version.capture_id in self.closure.captures:
                found |= {version.url, version.canonical_url}
        return found

    # -- what quotes it

    def quotes(self) -> None:
        """Pages that the trace index names, and lists and other pages that share a run of letters or an address."""
        texts = [version.text for version, _ in self.closure.versions.values()]
        pieces = [piece for text in texts for piece in _pieces(letters(text), QUOTE)]
        found = [
            Quote(
                id=row.article_id,
                kind="article",
                url=row.url,
                how="text",
                captures=tuple(self._tx.articles.sightings(row.row_id or 0)),
            )
            for row, share in self._sharing()
            if share >= SAME or any(piece in letters(row.text) for piece in pieces)
        ]
        addresses = {form for url in self.addresses() for form in _forms(url)}
        for capture in self._tx.removals.lists() if pieces or addresses else ():
            if capture.id not in self.closure.captures and (how := self._quotes(capture, pieces, addresses)):
                found.append(
                    Quote(id=capture.id, kind=capture.role.value, url=capture.url, how=how, captures=(capture.id,))
                )
        self.closure.quotes = list({quote.id: quote for quote in found}.values())

    def _quotes(self, capture: Capture, pieces: Iterable[str], addresses: Iterable[str]) -> str | None:
        try:
            body, _ = self._archive.entity(capture)
        except (InvalidValue, NotFound, DamageError, ServiceError):
            return None  # not to be read: the audit tells
        text = body.decode("utf-8", "replace")
        own = normalise(text, markup=True).letters
        if any(piece in own for piece in pieces):
            return "text"
        return "link" if any(address in text for address in addresses) else None

    def _sharing(self) -> list[tuple[VersionRow, float]]:
        """Versions outside the closure that share letters with one in it, each with the share of its pieces held."""
        found: dict[int, tuple[VersionRow, float]] = {}
        for version, _ in list(self.closure.versions.values()):
            own = letters(version.text)
            pieces = _pieces(own)
            if not pieces:
                continue
            same = self._tx.removals.versions_like(version.text_sha256)
            asked = self._archive.traces.candidates(self._tx, own, MAX_CANDIDATES)
            candidates = [candidate.row_id for candidate in asked.found]
            for row_id in dict.fromkeys([*same, *candidates]):
                row = self._tx.articles.by_row(row_id)
                if row is None or row_id in self.closure.versions:
                    continue
                other = letters(row.text)
                share = sum(piece in other for piece in pieces) / len(pieces)
                if share > found.get(row_id, (row, 0.0))[1]:
                    found[row_id] = (row, share)
        return sorted(found.values(), key=lambda pair: pair[0].log_index)


def include(archive: Archive, closure: Closure, quotes: Iterable[Quote]) -> None:
    """Let what quotes it go, too; addresses of lists are not blocked for it."""
    with archive.catalog.read() as tx:
        finder = _Finder(archive, tx, closure)
        finder._wide = False
        for quote in quotes:
            before = set(closure.captures)
            for capture_id in quote.captures:
                capture = tx.captures.get(capture_id)
                if capture is not None:
                    finder.add_capture(capture, "quotes it, and goes by choice")
            closure.extras |= set(closure.captures) - before


def _speaks(capture: Capture) -> bool:
    return capture.status is not None and 200 <= capture.status < 300


def _pieces(value: str, length: int = PIECE) -> list[str]:
    """Pieces of so many letters, STEP apart; of a shorter text the whole, where it has PIECE letters."""
    if PIECE <= len(value) < length:
        return [value]
    return [value[at : at + length] for at in range(0, len(value) - length + 1, STEP)]


def _forms(url: str) -> list[str]:
    """How an address stands in lists: without its scheme, or as a quoted path of its own site."""
    try:
        parts = urlsplit(article_key(url))
    except InvalidValue:
        return []
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return [] if path == "/" else [f"{parts.netloc}{path}", f'"{path}"', f"'{path}'"]


def _edition(text: str) -> tuple[str, str | None]:
    name, _, version = text.partition("/")
    return name, version or None
