"""What all commands share: the options, opening the archive, printing values, ending with the right exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.settings import Settings, archive_directory, load
from schemas.errors import PressmarkError

if TYPE_CHECKING:
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


def say(text: str) -> None:
    """A message for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """One JSON value as one line on stdout."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=False)


def settings_of(directory: Path | None, allow: Sequence[str] | None = None) -> Settings:
    """The settings of the archive that a command names."""
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


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the process as the table in `schemas.errors` says, with one line on stderr and no traceback."""
    try:
        yield
        sys.stdout.flush()
    except PressmarkError as error:
        say(f"pressmark: {error}")
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        say("pressmark: interrupted")
        raise SystemExit(130) from error
    except BrokenPipeError as error:  # the reader of our output left: nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"pressmark: {where}{error.strerror or error}; check the path, the disk and the rights to it")
        raise SystemExit(
            2 if isinstance(error, (FileNotFoundError, IsADirectoryError, PermissionError)) else 5
        ) from error
