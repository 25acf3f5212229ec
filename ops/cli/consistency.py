"""Comparing kept checkpoints for `pressmark log consistency`: ours, or those of a log somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ops.cli.common import settings_of
from schemas.errors import CheckFailed, NotFound, ServiceError, UsageError

if TYPE_CHECKING:
    from schemas.checkpoints import Checkpoint, VerifierKey
    from storage.log.monitor import GetObject


def compare(
    old: str, new: str, *, log: str | None, keys: Sequence[str], archive: Path | None, allow: Sequence[str] | None
) -> tuple[Checkpoint, Checkpoint, list[bytes]]:
    """Both checkpoints and the proof between them. Raises CheckFailed where they are not of one history."""
    from schemas.standalone import read_key_argument
    from storage.log.monitor import check_consistency, open_signed

    place = log or (new if _is_log(new) else None)
    trusted = tuple(read_key_argument(text) for text in keys)
    if place is None or not trusted:
        get, ours = _own(archive)
        trusted = trusted or ours
    if place is not None:
        get = _elsewhere(place, archive, allow)
    try:
        first, second = (
            open_signed(get("checkpoint") if _is_log(text) else _read(text), trusted, text) for text in (old, new)
        )
        return first, second, check_consistency(first, second, get)
    except CheckFailed as error:
        raise CheckFailed(
            error.message, remedy="keep both checkpoints, they are evidence, and ask whose log it is"
        ) from error


def _is_log(text: str) -> bool:
    return text.startswith(("http://", "https://")) or Path(text).is_dir()


def _read(text: str) -> bytes:
    path = Path(text)
    if text.isdecimal() and not path.exists():
        raise UsageError("a tree size and a checkpoint cannot be compared", remedy="give two of one kind")
    return path.read_bytes()


def _own(archive: Path | None) -> tuple[GetObject, tuple[VerifierKey, ...]]:
    from ops.wiring import open_archive
    from storage.log.tree import PREFIX

    with open_archive(settings_of(archive)) as opened:
        store, keys = opened.store, (opened.vkey, *opened.log.former_keys())
    return (lambda path: store.get(PREFIX + path)), keys


def _elsewhere(place: str, archive: Path | None, allow: Sequence[str] | None) -> GetObject:
    """Reads objects of a log in a folder, or behind a URL."""
    if not place.startswith(("http://", "https://")):
        folder = Path(place)

        def read(path: str) -> bytes:
            try:
                return (folder / path).read_bytes()
            except FileNotFoundError as error:
                raise NotFound(f"{folder / path} is not there", remedy="name the folder log/ of an archive") from error

        return read
    from ops.wiring import default_settings, make_post

    post = make_post(default_settings(archive, allow))

    def fetch(path: str) -> bytes:
        answer = post.get(f"{place.rstrip('/')}/{path}")
        if answer.status == 404:
            raise NotFound(f"{place} has no {path}", remedy="name the URL below which its checkpoint lies")
        if answer.status != 200:
            raise ServiceError(f"{place} answered {answer.status} for {path}", remedy="try again later")
        return answer.body

    return fetch
