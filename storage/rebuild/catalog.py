"""The catalog anew from the evidence alone: the log's tiles, the sealed segments, this folder's open ones.

The old catalog is not read. Records give the rows of records; the log, entry by entry and with its indices
kept, gives captures, article versions, outlets, segments and snapshots in the order in which they came to
be; what was kept but never logged gets an entry of its own at the end. All in one transaction, on SQLite in
a new file that takes the old one's place when it is whole. The frontier, and articles seen again, are left
to the journey (`ingest.pipeline`), which reads captures; mending open segments is left to
`storage.recovery`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from schemas.articles import Article, content_key
from schemas.captures import Capture
from schemas.entries import Entry, article_entry, outlet_entry, segment_entry
from schemas.errors import ArchiveMissing, DamageError, InvalidValue, NotFound
from schemas.instants import to_micros
from schemas.merkle import leaf_hash
from storage import events, imports
from storage.archive import KEY_FILE, TRACE_FOLDER, StorageSettings
from storage.blocklist import BlockList
from storage.catalog import Catalog, EntryRow, RecordRow, SnapshotRow, Tx, swap_in
from storage.derived import entry_of, import_entry_of, version_row
from storage.disk import disk_errors
from storage.events import Event
from storage.fingerprints import TraceIndex, index_version
from storage.log import append
from storage.log.anchors import TIMESTAMPS, reload_anchors
from storage.log.signing import open_key
from storage.log.tree import KEY_SUBJECT
from storage.rebuild.evidence import Evidence
from storage.rebuild.log import StoredLog, read_log
from storage.rebuild.redactions import Redactions
from storage.redaction.restrict import apply as apply_restriction
from storage.redaction.restrict import subject_of
from storage.segments import hash_stream, object_key
from storage.stores import open_store
from storage.warc import read_member

#: Sentences kept on what is wrong; the rest is counted. A damaged disk can have millions.
MAX_PROBLEMS: Final = 100


@dataclass(kw_only=True, slots=True)
class RebuildReport:
    """What the new catalog holds. `str()` is one line for people."""

    records: int = 0
    entries: int = 0  # in the log, new ones included
    appended: int = 0  # events that were kept but never logged, and are now
    captures: int = 0
    versions: int = 0
    segments: int = 0
    snapshots: int = 0
    lost: int = 0  # log entries and places in segments from which nothing could be made
    problems: list[str] = field(default_factory=list)  # the first of those, in sentences

    def __str__(self) -> str:
        text = (
            f"{self.records} records in {self.segments} segments, {self.entries} log entries ({self.appended} new), "
            f"{self.captures} captures, {self.versions} article versions, {self.snapshots} snapshots"
        )
        return f"{text}; {self.lost} could not be made anew, run `pressmark audit`" if self.lost else text

    def problem(self, sentence: str) -> None:
        """Note something that could not be made anew."""
        self.lost += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(sentence)


def rebuild(settings: StorageSettings, *, say: Callable[[str], None] = lambda sentence: None) -> RebuildReport:
    """Make the catalog anew and put it in the old one's place; damage in segments is told and passed over.

    Raises ArchiveMissing, ArchiveLocked where a process still writes a segment, DamageError where the log
    itself cannot be read whole (the old catalog stays), StoreError, CatalogError, DiskError.
    """
    if not (settings.directory / KEY_FILE).exists():
        raise ArchiveMissing(f"{settings.directory} holds no archive", remedy="name another with --archive")
    store = open_store(settings.objects_url)
    evidence = Evidence(settings.directory / "open", store)
    evidence.refuse_writers()
    _, vkey = open_key(settings.directory / KEY_FILE, passphrase=settings.passphrase)
    log = read_log(store, vkey, settings.origin)
    with _new_catalog(settings.catalog_url) as catalog, catalog.begin() as tx:
        work = _Rebuild(tx, evidence, BlockList(settings.directory), say)
        work.run(log, settings.origin)
        reload_anchors(store, tx)
    with Catalog.open(settings.catalog_url) as catalog:
        traces = TraceIndex(catalog, store, settings.directory / TRACE_FOLDER, settings.clock)
        traces.fold()
        traces.sweep()
    for sentence in work.report.problems:
        say(sentence)
    return work.report


@contextmanager
def _new_catalog(url: str) -> Iterator[Catalog]:
    """An empty catalog that replaces the old one if the body succeeds: a new file, or the emptied tables."""
    scheme, _, name = url.partition(":///")
    if scheme != "sqlite":
        try:
            catalog = Catalog.open(url)
        except ArchiveMissing:
            catalog = Catalog.create(url)
        with catalog:
            yield catalog
        return
    path = Path(name)
    new = path.with_name(path.name + ".rebuilding")
    with disk_errors(f"cannot make {new}"):
        for suffix in ("", "-wal", "-shm"):  # of a rebuild that was stopped
            Path(f"{new}{suffix}").unlink(missing_ok=True)
    with Catalog.create(f"sqlite:///{new}") as catalog:
        yield catalog
    swap_in(new, path)


class _Rebuild:
    """One run, in one transaction."""

    def __init__(
        self, tx: Tx, evidence: Evidence, blocklist: BlockList, say: Callable[[str], None]
    ) -> None:
        self._tx, self._evidence, self._blocklist, self._say = tx, evidence, blocklist, say
        self._latest = 0  # date of the last capture in the log's order: what follows was made after it
        self.report = RebuildReport()

    def run(self, log: StoredLog, origin: str) -> None:
        """Records, then what the log says of them, then what it does not say."""
        self._tx.clear()
        self._redactions = Redactions(self._tx, self._evidence.store, log, self.report.problem)
        names = self._evidence.names()
        for name, _ in names:
            self._add_records(name)
        self._load(log, origin)
        for name, stored in names:
            self._add_unlogged(name)
            if stored:
                self._seal_unlogged(name)
        self.report.segments = len(self._tx.segments.all())
        self.report.entries = self._tx.log.state().next_index

    def _add_records(self, name: str) -> None:
        """Rows of a segment and its records; none for an event that is not whole, as at deposit."""
        kind, stamp, worker, _ = name.split("-")
        created = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        self._tx.segments.add(name, kind, worker, to_micros(created))
        for event in self._evidence.events(name, self.report.problem):
            rows = event.rows()
            self._tx.records.add(rows)
            self.report.records += len(rows)
            self._note_tombstone(event)
            target = rows[0].target_uri or ""
            if event.kind == "other" and target.startswith(events.CHAIN_URN):
                self._tx.meta.set(events.CHAIN_META + target.removeprefix(events.CHAIN_URN), rows[0].record_id)
        self._say(f"read segment {name}")

    # -- what the log says

    def _load(self, log: StoredLog, origin: str) -> None:
        self._tx.log.set_origin(origin)
        for first, bodies in log.pages():
            rows = []
            for index, body in enumerate(bodies, first):
                entry = Entry.decode(body)
                subject = self._apply(index, entry)
                rows.append(EntryRow(index=index, type=entry.type, body=body, leaf=leaf_hash(body), subject=subject))
            self._tx.log.load_many(rows)
        if log.head is not None and log.note is not None:
            epoch = self._tx.log.state().epoch
            self._tx.log.commit_tree(size=log.head.size, root=log.head.root, epoch=epoch)
            self._tx.log.set_checkpoint(log.note.decode(), log.head.size)

    def _note_tombstone(self, event: Event) -> None:
        for view, ref in event.records:
            self._redactions.found(view, ref)

    def _apply(self, index: int, entry: Entry) -> str | None:
        """Make the rows that an entry speaks of; its subject."""
        if self._redactions.names(entry):
            return self._redactions.describe(index, entry)
        if entry.type in ("capture", "attempt", "import", "article", "outlet"):
            return self._apply_event(index, entry)
        if entry.type == "segment":
            self._apply_segment(entry)
        elif entry.type == "snapshot":
            return self._apply_snapshot(index, entry)
        elif entry.type == "loss":
            self._lost(entry.fields["name"])
        elif entry.type == "key":
            return KEY_SUBJECT
        elif entry.type == "time":
            return f"{TIMESTAMPS}{entry.fields['size']}/{entry.fields.get('authority', '')}"
        elif entry.type == "restriction":
            return self._apply_restriction(index, entry)
        name = entry.fields.get("name")
        return name if isinstance(name, str) else None

    def _apply_event(self, index: int, entry: Entry) -> str | None:
        row = self._tx.records.by_digest(next(iter(entry.records.values())))
        if row is None or row.event_id is None:
            self.report.problem(f"log entry {index} ({entry.type}) speaks of records that are in no segment")
            return None
        try:
            event = self._event(row.event_id)
            if event.digests() != entry.records:
                raise InvalidValue("its records are not those of one event")
            self._add(event, index)
        except (InvalidValue, DamageError, NotFound) as error:
            self.report.problem(f"log entry {index} ({entry.type}): {error.message}")
        return row.event_id

    def _event(self, event_id: str) -> Event:
        """Read the records of an event. Raises DamageError, InvalidValue."""
        records = []
        for row in self._tx.records.of_event(event_id):
            member = self._evidence.read(row.segment, row.offset, row.length)
            stored = read_member(member, name=row.segment, offset=row.offset)
            records.append((stored, stored.ref))
        found = list(events.group(records))
        if len(found) != 1 or found[0].id != event_id:
            raise InvalidValue(f"the records of event {event_id} are not one event")
        return found[0]

    def _add(self, event: Event, index: int) -> None:
        """The catalog row of an event whose entry has this index. Raises InvalidValue, NotFound."""
        if event.kind == "capture":
            capture = self._tx.captures.add(replace(events.capture_of(event), log_index=index))
            self._latest = max(self._latest, to_micros(capture.date))
            self.report.captures += 1
        elif event.kind == "article":
            self._add_version(event, index)
        elif event.kind == "outlet":
            self._tx.outlets.put(events.outlet_change_of(event).outlet)
        elif event.kind == "import":
            self._tx.meta.set(*imports.note_of(event.records[-1][0].block))

    def _add_version(self, event: Event, index: int) -> None:
        article, capture, _ = self._derived(event)
        identity = article.extractor.identity
        if self._tx.articles.find_version(article.id, identity, content_key(article)) is not None:
            return  # two workers read the same page at once, and one came first
        number = self._blocklist.next_version(self._tx, article.id, identity)
        row = self._tx.articles.add_version(version_row(event, article, capture, number, index))
        assert row.row_id is not None
        self._tx.captures.set_extraction(capture.id, "done", None, identity)
        index_version(self._tx, row.row_id, article.text)
        self._tx.images.add_photos(row.row_id, ((photo.position, photo.url) for photo in article.photos))
        self.report.versions += 1

    def _derived(self, event: Event) -> tuple[Article, Capture, RecordRow]:
        """The article of a conversion, the capture that it was made from, and that capture's main record."""
        view = event.records[-1][0]
        capture_id = view.header("WARC-Refers-To") or ""
        capture, main = self._tx.captures.get(capture_id), self._tx.records.get(capture_id)
        if capture is None or main is None:
            raise NotFound(f"conversion {event.id} refers to {capture_id}, which is no capture here")
        return Article.from_block(view.block), capture, main

    def _apply_restriction(self, index: int, entry: Entry) -> str | None:
        row = self._tx.records.by_digest(entry.records.get("resource", ""))
        try:
            if row is None:
                raise NotFound("the record that says for what it holds is in no segment")
            member = self._evidence.read(row.segment, row.offset, row.length)
            subject = subject_of(read_member(member, name=row.segment, offset=row.offset).block)
        except (InvalidValue, DamageError, NotFound) as error:
            self.report.problem(f"log entry {index} (restriction): {error.message}")
            return None
        apply_restriction(self._tx, index, entry, subject)
        return subject

    def _apply_segment(self, entry: Entry) -> None:
        name = entry.fields["name"]
        if name.startswith(imports.PREFIX):
            return  # a copy of an imported file, rewritten by a redaction
        self._known(name)
        self._tx.segments.sealed(
            name, object_key=object_key(name), length=entry.fields["length"], sha256=entry.fields["sha256"]
        )

    def _lost(self, name: str) -> None:
        if self._tx.segments.get(name) is None:  # it may have come back
            self._known(name)
            self._tx.segments.lost(name)

    def _known(self, name: str) -> None:
        """A row for a segment that the log names and that stands nowhere."""
        if self._tx.segments.get(name) is None:
            kind, stamp, worker, _ = name.split("-")
            created = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            self._tx.segments.add(name, kind, worker, to_micros(created))

    def _apply_snapshot(self, index: int, entry: Entry) -> str:
        name, version = entry.fields["name"], entry.fields["version"]
        prefix = f"snapshots/{name}/{version}/"
        try:
            manifest = json.loads(self._evidence.store.get(prefix + "manifest.json"))
            tree_size = int(manifest["tree_size"])
        except (NotFound, ValueError, KeyError, TypeError) as error:
            self.report.problem(f"the manifest of snapshot {name}/{version} cannot be read: {error}")
            tree_size = 0
        self._tx.snapshots.add(
            SnapshotRow(
                name=name,
                version=version,
                tree_size=tree_size,
                root=entry.fields["root"],
                manifest_sha256=entry.fields["manifest"],
                rows=entry.fields["rows"],
                created=self._latest,
                log_index=index,
                prefix=prefix,
            )
        )
        if "supersedes" in entry.fields:
            self._tx.snapshots.supersede(entry.fields["supersedes"], index)
        self.report.snapshots += 1
        return f"{name}/{version}"

    # -- what the log does not say

    def _add_unlogged(self, name: str) -> None:
        """Entries and rows for events that are durable and were never logged."""
        seen: set[str] = set()
        for row in self._tx.records.in_segment(name):
            if row.event_id is None or row.event_id in seen:
                continue
            if self._tx.redactions.by_digest(row.digest) is not None:
                continue  # an unredacted copy: it is erased again at the next start
            seen = {row.event_id}  # records of one event stand together
            if self._tx.log.find(row.event_id) is None:
                self._log_event(row.event_id)

    def _log_event(self, event_id: str) -> None:
        try:
            event = self._event(event_id)
            if event.kind == "article" and self._is_known(event):
                return
            entry = self._entry(event)
            self._add(event, append(self._tx, entry, subject=event_id))
            self.report.appended += 1
        except (InvalidValue, DamageError, NotFound) as error:
            self.report.problem(f"event {event_id}: {error.message}")

    def _is_known(self, event: Event) -> bool:
        article, _, _ = self._derived(event)
        identity = article.extractor.identity
        return self._tx.articles.find_version(article.id, identity, content_key(article)) is not None

    def _entry(self, event: Event) -> Entry:
        if event.kind == "article":
            _, _, main = self._derived(event)
            return article_entry(conversion=event.digests()["conversion"], capture=main.digest)
        if event.kind == "outlet":
            return outlet_entry(change=events.outlet_change_of(event).change, resource=event.digests()["resource"])
        if event.kind == "import":
            return import_entry_of(event)
        return entry_of(event, events.capture_of(event))

    def _seal_unlogged(self, name: str) -> None:
        """A segment that was put to the store and never logged: a stop came between."""
        row = self._tx.segments.get(name)
        if row is not None and row.state == "sealed":
            return
        with self._evidence.store.open(object_key(name)) as stream:
            sha256, length = hash_stream(stream)
        append(self._tx, segment_entry(name=name, length=length, sha256=sha256), subject=name)
        self._tx.segments.sealed(name, object_key=object_key(name), length=length, sha256=sha256)
