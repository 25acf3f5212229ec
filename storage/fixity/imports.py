"""A stranger's file against the digest that the log holds of it: a copy in the store, or a file that stays outside."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import NotFound
from storage.blobs import BlobStore
from storage.disk import disk_errors
from storage.fixity.findings import DAMAGED, MISSING
from storage.imports import ImportedFile
from storage.segments import hash_stream


def damage_of(store: BlobStore, file: ImportedFile, sealed: tuple[str, int]) -> tuple[str, str] | None:
    """(kind of finding, sentence) where the file is gone or changed; None where it is whole. Raises StoreError.

    `sealed` is the (digest, length) that it must have: that of the import, or what a redaction left of it.
    """
    what = "the imported file" if file.key is not None else "the external file"
    try:
        if file.key is not None:
            with store.open(file.key) as stream:
                found = hash_stream(stream)
        else:
            path = Path(file.where)
            if not path.exists():
                return MISSING, f"{what} is gone, and the captures in it with it"
            with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
                found = hash_stream(stream)
    except NotFound:
        return MISSING, f"{what} is gone, and the captures in it with it"
    if found != sealed and found == (file.sha256, file.length):
        return DAMAGED, f"{what} is an unredacted copy: it is as it was before a redaction"
    if found != sealed:
        return DAMAGED, f"{what} is not what was imported"
    return None
