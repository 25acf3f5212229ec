"""`pressmark warc`: a strict look at WARC files, anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import AsJson, emit, say, tell
from schemas.errors import CheckFailed

if TYPE_CHECKING:
    pass

app = typer.Typer(no_args_is_help=True)


@app.callback()
def warc() -> None:
    """WARC files."""


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of one set: links are sought in all.")],
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings, a broken `should`, count as errors.")] = False,
    json: AsJson = False,
) -> None:
    """Check WARC files against ISO 28500; exit 0 where all are valid, 1 where one is not."""
    from storage.warc.check import check_files, is_valid

    bad = 0
    for path, findings in zip(files, check_files(files), strict=True):
        valid = is_valid(findings, strict=strict)
        bad += not valid
        for finding in findings:
            if json:
                emit(finding.to_json())
            else:
                where = f"{finding.file}:{finding.offset}"
                of = f" {finding.record_id}" if finding.record_id else ""
                tell(f"{where}: {finding.severity}: {finding.rule} ({finding.section}): {finding.message}{of}")
        say(f"{path}: {'valid' if valid else 'not valid'}")
    if bad:
        raise CheckFailed(f"{bad} of {len(files)} files are not valid")
