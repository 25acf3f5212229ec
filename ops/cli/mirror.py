"""`pressmark mirror`: bring the second object store up to the first, now."""

from __future__ import annotations

from ops.cli.common import ArchiveDir, AsJson, emit, opened, say, tell
from schemas.errors import SettingsError, StoreError


def mirror(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Copy to the mirror what it lacks; `crawl` and `run` do so by themselves."""
    from storage.mirror import catch_up

    with opened(archive, mend=True) as (opened_archive, _):
        store = opened_archive.mirror()
        if store is None:
            raise SettingsError("no mirror is set", remedy="set [objects] mirror to a folder or s3://bucket/prefix")
        opened_archive.integrate()
        report = catch_up(opened_archive, store)
    for sentence in report.refused:
        say(sentence)
    if json:
        emit({"copied": report.copied, "refused": len(report.refused)})
    else:
        tell(f"{report.copied} objects copied to the mirror, {len(report.refused)} refused")
    if report.refused:
        raise StoreError("the mirror is not whole", remedy="see the lines above; run `pressmark audit --full`")
