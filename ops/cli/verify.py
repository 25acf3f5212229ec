"""`pressmark verify`: check an evidence bundle. Needs no archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import AsJson, emit, tell
from schemas.errors import CheckFailed
from schemas.instants import rfc3339

if TYPE_CHECKING:
    from schemas.bundle_report import Report


def verify(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE.zip")],
    key: Annotated[str | None, typer.Option(help="The archive's public key as you know it, or a file with it.")] = None,
    witness: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Public key of a witness that must have cosigned.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificates of the timestamp authorities that you trust.")
    ] = None,
    require_timestamp: Annotated[bool, typer.Option("--require-timestamp", help="Fail without a timestamp.")] = False,
    json: AsJson = False,
) -> None:
    """Check a bundle and say in sentences what it proves, by when, and what it does not prove."""
    from functools import partial

    from schemas.bundle_trust import Trust
    from schemas.bundles import verify_bundle
    from schemas.cosignatures import WITNESS_TYPES
    from schemas.standalone import read_key_argument
    from storage.log.signing import mldsa44_verifier
    from storage.log.stamps import check_files

    trust = Trust(
        key=read_key_argument(key) if key else None,
        witnesses=tuple(read_key_argument(text, types=WITNESS_TYPES) for text in witness or ()),
        check_timestamp=partial(check_files, anchors=authority.read_bytes() if authority else None),
        authority_pinned=authority is not None,
        mldsa44=mldsa44_verifier(),
    )
    report = verify_bundle(file.read_bytes(), trust=trust)
    try:
        _print(report, as_json=json)
    finally:  # the verdict is the exit code, whether or not anybody read all lines
        if not report.ok:
            count = f"{len(report.findings)} finding{'s' if len(report.findings) > 1 else ''}"
            raise CheckFailed(f"{file} does not verify, {count}", remedy="do not rely on it")
    if require_timestamp and report.timestamped is None:
        raise CheckFailed(
            f"{file} carries no timestamp that was checked", remedy="ask for one made with `prove --stamped`"
        )


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "ok": report.ok,
                "findings": [str(f) for f in report.findings],
                "proven": list(report.proven),
                "unproven": list(report.unproven),
                "notes": list(report.notes),
                "timestamped": rfc3339(report.timestamped) if report.timestamped else None,
            }
        )
    else:
        tell("\n".join(report.lines()))
