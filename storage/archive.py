"""The front door of an archive: open, deposit, derive, read.

Holds the write order (principle 2 of the design): records are synced before their catalog rows are committed, rows and
log entries are committed together, entries are integrated before a checkpoint is signed. What the records look like is
left to `storage.events`, what log and catalog hold of them to `storage.derived`, where segments stand to
`storage.segments`, what a restart mends to `storage.recovery`, proofs to `storage.evidence`.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from schemas.articles import Article, content_key
from schemas.captures import Capture, Context, Ending, Exchange
from schemas.checkpoints import Checkpoint, VerifierKey
from schemas.entries import Entry, article_entry, outlet_entry
from schemas.errors import ArchiveMissing, InvalidValue, NotFound, UsageError
from schemas.http1 import ResponseView, parse_response
from schemas.instants import to_micros
from schemas.outlets import Outlet, OutletChange
from storage import codings, events, imports
from storage.blobs import BlobStore
from storage.blocklist import BlockList
from storage.catalog import Catalog, Tx
from storage.catalog.values import ImageRow, VersionRow
from storage.derived import entry_of, import_entry_of, version_row
from storage.disk import disk_errors
from storage.events import DraftView, Event
from storage.lock import Presence
from storage.log.sequencer import append, put_many
from storage.log.signing import Signer, open_key
from storage.log.tree import Log
from storage.segments import Segments
from storage.stores import open_store
from storage.warc import Draft, Stored, read_member

if TYPE_CHECKING:
    from storage.fingerprints import TraceIndex

#: Bytes that a response may expand to when its content-encoding is undone, unless settings say otherwise.
MAX_ENTITY: Final = 64 * 1024 * 1024
KEY_FILE: Final = Path("keys") / "log.key"
#: The newest checkpoint that was signed here: what catalog and store, brought back from a backup, may not know.
CHECKPOINT_FILE: Final = Path("keys") / "checkpoint"
WORKER_FILE: Final = "worker"
LIVE_FOLDER: Final = "live"
TRACE_FOLDER: Final = Path("cache") / "fingerprints"


def system_clock() -> datetime:
    """Now, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageSettings:
    """What storage needs to know; where it comes from is left to `ops.settings`."""

    directory: Path
    catalog_url: str
    objects_url: str
    mirror_url: str = ""  # of a second store that comes to hold all that the first holds; empty: none
    origin: str  # name of the log and of its key
    segment_max_bytes: int = 1_000_000_000  # bytes of a segment file
    segment_max_age: float = 3600.0  # seconds
    max_entity: int = MAX_ENTITY  # bytes of a body after content-decoding
    warcinfo: Mapping[str, str] = field(default_factory=dict)  # operator, contact, software, vantage
    passphrase: str | None = field(default=None, repr=False)  # of the log key
    clock: Callable[[], datetime] = system_clock


class Archive:
    """An opened archive. Methods may be called from any thread; those that write hold one lock."""

    def __init__(
        self,
        settings: StorageSettings,
        catalog: Catalog,
        store: BlobStore,
        signer: Signer | None,
        vkey: VerifierKey | None = None,
    ) -> None:
        """Without a signer nothing can be logged for good: `vkey` then says what the log's public key is."""
        if vkey is None:
            assert signer is not None
            vkey = signer.vkey
        self.settings = settings
        self.directory = settings.directory
        self.clock = settings.clock
        self.catalog, self.store = catalog, store
        self.worker = _worker_id(settings.directory)
        self.vkey: VerifierKey = vkey
        self.may_sign = signer is not None
        self.holder = f"{self.worker}-{secrets.token_hex(4)}"  # names this process in leases
        self.presence = Presence(settings.directory / LIVE_FOLDER, worker=self.worker, holder=self.holder)
        self.log = Log(
            store,
            catalog,
            origin=settings.origin,
            signer=signer,
            holder=self.holder,
            vkey=vkey,
            kept=settings.directory / CHECKPOINT_FILE,
        )
        self.segments = Segments(
            settings.directory,
            store,
            catalog,
            worker=self.worker,
            info=settings.warcinfo,
            clock=settings.clock,
            max_bytes=settings.segment_max_bytes,
            max_age=settings.segment_max_age,
        )
        self.blocklist = BlockList(settings.directory)
        self._traces: TraceIndex | None = None
        self._unfolded = 0  # versions added since the index was last asked whether it should fold
        self._lock = threading.RLock()
        self._chains: set[bytes] = set()  # SHA-256 of certificate chains that are known to be stored

    @classmethod
    def create(cls, settings: StorageSettings) -> Archive:
        """Make the log key and an empty catalog. Raises UsageError where there is one already."""
        path = settings.directory / KEY_FILE
        if path.exists():
            raise UsageError(f"{settings.directory} holds an archive already", remedy="choose another folder")
        with disk_errors(f"cannot make {path.parent}"):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = open_store(settings.objects_url)
        signer = Signer.create(path, settings.origin, passphrase=settings.passphrase)
        return cls(settings, Catalog.create(settings.catalog_url), store, signer)

    @classmethod
    def open(cls, settings: StorageSettings) -> Archive:
        """Open what `create` made. Raises ArchiveMissing, CatalogNewer, ServiceError."""
        path = settings.directory / KEY_FILE
        if not path.exists() and path.parent.is_dir():
            raise ArchiveMissing(
                f"the log key {path} is missing",
                remedy="bring it back from a backup; if it is lost for good, see `pressmark log new-origin --help`",
            )
        if not path.exists():
            raise ArchiveMissing(
                f"{settings.directory} holds no archive",
                remedy="run `pressmark init` or name another with --archive",
            )
        store = open_store(settings.objects_url)
        signer, vkey = open_key(path, passphrase=settings.passphrase)
        return cls(settings, Catalog.open(settings.catalog_url), store, signer, vkey)

    def mirror(self) -> BlobStore | None:
        """The mirror, opened; None where none is set. Raises StoreError, DiskError where it cannot be reached."""
        return open_store(self.settings.mirror_url) if self.settings.mirror_url else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of files and connections; open segments stay as they are and are sealed at the next start."""
        self.segments.close()
        self.catalog.close()
        self.presence.close()

    @property
    def traces(self) -> TraceIndex:
        """The trace index, made when first asked for: numpy is a large import, and many a process needs none."""
        with self._lock:
            if self._traces is None:
                from storage.fingerprints import TraceIndex

                clock = self.settings.clock
                self._traces = TraceIndex(self.catalog, self.store, self.directory / TRACE_FOLDER, clock)
            return self._traces

    # -- writing ---------------------------------------------------------------------------------------------------

    def deposit(self, batch: Sequence[tuple[Exchange, Context]]) -> list[Capture]:
        """Keep exchanges: records, one sync, then rows and log entries in one transaction.

        On return every one of them is acknowledged: it survives kill -9. Raises DiskError, CatalogError.
        """
        with self._lock:
            answers = [events.payload_of(exchange) for exchange, _ in batch]
            originals = self._originals(batch, answers)
            made: list[Event] = []
            for (exchange, context), answer, original in zip(batch, answers, originals, strict=True):
                self._keep_chain(exchange)
                made.append(self._write("warc", events.views_for(exchange, context, answer, original)))
            self.segments.sync("warc")
            return self.acknowledge(made)

    def acknowledge(self, made: Sequence[Event]) -> list[Capture]:
        """Commit rows and log entries of capture events whose records are durable."""
        with self.catalog.begin() as tx:
            index, seq = tx.log.reserve(len(made), captures=len(made))
            captures = [events.capture_of(e, seq=seq + n, log_index=index + n) for n, e in enumerate(made)]
            put_many(tx, index, [(entry_of(e, c), c.id) for e, c in zip(made, captures, strict=True)])
            tx.records.add([row for event in made for row in event.rows()])
            tx.captures.put(captures)
        return captures

    def write_alone(self, draft: Draft) -> Event:
        """Keep one record of the `warc` segment, durable on return; its rows and what speaks of it are the caller's."""
        with self._lock:
            event = self._write("warc", [DraftView(draft)])
            self.segments.sync("warc")
            return event

    def _write(self, kind: str, views: Sequence[DraftView]) -> Event:
        refs = self.segments.append(kind, [view.draft for view in views])
        (event,) = events.group(zip(views, refs, strict=True))
        return event

    def _originals(
        self, batch: Sequence[tuple[Exchange, Context]], answers: Sequence[events.Answer | None]
    ) -> list[Capture | None]:
        """For each exchange the capture that its revisit record will point at, or None."""
        found: list[Capture | None] = [None] * len(batch)
        wanted: dict[int, tuple[str, str]] = {}  # place in the batch -> (payload digest, URL)
        asked: dict[int, str] = {}  # place in the batch -> the capture whose validators were sent
        for n, ((exchange, context), answer) in enumerate(zip(batch, answers, strict=True)):
            if answer is None or exchange.ending is not Ending.COMPLETE or answer.view.status is None:
                continue
            if answer.view.status == 304 and context.refers_to is not None:
                asked[n] = context.refers_to
            elif 200 <= answer.view.status < 300 and answer.length:
                wanted[n] = (str(answer.digest), exchange.url)
        if not wanted and not asked:
            return found
        with self.catalog.read() as tx:
            for n, capture_id in asked.items():
                found[n] = _resolved(tx.captures.get(capture_id), tx.captures.get)
            for n, original in zip(wanted, tx.records.originals_for(list(wanted.values())), strict=True):
                found[n] = original
        return found

    def _keep_chain(self, exchange: Exchange) -> None:
        """Store a certificate chain as a record of its own the first time that it is seen."""
        if not exchange.certificates:
            return
        key = hashlib.sha256(b"".join(exchange.certificates)).digest()
        if key in self._chains:
            return
        name = events.chain_digest(exchange.certificates)
        with self.catalog.read() as tx:
            known = tx.meta.get(f"{events.CHAIN_META}{name}") is not None
        self._chains.add(key)
        if known:
            return
        draft = events.chain_draft(exchange.certificates, exchange.started)
        (ref,) = self.segments.append("warc", [draft])
        self.segments.sync("warc")
        with self.catalog.begin() as tx:
            tx.records.add([events.record_row(DraftView(draft), ref, None)])
            tx.meta.set(f"{events.CHAIN_META}{name}", ref.record_id)

    def deposit_article(self, article: Article, capture: Capture) -> tuple[VersionRow, bool]:
        """Keep what was extracted from a capture: a new version, or a sighting of a known one (second value False)."""
        with self._lock:
            identity = article.extractor.identity
            with self.catalog.begin() as tx:
                known = tx.articles.find_version(article.id, identity, content_key(article))
                if known is not None and known.row_id is not None:
                    tx.articles.add_sighting(known.row_id, capture.id, to_micros(capture.date))
                    tx.captures.set_extraction(capture.id, "done", None, identity)
                    return known, False
            event = self._write("text", [DraftView(events.conversion_draft(article, capture, self.clock()))])
            self.segments.sync("text")
            row = self.acknowledge_article(event, article, capture)
            from storage.fingerprints import FOLD

            if self._unfolded >= FOLD:
                self.fold()
            return row, True

    def fold(self) -> int:
        """Make sealed segments of the trace index where enough versions came together; how many versions."""
        with self._lock:
            self._unfolded = 0
            return self.traces.fold()

    def acknowledge_article(self, event: Event, article: Article, capture: Capture) -> VersionRow:
        """Commit row, log entry, sighting and fingerprints of a conversion whose record is durable."""
        with self.catalog.begin() as tx:
            tx.log.lock()  # from here no other process can add the same version
            known = tx.articles.find_version(article.id, article.extractor.identity, content_key(article))
            if known is not None and known.row_id is not None:  # another worker was quicker: our record stays unused
                tx.records.add(event.rows())
                tx.articles.add_sighting(known.row_id, capture.id, to_micros(capture.date))
                tx.captures.set_extraction(capture.id, "done", None, article.extractor.identity)
                return known
            main = next(r for r in tx.captures.records_of(capture.id) if r.record_id == capture.id)
            entry = article_entry(conversion=event.digests()["conversion"], capture=main.digest)
            index = append(tx, entry, subject=event.id)
            tx.records.add(event.rows())
            number = self.blocklist.next_version(tx, article.id, article.extractor.identity)
            row = tx.articles.add_version(version_row(event, article, capture, number, index))
            assert row.row_id is not None
            tx.captures.set_extraction(capture.id, "done", None, article.extractor.identity)
            from storage.fingerprints import index_version

            index_version(tx, row.row_id, article.text)
            tx.images.add_photos(row.row_id, ((photo.position, photo.url) for photo in article.photos))
        self._unfolded += 1
        return row

    def extraction_failed(self, capture: Capture, code: str, extractor: str) -> None:
        """Remember that a capture gave no article, and why."""
        with self._lock, self.catalog.begin() as tx:
            tx.captures.set_extraction(capture.id, "failed", code, extractor)

    def note_image(self, row: ImageRow) -> None:
        """Remember what was read in a captured image: derived, like the trace index, and made anew from the bytes."""
        with self._lock, self.catalog.begin() as tx:
            tx.images.add(row)
            tx.captures.set_extraction(row.capture_id, "done", None, row.reader)

    def deposit_imports(self, drafts: Sequence[Draft]) -> int:
        """Keep metadata records on a stranger's file and on captures in it (`storage.imports`); how many were new.

        The file itself must be durable. What is known already, by record id or file digest, is left out.
        """
        with self._lock:
            with self.catalog.read() as tx:
                new = [draft for draft in drafts if not _is_known(tx, draft)]
            if not new:
                return 0
            made = [self._write("warc", [DraftView(draft)]) for draft in new]
            self.segments.sync("warc")
            if captured := [event for event in made if event.kind == "capture"]:
                self.acknowledge(captured)
            for event in made:
                if event.kind == "import":
                    self.acknowledge_import(event)
        return len(new)

    def acknowledge_import(self, event: Event) -> None:
        """Commit rows and log entry of a metadata record on a stranger's file, which is durable."""
        with self.catalog.begin() as tx:
            append(tx, import_entry_of(event), subject=event.id)
            tx.records.add(event.rows())
            tx.meta.set(*imports.note_of(event.records[-1][0].block))

    def record_outlet(self, change: OutletChange) -> Outlet:
        """Keep a change of the watch list as record, entry and row."""
        with self._lock:
            event = self._write("warc", [DraftView(events.outlet_draft(change))])
            self.segments.sync("warc")
            return self.acknowledge_outlet(event)

    def acknowledge_outlet(self, event: Event) -> Outlet:
        """Commit row and log entry of an outlet change whose record is durable."""
        change = events.outlet_change_of(event)
        with self.catalog.begin() as tx:
            append(
                tx, outlet_entry(change=change.change, resource=event.digests()["resource"]), subject=event.id
            )
            tx.records.add(event.rows())
            tx.outlets.put(change.outlet)
        return change.outlet

    def refused(
        self, *urls: str | None, payload: str | None = None, text: str | None = None
    ) -> int | None:
        """Index of the redaction for which something must not come in again; None where it may.

        `payload` is a payload digest, `text` the digest of an article's text in hex. Raises DamageError, CatalogError.
        """
        with self.catalog.read() as tx:
            return self.blocklist.refused(tx, urls=urls, payload=payload, text=text)

    def rotate(self, *, force: bool = False) -> list[str]:
        """Seal and store segments that are due (all, with `force`); their names. Raises DiskError, StoreError."""
        with self._lock:
            return self.segments.rotate(force=force)

    def integrate(self) -> Checkpoint | None:
        """Put pending log entries into tiles and publish a checkpoint; None where nothing is new."""
        with self._lock:
            return self.log.integrate(self.clock())

    def record_audit(self, counts: Mapping[str, int]) -> None:
        """Log what an audit of this archive has looked at and found; `size` is the tree size that it read."""
        with self._lock, self.catalog.begin() as tx:
            append(tx, Entry(type="audit", fields=dict(counts)), subject=None)

    def seal(self) -> Checkpoint | None:
        """Seal all that is open and publish: the end of a command that wrote."""
        with self._lock:
            self.rotate(force=True)
            self.fold()
            return self.integrate()

    # -- reading ---------------------------------------------------------------------------------------------------

    def member(self, record_id: str) -> bytes:
        """The gzip member of a record as it stands. Raises NotFound, DamageError."""
        with self.catalog.read() as tx:
            row = tx.records.get(record_id)
        if row is None:
            raise NotFound(
                f"no record {record_id} in this archive", remedy="give the id that `articles` or `log` prints"
            )
        return self.segments.member(row)

    def read(self, record_id: str) -> Stored:
        """One record, read from its segment. Raises NotFound, DamageError."""
        with self.catalog.read() as tx:
            row = tx.records.get(record_id)
        if row is None:
            raise NotFound(
                f"no record {record_id} in this archive", remedy="give the id that `articles` or `log` prints"
            )
        return read_member(self.segments.member(row), name=row.segment, offset=row.offset)

    def response(self, capture: Capture) -> ResponseView:
        """The answer of a capture, a revisit with the body of its original. Raises NotFound, DamageError."""
        if capture.kind == "attempt":
            raise NotFound(f"{capture.id} is an attempt ({capture.ending}): it has no response")
        if capture.kind == "import":
            return self._imported(capture)
        view = parse_response(self.read(capture.id).block)
        if capture.kind != "revisit" or capture.refers_to is None:
            return view
        original = parse_response(self.read(capture.refers_to).block)
        if view.status == 304:
            return original
        return replace(original, headers=view.headers, head=view.head, status=view.status)

    def _imported(self, capture: Capture) -> ResponseView:
        """The answer in a stranger's file; of a revisit with the body of its original, where that is here."""
        view = parse_response(imports.read_block(self.store, self.read(capture.id).block))
        if capture.refers_to is None:
            return view
        with self.catalog.read() as tx:
            original = tx.captures.get(capture.refers_to)
        if original is None or original.refers_to is not None:
            raise NotFound(f"the original of the imported revisit {capture.id} is not here", remedy="import it too")
        held = self.response(original)
        if view.status is None or view.status == 304:
            return held
        return replace(held, headers=view.headers, head=view.head, status=view.status)

    def entity(self, capture: Capture) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """The body of a capture after content-decoding, and its headers.

        Raises NotFound for an attempt, InvalidValue where the body is coded in a way that cannot be undone or is larger
        than `max_entity`, DamageError.
        """
        view = self.response(capture)
        data, cut = codings.decode(view, self.settings.max_entity)
        if cut not in (None, "not-encoded"):
            raise InvalidValue(f"the body of {capture.id} could not be decoded whole: {cut}")
        return data, view.headers


def _is_known(tx: Tx, draft: Draft) -> bool:
    """True where a metadata record on an import would add nothing."""
    if imports.is_file(draft.target_uri):
        return tx.meta.get(imports.note_of(draft.block)[0]) is not None
    return tx.captures.get(draft.record_id) is not None


def _resolved(capture: Capture | None, get: Callable[[str], Capture | None]) -> Capture | None:
    """The original that a revisit of `capture` may point at: never another revisit, only a complete 2xx."""
    if capture is not None and capture.kind == "revisit" and capture.refers_to is not None:
        capture = get(capture.refers_to)
    whole = capture is not None and capture.kind == "response" and capture.usable
    return capture if whole else None


def _worker_id(directory: Path) -> str:
    """The name of this folder's worker, made once: it tells the segments of machines that share a catalog apart."""
    path = directory / WORKER_FILE
    with disk_errors(f"cannot read or make {path}"):
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            name = secrets.token_hex(4)
            path.write_text(name + "\n", encoding="ascii")
            return name
