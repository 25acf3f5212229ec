"""`pressmark doctor`: can this archive do its work here?"""

from __future__ import annotations

from typing import Final

from ops.cli.common import ArchiveDir, AsJson, emit, opened, say, tell
from schemas.errors import ServiceError

#: What an object store cannot do without: a folder's, and a bucket's.
_NEEDED: Final = frozenset({"put and get", "read back"})
#: What a redaction cannot do with.
_UNLOCKED: Final = "no retention"


def doctor(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Probe settings, catalog, object store and log; say what each may be trusted with."""
    results: list[tuple[str, bool, str]] = []
    with opened(archive) as (opened_archive, settings):
        contact = settings.operator.contact
        results.append(("contact", bool(contact), contact or "none is set: no public address is crawled"))
        results.append(("catalog", True, opened_archive.catalog.dialect))
        results += opened_archive.store.probe()
        opened_archive.log.check_start()
        results.append(("log", True, f"{opened_archive.settings.origin}: catalog and published checkpoint agree"))
    for name, ok, words in results:
        if json:
            emit({"check": name, "ok": ok, "detail": words})
        else:
            tell(f"{'ok  ' if ok else 'note'}  {name:28} {words}")
    failed = {name for name, ok, _ in results if not ok}
    if failed & _NEEDED:
        raise ServiceError("the object store cannot be used", remedy="see the lines above")
    if _UNLOCKED in failed:
        raise ServiceError(
            "the object store keeps what a redaction must erase",
            remedy="take retention and legal holds off, or use a bucket without Object Lock",
        )
    say("done")
