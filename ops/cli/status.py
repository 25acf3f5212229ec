"""`pressmark status`: is everything arriving, and is it all still there?"""

from __future__ import annotations

from typing import Any

from ops.cli.common import ArchiveDir, AsJson, emit, opened, tell
from schemas.instants import from_micros, rfc3339, to_micros


def status(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Outlets, captures, articles, log and segments, counted."""
    from ops.jobs import last_audit
    from storage.mirror import META as MIRROR_WHOLE

    with opened(archive) as (opened_archive, settings), opened_archive.catalog.read() as tx:
        state = tx.log.state()
        segments = tx.segments.all()
        due, now = tx.frontier.next_due(), to_micros(opened_archive.clock())
        value: dict[str, Any] = {
            "archive": str(settings.directory),
            "log": {"origin": opened_archive.settings.origin, "entries": state.next_index, "published": state.size},
            "outlets": len(tx.outlets.all()),
            "captures": tx.captures.count(),
            "articles": tx.articles.count(),
            "items": tx.frontier.counts(),
            "segments": {s: sum(1 for row in segments if row.state == s) for s in ("open", "sealed", "lost")},
            "pending_extraction": len(tx.captures.pending(1000)),
            "mirror": tx.meta.get(MIRROR_WHOLE) if settings.objects.mirror else None,
            "last_audit": last_audit(opened_archive),
            "next_due": rfc3339(from_micros(max(due, now))) if due is not None else None,
        }
    if json:
        emit(value)
        return
    tell(f"archive     {value['archive']}")
    log = value["log"]
    tell(f"log         {log['origin']}: {log['entries']} entries, {log['published']} published")
    tell(f"outlets     {value['outlets']}")
    tell(f"captures    {value['captures']}; {value['pending_extraction']} wait to be read")
    tell(f"articles    {value['articles']}")
    tell("known URLs  " + (", ".join(f"{n} {s}" for s, n in sorted(value["items"].items())) or "none"))
    one = " (one local copy until sealed)" if value["segments"]["open"] else ""
    tell("segments    " + ", ".join(f"{n} {s}" for s, n in value["segments"].items()) + one)
    if settings.objects.mirror:
        tell(f"mirror      {'whole at ' + value['mirror'] if value['mirror'] else 'never yet whole'}")
    if value["last_audit"]:
        last = value["last_audit"]
        found = f"{last['damaged']} damaged, {last['missing']} missing"
        tell(f"last audit  {last['at']}: {last['records']} records, {found}")
    tell("next due    " + ("nothing" if due is None else "now" if due <= now else value["next_due"]))
