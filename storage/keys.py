"""Changing the log's key: handing over to a new one, and going on under a new origin where the old one is lost.

Each step is durable before the next, and each may be done again: a stop leaves nothing that the same command does not
finish. What a verifier makes of it is said in `schemas/FORMAT.md`, section 6, and in `schemas.bundle_trust`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from schemas.checkpoints import Checkpoint, Note, VerifierKey, verify_note
from schemas.entries import LOST, ROTATED, Entry, key_entry
from schemas.errors import CheckFailed, InvalidValue, LogForkRisk, NotFound, UsageError
from storage.archive import CHECKPOINT_FILE, KEY_FILE, Archive, StorageSettings
from storage.catalog import Catalog
from storage.disk import disk_errors, sync_folder
from storage.log.handover import frozen_key, handover_key
from storage.log.sequencer import append
from storage.log.signing import Signer
from storage.log.tree import CHECKPOINT_KEY, KEY_SUBJECT, Log
from storage.stores import open_store

#: The next key, until it is in use.
NEXT_FILE: Final = Path("keys") / "log.key.next"


def rotate(archive: Archive) -> VerifierKey:
    """Hand over to a new key of the same name; its public half. Nobody else may write the archive meanwhile.

    Raises UsageError without the old key, and what the log raises.
    """
    if not archive.may_sign:
        raise UsageError("a key that is not open cannot hand over", remedy="set PRESSMARK_LOG__PASSPHRASE")
    # 1. The new key is durable before anything speaks of it.
    signer = _next(archive.settings, archive.log.origin)
    # 2. The entry by which the old key names it stands under a checkpoint that the old key signs.
    index = _entry(archive.catalog, ROTATED, signer.vkey, archive.vkey)
    archive.integrate()
    # 3. The proof of that is kept: it is what a stranger who trusts the old key follows.
    if not archive.store.exists(handover_key(index)):
        archive.store.put(handover_key(index), archive.log.tlog_proof(index).encode())
    # 4. Both keys sign the newest checkpoint, the new one first.
    head = archive.log.head()
    assert head is not None  # it was published in step 2
    text = Note.parse(head).text
    if not archive.log.add_signatures(text, (signer.sign_line(text),), archive.clock()):
        raise UsageError("another process writes this archive", remedy="stop it and run this again")
    # 5. From here on the new one signs.
    _take_over(archive.directory)
    return signer.vkey


def new_origin(settings: StorageSettings, was: VerifierKey) -> VerifierKey:
    """Go on with this log under `settings.origin`, another one, and a new key, because the key `was` is lost.

    Its last checkpoint is frozen beside. Raises UsageError where the new origin is the old one, LogForkRisk where the
    published checkpoint is not signed by `was` or the catalog does not continue it.
    """
    if settings.origin == was.name:
        raise UsageError("a new key of the same log would be a fork", remedy="choose another origin")
    store = open_store(settings.objects_url)
    with Catalog.open(settings.catalog_url) as catalog:
        # 1. The old log as it stands: its last checkpoint holds, and the catalog continues it.
        frozen = _frozen(store.get(CHECKPOINT_KEY) if store.exists(CHECKPOINT_KEY) else None, was, settings.origin)
        if frozen is not None:
            with catalog.read() as tx:
                begun = tx.log.state().origin == settings.origin
            if not begun:
                Log(store, catalog, origin=was.name, signer=None, holder="new-origin", vkey=was).check_start()
        # 2. The new key is durable, the entry that names it is next in the log, the old checkpoint is kept.
        signer = _next(settings, settings.origin)
        index = _entry(catalog, LOST, signer.vkey, was)
        if frozen is not None:
            store.put(frozen_key(index), frozen.encode())
        with catalog.begin() as tx:
            tx.log.set_origin(settings.origin)
        # 3. The new log is published: its first entries are those of the old one.
        log = Log(
            store, catalog, origin=settings.origin, signer=signer, holder="new-origin",
            kept=settings.directory / CHECKPOINT_FILE,
        )  # fmt: skip
        log.go_on_from(None if frozen is None else frozen.encode())
        log.integrate(settings.clock())
    # 4. The new key takes the place of the lost one.
    _take_over(settings.directory)
    return signer.vkey


def _frozen(data: bytes | None, was: VerifierKey, origin: str) -> Note | None:
    """The old log's last checkpoint; None where the new one is published already. Raises LogForkRisk, NotFound."""
    if data is None:
        raise NotFound("no checkpoint was published under the old key", remedy="make a new archive and import")
    try:
        note = Note.parse(data)
        told = Checkpoint.parse(note.text)
        if told.origin == origin:
            return None
        verify_note(note, was)
        if told.origin != was.name:
            raise CheckFailed(f"it is of the log {told.origin}")
    except (InvalidValue, CheckFailed) as error:
        raise LogForkRisk(
            f"{CHECKPOINT_KEY} is not a checkpoint by that old key: {error.message}",
            remedy="give the old public key, as `log key` printed it or log.vkey of a bundle holds it",
        ) from error
    return note


def _next(settings: StorageSettings, name: str) -> Signer:
    """The key that is about to be used: made, or left by a stop."""
    path = settings.directory / NEXT_FILE
    if path.exists():
        found = Signer.load(path, passphrase=settings.passphrase)
        if found.vkey.name == name:
            return found
        raise UsageError(f"{path} is a key of {found.vkey.name}", remedy="finish what was begun, or take the file away")
    return Signer.create(path, name, passphrase=settings.passphrase)


def _entry(catalog: Catalog, change: str, vkey: VerifierKey, was: VerifierKey) -> int:
    """The index of the entry that tells of the change: as a stop left it, or appended now."""
    entry = key_entry(change=change, vkey=vkey, was=was)
    with catalog.begin() as tx:
        for row in tx.log.about(KEY_SUBJECT):
            if Entry.decode(row.body) == entry:
                return row.index
        return append(tx, entry, subject=KEY_SUBJECT)


def _take_over(directory: Path) -> None:
    with disk_errors(f"cannot replace {directory / KEY_FILE}"):
        os.replace(directory / NEXT_FILE, directory / KEY_FILE)
        sync_folder((directory / KEY_FILE).parent)
