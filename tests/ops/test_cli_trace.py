"""Trace from the command line: many fragments and a stop between, proofs and differences, photos."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from schemas.bundles import verify_bundle
from tests.ingest.images.files import agency_photo
from tests.ops.conftest import Pressmark
from tests.ops.test_cli_crawl import page, watch
from tests.ops.test_cli_images import FIGURE
from tests.support.newsroom import Newsroom


@pytest.fixture
def kept(archive: Pressmark, room: Newsroom) -> Pressmark:
    """An archive of two articles."""
    for number in (1, 2):
        room.page(f"/{number}.html", page(number))
    watch(archive, room, "/1.html", "/2.html")
    archive("crawl", "--until-idle").done()
    return archive


def fragment_of(kept: Pressmark, number: int) -> tuple[str, str]:
    """(article id, its text)."""
    for article in kept("articles", "--json").done().values:
        if article["title"] == f"Ferry {number} runs again":
            return article["id"], " ".join(article["paragraphs"])
    raise AssertionError(number)


def batch_of(kept: Pressmark, path: Path, count: int) -> Path:
    _, text = fragment_of(kept, 1)
    lines = [{"id": n, "text": text if n % 2 else "nothing of the kind was ever written"} for n in range(count)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("left", [0, 1, 7, 250])
def test_a_batch_goes_on_where_it_was_stopped(kept: Pressmark, tmp_path: Path, left: int) -> None:
    batch, out = batch_of(kept, tmp_path / "batch.jsonl", 6), tmp_path / "answers.jsonl"
    kept("trace", "--batch", batch, "--out", out).done()
    whole = out.read_bytes()
    answers = [json.loads(line) for line in whole.splitlines()]
    assert [(a["id"], bool(a["matches"])) for a in answers] == [(str(n), n % 2 == 1) for n in range(6)]
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:3]) + lines[3][:left])  # a stop in the midst of a line
    ended = kept("trace", "--batch", batch, "--out", out).done()
    assert "3 fragments were answered before" in ended.err
    assert "6 fragments are answered" in ended.err
    assert out.read_bytes() == whole
    kept("trace", "--batch", batch, "--out", out).done()
    assert out.read_bytes() == whole


def test_answers_to_another_batch_are_left_alone(kept: Pressmark, tmp_path: Path) -> None:
    batch, out = batch_of(kept, tmp_path / "batch.jsonl", 2), tmp_path / "answers.jsonl"
    for text, said in (('{"id":"other"}\n', "answers 'other'"), ("my notes\n", "is no answer")):
        out.write_text(text)
        kept("trace", "--batch", batch, "--out", out).refused(2, said, "another --out")
        assert out.read_text() == text
    kept("trace", "--out", out, batch).refused(2, "--batch")
    kept("trace", "--photo", batch, "--diff").refused(2, "for texts")


def test_each_match_comes_with_its_proof_and_its_difference(kept: Pressmark, tmp_path: Path) -> None:
    identity, text = fragment_of(kept, 1)
    fragment, proofs = tmp_path / "fragment.txt", tmp_path / "proofs"
    fragment.write_text(text.replace("two bicycles", "three bicycles", 1))
    (result,) = kept("trace", fragment, "--diff", "--prove", proofs, "--limit", "1", "--json").done().values
    (match,) = result["matches"]
    assert (match["article"], match["kind"]) == (identity, "edited")
    assert "[-two-] {+three+}" in match["diff"]
    assert verify_bundle(Path(match["proof"]).read_bytes()).ok
    shown = kept("trace", fragment, "--diff", "--prove", proofs).done().out
    for words in ("[-two-] {+three+}", match["proof"], "are paragraph 1, characters 0-", match["capture"]):
        assert words in shown, words


def test_what_matches_nothing_is_shown(kept: Pressmark, tmp_path: Path) -> None:
    _, text = fragment_of(kept, 1)
    fragment = tmp_path / "fragment.txt"
    fragment.write_text("QQQ JJJ ZZZ WWW VVV KKK PPP HHH. " * 4 + text)
    shown = kept("trace", fragment).done().out
    assert "nothing archived has characters 0-1" in shown


@pytest.mark.parametrize(
    "text",
    [b"", b"\0" * 5000, b"a" * 200_000, b"1234567890 " * 2000, "\u00e9\u0301".encode() * 5000, b"\xff\xfe" * 999,
     b"'; DROP TABLE versions; -- " * 40, b'"NEAR(" OR * AND NOT ^col: {a b} ' * 40, b"%_%_\\" * 400],
    ids=["empty", "nul", "one-letter", "digits", "marks", "no-utf-8", "sql", "fts", "like"],
)  # fmt: skip
def test_a_hostile_fragment_is_not_found(kept: Pressmark, tmp_path: Path, text: bytes) -> None:
    fragment = tmp_path / "fragment.txt"
    fragment.write_bytes(text)
    assert kept("trace", fragment).done().out.startswith("not found")


def test_a_fragment_of_any_size_is_told_to_be_too_large(kept: Pressmark, tmp_path: Path) -> None:
    fragment = tmp_path / "fragment.txt"
    with fragment.open("wb") as stream:
        stream.truncate(100_000_000)
    kept("trace", fragment).refused(2, "larger than", "cut it into parts")
    kept("trace", "--photo", fragment).refused(2, "larger than", "smaller size")


def test_a_photo_is_found_by_its_bytes_and_by_its_look(
    archive: Pressmark, room: Newsroom, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room.page("/i/quay.jpg", agency_photo(), content_type="image/jpeg")
    room.page("/1.html", page(1).replace("</h1>", "</h1>" + FIGURE))
    watch(archive, room, "/1.html")
    monkeypatch.setenv("PRESSMARK_CRAWL__IMAGES", "all")
    archive("crawl", "--until-idle").done()
    (article,) = archive("articles", "--json").done().values
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(agency_photo())
    (result,) = archive("trace", "--photo", photo, "--json").done().values
    (hit,) = result["matches"]
    assert (hit["how"], hit["article"], hit["credit"]) == ("bytes", article["id"], "Ada Quay/Reuters")
    assert (hit["photographers"], hit["agencies"]) == (["Ada Quay"], ["Reuters"])
    assert hit["image_capture"] == article["images"][0]["capture"]
    small = io.BytesIO()
    with Image.open(photo) as image:
        image.convert("RGB").resize((image.width // 2, image.height // 2)).save(small, "JPEG", quality=60)
    photo.write_bytes(small.getvalue())
    shown = archive("trace", "--photo", photo).done().out
    for words in ("looks alike", article["id"], "credit on the page: Ada Quay/Reuters", "in the file, "):
        assert words in shown, words
    photo.write_bytes(b"no image at all")
    assert "no captured image has these bytes" in archive("trace", "--photo", photo).done().out
    archive("restrict", article["id"], "--reason", "legal").done()
    photo.write_bytes(agency_photo())
    (result,) = archive("trace", "--photo", photo, "--json").done().values
    assert (result["matches"], "restricted" in result["note"]) == ([], True)
