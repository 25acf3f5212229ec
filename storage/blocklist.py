"""Keyed marks of what was redacted, so that a later crawl or import does not bring it back.

A mark is an HMAC-SHA-256 of a URL, a payload digest, a text digest or an article id. Whoever has the list without the
key can check no guess at what it is about; the key lies in `keys/redaction.key`, outside the objects. What is marked
is left to `storage.redaction`, asking to `ingest` and `storage.archive`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from schemas import canonical
from schemas.errors import DamageError, InvalidValue
from schemas.urls import article_key, normalize
from storage.catalog import Tx
from storage.disk import disk_errors, sync_folder

KEY_FILE: Final = Path("keys") / "redaction.key"
#: What the keys of block lists in the object store begin with; the index of the redaction's entry follows.
PREFIX: Final = "redactions/"
FORMAT: Final = "pressmark-blocklist/1"
#: Bytes of the key: as many as the hash gives.
KEY_BYTES: Final = 32

_HEX: Final = re.compile(r"[0-9a-f]{64}")


class Marker:
    """Makes marks with the archive's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def load(cls, directory: Path) -> Marker | None:
        """The key of the archive in a folder; None where none was made yet. Raises DamageError, DiskError."""
        path = directory / KEY_FILE
        with disk_errors(f"cannot read {path}"):
            try:
                text = path.read_text(encoding="ascii", errors="replace").strip()
            except FileNotFoundError:
                return None
        if _HEX.fullmatch(text) is None:
            raise DamageError(f"{path} does not hold a key", remedy="bring it back from your backup")
        return cls(bytes.fromhex(text))

    @classmethod
    def load_or_make(cls, directory: Path) -> Marker:
        """The key, made durably where there is none; only its owner may read it. Raises DamageError, DiskError."""
        found = cls.load(directory)
        if found is not None:
            return found
        path = directory / KEY_FILE
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with disk_errors(f"cannot make {path}"):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                with suppress(FileExistsError):  # another process may be as quick: its key then holds
                    os.link(draft, path)
                sync_folder(path.parent)
            finally:
                draft.unlink(missing_ok=True)
        made = cls.load(directory)
        assert made is not None
        return made

    def url(self, url: str) -> str:
        """The mark of an address: the same for all variants of an article's."""
        try:
            return self._mark("url", article_key(url))
        except InvalidValue:
            return self._mark("url", url)

    def payload(self, digest: str) -> str:
        """The mark of a payload, by its digest `sha256:hex`."""
        return self._mark("payload", digest)

    def text(self, text_sha256: str) -> str:
        """The mark of an article's text, by its digest in hex."""
        return self._mark("text", text_sha256)

    def article(self, article_id: str) -> str:
        """The mark of an article's id, by which it is known to have been redacted; nothing is refused for it."""
        return self._mark("article", article_id)

    def version(self, article_id: str, extractor: str, number: int) -> str:
        """The mark of a version's number, so that it is given to no other."""
        return self._mark("version", f"{article_id}\0{extractor}\0{number}")

    def _mark(self, kind: str, value: str) -> str:
        return hmac.new(self._key, f"pressmark-{kind}/1\0{value}".encode(), hashlib.sha256).hexdigest()


class BlockList:
    """What must not come back, as the catalog has it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._marker: Marker | None = None
        self.ignored = False  # the operator asked for what was redacted to be let in again

    def refused(
        self,
        tx: Tx,
        *,
        urls: Iterable[str | None] = (),
        payload: str | None = None,
        text: str | None = None,
        article: str | None = None,
    ) -> int | None:
        """Index of the redaction for which any of these must not come back; None where all may.

        Raises DamageError where there is a list and its key is missing.
        """
        if self.ignored or not tx.redactions.any_marks():
            return None
        return self._blocked(tx, urls=urls, payload=payload, text=text, article=article)

    def _blocked(
        self,
        tx: Tx,
        *,
        urls: Iterable[str | None] = (),
        payload: str | None = None,
        text: str | None = None,
        article: str | None = None,
    ) -> int | None:
        marker = self._key()
        marks = [marker.url(url) for url in urls if url]
        marks += [marker.payload(payload)] if payload else []
        marks += [marker.text(text)] if text else []
        marks += [marker.article(article)] if article else []
        return tx.redactions.blocked(marks) if marks else None

    def redacted(self, tx: Tx, text: str) -> int | None:
        """The redaction that a name stands under: record id, article id (`@VERSION` too) or URL; None for none."""
        for record_id in (text, f"urn:uuid:{text.lower()}"):
            erased = tx.redactions.by_record(record_id)
            if erased is not None:
                return erased.log_index
        if not tx.redactions.any_marks():
            return None
        if "://" in text:
            try:
                return self._blocked(tx, urls=[normalize(text)])
            except InvalidValue:
                return None
        return self._blocked(tx, article=text.partition("@")[0])

    def next_version(self, tx: Tx, article_id: str, extractor: str) -> int:
        """The number of an article's next version: after the last, and none that was redacted."""
        number = max((row.version for row in tx.articles.versions(article_id, extractor)), default=0) + 1
        if tx.redactions.any_marks():
            while tx.redactions.blocked([self._key().version(article_id, extractor, number)]) is not None:
                number += 1
        return number

    def _key(self) -> Marker:
        if self._marker is None:
            self._marker = Marker.load(self._directory)
        if self._marker is None:
            raise DamageError(
                f"{self._directory / KEY_FILE} is missing, and without it nobody can tell what was redacted",
                remedy="bring it back from your backup",
            )
        return self._marker


def object_key(log_index: int) -> str:
    """Where the block list of one redaction stands."""
    return f"{PREFIX}{log_index:012d}.json"


def encode(log_index: int, marks: Sequence[str]) -> bytes:
    """The block list of one redaction, as it is put."""
    return canonical.dumps({"entry": log_index, "format": FORMAT, "marks": sorted(set(marks))})


def decode(data: bytes) -> tuple[int, list[str]]:
    """(index of the redaction, marks). Raises InvalidValue."""
    value = canonical.loads(data)
    try:
        entry, marks = value["entry"], value["marks"]
        sound = value["format"] == FORMAT and type(entry) is int and all(_HEX.fullmatch(mark) for mark in marks)
        if not sound or encode(entry, marks) != data:
            raise InvalidValue("not a block list of a known format")
    except (KeyError, TypeError) as error:
        raise InvalidValue(f"a block list lacks or has a wrong field: {error}") from error
    return entry, list(marks)
