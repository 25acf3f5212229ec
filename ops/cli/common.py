"""What all commands share: the options, opening the archive, printing values and messages, reading dates.

How a command ends, and with which exit code, is left to `main`. What is heavy is imported where it is used, so that
`--help` answers at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from schemas.errors import InvalidValue, UsageError

if TYPE_CHECKING:
    from ops.settings import Settings
    from storage.archive import Archive

ArchiveDir = Annotated[
    Path | None,
    typer.Option(
        "--archive",
        "-C",
        metavar="DIR",
        help="The archive's folder (else PRESSMARK_ARCHIVE, else ./archive).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON Lines on stdout, messages on stderr.")]
AllowAddress = Annotated[
    list[str] | None,
    typer.Option("--allow-address", metavar="CIDR", help="Let private or loopback addresses of this block be asked."),
]
IncludeRedacted = Annotated[bool, typer.Option("--include-redacted", help="Let in again what was redacted.")]

#: What a page's words may not do to a terminal: control characters but line feed and tab (C0, DEL, C1).
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def say(text: str) -> None:
    """A message for people, on stderr. That nobody reads it any more stops no work."""
    if sys.stderr is None:  # closed by whoever started us; print would turn to stdout
        return
    with contextlib.suppress(OSError):
        print(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text), file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Lines for people, on stdout: what they say may come from strangers' pages."""
    print(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text))


def emit(value: Any) -> None:
    """One JSON value as one line on stdout."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def settings_of(directory: Path | None, allow: Sequence[str] | None = None) -> Settings:
    """The settings of the archive that a command names."""
    from ops.settings import archive_directory, load

    settings = load(archive_directory(directory))
    if allow:
        crawl = settings.crawl.model_copy(update={"allow_addresses": (*settings.crawl.allow_addresses, *allow)})
        settings = settings.model_copy(update={"crawl": crawl})
    return settings


@contextmanager
def opened(directory: Path | None, *, mend: bool = False) -> Iterator[tuple[Archive, Settings]]:
    """The archive that a command names, opened; closed at the end."""
    from ops.wiring import open_archive

    settings = settings_of(directory)
    with open_archive(settings, mend=mend, say=say) as archive:
        yield archive, settings


def instant(text: str | None) -> datetime | None:
    """A date (midnight UTC), a time without zone (UTC) or an instant, in UTC. Raises UsageError."""
    from schemas.instants import utc

    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
        return utc(value if value.tzinfo else value.replace(tzinfo=UTC))
    except (ValueError, InvalidValue) as error:
        raise UsageError(f"{text!r} is no date", remedy="write 2026-11-23 or 2026-11-23T14:00:00Z") from error


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Shows how far a long work is, on a terminal; silence in a pipe. Told of what, how many are done, of how many."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def shown(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield shown


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: what stood there stays until the new one is complete. Raises OSError."""
    if path.exists() and not path.is_file():  # a pipe or a device; a folder raises
        path.write_bytes(data)
        return
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        error.filename, error.filename2 = str(path), None
        raise
