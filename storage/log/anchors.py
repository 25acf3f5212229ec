"""Checkpoints that others vouch for: where timestamps and cosignatures are kept, and which of them to prove by.

The objects are the evidence, put once each; the catalog notes which sizes have some, so that the earliest that covers
an entry is found by one look-up, and `rebuild` reads that anew from the objects. Asking for them is left to
`storage.anchoring`, checking them to `stamps` and `schemas.cosignatures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from schemas import canonical
from schemas.checkpoints import Checkpoint, Note, NoteSignature, VerifierKey, note_signature_line, parse_signature_lines
from schemas.cosignatures import WITNESS_TYPES, with_signatures
from schemas.errors import AlreadyExists, DamageError, InvalidValue, NotFound
from storage.blobs import BlobStore
from storage.catalog import Catalog, Tx

TIMESTAMPS: Final = "timestamps/"
WITNESSES: Final = "witnesses/"
#: The note as it was stamped or offered, below a size.
NOTE: Final = "checkpoint"
REQUEST: Final = "request.tsq"
RESPONSE: Final = "response.tsr"
CHAIN: Final = "chain.pem"

#: Keys under which the catalog notes anchors; sizes have the digits of the largest, so that they sort.
META: Final = "anchor "
_DIGITS: Final = 19
#: Times that a name is changed because a stop left files of another request under it.
_TRIES: Final = 100

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """What others said of the checkpoint of one size."""

    size: int
    stamps: tuple[str, ...] = ()  # folders below timestamps/SIZE/, each named after its authority
    witnesses: tuple[str, ...] = ()  # key ids in hex: files below witnesses/SIZE/

    def encode(self) -> str:
        """As the catalog notes it."""
        return canonical.dumps({"stamps": list(self.stamps), "witnesses": list(self.witnesses)}).decode()

    @classmethod
    def decode(cls, key: str, value: str) -> Anchor:
        """Read a note of the catalog. Raises DamageError."""
        try:
            told = canonical.loads(value.encode())
            return cls(
                size=int(key.removeprefix(META)), stamps=tuple(told["stamps"]), witnesses=tuple(told["witnesses"])
            )
        except (InvalidValue, KeyError, TypeError, ValueError) as error:
            raise DamageError(f"the catalog's note {key!r} cannot be read", remedy="run `pressmark rebuild`") from error


def meta_key(size: int) -> str:
    """Under which key the catalog notes the anchor of a size."""
    return f"{META}{size:0{_DIGITS}d}"


def authority_code(url: str) -> str:
    """What an authority is called in entries and folders: its host, and its port where one is named."""
    parts = urlsplit(url)
    name = (parts.hostname or "").replace(":", ".") + (f"-{parts.port}" if parts.port else "")
    code = re.sub(r"[^a-z0-9.-]", "-", name.lower()).lstrip(".-")[:64]
    return code or "authority"


# -- keeping -----------------------------------------------------------------------------------------------------------


def keep_stamp(store: BlobStore, note: bytes, size: int, code: str, files: dict[str, bytes]) -> str:
    """Put a timestamp and the note that it is over; the folder's name, which is the code where that is free."""
    store.put(f"{TIMESTAMPS}{size}/{NOTE}", note)
    for number in range(1, _TRIES):
        name = code if number == 1 else f"{code}.{number}"
        try:
            for file in (REQUEST, CHAIN, RESPONSE):
                store.put(f"{TIMESTAMPS}{size}/{name}/{file}", files[file])
        except AlreadyExists:  # a stop left the files of another request there
            continue
        return name
    raise DamageError(f"{TIMESTAMPS}{size}/ holds {_TRIES} unfinished timestamps of {code}")


def keep_cosignature(store: BlobStore, note: bytes, size: int, witness: VerifierKey, line: NoteSignature) -> None:
    """Put a witness's signature line, its key above it, and the note that it is over."""
    store.put(f"{WITNESSES}{size}/{NOTE}", note)
    text = f"{witness}\n" + note_signature_line(line.name, line.key_id, line.signature)
    try:
        store.put(f"{WITNESSES}{size}/{witness.key_id.hex()}", text.encode())
    except AlreadyExists:
        return  # asked twice, a witness signs twice, each time with another time: the first is as good


def note_anchor(tx: Tx, size: int, *, stamp: str | None = None, witness: str | None = None) -> None:
    """Add to what the catalog notes of a size."""
    held = tx.meta.get(meta_key(size))
    anchor = Anchor(size=size) if held is None else Anchor.decode(meta_key(size), held)
    if stamp is not None and stamp not in anchor.stamps:
        anchor = replace(anchor, stamps=(*anchor.stamps, stamp))
    if witness is not None and witness not in anchor.witnesses:
        anchor = replace(anchor, witnesses=(*anchor.witnesses, witness))
    tx.meta.set(meta_key(size), anchor.encode())


# -- finding -----------------------------------------------------------------------------------------------------------


def anchors_from(catalog: Catalog, size: int) -> Iterator[Anchor]:
    """The anchors of at least that size, ascending."""
    start = meta_key(size)
    while True:
        with catalog.read() as tx:
            found = tx.meta.first(META, start)
        if found is None:
            return
        yield (anchor := Anchor.decode(*found))
        start = meta_key(anchor.size + 1)


def last_anchor(catalog: Catalog) -> Anchor | None:
    """The largest anchor that the catalog notes."""
    with catalog.read() as tx:
        noted = tx.meta.last(META)
    return None if noted is None else Anchor.decode(*noted)


def kept_note(store: BlobStore, anchor: Anchor) -> Note:
    """The note of an anchor with the cosignatures that were kept. Raises DamageError."""
    where = TIMESTAMPS if anchor.stamps else WITNESSES
    note = read_note(store, f"{where}{anchor.size}/{NOTE}")
    return with_signatures(note, tuple(line for _, line in cosignatures(store, anchor)))


def read_note(store: BlobStore, key: str) -> Note:
    """A note that was kept. Raises DamageError."""
    try:
        return Note.parse(store.get(key))
    except (NotFound, InvalidValue) as error:
        raise DamageError(f"{key}: {error.message}", remedy="bring it back from a mirror or backup") from error


def cosignatures(store: BlobStore, anchor: Anchor) -> list[tuple[VerifierKey, NoteSignature]]:
    """The witnesses of an anchor with their signature lines. Raises DamageError."""
    found = []
    for name in anchor.witnesses:
        key = f"{WITNESSES}{anchor.size}/{name}"
        try:
            head, _, line = store.get(key).partition(b"\n")
            witness = VerifierKey.parse(head.decode("utf-8"), types=WITNESS_TYPES)
            (signature,) = parse_signature_lines(line)
        except (NotFound, InvalidValue, ValueError) as error:
            words = getattr(error, "message", str(error))
            raise DamageError(f"{key}: {words}", remedy="bring it back from a mirror or backup") from error
        found.append((witness, signature))
    return found


def stamp_files(store: BlobStore, anchor: Anchor) -> dict[str, dict[str, bytes]]:
    """The timestamps of an anchor: folder -> its files. Raises DamageError."""
    found: dict[str, dict[str, bytes]] = {}
    for name in anchor.stamps:
        for file in (RESPONSE, REQUEST, CHAIN):
            key = f"{TIMESTAMPS}{anchor.size}/{name}/{file}"
            try:
                found.setdefault(name, {})[file] = store.get(key)
            except NotFound as error:
                raise DamageError(f"{key} is gone", remedy="bring it back from a mirror or backup") from error
    return found


def largest_kept(store: BlobStore) -> list[tuple[str, Note]]:
    """(key, note) of the largest timestamped and of the largest cosigned checkpoint in a store. Raises DamageError."""
    found = []
    for prefix in (TIMESTAMPS, WITNESSES):
        sizes = [int(name) for name in store.folders(prefix) if _SIZE.fullmatch(name)]
        if sizes:
            key = f"{prefix}{max(sizes)}/{NOTE}"
            found.append((key, read_note(store, key)))
    return found


def origin_of_note(note: Note) -> str:
    """Which log a kept note is of. Raises DamageError."""
    try:
        return Checkpoint.parse(note.text).origin
    except InvalidValue as error:
        raise DamageError(f"a kept note is no checkpoint: {error.message}") from error


def reload_anchors(store: BlobStore, tx: Tx) -> None:
    """Note all anchors anew from the store (`rebuild`)."""
    for prefix in (TIMESTAMPS, WITNESSES):
        for key in store.list(prefix):
            parts = key.split("/")
            if _SIZE.fullmatch(parts[1]) is None:
                continue
            if prefix == TIMESTAMPS and len(parts) == 4 and parts[3] == RESPONSE:
                note_anchor(tx, int(parts[1]), stamp=parts[2])
            elif prefix == WITNESSES and len(parts) == 3 and _KEY_ID.fullmatch(parts[2]):
                note_anchor(tx, int(parts[1]), witness=parts[2])
