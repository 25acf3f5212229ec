"""Whom the checks of a bundle trust, step by step: the log's key and those before it, witnesses, authorities of time.

Nothing in a bundle makes its keys and certificates those of somebody: what the caller does not name is told as "not
pinned". RFC 3161 tokens need a verifier of X.509, ML-DSA-44 one of its own, both of which the standard library lacks:
the caller may hand them in, else the report says what was not checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.bundle_layout import (
    CHECKPOINT,
    LOG_KEY,
    WITNESSES,
    Layout,
    handover_names,
    parse_witnesses,
    timestamp_sets,
)
from schemas.bundle_report import BundleState
from schemas.checkpoints import Checkpoint, Note, VerifierKey, open_checkpoint, verify_note
from schemas.cosignatures import VerifyMldsa44, verify_cosignature
from schemas.entries import ROTATED, Entry
from schemas.errors import CheckFailed, InvalidValue, ServiceError
from schemas.instants import rfc3339
from schemas.proofs import LogProof

#: Checks the timestamp over a checkpoint's note text: (text, files of one timestamp) -> proven instant.
#: Raises CheckFailed where it does not hold, and ServiceError where it cannot be checked here.
CheckTimestamp = Callable[[bytes, Mapping[str, bytes]], datetime]

#: How much later than a stamp a WARC-Date below it may be: authorities and witnesses cut theirs to the second, and
#: clocks that are kept by NTP differ by some tenths.
ALLOWANCE: Final = timedelta(seconds=2)

#: Largest POSIX timestamp that a datetime holds; a later cosignature bounds nothing.
_LAST_INSTANT: Final = 253_402_300_799


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What the caller knows by another way than the bundle."""

    key: VerifierKey | None = None  # the archive's
    witnesses: tuple[VerifierKey, ...] = ()  # each of which must have cosigned
    check_timestamp: CheckTimestamp | None = None
    authority_pinned: bool = False  # check_timestamp trusts certificates of the caller's, not those of the bundle
    mldsa44: VerifyMldsa44 | None = None


def read_keys(state: BundleState, layout: Layout | None, trust: Trust) -> tuple[VerifierKey, ...]:
    """The log's key, then the older ones that lead to it; empty where they cannot be had."""
    try:
        text = state.parts.get(LOG_KEY, b"").decode("utf-8")
        vkey = VerifierKey.parse(text)
        if f"{vkey}\n" != text:
            raise InvalidValue("it is not one verifier key on one line")
    except (InvalidValue, UnicodeDecodeError) as error:
        state.wrong(LOG_KEY, error)
        return ()
    if layout is None:
        return ()
    older = _follow_handovers(state, layout, vkey)
    if older is None:
        return ()
    if trust.key is not None and trust.key not in (vkey, *older):
        state.wrong(LOG_KEY, f"signed by another key than yours: {vkey} where you named {trust.key}")
        return ()
    if trust.key is None:
        state.unproven.append(
            f"whose key it is: signed by {vkey.fingerprint}, not pinned; compare it with what the archive "
            "publishes, or name the key"
        )
    elif trust.key != vkey:
        state.proven.append(f"the key that you named handed over to {vkey.name}+{vkey.key_id.hex()}, in its own log")
    return (vkey, *older)


def _follow_handovers(state: BundleState, layout: Layout, vkey: VerifierKey) -> tuple[VerifierKey, ...] | None:
    """The keys before `vkey`, oldest first: each signed the checkpoint under which its successor is named."""
    keys: list[VerifierKey] = []
    expected: VerifierKey | None = None
    for index in layout.handovers:
        entry_part, proof_part = handover_names(index)
        part = entry_part
        try:
            # 1. The entry names the old key and the new one, both of this log.
            data = state.parts[entry_part]
            entry = Entry.decode(data)
            if entry.type != "key" or entry.fields.get("change") != ROTATED or "was" not in entry.fields:
                raise CheckFailed("it is no entry by which a key hands over to another")
            was, now = VerifierKey.parse(entry.fields["was"]), VerifierKey.parse(entry.fields["vkey"])
            # 2. It goes on from the key before.
            if {was.name, now.name} != {vkey.name} or expected not in (None, was):
                raise CheckFailed("it does not go on from the key before it")
            # 3. It stands in the log under a checkpoint that the old key signed.
            part = proof_part
            proof = LogProof.parse(state.parts[proof_part])
            if proof.encode() != state.parts[proof_part] or proof.index != index or proof.extra is not None:
                raise CheckFailed(f"it is not the plain proof of entry {index}")
            proof.verify(data, was)
        except (InvalidValue, CheckFailed) as error:
            state.wrong(part, error)
            return None
        keys.append(was)
        expected = now
    # 4. The last one names the key that signs now.
    if expected not in (None, vkey):
        state.wrong(LOG_KEY, "it is not the key that the last handover names")
        return None
    return tuple(keys)


def check_checkpoint(
    state: BundleState, layout: Layout, keys: tuple[VerifierKey, ...], trust: Trust
) -> Checkpoint | None:
    """The bundle's checkpoint: signed by the log's key, and every other signature by a key of the bundle."""
    data, vkey = state.parts[CHECKPOINT], keys[0]
    try:
        # 1. A checkpoint of this log, signed by its key, that prints back to the same bytes.
        checkpoint = open_checkpoint(data, vkey)
        note = Note.parse(data)
        if note.encode() != data:
            raise InvalidValue("a note that does not print back to the same bytes")
        if checkpoint.origin != layout.origin:
            raise CheckFailed(f"it is of the log {checkpoint.origin}, bundle.json names {layout.origin}")
        # 2. Where older keys of the log signed it too, rightly.
        for older in (key for key in keys[1:] if note.by(key)):
            verify_note(note, older)
        # 3. No line is by a key of which the bundle says nothing.
        witnesses = _read_witnesses(state)
        for line in note.signatures:
            if not any(line in note.by(key) for key in (*keys, *witnesses)):
                raise CheckFailed(f"it bears a signature by {line.name[:80]}+{line.key_id.hex()}, a stranger here")
    except (InvalidValue, CheckFailed) as error:
        state.wrong(CHECKPOINT, error)
        return None
    state.proven.append(
        f"the log {checkpoint.origin} with {checkpoint.size} entries is signed by the key "
        f"{vkey.name}+{vkey.key_id.hex()} (SHA-256 of the key: {vkey.fingerprint})"
    )
    # 4. Witnesses cosigned it: those of the bundle, and all whom the caller named.
    for witness in dict.fromkeys((*trust.witnesses, *witnesses)):
        _check_witness(state, note, witness, trust)
    return checkpoint


def _read_witnesses(state: BundleState) -> tuple[VerifierKey, ...]:
    data = state.parts.get(WITNESSES)
    if data is None:
        return ()
    try:
        return parse_witnesses(data)
    except InvalidValue as error:
        state.wrong(WITNESSES, error)
        return ()


def _check_witness(state: BundleState, note: Note, witness: VerifierKey, trust: Trust) -> None:
    who = f"{witness.name}+{witness.key_id.hex()}"
    try:
        seconds = verify_cosignature(note, witness, trust.mldsa44)
    except CheckFailed as error:
        state.wrong(CHECKPOINT, error)
        return
    except ServiceError as error:
        state.unproven.append(f"that {who} witnessed the checkpoint: {error}")
        return
    when = "" if seconds > _LAST_INSTANT else f" at {rfc3339(_instant(seconds))}"
    state.proven.append(f"the witness {who} says that it saw this checkpoint{when}, and no other history before it")
    if witness not in trust.witnesses:
        state.unproven.append(f"who {who} is: its key is the bundle's, not pinned")
    if seconds <= _LAST_INSTANT:
        state.cosigned[who] = _instant(seconds)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def check_time(state: BundleState, trust: Trust) -> None:
    """By when the archive had it all, as far as authorities and witnesses bound that."""
    state.unproven.append(
        "what the server sent: TLS leaves no evidence for others, so that is the archive's word; "
        "and so is the WARC-Date of each record"
    )
    for who, instant in state.cosigned.items():
        _check_dates(state, instant, f"the witness {who} saw the checkpoint at {rfc3339(instant)}, says")
    try:
        sets = timestamp_sets(state.parts)
    except InvalidValue as error:
        state.wrong("timestamp/", error)
        return
    if not sets:
        state.unproven.append("by when the archive had it: the bundle carries no timestamp")
    text = Note.parse(state.parts[CHECKPOINT]).text.encode("utf-8")
    for response, files in sets.items():
        _check_timestamp(state, text, response, files, trust)


def _check_timestamp(
    state: BundleState, text: bytes, response: str, files: Mapping[str, bytes], trust: Trust
) -> None:
    unchecked = f"by when the archive had it: the timestamp {response} was not checked"
    if trust.check_timestamp is None:
        state.unproven.append(unchecked)
        return
    try:
        instant = trust.check_timestamp(text, files)
    except (InvalidValue, CheckFailed) as error:
        state.wrong(response, error)
        return
    except ServiceError as error:
        state.unproven.append(f"{unchecked} ({error})")
        return
    _check_dates(state, instant, f"the timestamp of {rfc3339(instant)} allows")
    chain = hashlib.sha256(files["chain.pem"]).hexdigest()
    if not trust.authority_pinned:
        state.unproven.append(f"whose clock that was: the authority's certificates are the bundle's (SHA-256 {chain})")
    if state.timestamped is None or instant < state.timestamped:
        state.timestamped = instant
    state.proven.append(f"all of this was in the log by {rfc3339(instant)} at the latest, by the timestamp {response}")


def _check_dates(state: BundleState, instant: datetime, words: str) -> None:
    """No record says of itself that it is younger than what bounds it."""
    for part, view, _ in state.records.values():
        if view.date > instant + ALLOWANCE:
            state.wrong(part.record, f"its WARC-Date is later than {words}")
