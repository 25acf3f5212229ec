"""`pressmark trace`: which captures a text came from."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.articles import text_file
from ops.cli.common import ArchiveDir, AsJson, emit, opened, tell
from schemas.errors import UsageError

#: Bytes of one fragment; an article has some ten thousand.
MAX_FRAGMENT = 16 * 1024 * 1024


def trace(
    file: Annotated[str | None, typer.Argument(metavar="FILE|-", help="The fragment, as UTF-8 text.")] = None,
    batch: Annotated[Path | None, typer.Option(metavar="FILE", help="Many: lines of {id, text}.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Matches to print at most.")] = 20,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Find the captures that a text came from, whatever became of its white space, quotes and case."""
    from ingest.trace import trace as find

    if (file is None) == (batch is None):
        raise UsageError("trace needs one thing to look for", remedy="give FILE, - for stdin, or --batch FILE")
    with opened(archive) as (opened_archive, _):
        if batch is not None:
            with batch.open("rb") as lines:
                for number, line in enumerate(iter(lambda: lines.readline(MAX_FRAGMENT + 1), b""), 1):
                    identity, text = _fragment(line, number)
                    emit({**find(opened_archive, text, limit=limit).to_json(), "id": identity})
            return
        assert file is not None
        result = {**find(opened_archive, text_file(file, MAX_FRAGMENT), limit=limit).to_json(), "id": file}
        emit(result) if json else _print(result)


def _fragment(line: bytes, number: int) -> tuple[str, str]:
    if len(line) > MAX_FRAGMENT:
        raise UsageError(f"line {number} of the batch is longer than {MAX_FRAGMENT} bytes", remedy="cut it into parts")
    try:
        value = jsonlib.loads(line)
        identity, text = value["id"], value["text"]
        if not isinstance(text, str):
            raise TypeError("text is no string")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"line {number} of the batch is not {{id, text}}: {error}", remedy="mend the line") from error
    return str(identity), text


def _print(result: dict[str, Any]) -> None:
    if not result["matches"]:
        tell("not found" + (f": {result['note']}" if result.get("note") else ""))
    for match in result["matches"]:
        if match.get("restricted"):
            tell(f"{match['covered']:.0%} of the text stands in {match['article']}, which is restricted (451)")
            continue
        tell(f"{match['covered']:.0%} of the text stands in {match['article']} version {match.get('version', '?')}")
        tell(f"  {match['url']}")
        published = match["published"] or "unknown"
        tell(f"  {match['outlet']}, published {published}, first captured here {match['captured']}")
        tell(f"  capture {match['capture']}, {len(match['spans'])} aligned spans")
    for claim in result["claims"]:
        tell(f"the text claims {claim['kind']} {claim['value']!r}: {claim['verdict']}")
