"""`pressmark log`: look into the transparency log."""

from __future__ import annotations

import base64
import json as jsonlib
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, opened, tell
from schemas.errors import NotFound

if TYPE_CHECKING:
    from storage.catalog import Tx
    from storage.catalog.values import EntryRow, RecordRow

app = typer.Typer(no_args_is_help=True)


def look_up(tx: Tx, what: str) -> tuple[EntryRow, list[RecordRow]]:
    """An entry, by its index or by the id or digest of a record, and the records of its event. Raises NotFound."""
    if what.isascii() and what.isdigit():
        entry = tx.log.entry(int(what))
    else:
        row = tx.records.by_digest(what) if what.startswith("sha256:") else tx.records.get(what)
        if row is None:
            raise NotFound(f"no record {what} in this archive", remedy="give a record id, or sha256:hex")
        entry = None if row.event_id is None else tx.log.find(row.event_id)
        if entry is None:
            segment = tx.log.find(row.segment, "segment")
            if segment is None:
                raise NotFound(f"no entry commits to {what} yet", remedy="its segment's will, once that is sealed")
            return segment, [row]
    if entry is None:
        raise NotFound(f"the log has no entry {what}", remedy="see `pressmark log entries`")
    return entry, tx.records.of_event(entry.subject) if entry.subject is not None else []


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


@app.command("find")
def find(
    what: Annotated[str, typer.Argument(metavar="INDEX|ID|DIGEST", help="An entry; a record's id or digest.")],
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """The entry that commits to a record, or the records that an entry commits to."""
    with opened(archive) as (opened_archive, _), opened_archive.catalog.read() as tx:
        entry, records = look_up(tx, what)
    places = [
        {"record": r.record_id, "type": r.type, "digest": r.digest, "segment": r.segment, "offset": r.offset}
        for r in records
    ]
    if json:
        emit({"index": entry.index, "entry": jsonlib.loads(entry.body), "records": places})
        return
    tell(f"{entry.index:8} {entry.type:12} {entry.subject or ''}".rstrip())
    for place in places:
        tell(f"  {place['type']:12} {place['record']}  {place['segment']} at {place['offset']}  {place['digest']}")


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
