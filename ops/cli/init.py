"""`pressmark init`: settings, log key and catalog of a new archive."""

from __future__ import annotations

import re
import secrets
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, say, write_file
from schemas.errors import UsageError

if TYPE_CHECKING:
    from ops.settings import Settings

_TEMPLATE: Final = """\
# Settings of this archive. Every key can be overridden by the environment: PRESSMARK_CRAWL__HOST_DELAY=5

[operator]
name = {name}
# an e-mail address or URL at which you are reached; stands in the User-Agent
contact = {contact}

[log]
# the name of this archive's log; never change it
origin = {origin}

# [catalog]
# url = "postgresql+psycopg://user@host/db"      # default: SQLite in this folder
# [objects]
# url = "s3://bucket/prefix"                     # default: the folder objects/ beside this file
# [crawl]
# host_delay = 2.0                               # seconds between two exchanges with one host
# recheck = [1800, 10800, 86400, 604800, 2592000]        # seconds after the first capture
"""
#: What `Archive.create` makes in the folder, taken away again where it fails half-way.
_MADE: Final = ("keys", "objects", "worker", "catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm")


def init(
    directory: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Folder of the new archive.")] = None,
    archive: ArchiveDir = None,
    contact: Annotated[str | None, typer.Option(help="E-mail address or URL at which you are reached.")] = None,
    name: Annotated[str, typer.Option(help="Who operates the archive.")] = "",
    origin: Annotated[str | None, typer.Option(help="Name of the log, a URL without scheme. Default: made up.")] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="Settings to start with, instead of the defaults."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Make an archive: settings, log key, catalog."""
    from ops.settings import archive_directory, parse
    from storage.lock import CrawlLock

    if directory is not None and archive is not None:
        raise UsageError("the folder is named twice", remedy="give DIR or --archive DIR")
    target = archive_directory(directory or archive)
    _free(target)
    text = _settings_text(settings_file, name=name, contact=contact, origin=origin)
    settings = parse(tomllib.loads(text), target, where="the new settings")
    _checked(settings.log.origin)
    target.mkdir(parents=True, exist_ok=True)
    with CrawlLock(target / "lock"):
        _free(target)
        vkey = _make(settings, target, text)
    say(f"archive made in {target}; its log is {settings.log.origin}")
    if json:
        emit({"archive": str(target), "origin": settings.log.origin, "key": vkey})
    _add_outlets(settings, target)
    say(f"next: pressmark outlet add URL -C {target}")


def _free(target: Path) -> None:
    """Raises UsageError where the folder holds an archive, or what an unfinished `init` left."""
    from ops.settings import SETTINGS_FILE

    if (target / SETTINGS_FILE).exists():
        raise UsageError(f"{target} holds an archive already", remedy="choose another folder")
    if (target / "keys").exists():
        raise UsageError(
            f"{target} holds the key of an archive but no {SETTINGS_FILE}",
            remedy="bring the settings back, or choose another folder",
        )


def _make(settings: Settings, target: Path, text: str) -> str:
    """Key, catalog, then the settings, whose presence says that all is there; the log's public key."""
    from ops.settings import SETTINGS_FILE
    from ops.wiring import storage_settings
    from storage.archive import Archive

    before = {path.name for path in target.iterdir()}
    try:
        with Archive.create(storage_settings(settings)) as made:
            vkey = str(made.vkey)
        write_file(target / SETTINGS_FILE, text.encode())
    except BaseException as error:
        for path in (target / name for name in _MADE if name not in before):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if isinstance(error, UsageError) and error.remedy is None:  # a catalog on a server is there already
            join = "to join it, copy its pressmark.toml and keys/log.key here; else give another [catalog] url"
            raise UsageError(error.message, remedy=join) from error
        raise
    return vkey


def _settings_text(given: Path | None, *, name: str, contact: str | None, origin: str | None) -> str:
    if given is not None:
        return _completed(given, {"log": {"origin": origin}, "operator": {"name": name or None, "contact": contact}})
    if contact is None and sys.stdin.isatty():
        contact = typer.prompt("E-mail address or URL at which outlets can reach you", default="", show_default=False)
    return _TEMPLATE.format(
        name=_quoted(name), contact=_quoted(contact or ""), origin=_quoted(origin or _made_up_origin())
    )


def _completed(given: Path, options: dict[str, dict[str, str | None]]) -> str:
    """The given settings as they stand, with what the options say and a log's name set in. Raises UsageError."""
    from ops.settings import read_toml

    values, text = read_toml(given), given.read_text(encoding="utf-8")
    if not _has(values, "log", "origin") and options["log"]["origin"] is None:
        options["log"]["origin"] = _made_up_origin()
    for table, keys in options.items():
        lines = ""
        for key, value in keys.items():
            if value is not None and _has(values, table, key):
                raise UsageError(
                    f"--{key} is given, and {given} has [{table}] {key}", remedy="leave one of the two out"
                )
            lines += f"{key} = {_quoted(value)}\n" if value is not None else ""
        if lines:
            text = _inserted(text, table, lines) if table in values else f"{text.rstrip()}\n\n[{table}]\n{lines}"
    return text


def _has(values: dict[str, Any], table: str, key: str) -> bool:
    found = values.get(table)
    return isinstance(found, dict) and key in found


def _inserted(text: str, table: str, lines: str) -> str:
    """The text with lines behind a table's header. Raises UsageError where the table has none of its own."""
    text, count = re.subn(
        rf"(?m)^[ \t]*\[[ \t]*{table}[ \t]*\][^\n]*(?:\n|\Z)", lambda m: f"{m[0].rstrip()}\n{lines}", text
    )
    if count != 1:
        raise UsageError(f"the settings have no line [{table}]", remedy=f"write [{table}] as a table with a header")
    return text


def _made_up_origin() -> str:
    return f"pressmark.invalid/{secrets.token_hex(8)}"


def _checked(origin: str) -> None:
    if not origin or any(char.isspace() or char == "+" or ord(char) < 33 for char in origin):
        raise UsageError(f"{origin!r} cannot name a log", remedy="use a URL without scheme, spaces and plus signs")


def _quoted(text: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise UsageError(f"{text!r} holds control characters", remedy="give plain text")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _add_outlets(settings: Settings, target: Path) -> None:
    from ops.cli.outlet import add_outlets

    if settings.outlet:
        add_outlets(target, list(settings.outlet), allow=None)
