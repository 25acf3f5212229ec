"""Watching a log from outside: are two checkpoints of it one history? Ours, or that of somebody else.

Knows notes, tiles and a way to read them, and believes neither: each note is signed, and the tiles must prove that the
smaller tree is the start of the larger. How tiles are fetched is left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.checkpoints import Checkpoint, Note, VerifierKey, verify_note
from schemas.errors import CheckFailed, DamageError, InvalidValue, NotFound
from schemas.merkle import consistency_path, verify_consistency
from schemas.tiles import TILE_WIDTH, TileName, hash_reader

#: The bytes of an object of a log, by its path below the log's prefix. Raises NotFound.
GetObject = Callable[[str], bytes]


def open_signed(data: bytes, keys: tuple[VerifierKey, ...], where: str) -> Checkpoint:
    """A checkpoint signed by one of the keys, which are those of its log. Raises CheckFailed, InvalidValue."""
    note = Note.parse(data)
    told = Checkpoint.parse(note.text)
    mine = [key for key in keys if key.name == told.origin and note.by(key)]
    if not mine:
        raise CheckFailed(f"{where} is of the log {told.origin}, and not signed by a key that was named")
    for key in mine:
        verify_note(note, key)
    return told


def check_consistency(first: Checkpoint, second: Checkpoint, get_object: GetObject) -> list[bytes]:
    """Check that the smaller of two checkpoints is the start of the larger, by the tiles of the larger; the proof.

    Raises CheckFailed where it is not so, or the tiles do not prove it.
    """
    if first.origin != second.origin:
        raise CheckFailed(f"checkpoints of two logs: {first.origin} and {second.origin}")
    old, new = sorted((first, second), key=lambda told: told.size)
    try:
        read = hash_reader(new.size, lambda level, index, width: _tile(get_object, level, index, width))
        proof = consistency_path(old.size, new.size, read)
    except (NotFound, DamageError, InvalidValue) as error:
        raise CheckFailed(f"the tiles do not prove it: {error.message}") from error
    verify_consistency(old.size, new.size, proof, old.root, new.root)
    return proof


def _tile(get_object: GetObject, level: int, index: int, width: int) -> bytes:
    """A tile; a partial one may be had from the full one that grew from it (C2SP tlog-tiles)."""
    try:
        return get_object(TileName(level=level, index=index, width=width).path)
    except NotFound:
        if width == TILE_WIDTH:
            raise
        return get_object(TileName(level=level, index=index).path)[: width * 32]
