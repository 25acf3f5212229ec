"""`pressmark status`: is everything arriving, and is it all still there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.cli.common import ArchiveDir, AsJson, emit, opened, tell
from schemas.instants import from_micros, rfc3339, to_micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.settings import Settings
    from storage.archive import Archive
    from storage.catalog.values import TallyRow


def status(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Outlets, captures by how they ended, articles, log and segments, counted."""
    from ops.wiring import anchor_settings
    from storage.anchoring import states

    with opened(archive) as (opened_archive, settings):
        services = states(opened_archive.catalog, anchor_settings(settings))
        value = _counted(opened_archive, settings)
    value["log"]["vouched"] = [state.to_json() for state in services]
    due_now = value.pop("due_now")
    if json:
        emit(value)
        return
    _print(value, due_now=due_now, mirrored=bool(settings.objects.mirror))


def _counted(opened_archive: Archive, settings: Settings) -> dict[str, Any]:
    from ops.jobs import last_audit
    from storage.mirror import META as MIRROR_WHOLE

    with opened_archive.catalog.read() as tx:
        state = tx.log.state()
        segments = tx.segments.all()
        due, now = tx.frontier.next_due(), to_micros(opened_archive.clock())
        return {
            "archive": str(settings.directory),
            "log": {"origin": opened_archive.settings.origin, "entries": state.next_index, "published": state.size},
            "outlets": len(tx.outlets.all()),
            "captures": tx.captures.count(),
            "endings": _endings(tx.captures.tallies()),
            "articles": tx.articles.count(),
            "items": tx.frontier.counts(),
            "segments": {s: sum(1 for row in segments if row.state == s) for s in ("open", "sealed", "lost")},
            "pending_extraction": len(tx.captures.pending(1000)),
            "mirror": tx.meta.get(MIRROR_WHOLE) if settings.objects.mirror else None,
            "last_audit": last_audit(opened_archive),
            "next_due": rfc3339(from_micros(max(due, now))) if due is not None else None,
            "due_now": due is not None and due <= now,
        }


def _endings(tallies: Sequence[TallyRow]) -> dict[str, dict[str, int]]:
    """How many captures and attempts of each outlet ended for which reason; `-` for those of none."""
    found: dict[str, dict[str, int]] = {}
    for row in tallies:
        reasons = found.setdefault(row.outlet_id or "-", {})
        reasons[row.reason] = reasons.get(row.reason, 0) + row.count
    return {outlet: dict(sorted(reasons.items())) for outlet, reasons in sorted(found.items())}


def _print(value: dict[str, Any], *, due_now: bool, mirrored: bool) -> None:
    tell(f"archive     {value['archive']}")
    log = value["log"]
    tell(f"log         {log['origin']}: {log['entries']} entries, {log['published']} published")
    for service in log["vouched"]:
        tell(f"{service['kind']:<11} {service['name']}: {_service(service)}")
    tell(f"outlets     {value['outlets']}")
    tell(f"captures    {value['captures']}; {value['pending_extraction']} wait to be read")
    for outlet, reasons in value["endings"].items():
        tell(f"  {outlet}: " + ", ".join(f"{n} {reason}" for reason, n in reasons.items()))
    tell(f"articles    {value['articles']}")
    tell("known URLs  " + (", ".join(f"{n} {s}" for s, n in sorted(value["items"].items())) or "none"))
    one = " (one local copy until sealed)" if value["segments"]["open"] else ""
    tell("segments    " + ", ".join(f"{n} {s}" for s, n in value["segments"].items()) + one)
    if mirrored:
        tell(f"mirror      {'whole at ' + value['mirror'] if value['mirror'] else 'never yet whole'}")
    if value["last_audit"]:
        last = value["last_audit"]
        found = f"{last['damaged']} damaged, {last['missing']} missing"
        tell(f"last audit  {last['at']}: {last['records']} records, {found}")
    tell("next due    " + ("now" if due_now else value["next_due"] or "nothing"))


def _service(service: dict[str, Any]) -> str:
    """How an authority or a witness stands."""
    held = f"{service['size']} entries at {service['held']}" if service["held"] else "nothing yet"
    if service["error"] is None:
        return held
    return f"{held}; FAILING since {service['failing_since']}: {service['error']}"
