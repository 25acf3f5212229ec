"""`pressmark log`: look into the transparency log."""

from __future__ import annotations

import base64
import json as jsonlib
from typing import Annotated

import typer

from ops.cli.common import AllowAddress, ArchiveDir, AsJson, emit, opened, say, settings_of, tell
from ops.cli.witness import witness
from schemas.errors import NotFound, ServiceError, UsageError

app = typer.Typer(no_args_is_help=True)
app.command("witness")(witness)


@app.command("checkpoint")
def checkpoint(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """The published checkpoint, as it stands in the store."""
    from schemas.checkpoints import Checkpoint, Note

    with opened(archive) as (opened_archive, _):
        text = opened_archive.log.checkpoint()
    if text is None:
        raise NotFound("nothing is published yet", remedy="crawl first")
    if json:
        point = Checkpoint.parse(Note.parse(text.encode()).text)
        root = base64.b64encode(point.root).decode()
        emit({"origin": point.origin, "size": point.size, "root": root, "note": text})
    else:
        tell(text.rstrip("\n"))


@app.command("key")
def key(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """The log's public key: hand it out by another way than the bundles."""
    with opened(archive) as (opened_archive, _):
        vkey = str(opened_archive.vkey)
    emit({"key": vkey}) if json else tell(vkey)


@app.command("stamp")
def stamp(archive: ArchiveDir = None, allow_address: AllowAddress = None) -> None:
    """Have the newest checkpoint stamped and cosigned now, by all authorities and witnesses of the settings."""
    from ops.wiring import make_anchoring, open_archive
    from storage.anchoring import states

    settings = settings_of(archive, allow_address)
    if not settings.log.timestamp_authorities and not settings.log.witnesses:
        raise UsageError(
            "no authority and no witness is set", remedy="set [log] timestamp_authorities or witnesses"
        )
    with open_archive(settings, mend=True, say=say) as opened_archive:
        opened_archive.integrate()
        anchoring = make_anchoring(opened_archive, settings)
        failed = anchoring.work(force=True)
        opened_archive.integrate()
        for state in states(opened_archive.catalog, anchoring.settings):
            tell(f"{state.kind} {state.name}: {state.size} entries" + (f"; {state.error}" if state.error else ""))
    if failed:
        raise ServiceError(failed[0], remedy="nothing else stops for it; `status` shows how it goes on")


@app.command("proof")
def proof(index: Annotated[int, typer.Argument(min=0)], archive: ArchiveDir = None, json: AsJson = False) -> None:
    """The inclusion proof of an entry (C2SP tlog-proof)."""
    with opened(archive) as (opened_archive, _):
        text = opened_archive.log.tlog_proof(index)
    emit({"index": index, "proof": text}) if json else tell(text.rstrip("\n"))


@app.command("consistency")
def consistency(
    old: Annotated[int, typer.Argument(metavar="FROM", min=0)],
    new: Annotated[int, typer.Argument(metavar="TO", min=0)],
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """The proof that the tree of TO entries begins with the tree of FROM entries, a base64 hash a line."""
    with opened(archive) as (opened_archive, _):
        nodes = [base64.b64encode(node).decode() for node in opened_archive.log.consistency(old, new)]
    if json:
        emit({"from": old, "to": new, "proof": nodes})
        return
    for node in nodes:
        tell(node)


@app.command("entries")
def entries(
    start: Annotated[int, typer.Option("--from", min=0)] = 0,
    stop: Annotated[int | None, typer.Option("--to", min=0)] = None,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """The log's entries."""
    with opened(archive) as (opened_archive, _), opened_archive.catalog.read() as tx:
        for row in tx.log.entries(start, stop):
            if json:
                emit({"index": row.index, "subject": row.subject, "entry": jsonlib.loads(row.body)})
            else:
                tell(f"{row.index:8} {row.type:12} {row.subject or ''}".rstrip())
