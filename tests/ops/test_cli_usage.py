"""Arguments, help and exit codes: one line that says what is wrong and what to do, whatever was typed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ops.cli.main import app
from schemas.errors import EXIT_CODES
from tests.ops.conftest import ROOT, Pressmark

#: Commands that print no values: there is nothing that could be JSON.
SILENT = {"run", "log witness", "outlet pause", "outlet resume", "outlet remove"}


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, command in (group or get_command(app)).commands.items():
        words = f"{above} {name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, words)
        else:
            yield words, command


ALL = dict(commands())


def test_the_commands_are_found() -> None:
    assert {"init", "crawl", "outlet add", "snapshot build", "log entries", "warc check"} <= ALL.keys()
    assert len(ALL) > 25


@pytest.mark.parametrize("words", sorted(ALL))
def test_every_command_says_what_it_does(words: str, pressmark: Pressmark) -> None:
    ended = pressmark(*words.split(), "--help").done()
    assert ended.out.startswith(f"Usage: pressmark {words} ")
    assert (ALL[words].help or "").split("\n")[0] in " ".join(ended.out.split())
    assert (ALL[words].help or "") != ""


@pytest.mark.parametrize("words", sorted(ALL.keys() - SILENT))
def test_every_command_that_prints_values_prints_json(words: str) -> None:
    assert "--json" in {option for parameter in ALL[words].params for option in parameter.opts}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("crawl --fast", ("no such option: --fast", "`pressmark crawl --help`")),
        ("crawl --limit 0", ("'--limit'", "greater than or equal to 1")),
        ("crawl --limit many", ("'--limit'", "integer")),
        ("articles --limit 0", ("'--limit'",)),
        ("articles --after soon", ("'--after'",)),
        ("trace --limit 0 -", ("'--limit'",)),
        ("audit --sample 0", ("'--sample'",)),
        ("log proof -- -1", ("'index'",)),
        ("crawel", ("no such command 'crawel'",)),
        ("outlet forget x", ("no such command 'forget'", "`pressmark outlet --help`")),
        ("prove", ("missing argument",)),
        ("prove a1", ("missing option '-o'",)),
        ("trace", ("trace needs one thing", "--batch FILE")),
        ("trace a --batch b", ("trace needs one thing",)),
        ("extract", ("extract needs one thing",)),
        ("extract page.html --stale", ("extract needs one thing",)),
        ("extract page.html", ("where the page stood", "--url")),
        ("init one --archive two", ("named twice",)),
        ("warc check", ("missing argument",)),
    ],
)
def test_bad_usage_ends_with_2_and_one_line(words: str, said: tuple[str, ...], pressmark: Pressmark) -> None:
    ended = pressmark(*words.split()).refused(2, *said)
    assert ended.out == ""
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("words", ["", "outlet", "log", "snapshot", "warc"])
def test_a_command_without_its_part_shows_its_parts(words: str, pressmark: Pressmark) -> None:
    ended = pressmark(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err


MISSING = {
    "status", "coverage", "doctor", "crawl", "run", "articles", "audit", "rebuild", "show a1", "prove a1 -o x.zip",
    "trace README.md", "outlet list", "outlet add http://127.0.0.1/", "outlet show x", "outlet pause x", "log key",
    "log entries", "log checkpoint", "log proof 0", "log consistency 0 1", "snapshot list", "snapshot build x",
    "extract --stale", "import README.md",
}  # fmt: skip


@pytest.mark.parametrize("words", sorted(MISSING))
def test_without_an_archive_every_command_says_how_to_make_one(words: str, pressmark: Pressmark) -> None:
    ended = pressmark(*words.split()).refused(2, "holds no archive", "pressmark init")
    assert ended.out == ""
    assert not pressmark.archive.exists()


@pytest.mark.parametrize(
    "words",
    [
        "show a1",
        "show https://lantern.example/none.html",
        "prove a1 -o x.zip",
        "outlet show nobody",
        "crawl nobody",
        "articles --outlet nobody",
        "snapshot build x --outlet nobody",
        "log checkpoint",
        "log proof 99",
    ],
)
def test_what_is_not_there_is_not_found(words: str, archive: Pressmark) -> None:
    archive(*words.split()).refused(4)


@pytest.mark.parametrize(
    "words",
    [
        "outlet add ftp://lantern.example/",
        "outlet add http://user:secret@lantern.example/",
        "outlet add http://[lantern/",
        "outlet add http://127.0.0.1/ --feed nonsense",
        "outlet add http://127.0.0.1/ --every sometimes",
        "outlet add http://127.0.0.1/ --every 0s",
        "outlet add http://127.0.0.1/ --allow-address everywhere",
        "show http://[lantern/",
        "show a1@two",
        "articles --url nonsense",
        "articles --from yesterday",
        "articles --to 2026-11-23T14:00:00+99:00",
        "articles --from 0001-01-01T00:00:00+14:00",
        "snapshot build x --from 2026-13-01",
        "snapshot build x --by chance",
        "verify README.md --key nonsense",
        "extract README.md --url nonsense",
        "extract README.md --url https://lantern.example/ --captured 2026-11-23T14:00:00",
        "extract README.md --url https://lantern.example/ --captured 2026-11-23T14:00:00+99:00",
    ],
)
def test_values_that_are_none_are_refused(words: str, archive: Pressmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ended = archive(*words.split())
    assert ended.out == ""
    assert ended.code == 2, ended.err
    assert ended.complaint.startswith("pressmark: ")
    assert "Traceback" not in ended.err


def test_names_with_control_characters_are_refused(archive: Pressmark) -> None:
    archive("outlet", "add", "http://127.0.0.1/", "--name", "The\x1bLantern").refused(2, "control characters")


@pytest.mark.parametrize(
    "words", ["trace {}", "verify {}", "extract {} --url https://lantern.example/", "warc check {}"]
)
def test_files_that_cannot_be_read(words: str, archive: Pressmark, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        ended = archive(*words.format(path).split())
        assert ended.code in (2, 4, 5), ended.err
        assert "Traceback" not in ended.err
        assert str(path) in ended.complaint


def test_a_batch_of_fragments_that_is_none(archive: Pressmark, tmp_path: Path) -> None:
    batch = tmp_path / "batch.jsonl"
    for line in (b"\xff\xfe", b"[]", b'{"id": "a"}', b'{"id": "a", "text": 5}', b"[" * 100_000):
        batch.write_bytes(b'{"id": "ok", "text": "words"}\n' + line + b"\n")
        ended = archive("trace", "--batch", batch).refused(2, "line 2 of the batch")
        assert [value["id"] for value in ended.values] == ["ok"]


def test_broken_gzip_is_told_from_a_page(archive: Pressmark, tmp_path: Path) -> None:
    page = tmp_path / "page.html.gz"
    page.write_bytes(b"\x1f\x8b\x08\x00broken")
    archive("extract", page, "--url", "https://lantern.example/a").refused(2, "broken gzip")


def test_an_empty_page_gives_no_article(archive: Pressmark, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"")
    ended = archive("extract", page, "--url", "https://lantern.example/a")
    assert (ended.code, ended.out) == (2, "")
    assert ended.complaint.startswith("pressmark: ")


@pytest.mark.parametrize("words", ["--help", "status --json"])
def test_a_reader_that_leaves_is_no_failure(words: str, archive: Pressmark) -> None:
    """`pressmark … | head`: the pipe is closed before a line is written."""
    for unbuffered in ("", "1"):
        read, write = os.pipe()
        os.close(read)
        ended = archive.process(*words.split(), stdout=write, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
        os.close(write)
        assert (ended.code, ended.err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_told(archive: Pressmark) -> None:
    with open("/dev/full", "w") as full:
        archive.process("status", "--json", stdout=full).refused(5, "No space left")


def test_closed_streams_do_no_harm(archive: Pressmark) -> None:
    program = (
        "import os, sys; os.close(int(sys.argv.pop(1))); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    for number, words, code in (("1", "status", 0), ("2", "status", 0), ("2", "show a1", 4)):
        done = subprocess.run(
            [sys.executable, "-c", program, number, "-m", "ops.cli", *words.split()],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code
        assert "pressmark:" not in done.stdout
        assert "Traceback" not in done.stderr


def test_help_is_there_without_the_heavy_libraries() -> None:
    """A second of imports before every `--help` is a second too much."""
    heavy = ("pydantic", "sqlalchemy", "trafilatura", "lxml", "boto3", "pyarrow", "cryptography", "asyncio")
    program = (
        "import sys; from ops.cli.main import main; sys.argv = ['pressmark', '--help']; main();"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_codes_that_commands_end_with_are_in_the_table() -> None:
    from schemas import errors

    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert len(classes) > 15
    assert {item.exit_code for item in classes} <= EXIT_CODES.keys()
