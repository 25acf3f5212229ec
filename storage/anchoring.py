"""Having checkpoints vouched for: timestamps by authorities (RFC 3161), cosignatures by witnesses (C2SP tlog-witness).

What fails is noted, told by `status` and tried again; the log never waits for it. One thing is no failure but an alarm:
a witness that saw another history than this log's. How requests travel is left to the caller, who hands in `ask`;
where answers are kept to `storage.log.anchors`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from schemas import canonical
from schemas.bundle_trust import ALLOWANCE
from schemas.checkpoints import Checkpoint, Note, NoteSignature, VerifierKey, parse_signature_lines
from schemas.cosignatures import verify_cosignature, with_signatures
from schemas.entries import time_entry
from schemas.errors import CheckFailed, InvalidValue, LogForkRisk, PressmarkError, ServiceError
from schemas.instants import from_micros, rfc3339, to_micros
from schemas.witnessing import SIZE_TYPE, AddCheckpoint, parse_size
from storage.archive import Archive
from storage.catalog import Catalog
from storage.log import anchors
from storage.log.sequencer import append
from storage.log.signing import mldsa44_verifier
from storage.log.stamps import QUERY_TYPE, REPLY_TYPE, Certificate, Stamp, StampRequest, check_response, make_request

#: (URL, body, content type) -> (status, content type, body). Raises ServiceError where no whole answer came.
Ask = Callable[[str, bytes, str], tuple[int, str, bytes]]

#: Name of the lease that keeps two processes from asking for the same, and seconds that it holds: longer than a few
#: services that do not answer.
LEASE: Final = "anchors"
LEASE_SECONDS: Final = 180.0
#: Seconds after which a service that failed is tried again, where it would not be due sooner.
RETRY_SECONDS: Final = 60.0
#: Keys under which the catalog notes how services stand.
META: Final = "service "
#: Entries that do not make a log grown: what a stamp leaves must not be the reason for the next.
_OWN: Final = frozenset({"time"})
#: Times that a witness is asked again with the size that it named.
_ROUNDS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """A timestamp authority."""

    url: str

    @property
    def code(self) -> str:
        """What it is called in entries and folders."""
        return anchors.authority_code(self.url)


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """A witness: where it is asked, and the key that it signs with."""

    url: str  # submission prefix
    vkey: VerifierKey


@dataclass(frozen=True, kw_only=True, slots=True)
class AnchorSettings:
    """Whom to ask, and how often."""

    authorities: tuple[Authority, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    timestamp_every: float = 600.0  # seconds
    witness_every: float = 600.0  # seconds
    roots: Callable[[], Sequence[Certificate]] = tuple  # of the authorities; read when first needed


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceState:
    """How a service stands, as the catalog notes it. Instants in microseconds."""

    name: str
    kind: str  # timestamp | witness
    tried: int = 0
    held: int | None = None  # when it last vouched for a checkpoint
    size: int = 0  # of which size
    failing: int | None = None  # since when it fails
    error: str | None = None  # how it failed last

    @classmethod
    def load(cls, catalog: Catalog, name: str, kind: str) -> ServiceState:
        """What is noted of a service; a new one where nothing is."""
        with catalog.read() as tx:
            text = tx.meta.get(META + name)
        try:
            return cls(**canonical.loads(text.encode())) if text else cls(name=name, kind=kind)
        except (InvalidValue, TypeError):  # of another version; nothing depends on it
            return cls(name=name, kind=kind)

    def to_json(self) -> dict[str, Any]:
        """As `status` prints it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "size": self.size,
            "held": rfc3339(from_micros(self.held)) if self.held is not None else None,
            "failing_since": rfc3339(from_micros(self.failing)) if self.failing is not None else None,
            "error": self.error,
        }

    def save(self, catalog: Catalog) -> None:
        """Note it."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with catalog.begin() as tx:
            tx.meta.set(META + self.name, canonical.dumps(values).decode())


def states(catalog: Catalog, settings: AnchorSettings) -> list[ServiceState]:
    """How the services of the settings stand."""
    named = [(a.code, "timestamp") for a in settings.authorities]
    named += [(_witness_name(w.vkey), "witness") for w in settings.witnesses]
    return [ServiceState.load(catalog, name, kind) for name, kind in named]


class Anchoring:
    """Asks the services of one archive. Belongs to one thread at a time."""

    def __init__(self, archive: Archive, settings: AnchorSettings, ask: Ask) -> None:
        self.settings = settings
        self._archive, self._ask = archive, ask
        self._roots: Sequence[Certificate] | None = None

    def work(self, *, force: bool = False) -> list[str]:
        """Ask whoever is due (all, with `force`) about the newest checkpoint, if the log grew; what went wrong, in
        sentences.

        Raises LogForkRisk where a witness saw another history, and what the catalog and the store raise.
        """
        if not self.settings.authorities and not self.settings.witnesses:
            return []
        now = self._archive.clock()
        due = [state for state in states(self._archive.catalog, self.settings) if force or self._is_due(state, now)]
        head = self._archive.log.head()
        if not due or head is None or not self._acquire(now):
            return []
        try:
            note, checkpoint = self._own(head)
            names = {state.name: state for state in due if self._grew(state, checkpoint)}
            said = []
            for authority in self.settings.authorities:
                if authority.code in names:
                    said.append(self._stamp(authority, names[authority.code], note, checkpoint))
            for witness in self.settings.witnesses:
                if (name := _witness_name(witness.vkey)) in names:
                    said.append(self._cosign(witness, names[name], note, checkpoint))
            return [words for words in said if words]
        finally:
            with self._archive.catalog.begin() as tx:
                tx.leases.release(LEASE, holder=self._archive.holder)

    def check_start(self) -> list[str]:
        """Ask the witnesses, before anything is signed, whether they know more of this log than we do.

        Gives what went wrong, in sentences: who cannot be asked stops nothing. Raises LogForkRisk.
        """
        head = self._archive.log.head()
        if head is None:
            return []
        note, checkpoint = self._own(head)
        said, now = [], to_micros(self._archive.clock())
        for witness in self.settings.witnesses:
            state = ServiceState.load(self._archive.catalog, _witness_name(witness.vkey), "witness")
            if state.held is not None and 0 <= now - state.held < self.settings.witness_every * 1_000_000:
                continue
            said.append(self._cosign(witness, state, note, checkpoint))
        return [words for words in said if words]

    def _is_due(self, state: ServiceState, now: datetime) -> bool:
        every = self.settings.timestamp_every if state.kind == "timestamp" else self.settings.witness_every
        wait = min(every, RETRY_SECONDS) if state.failing is not None else every
        since = to_micros(now) - max(state.tried, 0)
        return since >= wait * 1_000_000 or since < 0  # a clock that was set back must not silence it

    def _grew(self, state: ServiceState, head: Checkpoint) -> bool:
        if state.size >= head.size:
            return False
        if state.size == 0:
            return True
        with self._archive.catalog.read() as tx:
            return any(row.type not in _OWN for row in tx.log.entries(state.size, head.size))

    def _acquire(self, now: datetime) -> bool:
        until = to_micros(now + timedelta(seconds=LEASE_SECONDS))
        with self._archive.catalog.begin() as tx:
            return (
                tx.leases.acquire(LEASE, holder=self._archive.holder, now=to_micros(now), until=until) is not None
            )

    def _own(self, data: bytes) -> tuple[Note, Checkpoint]:
        """The published note with our signature alone, so that the bytes are the same whenever it is kept."""
        note = Note.parse(data)
        own = Note(text=note.text, signatures=tuple(note.by(self._archive.vkey)))
        return own, Checkpoint.parse(note.text)

    # -- timestamps ------------------------------------------------------------------------------------------------

    def _stamp(self, authority: Authority, state: ServiceState, note: Note, head: Checkpoint) -> str:
        """Have the note text stamped, keep what came, log it; what went wrong, or nothing."""
        try:
            request, response, stamp = self._ask_authority(authority, note.text.encode())
        except _PASSING as error:
            return self._failed(state, error)
        files = {anchors.REQUEST: request.data, anchors.RESPONSE: response, anchors.CHAIN: stamp.chain}
        name = anchors.keep_stamp(self._archive.store, note.encode(), head.size, authority.code, files)
        token = f"sha256:{hashlib.sha256(response).hexdigest()}"
        with self._archive.catalog.begin() as tx:
            entry = time_entry(size=head.size, token=token, authority=authority.code)
            append(tx, entry, subject=f"{anchors.TIMESTAMPS}{head.size}/{name}")
            anchors.note_anchor(tx, head.size, stamp=name)
        self._held(state, head.size)
        return ""

    def _ask_authority(self, authority: Authority, text: bytes) -> tuple[StampRequest, bytes, Stamp]:
        """Request, response and what it proves. Raises ServiceError, CheckFailed, SettingsError."""
        asked = self._archive.clock()
        if self._roots is None:
            self._roots = self.settings.roots()
        request = make_request(text)
        status, kind, body = self._ask(authority.url, request.data, QUERY_TYPE)
        if status != 200 or kind != REPLY_TYPE:
            raise ServiceError(f"it answered {status} {kind or 'without a content type'}, not {REPLY_TYPE}")
        stamp = check_response(text, body, self._roots, nonce=request.nonce)
        if stamp.instant + ALLOWANCE < asked:
            raise _ahead("stamped", asked, stamp.instant)
        return request, body, stamp

    # -- witnesses -------------------------------------------------------------------------------------------------

    def _cosign(self, witness: Witness, state: ServiceState, note: Note, head: Checkpoint) -> str:
        """Have a witness cosign, keep what came; what went wrong, or nothing. Raises LogForkRisk."""
        try:
            line = self._ask_witness(witness, state.size, note, head)
        except LogForkRisk as error:
            self._failed(state, error)
            raise
        except _PASSING as error:
            return self._failed(state, error)
        anchors.keep_cosignature(self._archive.store, note.encode(), head.size, witness.vkey, line)
        with self._archive.catalog.begin() as tx:
            anchors.note_anchor(tx, head.size, witness=witness.vkey.key_id.hex())
        self._archive.log.add_signatures(note.text, (line,), self._archive.clock())
        self._held(state, head.size)
        return ""

    def _ask_witness(self, witness: Witness, old: int, note: Note, head: Checkpoint) -> NoteSignature:
        """The witness's signature line, checked. Raises LogForkRisk, ServiceError, CheckFailed, InvalidValue."""
        url = witness.url.rstrip("/") + "/add-checkpoint"
        asked = self._archive.clock()
        old = old if old <= head.size else 0
        for _ in range(_ROUNDS):
            proof = tuple(self._archive.log.consistency(old, head.size)) if old else ()
            body = AddCheckpoint(old=old, proof=proof, checkpoint=note.encode()).encode()
            status, kind, answer = self._ask(url, body, "text/plain; charset=utf-8")
            if status == 200:
                cosigned = with_signatures(note, parse_signature_lines(answer))
                seconds = verify_cosignature(cosigned, witness.vkey, mldsa44_verifier())
                if seconds + ALLOWANCE.total_seconds() < asked.timestamp():
                    raise _ahead("signed", asked, datetime.fromtimestamp(seconds, UTC))
                return cosigned.by(witness.vkey)[0]
            old = self._refused(witness, old, head, status, parse_size(answer) if kind == SIZE_TYPE else None)
        raise ServiceError("its size changes faster than it can be asked")

    def _refused(self, witness: Witness, old: int, head: Checkpoint, status: int, known: int | None) -> int:
        """The size that a witness knows, to ask again from. Raises LogForkRisk, ServiceError."""
        if status == 409 and known is not None and known != old:
            if known <= head.size:
                return known
            self._alarm(witness, f"it cosigned {known} entries of this log, of which {head.size} are known here")
        if status == 409:
            self._alarm(witness, f"it cosigned another root of the tree of {old} entries")
        if status == 422:
            self._alarm(witness, f"the tree of {old} entries that it cosigned is not the start of this log")
        told = {404: "it does not know this log", 403: "it knows another key of this log"}.get(status)
        if told is not None:
            raise ServiceError(f"{told}: its operator has to add what `pressmark log key` prints")
        raise ServiceError(f"it answered {status}")

    def _alarm(self, witness: Witness, words: str) -> NoReturn:
        error = LogForkRisk(
            f"the witness {witness.vkey.name} disagrees: {words}; nothing more is signed",
            remedy="bring back the newest catalog and objects or run `pressmark rebuild`; if it is the witness that is "
            "wrong, take it out of [log] witnesses",
        )
        self._archive.log.refuse(error)
        raise error

    # -- how they stand --------------------------------------------------------------------------------------------

    def _held(self, state: ServiceState, size: int) -> None:
        now = to_micros(self._archive.clock())
        replace(state, tried=now, held=now, size=size, failing=None, error=None).save(self._archive.catalog)

    def _failed(self, state: ServiceState, error: Exception) -> str:
        now = to_micros(self._archive.clock())
        words = error.message if isinstance(error, PressmarkError) else f"{type(error).__name__}: {error}"
        failing = now if state.failing is None else state.failing
        replace(state, tried=now, failing=failing, error=words).save(self._archive.catalog)
        who = "timestamp authority" if state.kind == "timestamp" else "witness"
        return f"the {who} {state.name} failed: {words}; it will be tried again"


#: What goes wrong with a service and passes; of storage's own faults none.
_PASSING: Final = (CheckFailed, InvalidValue, ServiceError)


def _ahead(did: str, asked: datetime, instant: datetime) -> ServiceError:
    seconds = (asked - instant).total_seconds()
    return ServiceError(f"our clock or its is wrong: by its own it {did} {seconds:.0f} s before it was asked")


def _witness_name(vkey: VerifierKey) -> str:
    return f"{vkey.name}+{vkey.key_id.hex()}"
