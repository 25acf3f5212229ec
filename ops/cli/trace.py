"""`pressmark trace`: which captures a text or a photo came from."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from ops.cli.articles import text_file
from ops.cli.common import ArchiveDir, AsJson, emit, opened, progress, say, tell, write_file
from schemas.errors import UsageError

if TYPE_CHECKING:
    from ingest.trace import TraceResult
    from storage.archive import Archive

#: Bytes of one fragment; an article has some ten thousand.
MAX_FRAGMENT: Final = 16 * 1024 * 1024
#: Bytes of a photo that is asked for.
MAX_PHOTO: Final = 64 * 1024 * 1024
#: Aligned paragraphs that are printed of a match; `--json` has them all.
SHOWN: Final = 6
#: Fragments between two words on how far a batch is.
STRIDE: Final = 100


def trace(
    file: Annotated[str | None, typer.Argument(metavar="FILE|-", help="The fragment, as UTF-8 text.")] = None,
    batch: Annotated[Path | None, typer.Option(metavar="FILE", help="Many: lines of {id, text}.")] = None,
    photo: Annotated[Path | None, typer.Option(metavar="FILE", help="An image instead of a text.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="With --batch: answers go here; run again it goes on."),
    ] = None,
    prove: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an evidence bundle of each match there.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show word by word how text and match differ.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Matches to print at most.")] = 20,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Find the captures that a text came from, whatever became of its white space, quotes and case; or a photo."""
    if sum(given is not None for given in (file, batch, photo)) != 1:
        remedy = "give FILE, - for stdin, --batch FILE or --photo FILE"
        raise UsageError("trace needs one thing to look for", remedy=remedy)
    if out is not None and batch is None:
        raise UsageError("--out is for the answers of a batch", remedy="give --batch FILE, or redirect stdout")
    if photo is not None and (prove is not None or diff):
        raise UsageError("--prove and --diff are for texts", remedy="prove a match of the photo with `pressmark prove`")
    with opened(archive, mend=prove is not None) as (opened_archive, _):
        if photo is not None:
            _photo(opened_archive, photo, limit, as_json=json)
            return
        asked = _Asked(opened_archive, limit=limit, diff=diff, prove=prove)
        if batch is not None:
            _batch(asked, batch, out)
            return
        assert file is not None
        result = {**asked.answer(text_file(file, MAX_FRAGMENT)), "id": file}
        emit(result) if json else _print(result)


class _Asked:
    """What is asked of each fragment."""

    def __init__(self, archive: Archive, *, limit: int, diff: bool, prove: Path | None) -> None:
        self._archive, self._limit, self._diff, self._prove = archive, limit, diff, prove
        self._proved: set[str] = set()

    def answer(self, text: str) -> dict[str, Any]:
        """The result for one fragment, as JSON values."""
        from ingest.trace import trace as find

        result = find(self._archive, text, limit=self._limit)
        value = result.to_json()
        if self._diff:
            self._add_diffs(text, result, value)
        if self._prove is not None:
            self._add_proofs(value, self._prove)
        return value

    def _add_diffs(self, text: str, result: TraceResult, value: dict[str, Any]) -> None:
        from ingest.trace import diff as differences

        for match, shown in zip(result.matches, value["matches"], strict=True):
            if not match.restricted:
                shown["diff"] = differences(text, match.version.text, match)

    def _add_proofs(self, value: dict[str, Any], folder: Path) -> None:
        from ops.cli.prove import bundle_of

        folder.mkdir(parents=True, exist_ok=True)
        for match in value["matches"]:
            if match.get("restricted"):
                continue
            name = f"{match['article']}@{match['version']}"
            path = folder / f"{name}.zip"
            if name not in self._proved:
                write_file(path, bundle_of(self._archive, name))
                self._proved.add(name)
            match["proof"] = str(path)


# -- many


def _batch(asked: _Asked, batch: Path, out: Path | None) -> None:
    """Answer each line; into a file where one is named, after what an earlier run left there."""
    with ExitStack() as stack:
        lines = stack.enter_context(batch.open("rb"))
        shown = stack.enter_context(progress())
        total = sum(1 for _ in _lines(lines)) if out is not None else 0
        lines.seek(0)
        fragments = (_fragment(line, number) for number, line in enumerate(_lines(lines), 1))
        target, done = None, 0
        if out is not None:
            target = stack.enter_context(out.open("a+b"))
            done = _resume(target, out, fragments)
        if done:
            say(f"{done} fragments were answered before; going on")
        for number, (identity, text) in enumerate(fragments, done + 1):
            value = {**asked.answer(text), "id": identity}
            if target is None:
                emit(value)
                continue
            target.write(jsonlib.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            target.flush()
            if number % STRIDE == 0 or number == total:
                shown("fragments", number, total)
        if out is not None:
            say(f"{total} fragments are answered in {out}")


def _lines(lines: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: lines.readline(MAX_FRAGMENT + 1), b"")


def _resume(target: BinaryIO, out: Path, fragments: Iterator[tuple[str, str]]) -> int:
    """How many answers stand in a file; their fragments are passed over, and a line that a stop cut is cut off."""
    target.seek(0)
    done, whole = 0, 0
    for line in target:
        if not line.endswith(b"\n"):
            break
        asked = next(fragments, (None, ""))[0]
        try:
            answered = jsonlib.loads(line)["id"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"line {done + 1} of {out} is no answer", remedy="give another --out") from error
        if answered != asked:
            remedy = "give another --out, or the batch that it was begun with"
            raise UsageError(f"line {done + 1} of {out} answers {answered!r}, the batch asks {asked!r}", remedy=remedy)
        done, whole = done + 1, whole + len(line)
    target.truncate(whole)
    return done


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


# -- for people


def _print(result: dict[str, Any]) -> None:
    if not result["matches"]:
        tell("not found" + (f": {result['note']}" if result.get("note") else ""))
    elif result["note"]:
        tell(result["note"])
    for match in result["matches"]:
        if match.get("restricted"):
            tell(f"{match['covered']:.0%} of the text stands in {match['article']}, which is restricted (451)")
        else:
            _print_match(match)
    for cluster in result["clusters"]:
        if len(cluster["matches"]) > 1:
            first = result["matches"][cluster["matches"][0]]
            tell(
                f"{len(cluster['matches'])} captures of one text, of {cluster['outlets']} outlets; the earliest is "
                f"{first['article']} version {first['version']} ({cluster['first']})"
            )
    if result["matches"]:
        for start, end in result["uncovered"]:
            tell(f"nothing archived has characters {start}-{end} of it")
    for claim in result["claims"]:
        tell(f"the text claims {claim['kind']} {claim['value']!r}: {claim['verdict']}")


def _print_match(match: dict[str, Any]) -> None:
    name = f"{match['article']} version {match['version']}"
    tell(f"{match['covered']:.0%} of the text stands in {name} ({match['kind']})")
    tell(f"  {match['url']}")
    published = match["published"] or "unknown"
    tell(f"  {match['outlet']}, published {published}, first captured here {match['captured']}")
    tell(f"  capture {match['capture']}, log index {match['log_index']}")
    for part in match["parts"][:SHOWN]:
        where = f", bytes {part['bytes'][0]}-{part['bytes'][1]} of the page" if part["bytes"] else ""
        tell(
            f"  characters {part['fragment'][0]}-{part['fragment'][1]} are paragraph {part['paragraph'] + 1}, "
            f"characters {part['characters'][0]}-{part['characters'][1]}{where}"
        )
    if len(match["parts"]) > SHOWN:
        tell(f"  and {len(match['parts']) - SHOWN} more, see --json")
    if "diff" in match:
        tell(f"  difference: {match['diff'] or 'none in words'}")
    if "proof" in match:
        tell(f"  proof {match['proof']}")


# -- photos


def _photo(archive: Archive, path: Path, limit: int, *, as_json: bool) -> None:
    from ingest.trace.photos import trace_photo

    with path.open("rb") as stream:
        body = stream.read(MAX_PHOTO + 1)
    if len(body) > MAX_PHOTO:
        raise UsageError(f"{path} is larger than {MAX_PHOTO} bytes", remedy="give the photo in a smaller size")
    result = {**trace_photo(archive, body, limit=limit).to_json(), "id": str(path)}
    if as_json:
        emit(result)
        return
    if not result["matches"]:
        tell(f"not found: {result['note']}")
    elif result["note"]:
        tell(result["note"])
    for hit in result["matches"]:
        how = "the same bytes" if hit["how"] == "bytes" else f"looks alike ({hit['distance']} of 64 bits differ)"
        tell(f"{how}: {hit['image']}")
        tell(f"  capture {hit['image_capture']}, captured {hit['captured']}")
        if hit["article"] is not None:
            tell(f"  in {hit['article']} version {hit['version']}, {hit['outlet']}, {hit['url']}")
        tell(f"  credit on the page: {hit['credit'] or 'none'}")
        for claim in hit["claims"]:
            tell(f"  in the file, {claim['field']} ({claim['path']}): {claim['raw']}")
