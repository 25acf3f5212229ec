"""What others vouched for: timestamps and cosignatures against the checkpoints that they are over, and the entries.

Whether today's services would still answer is not asked: what was kept must hold by itself.
"""

from __future__ import annotations

import hashlib
from typing import Final

from schemas.checkpoints import Note
from schemas.cosignatures import verify_cosignature
from schemas.entries import Entry
from schemas.errors import CheckFailed, DamageError, NotFound, ServiceError
from storage.archive import Archive
from storage.fixity.findings import DAMAGED, MISSING, Findings
from storage.log import anchors
from storage.log.anchors import Anchor
from storage.log.handover import PREFIX as KEYS
from storage.log.signing import mldsa44_verifier
from storage.log.stamps import check_files, check_response, parse_certificates

_FILES: Final = (anchors.RESPONSE, anchors.REQUEST, anchors.CHAIN)


class AnchorAudit:
    """Checks all anchors that the catalog notes. `keys` holds the objects that belong to them."""

    def __init__(self, archive: Archive, findings: Findings) -> None:
        self._archive, self._findings = archive, findings
        self._tokens: set[str] = set()
        self.keys: set[str] = set()

    def check(self) -> None:
        """Every anchor, then every entry that speaks of one."""
        for anchor in anchors.anchors_from(self._archive.catalog, 0):
            self._check_stamps(anchor)
            self._check_witnesses(anchor)
        with self._archive.catalog.read() as tx:
            for row in tx.log.holding("time", ""):
                token = Entry.decode(row.body).fields["token"]
                if token not in self._tokens:
                    self._findings.add(MISSING, f"entry {row.index}", f"the timestamp {token} of it is not here")
            for row in tx.log.holding("key", ""):
                self.keys |= {f"{KEYS}{row.index}.tlog-proof", f"{KEYS}{row.index}.frozen"}

    def _check_stamps(self, anchor: Anchor) -> None:
        prefix = f"{anchors.TIMESTAMPS}{anchor.size}/"
        note = self._note(prefix) if anchor.stamps else None
        for name in anchor.stamps:
            files = {file: self._read(f"{prefix}{name}/{file}") for file in _FILES}
            whole = {file: data for file, data in files.items() if data is not None}
            response = whole.get(anchors.RESPONSE)
            if response is not None:
                self._tokens.add(f"sha256:{hashlib.sha256(response).hexdigest()}")
            if note is None or len(whole) < len(_FILES):
                continue
            try:
                text, chain = note.text.encode(), whole[anchors.CHAIN]
                check_files(text, whole)
                if check_response(text, whole[anchors.RESPONSE], parse_certificates(chain)).chain != chain:
                    raise CheckFailed(f"{anchors.CHAIN} is not the chain of its signer alone, as it was kept")
            except CheckFailed as error:
                self._findings.add(DAMAGED, f"{prefix}{name}/", error.message)

    def _check_witnesses(self, anchor: Anchor) -> None:
        prefix = f"{anchors.WITNESSES}{anchor.size}/"
        note = self._note(prefix) if anchor.witnesses else None
        for name in anchor.witnesses:
            where = prefix + name
            self.keys.add(where)
            try:
                ((witness, line),) = anchors.cosignatures(
                    self._archive.store, Anchor(size=anchor.size, witnesses=(name,))
                )
                if note is not None:
                    cosigned = Note(text=note.text, signatures=(*note.signatures, line))
                    verify_cosignature(cosigned, witness, mldsa44_verifier())
            except (DamageError, CheckFailed) as error:
                kind = MISSING if isinstance(error.__cause__, NotFound) else DAMAGED
                self._findings.add(kind, where, error.message)
            except ServiceError as error:
                self._findings.notes.append(f"{where}: {error.message}")

    def _note(self, prefix: str) -> Note | None:
        self.keys.add(prefix + anchors.NOTE)
        try:
            note = anchors.read_note(self._archive.store, prefix + anchors.NOTE)
            anchors.origin_of_note(note)
        except DamageError as error:
            kind = MISSING if isinstance(error.__cause__, NotFound) else DAMAGED
            self._findings.add(kind, prefix + anchors.NOTE, error.message)
            return None
        return note

    def _read(self, key: str) -> bytes | None:
        self.keys.add(key)
        try:
            return self._archive.store.get(key)
        except NotFound:
            self._findings.add(MISSING, key, "the catalog notes this timestamp, the store lacks it")
            return None
