"""`pressmark log`: look into the transparency log."""

from __future__ import annotations

import base64
import json as jsonlib
from typing import Annotated

import typer

from ops.cli.common import AllowAddress, ArchiveDir, AsJson, emit, opened, say, settings_of, tell
from ops.cli.origin import with_origin, write_origin
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
def stamp(archive: ArchiveDir = None, allow_address: AllowAddress = None, json: AsJson = False) -> None:
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
            if json:
                emit({"kind": state.kind, "name": state.name, "size": state.size, "error": state.error or None})
            else:
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
    old: Annotated[str, typer.Argument(metavar="OLD", help="A tree size of this log, or a file with a checkpoint.")],
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="The same, or a log: its folder, or its URL (C2SP tlog-tiles).")
    ],
    log: Annotated[
        str | None, typer.Option(metavar="LOG", help="Folder or URL of the log whose tiles prove it. Default: ours.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Public key of the log. Default: ours.")
    ] = None,
    archive: ArchiveDir = None,
    allow_address: AllowAddress = None,
    json: AsJson = False,
) -> None:
    """Whether one tree is the start of another: the proof between two sizes, or a check of two kept checkpoints."""
    from ops.cli.consistency import compare

    if old.isdecimal() and new.isdecimal():
        with opened(archive) as (opened_archive, _):
            nodes = opened_archive.log.consistency(int(old), int(new))
        _print_proof(int(old), int(new), nodes, json)
        return
    first, second, nodes = compare(old, new, log=log, keys=key or (), archive=archive, allow=allow_address)
    if json:
        _print_proof(first.size, second.size, nodes, json)
    small, large = sorted((first.size, second.size))
    say(f"consistent: the tree of {small} entries is the start of that of {large}, in the log {first.origin}")


def _print_proof(old: int, new: int, nodes: list[bytes], json: bool) -> None:
    lines = [base64.b64encode(node).decode() for node in nodes]
    if json:
        emit({"from": old, "to": new, "proof": lines})
        return
    for line in lines:
        tell(line)


@app.command("rotate-key")
def rotate_key(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Hand over to a new log key, provably; no other process may write the archive meanwhile."""
    from ops.wiring import crawl_lock, open_archive
    from storage.keys import rotate

    settings = settings_of(archive)
    with crawl_lock(settings), open_archive(settings, mend=True, say=say) as opened_archive:
        vkey = rotate(opened_archive)
    say("the new key signs from here on; publish it, give it to your witnesses, and keep a copy of keys/log.key")
    emit({"key": str(vkey)}) if json else tell(str(vkey))


@app.command("new-origin")
def new_origin(
    origin: Annotated[str, typer.Argument(metavar="ORIGIN", help="The new log's name, a URL without scheme.")],
    was: Annotated[
        str, typer.Option(metavar="KEY", help="The lost key's public half: what `log key` printed, or a log.vkey.")
    ],
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Where the log key is lost for good: freeze the old log and go on under a new origin and key."""
    from ops.wiring import crawl_lock, storage_settings
    from schemas.standalone import read_key_argument
    from storage import keys

    settings = settings_of(archive)
    changed = with_origin(settings, origin)
    with crawl_lock(settings):
        vkey = keys.new_origin(storage_settings(changed), read_key_argument(was))
        write_origin(settings, origin)
    say(f"the log goes on as {origin}; the old one is frozen and still verifies by the old key")
    emit({"key": str(vkey), "origin": origin}) if json else tell(str(vkey))


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
