"""The benchmarks run, on little, and measure what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.pipeline import CrawlSettings
from ops.bench import __main__ as bench
from ops.bench import accuracy, audit, capture, extraction, log, tracing
from ops.bench.pages import load
from ops.bench.stock import RIVALS, Stock
from ops.bench.texts import Press
from ops.settings import CrawlTable
from storage.fingerprints import letters, normalise

#: F1 of the body over the 94 benchmark pages, as the corpus's README has them for the locked version.
TRAFILATURA = {"trafilatura": 0.966, "trafilatura fast": 0.970, "trafilatura precision": 0.965}


@pytest.fixture
def no_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo paper's pages alone, in child processes too."""
    monkeypatch.setenv("PRESSMARK_SHARED", str(tmp_path / "nothing"))


def rows_of(printed: str) -> dict[str, list[str]]:
    """The lines of a table by their first word."""
    return {line.split()[0]: line.split() for line in printed.splitlines() if line.startswith("  ")}


# -- accuracy


def test_shingle_score_of_texts_worked_out_by_hand() -> None:
    # "a b c d e" has 2 shingles, "a b c d x" shares one of its 2, "q" is one shingle of its own.
    pairs = [("a b c d e", "a b c d x"), ("A-b c", "A b, c!"), ("p", "q")]
    f1, precision, recall = accuracy.shingle_score(pairs)
    assert (f1, precision, recall) == pytest.approx((0.5, 0.5, 0.5))


def test_a_page_without_an_answer_costs_recall_alone() -> None:
    f1, precision, recall = accuracy.shingle_score([("a b c d", "a b c d"), ("e f g h", "")])
    assert (precision, recall) == (1.0, 0.5)
    assert f1 == pytest.approx(2 / 3)


def test_repeated_shingles_count_as_often_as_they_stand() -> None:
    _, precision, recall = accuracy.shingle_score([("a a a a", "a a a a a a")])
    assert (precision, recall) == pytest.approx((1 / 3, 1.0))


def test_nothing_judged_without_the_corpus(no_corpus: None, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy.main([])
    assert "no corpus beside the checkout" in capsys.readouterr().out


def test_score_py_judges_the_truth_as_right(shared: Path) -> None:
    pages = accuracy.newsroom_pages(shared)[:5]
    wanted = {page.id for page in pages}
    answers = {}
    for line in (shared / "corpus" / "newsrooms" / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["id"] in wanted:
            answers[row["id"]] = {key: row[key] for key in ("id", "title", "authors", "published", "paragraphs")}
    figures = accuracy.judged(shared, pages, answers)
    assert figures["pages"] == figures["answered"] == 5
    assert {figures[name] for name in ("text_f1", "paragraph_f1", "title", "published_date", "authors_f1")} == {1.0}
    assert accuracy.judged(shared, pages, {})["text_f1"] == 0.0


def test_accuracy_of_some_pages(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy.main(["--pages", "2", "--split", "1"])
    printed = capsys.readouterr().out
    assert "2 newsroom pages, score.py" in printed
    assert "newsroom pages, part " in printed
    assert "2 benchmark pages" in printed
    assert {"ours", "trafilatura"} <= rows_of(printed).keys()


def test_a_split_parts_outlets_not_pages(tmp_path: Path) -> None:
    when = datetime(2026, 3, 1, tzinfo=UTC)
    pages = [
        accuracy.Page(id=str(i), path=tmp_path, url="https://x.example", fetched=when, outlet=str(i % 7))
        for i in range(40)
    ]
    one, other = accuracy.split(pages, 4)
    assert len({p.outlet for p in one}) == 3
    assert {p.outlet for p in one}.isdisjoint(p.outlet for p in other)
    assert {p.id for p in (*one, *other)} == {p.id for p in pages}
    assert accuracy.split(pages, 4) == (one, other)
    assert any(accuracy.split(pages, seed) != (one, other) for seed in range(5, 9))


@pytest.mark.slow
def test_our_metric_gives_the_figures_that_others_saw(shared: Path) -> None:
    pages, bodies = accuracy.benchmark_pages(shared)
    for name, seen in TRAFILATURA.items():
        read = accuracy.HERE[name]
        texts = [(bodies[p.id], "\n".join(read(p.html, p.url, p.fetched).get("paragraphs") or ())) for p in pages]
        assert accuracy.shingle_score(texts)[0] == pytest.approx(seen, abs=0.002)


# -- speed


def test_extraction_reads_every_page_with_every_side(no_corpus: None) -> None:
    _, pages = load()
    sides = extraction.measure(pages[:2])
    assert sides.keys() == extraction.READERS.keys()
    for side in sides.values():
        assert side.pages == len(side.times) == 2
        assert side.empty == 0
        assert 0 < side.slowest <= side.seconds


def test_extraction_prints_ours_first_and_as_the_measure(no_corpus: None, capsys: pytest.CaptureFixture[str]) -> None:
    extraction.main(["--pages", "2"])
    printed = capsys.readouterr().out
    assert "2 of the demo paper's pages" in printed
    assert rows_of(printed)["ours"][1] == "1.00x"


def test_the_log_is_measured_whole(tmp_path: Path) -> None:
    lines, size = log.measure(tmp_path, 300, 5)
    assert [line.count for line in lines] == [300, 300, 300, 300, 5, 5, 300]
    assert all(line.wall > 0 for line in lines)
    assert size > 300 * 100  # each entry's three digests alone are longer


def test_the_audit_and_its_rivals_read_the_same_segments(no_corpus: None, capsys: pytest.CaptureFixture[str]) -> None:
    audit.main(["--rounds", "1"])
    rows = rows_of(capsys.readouterr().out)
    assert rows["ours"][1:3] == ["1.00x", "1.00x"]
    assert {"ours-alone", "fastwarc", "warcio"} <= rows.keys()


def test_captures_are_kept_by_both_sides(no_corpus: None, capsys: pytest.CaptureFixture[str]) -> None:
    capture.compare(1)
    printed = capsys.readouterr().out
    assert "sent plain" in printed
    assert "sent gzip-encoded" in printed
    assert {"ours", "warcio"} <= rows_of(printed).keys()


def test_as_many_fetches_are_under_way_as_in_a_crawl() -> None:
    assert CrawlTable().concurrency == CrawlSettings(user_agent="x").concurrency == capture.TASKS


def test_memory_is_shown_at_several_points(no_corpus: None, capsys: pytest.CaptureFixture[str]) -> None:
    capture.memory(30)
    rows = rows_of(capsys.readouterr().out)
    assert {"3", "15", "30", "peak"} <= rows.keys()


# -- tracing


def test_the_press_prints_the_same_twice(no_corpus: None) -> None:
    assert list(Press(3).articles(30)) == list(Press(3).articles(30))
    assert list(Press(3).articles(5)) != list(Press(4).articles(5))


def test_fragments_are_what_their_kind_says(no_corpus: None) -> None:
    press = Press()
    texts = ["\n\n".join(paragraphs) for paragraphs in press.articles(20)]
    for fragment in tracing.fragments(press, texts, 5, 5):
        if fragment.passage is None:
            continue
        assert any(fragment.passage in text for text in texts)
        assert 0 < len(fragment.passage) <= fragment.length
        same = letters(fragment.text) == letters(fragment.passage)
        if fragment.kind == "scraped":
            assert letters(fragment.passage) in normalise(fragment.text, markup=True).letters  # it has tags in it
        else:
            assert same is (fragment.kind in ("exact", "mangled"))


def test_words_of_a_dense_script_are_changed(no_corpus: None) -> None:
    press, passage = Press(), "東京都は十五日、新しい計画を発表した。" * 4
    assert (press.passage(passage, 30) or "nothing") in passage
    changed = press.changed(passage, 10)
    assert len(changed) == len(passage)
    assert 2 <= sum(a != b for a, b in zip(changed, passage, strict=True)) <= len(passage) // 5


def test_tracing_finds_what_the_index_guarantees(no_corpus: None, tmp_path: Path) -> None:
    with Stock(tmp_path, 60, rivals=RIVALS) as made:
        cells = tracing.measure(made, tracing.fragments(made.press, made.texts, 3, 3))
    assert 0 < made.built["ours"].size < made.characters
    assert all(built.size > 0 and built.seconds > 0 for built in made.built.values())
    for (kind, length), sides in cells.items():
        ours, fts = sides["ours"], sides["fts"]
        assert ours.asked == fts.asked == sides["lsh"].asked == 3
        assert ours.quantile(0.5) <= ours.quantile(0.95)
        assert ours.wrong == 0
        if kind in ("exact", "mangled", "scraped"):
            assert ours.right == 3, (kind, length)
        if kind == "exact":
            assert fts.right == 3
    assert sum(sides["ours"].asked for sides in cells.values()) == 6 * len(tracing.LENGTHS) * 3


def test_an_archive_that_was_kept_is_asked_again(
    no_corpus: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--each", "2", "--articles", "30"]
    tracing.main([*given, "--rivals", "", "--keep", str(tmp_path / "kept")])
    first = capsys.readouterr().out
    tracing.main([*given, "--ask", str(tmp_path / "kept")])
    again = capsys.readouterr().out
    assert "an archive of 30 articles" in again

    def right(text: str) -> list[list[str]]:
        return [line.split()[:-2] for line in text.splitlines() if line.split()[-3:-2] == ["0"]]

    assert right(first) == right(again) != []


# -- the door


def test_the_door_takes_names_and_one_ones_options(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["log", "--entries", "50", "--proofs", "2"]) == 0
    assert "log: 50 entries" in capfd.readouterr().out


def test_the_door_tells_what_failed(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["log", "--entries", "many"]) == 1
    assert "failed: log" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["everything"], ["--entries", "5"], ["log", "audit", "--rounds", "1"]])
def test_the_door_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as told:
        bench.main(arguments)
    assert told.value.code == 2
