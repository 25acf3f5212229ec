"""`pressmark init`: settings, log key and catalog of a new archive."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.common import ArchiveDir, say
from ops.settings import SETTINGS_FILE, Settings, archive_directory, parse, read_toml
from schemas.errors import UsageError

_TEMPLATE = """\
# Settings of this archive. Every key can be overridden by the environment: PRESSMARK_CRAWL__HOST_DELAY=5
[operator]
name = {name}
contact = {contact}        # an e-mail address or URL at which you are reached; stands in the User-Agent

[log]
origin = {origin}        # the name of this archive's log; never change it

# [catalog]
# url = "postgresql+psycopg://user@host/db"      # default: SQLite in this folder
# [objects]
# url = "s3://bucket/prefix"                     # default: the folder objects/ beside this file
# [crawl]
# host_delay = 2.0       # seconds between two exchanges with one host
# recheck = [1800, 10800, 86400, 604800, 2592000]      # seconds after the first capture
"""


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
) -> None:
    """Make an archive: settings, log key, catalog."""
    from ops.wiring import storage_settings
    from storage.archive import Archive

    target = archive_directory(directory or archive)
    path = target / SETTINGS_FILE
    if path.exists():
        raise UsageError(f"{target} holds an archive already", remedy="choose another folder")
    text = _settings_text(settings_file, name=name, contact=contact, origin=origin)
    settings = _checked(text, target)
    target.mkdir(parents=True, exist_ok=True)
    Archive.create(storage_settings(settings)).close()
    path.write_text(text, encoding="utf-8")
    say(f"archive made in {target}; its log is {settings.log.origin}")
    _add_outlets(settings, target)
    say(f"next: pressmark outlet add URL -C {target}")


def _settings_text(given: Path | None, *, name: str, contact: str | None, origin: str | None) -> str:
    values = read_toml(given) if given is not None else {}
    origin = origin or values.get("log", {}).get("origin") or f"pressmark.invalid/{secrets.token_hex(8)}"
    if any(char.isspace() or char == "+" for char in origin):
        raise UsageError(f"{origin!r} cannot name a log", remedy="use a URL without scheme, spaces and plus signs")
    if given is not None:
        text = given.read_text(encoding="utf-8")
        extra = ""
        if "origin" not in values.get("log", {}):
            extra += f"\n[log]\norigin = {_quoted(origin)}\n" if "log" not in values else ""
        if "operator" not in values:
            extra += f"\n[operator]\nname = {_quoted(name)}\ncontact = {_quoted(contact or '')}\n"
        return text + extra
    if contact is None and sys.stdin.isatty():
        contact = typer.prompt("E-mail address or URL at which outlets can reach you", default="", show_default=False)
    return _TEMPLATE.format(name=_quoted(name), contact=_quoted(contact or ""), origin=_quoted(origin))


def _quoted(text: str) -> str:
    if any(ord(char) < 32 for char in text):
        raise UsageError(f"{text!r} holds control characters", remedy="give plain text")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _checked(text: str, target: Path) -> Settings:
    import tomllib

    settings = parse(tomllib.loads(text), target, where="the new settings")
    if not settings.log.origin:
        raise UsageError("the settings have a [log] table without origin", remedy="add origin, or leave the table out")
    return settings


def _add_outlets(settings: Settings, target: Path) -> None:
    from ops.cli.outlet import add_outlets

    if settings.outlet:
        add_outlets(target, list(settings.outlet), allow=None)
