"""`pressmark snapshot`: datasets that can be cited and rebuilt."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, instant, opened, say, tell
from schemas.errors import CheckFailed, UsageError

app = typer.Typer(no_args_is_help=True)


@app.command("build")
def build(
    name: str,
    outlet: Annotated[list[str] | None, typer.Option(help="Of this outlet (may be repeated). Default: all.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="At or after this date or instant (UTC).")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Before this date or instant (UTC).")] = None,
    by: Annotated[str, typer.Option(help="captured or published.")] = "captured",
    without_text: Annotated[bool, typer.Option("--without-text", help="Leave the texts out.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Copy the files there, too.")] = None,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Build and seal a dataset: Parquet, manifest, Croissant, card."""
    from storage.datasets import Selection
    from storage.datasets import build as make

    if by not in ("captured", "published"):
        raise UsageError(f"{by!r} is no date to select by", remedy="give --by captured or --by published")
    with opened(archive, mend=True) as (opened_archive, _):
        with opened_archive.catalog.read() as tx:
            outlets = tuple(sorted(tx.outlets.find(text).id for text in outlet or ()))
        selection = Selection(
            outlets=outlets, from_=instant(since), to=instant(until), by=by, with_text=not without_text
        )
        row = make(opened_archive, name, selection, out=out)
        opened_archive.integrate()
    if json:
        emit(asdict(row))
    else:
        tell(f"{row.name} {row.version}: {row.rows} rows, root {row.root}, log index {row.log_index}")
        say(f"stored under {row.prefix}; check it with `pressmark snapshot verify {row.name}`")


@app.command("verify")
def verify(
    name: str,
    version: Annotated[str | None, typer.Option(help="Default: the latest.")] = None,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Recompute a dataset's digests and root, and compare rows, records and log."""
    from storage.datasets import verify as check

    with opened(archive) as (opened_archive, _):
        problems = check(opened_archive, name, version)
    try:
        for problem in problems:
            emit({"problem": problem}) if json else tell(problem)
    finally:  # the verdict is the exit code, whether or not anybody read all lines
        if problems:
            raise CheckFailed(f"snapshot {name} does not verify", remedy="see the lines above")
    emit({"ok": True}) if json else tell(f"{name} verifies")


@app.command("list")
def list_(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """The snapshots of this archive."""
    with opened(archive) as (opened_archive, _), opened_archive.catalog.read() as tx:
        for row in tx.snapshots.all():
            emit(asdict(row)) if json else tell(f"{row.name:24} {row.version:8} {row.rows:8} rows  {row.root}")


@app.command("diff")
def diff(a: str, b: str, archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Which rows two snapshots (NAME or NAME/VERSION) do not share."""
    from storage.datasets import diff as compare

    with opened(archive) as (opened_archive, _):
        for line in compare(opened_archive, a, b):
            emit({"change": line}) if json else tell(line)
