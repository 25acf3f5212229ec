"""`pressmark articles` and `pressmark show`: what was read, with its evidence."""

from __future__ import annotations

import difflib
import itertools
import json as jsonlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, instant, opened, say, tell
from schemas.errors import NotFound, UsageError, Withheld
from schemas.instants import from_micros, rfc3339, to_micros

if TYPE_CHECKING:
    from storage.archive import Archive
    from storage.catalog.values import VersionRow

#: What a web server answers for what it may not show (RFC 7725).
UNAVAILABLE: Final = 451


def articles(
    outlet: Annotated[str | None, typer.Option(help="Of this outlet: id, name or URL.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="First captured at or after this date.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="First captured before.")] = None,
    url: Annotated[str | None, typer.Option(help="The article at this URL.")] = None,
    credit: Annotated[str | None, typer.Option(help="With these words in a photo credit.")] = None,
    text: Annotated[str | None, typer.Option(help="With these words in title or text.")] = None,
    after: Annotated[
        int | None, typer.Option(metavar="LOG_INDEX", help="All versions logged after this: a stable cursor.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """List articles: the latest version of each, or with --after every version logged since."""
    with opened(archive) as (opened_archive, _):
        for row in _search(opened_archive, outlet, since, until, url, credit, text, after, limit):
            held = _held(opened_archive, row)
            if held is not None:
                emit(held) if json else tell(f"{row.article_id}  v{row.version}  {held['restricted']['why']}")
            elif json:
                emit(printed(opened_archive, row))
            else:
                _line(row)
        if after is not None:
            _print_deletions(opened_archive, after, as_json=json)


def _search(
    archive: Archive,
    outlet: str | None,
    since: str | None,
    until: str | None,
    url: str | None,
    credit: str | None,
    text: str | None,
    after: int | None,
    limit: int | None,
) -> Iterator[VersionRow]:
    from schemas.urls import normalize

    with archive.catalog.read() as tx:
        yield from tx.articles.search(
            outlet_id=tx.outlets.find(outlet).id if outlet else None,
            captured_from=_moment(since),
            captured_to=_moment(until),
            url=normalize(url) if url else None,
            credit=credit,
            text=text,
            after=after,
            limit=limit,
            latest_only=after is None,
        )


def _held(archive: Archive, row: VersionRow) -> dict[str, Any] | None:
    """What is printed in place of a version that is not to be shown; None where it is."""
    from storage.withholding import refuse_restricted

    try:
        refuse_restricted(archive, version=row)
        return None
    except Withheld as error:
        head = {"id": row.article_id, "version": row.version, "log_index": row.log_index}
        return {**head, "restricted": {"status": UNAVAILABLE, "why": error.message}}


def _print_deletions(archive: Archive, after: int, *, as_json: bool) -> None:
    """Versions that were redacted since: by the log index and the record id under which they were handed out."""
    with archive.catalog.read() as tx:
        rows = tx.redactions.erased_articles(after)
    for row in rows:
        if as_json:
            emit({"deleted": {"log_index": row.entry, "record": row.record_id}, "log_index": row.log_index})
        else:
            tell(f"redacted by log entry {row.log_index}: the version of log entry {row.entry}")


def _moment(text: str | None) -> int | None:
    value = instant(text)
    return None if value is None else to_micros(value)


def printed(archive: Archive, row: VersionRow) -> dict[str, Any]:
    """An article as it is printed: the logged block with version and capture."""
    value: dict[str, Any] = jsonlib.loads(row.block)
    with archive.catalog.read() as tx:
        record = tx.records.get(row.capture_id)
        capture = tx.captures.get(row.capture_id)
    value["version"] = row.version
    value["log_index"] = row.log_index
    value["capture"] = {
        "id": row.capture_id,
        "url": capture.url if capture else row.url,
        "date": rfc3339(capture.date) if capture else None,
        "first_seen": rfc3339(from_micros(row.first_seen)),
        "last_seen": rfc3339(from_micros(row.last_seen)),
        "segment": record.segment if record else None,
        "offset": record.offset if record else None,
    }
    if pictures := _images(archive, row):
        value["images"] = pictures
    if capture is not None and capture.kind == "import":
        value["capture"]["claimed_captured"] = capture.hints.get("claimed_captured")
    head = {k: value.pop(k) for k in ("id", "version", "log_index")}
    return {**head, **value}


def _images(archive: Archive, row: VersionRow) -> list[dict[str, Any]]:
    """What was read in the captured images of a version's photos."""
    with archive.catalog.read() as tx:
        found = tx.images.for_version(row.row_id) if row.row_id is not None else []
    return [
        {
            "position": position,
            "url": image.url,
            "capture": image.capture_id,
            "date": rfc3339(from_micros(image.date)),
            "payload_digest": image.payload_digest,
            **jsonlib.loads(image.reading),
        }
        for position, image in found
    ]


def _line(row: VersionRow) -> None:
    published = row.published or "no date"
    tell(f"{row.article_id}  v{row.version}  {published:25}  {row.outlet_id:24}  {row.title or '(no title)'}")


def show(
    id: Annotated[str, typer.Argument(metavar="ID|URL", help="Article id (ID@VERSION for an older one) or its URL.")],
    versions: Annotated[
        bool, typer.Option("--versions", help="All versions, a line each, by whichever extractor.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="What changed from version to version.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="Where in the page each value stood.")] = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Show one article."""
    from storage.withholding import refuse_restricted

    with opened(archive) as (opened_archive, _):
        row = find(opened_archive, id)
        refuse_restricted(opened_archive, version=row)
        with opened_archive.catalog.read() as tx:
            every = tx.articles.versions(row.article_id)
        every = [version for version in every if _held(opened_archive, version) is None]
        history = [version for version in every if version.extractor == row.extractor]
        if versions:
            several = len({version.extractor for version in every}) > 1
            for version in every:
                emit(printed(opened_archive, version)) if json else _version_line(version, by=several)
        elif diff:
            _print_diff(history, as_json=json)
        elif json:
            emit(printed(opened_archive, row))
        else:
            _print_article(printed(opened_archive, row), evidence=evidence)


def find(archive: Archive, text: str) -> VersionRow:
    """The version that an id or URL names. Raises NotFound."""
    from schemas.urls import normalize
    from storage.withholding import refuse_redacted

    name, _, number = text.partition("@")
    with archive.catalog.read() as tx:
        if "://" in text:
            row = tx.articles.by_url(normalize(text))
        elif number and not number.isdecimal():
            raise UsageError(f"{number!r} is no version", remedy="write ID@2 for the second version")
        else:
            row = tx.articles.get(name, int(number) if number else None)
    if row is None:
        refuse_redacted(archive, text)
        raise NotFound(f"no article {text} here", remedy="see `pressmark articles`")
    return row


def _version_line(row: VersionRow, *, by: bool) -> None:
    """One version; with `by` also who read it: what another extractor made is a derivation, with numbers of its own."""
    seen = f"{rfc3339(from_micros(row.first_seen))} .. {rfc3339(from_micros(row.last_seen))}"
    made = jsonlib.loads(row.block)["extractor"] if by else {}
    reader = f"  by {made['name']} {made['version']} ({row.extractor})" if by else ""
    tell(f"v{row.version}  log {row.log_index:6}  first captured here {seen}{reader}  {row.title or '(no title)'}")


def _readable(row: VersionRow) -> list[str]:
    """A version as lines that can be compared."""
    value = jsonlib.loads(row.block)
    lines = [f"title: {value['title'] or ''}", f"authors: {', '.join(value['authors'])}"]
    lines += [f"published: {value['published'] or ''}", f"modified: {value['modified'] or ''}"]
    lines += value["paragraphs"]
    return lines + [f"photo: {p['caption'] or ''} [{p['credit'] or ''}]" for p in value["photos"]]


def _print_diff(history: list[VersionRow], *, as_json: bool) -> None:
    if len(history) < 2:
        say("there is one version only")
    for old, new in itertools.pairwise(history):
        names = (f"version {old.version}", f"version {new.version}")
        lines = list(difflib.unified_diff(_readable(old), _readable(new), *names, lineterm="", n=0))
        if as_json:
            emit({"from": old.version, "to": new.version, "diff": lines})
        else:
            tell("\n".join(lines))


def _print_article(value: dict[str, Any], *, evidence: bool) -> None:
    tell(f"{value['title'] or '(no title)'}\n")
    capture = value["capture"]
    facts = {
        "id": f"{value['id']} version {value['version']}",
        "outlet": value["outlet"]["name"],
        "url": value["url"],
        "published": value["published"],
        "modified": value["modified"],
        "authors": ", ".join(value["authors"]),
        "capture": capture["id"],
        "first captured here": capture["first_seen"],
        "segment": capture["segment"],
        "log index": value["log_index"],
    }
    for name, fact in facts.items():
        if fact not in (None, ""):
            tell(f"{name:20} {fact}")
    for photo in value["photos"]:
        tell(f"{'photo':20} {photo['url'] or ''}")
        for key in ("caption", "credit"):
            if photo[key]:
                tell(f"{'  ' + key:20} {photo[key]}")
        for key in ("photographers", "agencies"):
            if photo[key]:
                tell(f"{'  ' + key:20} {', '.join(photo[key])}")
    if evidence:
        _print_evidence(value["evidence"])
        _print_images(value.get("images", []))
        return
    tell("")
    for paragraph in value["paragraphs"]:
        tell(f"{paragraph}\n")


def _print_evidence(evidence: dict[str, Any]) -> None:
    tell("\nevidence (field, source, place, bytes of the entity body, raw):")
    for name, item in evidence.items():
        span = item["span"]
        where = f"{span['start']}..{span['end']} {span['via']}" if span else "-"
        raw = " ".join((item["raw"] or "(as the value)").split())
        tell(f"  {name:24} {item['source']:7} {item['path']}  [{where}]  {raw[:160]}")


def _print_images(images: list[dict[str, Any]]) -> None:
    """The captured images of the photos, and the credit lines that stand inside them."""
    for image in images:
        tell(f"\nimage of photos/{image['position']} (field, source, place, bytes of the image file, raw):")
        tell(f"  {'capture':24} {image['capture']}  {image['date']}")
        tell(f"  {'file':24} {image['media_type']} {image['width']} x {image['height']}  {image['payload_digest']}")
        tell(f"  {'perceptual hash':24} {image['phash'] or '-'}")
        for problem in image["problems"]:
            tell(f"  {'not read':24} {problem}")
        for claim in image["claims"]:
            span = claim["span"]
            where = f"{span['start']}..{span['end']} {span['via']}" if span else "-"
            tell(f"  {claim['field']:24} {claim['source']:7} {claim['path']}  [{where}]  {claim['raw'][:160]}")


def text_file(path: str, limit: int) -> str:
    """The text of a file or of stdin (`-`), at most `limit` bytes. Raises UsageError."""
    if path == "-":
        data = sys.stdin.buffer.read(limit + 1)
    else:
        with Path(path).open("rb") as stream:
            data = stream.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{path} is larger than {limit} bytes", remedy="cut it into parts")
    return data.decode("utf-8", "replace")
