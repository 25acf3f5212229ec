"""`pressmark warc`: a strict look at WARC files, anybody's."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import AsJson, emit, say, tell
from schemas.errors import CheckFailed

if TYPE_CHECKING:
    from storage.warc.check import Finding

app = typer.Typer(no_args_is_help=True)


@app.callback()
def warc() -> None:
    """WARC files."""


@app.command("check")
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")], json: AsJson = False) -> None:
    """Check WARC files against ISO 28500; exit 0 where all are valid, 1 where one is not."""
    from storage.warc.check import check_file

    checked = [(path, check_file(path)) for path in files]
    bad = [path for path, findings in checked if any(f.severity == "error" for f in findings)]
    try:
        for path, findings in checked:
            _print(path, findings, as_json=json)
            say(f"{path}: {'not valid' if path in bad else 'valid'}")
    finally:  # the verdict is the exit code, whether or not anybody read all lines
        if bad:
            raise CheckFailed(
                f"{len(bad)} of {len(files)} files are not valid", remedy="see the lines above for the rules broken"
            )


def _print(path: Path, findings: list[Finding], *, as_json: bool) -> None:
    for finding in findings:
        if as_json:
            emit({**asdict(finding), "file": str(finding.file)})
        else:
            rule = f"{finding.rule} (ISO 28500 {finding.section})"
            tell(f"{path}:{finding.offset}: {finding.severity}: {rule}: {finding.message}")
