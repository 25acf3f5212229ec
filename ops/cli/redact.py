"""`pressmark redact` and `pressmark restrict`: taking content down for good, and closing access for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, instant, opened, say, tell
from schemas.errors import RedactionPending, UsageError

if TYPE_CHECKING:
    from storage.archive import Archive
    from storage.redaction import Outcome, Plan, Progress

#: Lines of a closure that are printed for people; --json has all.
SHOWN: Final = 200

Reason = Annotated[str | None, typer.Option("--reason", metavar="CODE", help="Why: a code, such as court-order.")]


Subject = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="Article (ID@VERSION), capture or record; sha256:HEX of an imported file."),
]


def redact(
    id: Subject = None,
    reason: Reason = None,
    authority: Annotated[str | None, typer.Option(metavar="CODE", help="Who asks for it: a code.")] = None,
    scope: Annotated[str, typer.Option(metavar="SCOPE", help="record, payload (the default) or text.")] = "payload",
    keep: Annotated[list[str] | None, typer.Option(metavar="ID", help="This one quotes it and stays; or all.")] = None,
    include: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="This one quotes it and goes too; or all.")
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="In words; kept in a record of its own.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and change nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Complete redactions that had to wait.")] = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Destroy content, keep the truth that something was there: records, rows, indexes, rows of snapshots."""
    from storage.redaction import Request, plan

    if resume:
        _resume(archive, as_json=json)
        return
    if id is None or ((reason is None or authority is None) and not dry_run):
        raise UsageError("redact needs an ID, --reason CODE and --authority CODE", remedy="or --dry-run, or --resume")
    request = Request(
        id=id,
        code=reason or "none",
        authority=authority or "none",
        scope=scope,
        note=note,
        keep=tuple(keep or ()),
        include=tuple(include or ()),
    )
    with opened(archive, mend=not dry_run) as (opened_archive, _):
        found = plan(opened_archive, request)
        _print_plan(found, as_json=json)
        if not dry_run:
            _carry_out(opened_archive, found, as_json=json)


def _carry_out(archive: Archive, plan: Plan, *, as_json: bool) -> None:
    from storage.redaction import redact as work

    outcome = work(archive, plan)
    _print_outcome(outcome, as_json=as_json)
    if outcome.pending:
        raise RedactionPending(
            "the redaction is logged and not complete: " + "; ".join(outcome.pending),
            remedy="each start tries again, and `pressmark redact --resume` does",
        )


def _resume(directory: ArchiveDir, *, as_json: bool) -> None:
    from storage.redaction import resume as work

    with opened(directory) as (archive, _):
        archive.log.check_start()
        progress: Progress = work(archive)
        archive.seal()
    if as_json:
        emit({"done": progress.done, "pending": progress.pending})
    for index in progress.done if not as_json else ():
        tell(f"completed the redaction of log entry {index}")
    if progress.pending:
        raise RedactionPending("; ".join(progress.pending), remedy="see to it and run it again")
    say("no redaction waits")


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    lines = plan.closure.lines()
    choices = dict.fromkeys((q.id for q in plan.kept), "keep") | dict.fromkeys((q.id for q in plan.included), "include")
    if as_json:
        for line in lines:
            emit({"goes": line})
        for quote in plan.closure.quotes:
            emit({"quotes": {**quote.to_json(), "choice": choices.get(quote.id)}})
        return
    for line in lines[:SHOWN]:
        tell(f"goes    {line['kind']:10} {line['role']:8} {line['id']}  {line['url'] or ''}  ({line['why']})")
    for quote in plan.closure.quotes[:SHOWN]:
        what = "quotes it" if quote.how == "text" else "names its address"
        choice = {"keep": "stays", "include": "goes"}.get(choices.get(quote.id, ""), "to be chosen")
        tell(f"{what}: {quote.kind:8} {quote.id}  {quote.url}  ({choice})")
    if max(len(lines), len(plan.closure.quotes)) > SHOWN:
        tell(f"and more: {len(lines)} go, {len(plan.closure.quotes)} quote it; --json lists all")


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "entries": list(outcome.entries),
                "records": outcome.records,
                "segments": outcome.segments,
                "snapshots": list(outcome.snapshots),
                "pending": list(outcome.pending),
                "remainders": list(outcome.remainders),
            }
        )
        return
    numbers = ", ".join(str(index) for index in outcome.entries)
    tell(f"redacted {outcome.records} records in {outcome.segments} files, logged as entry {numbers}")
    for name in outcome.snapshots:
        tell(f"snapshot {name} takes the place of one that held rows of it")
    tell("what no archive reaches, and you have to purge yourself:")
    for sentence in outcome.remainders:
        tell(f"  - {sentence}")


def restrict(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="Article, or capture.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="It ends by itself then.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Open it again.")] = False,
    reason: Reason = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="In words.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="What is restricted just now.")] = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Close access to an article or capture, or open it again: nothing is lost, and both are logged."""
    from storage.redaction import restrict as work

    if list_ == (id is not None):
        raise UsageError("restrict needs an ID, or --list", remedy="give one of them")
    if lift and (until or reason):
        raise UsageError("--lift takes neither --until nor --reason", remedy="leave them out")
    with opened(archive, mend=not list_) as (opened_archive, _):
        if id is None:
            _list(opened_archive, as_json=json)
            return
        index = work(opened_archive, id, until=instant(until), lift=lift, code=reason, note=note)
        opened_archive.seal()
    if json:
        emit({"id": id, "entry": index, "restricted": not lift, "until": until})
    else:
        tell(f"{id} is {'open again' if lift else 'restricted'}, logged as entry {index}")


def _list(archive: Archive, *, as_json: bool) -> None:
    from schemas.instants import from_micros, rfc3339, to_micros
    from storage.withholding import sentence

    now = to_micros(archive.clock())
    with archive.catalog.read() as tx:
        rows = tx.restrictions.all()
    for row in rows:
        if row.until is not None and row.until <= now:
            continue
        if as_json:
            until = rfc3339(from_micros(row.until)) if row.until is not None else None
            emit({"id": row.subject, "entry": row.log_index, "code": row.code, "until": until})
        else:
            tell(sentence(row))
