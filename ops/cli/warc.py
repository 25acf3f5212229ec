"""`pressmark warc`: a strict look at WARC files, anybody's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.common import AsJson, emit, say
from schemas.errors import CheckFailed

app = typer.Typer(no_args_is_help=True)


@app.callback()
def warc() -> None:
    """WARC files."""


@app.command("check")
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")], json: AsJson = False) -> None:
    """Check WARC files against ISO 28500; exit 0 where all are valid, 1 where one is not."""
    from storage.warc.check import check_file

    bad = 0
    for path in files:
        findings = check_file(path)
        wrong = [f for f in findings if f.severity == "error"]
        bad += bool(wrong)
        for finding in findings:
            if json:
                emit({**asdict(finding), "file": str(finding.file)})
            else:
                rule = f"{finding.rule} (ISO 28500 {finding.section})"
                print(f"{path}:{finding.offset}: {finding.severity}: {rule}: {finding.message}")
        say(f"{path}: {'not valid' if wrong else 'valid'}")
    if bad:
        raise CheckFailed(f"{bad} of {len(files)} files are not valid")
