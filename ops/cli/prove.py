"""`pressmark prove`: an evidence bundle that a stranger can check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, opened, say, write_file
from schemas.errors import DamageError, NotFound

if TYPE_CHECKING:
    from schemas.checkpoints import VerifierKey
    from storage.archive import Archive


def prove(
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Article (ID@VERSION), capture, snapshot NAME/VERSION, imported file sha256:HEX, redaction/INDEX.",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The bundle to write, a zip.")],
    stamped: Annotated[bool, typer.Option("--stamped", help="By a timestamped checkpoint, or fail.")] = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Write an evidence bundle: records, log entries, proofs, checkpoint, and the program that checks them."""
    with opened(archive, mend=True) as (opened_archive, _):
        bundle = bundle_of(opened_archive, id, stamped=stamped)
        vkey = str(opened_archive.vkey)
    write_file(out, bundle)
    if json:
        emit({"bundle": str(out), "bytes": len(bundle), "key": vkey})
        return
    say(f"wrote {out} ({len(bundle)} bytes); check it with `pressmark verify {out}`,")
    say(f"or unzip it and run `python3 -I verify.py --key '{vkey}'`")


def bundle_of(archive: Archive, id: str, *, stamped: bool = False) -> bytes:
    """The evidence bundle of an id, which was checked. Raises Withheld, NotFound, DamageError."""
    from storage.evidence import prove as make

    _refuse(archive, id)
    bundle = make(archive, id, stamped=stamped)
    _check(id, bundle, archive.vkey)
    return bundle


def _refuse(archive: Archive, text: str) -> None:
    """Raises Withheld for what is restricted, or was redacted."""
    from storage.evidence import resolve
    from storage.withholding import refuse_redacted, refuse_restricted

    try:
        version, capture, _ = resolve(archive, text)
    except NotFound:
        refuse_redacted(archive, text)
        return  # it may be of another kind
    refuse_restricted(archive, version=version, capture=capture)


def _check(id: str, bundle: bytes, key: VerifierKey) -> None:
    """Nothing leaves the archive as evidence that would not convince us. Raises DamageError."""
    from schemas.bundle_trust import Trust
    from schemas.bundles import verify_bundle
    from storage.log.signing import mldsa44_verifier
    from storage.log.stamps import check_files

    trust = Trust(key=key, check_timestamp=check_files, mldsa44=mldsa44_verifier())
    report = verify_bundle(bundle, trust=trust)
    if not report.ok:
        raise DamageError(f"the evidence of {id} is damaged ({report.findings[0]})", remedy="run `pressmark audit`")
