"""An archive's life from the command line: making it, filling a disk, damage, newer catalogs, files that go nowhere."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.ops.conftest import LOCAL, ROOT, Pressmark
from tests.ops.test_cli_crawl import feed, intact, page, watch
from tests.support.newsroom import Newsroom


@pytest.fixture
def kept(archive: Pressmark, room: Newsroom) -> Pressmark:
    """The command on an archive that holds three articles."""
    for number in range(3):
        room.page(f"/{number}.html", page(number))
    watch(archive, room, *(f"/{number}.html" for number in range(3)))
    archive("crawl", "--until-idle").done()
    return archive


def segments(archive: Path, kind: str) -> list[Path]:
    """The sealed segments of a kind, oldest first."""
    return sorted(archive.glob(f"objects/{kind}/**/*.warc.gz"))


# -- making it ----------------------------------------------------------------------------------------------------


def test_two_inits_in_one_folder(pressmark: Pressmark) -> None:
    first = pressmark("init", "--json", "--contact", "a@lantern.example").done().values[0]
    before = {path: path.read_bytes() for path in pressmark.archive.rglob("*") if path.is_file()}
    pressmark("init", "--contact", "b@lantern.example").refused(2, "holds an archive already")
    assert before == {path: path.read_bytes() for path in pressmark.archive.rglob("*") if path.is_file()}
    assert pressmark("log", "key", "--json").done().values == [{"key": first["key"]}]


def test_two_inits_at_once(pressmark: Pressmark) -> None:
    both = [pressmark.start("init") for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    assert "Traceback" not in "".join(said)
    pressmark("status").done()


def test_an_init_that_fails_leaves_nothing_behind(pressmark: Pressmark, monkeypatch: pytest.MonkeyPatch) -> None:
    pressmark.archive.mkdir()
    (pressmark.archive / "mine.txt").write_text("kept")
    with monkeypatch.context() as patch:
        patch.setenv("PRESSMARK_CATALOG__URL", "mysql://host/db")
        pressmark("init").refused(2, "mysql")
    assert {path.name for path in pressmark.archive.iterdir()} <= {"mine.txt", "lock"}
    pressmark("init").done()
    assert (pressmark.archive / "mine.txt").read_text() == "kept"


def test_a_key_without_settings_is_not_taken_for_an_empty_folder(pressmark: Pressmark) -> None:
    pressmark("init").done()
    (pressmark.archive / "pressmark.toml").unlink()
    pressmark("init").refused(2, "holds the key of an archive")
    pressmark("status").refused(2, "holds no archive")


@pytest.mark.parametrize("where", ["{}/file", "{}/file/deeper"])
def test_init_where_no_folder_can_be(where: str, pressmark: Pressmark, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    pressmark("init", where.format(tmp_path)).refused(2)


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ("", (), ("", "")),
        ("", ("--contact", "a@x.example", "--name", 'The "Desk"'), ("a@x.example", 'The "Desk"')),
        ('[operator]\nname = "Desk"\n', ("--contact", "a@x.example"), ("a@x.example", "Desk")),
        ('[operator]  # who\ncontact = "c"\n[crawl]\nhost_delay = 1\n', ("--name", "Desk"), ("c", "Desk")),
    ],
)
def test_options_are_set_into_given_settings(
    settings: str, options: tuple[str, ...], expected: tuple[str, str], pressmark: Pressmark
) -> None:
    pressmark("init", "--settings", pressmark.settings(settings), "--origin", "lantern.example/log", *options).done()
    checks = {value["check"]: value["detail"] for value in pressmark("doctor", "--json").done().values}
    assert checks["contact"].startswith(expected[0] or "none is set")
    text = (pressmark.archive / "pressmark.toml").read_text()
    assert text.startswith(settings.splitlines()[0] if settings else "")
    assert expected[1].replace('"', '\\"') in text
    assert checks["log"].startswith("lantern.example/log")


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ('[operator]\ncontact = "c"\n', ("--contact", "d"), "--contact is given"),
        ('[log]\norigin = "a/b"\n', ("--origin", "c/d"), "--origin is given"),
        ('log.origin = "a/b"\n', ("--origin", "c/d"), "--origin is given"),
        ('operator = { name = "x" }\n', ("--contact", "d"), "no line [operator]"),
        ('[log]\norigin = ""\n', (), "cannot name a log"),
        ("[crawl]\nhost_dealy = 0\n", (), "did you mean host_delay?"),
        ("[crawl", (), "cannot be read as TOML"),
        ("", ("--origin", "a+b"), "spaces, plus signs"),
        ("", ("--contact", "a\nb"), "control characters"),
        ('[[outlet]]\nurl = "https://lantern.example/"\nevery = "often"\n', ("--contact", "c"), "length of time"),
    ],
)
def test_settings_that_no_archive_can_begin_with(
    settings: str, options: tuple[str, ...], words: str, pressmark: Pressmark
) -> None:
    pressmark("init", "--settings", pressmark.settings(settings), *options).refused(2, words)


def test_outlets_of_the_settings_are_added(pressmark: Pressmark, room: Newsroom) -> None:
    room.page("/", "<html><link rel='alternate' type='application/rss+xml' href='/feed.xml'></html>")
    path = pressmark.settings(f'{LOCAL}\n[[outlet]]\nurl = "{room.url("/")}"\nname = "The Lantern"\nevery = "15m"\n')
    pressmark("init", "--settings", path, "--contact", "desk@lantern.example").done()
    (outlet,) = pressmark("outlet", "list", "--json").done().values
    assert (outlet["name"], outlet["every"]) == ("The Lantern", 900)
    assert [source["url"] for source in outlet["sources"]] == [room.url("/feed.xml")]
    pressmark("outlet", "add", room.url("/")).refused(2, "is watched already")
    assert "paused" in pressmark("outlet", "pause", "The Lantern").done().err
    assert "active" in pressmark("outlet", "resume", "The Lantern").done().err
    assert "removed" in pressmark("outlet", "remove", "The Lantern").done().err
    assert pressmark("outlet", "list", "--json").done().values == []
    intact(pressmark)


# -- what happens to it -------------------------------------------------------------------------------------------


def test_a_catalog_from_a_newer_version_is_left_alone(kept: Pressmark) -> None:
    path = kept.archive / "catalog.sqlite"
    with sqlite3.connect(path) as catalog:
        catalog.execute("UPDATE schema_version SET version_num = '9999'")
    catalog.close()
    before = path.read_bytes()
    for words in ("status", "crawl", "audit --full", "prove a1 -o x.zip"):
        kept(*words.split()).refused(2, "schema 9999", "install the newer Pressmark")
    assert path.read_bytes() == before


def test_a_catalog_that_is_gone_or_broken(kept: Pressmark) -> None:
    path = kept.archive / "catalog.sqlite"
    good = path.read_bytes()
    path.write_bytes(b"not a database at all" * 1000)
    kept("status").refused(3, "pressmark rebuild")
    path.unlink()
    kept("status").refused(2, "pressmark rebuild")
    assert not path.exists()
    kept("rebuild").done()
    assert len(kept("articles").done().out.splitlines()) == 3
    intact(kept)
    assert len(good) > 0


def test_damage_is_3_where_it_is_met_and_1_where_it_is_looked_for(kept: Pressmark, tmp_path: Path) -> None:
    article = kept("articles", "--json").done().values[0]
    path = next(p for p in segments(kept.archive, "warc") if p.name.startswith(article["capture"]["segment"]))
    data = bytearray(path.read_bytes())
    data[article["capture"]["offset"] + 400] ^= 0x40
    path.write_bytes(data)
    kept("prove", article["id"], "-o", tmp_path / "x.zip").refused(3)
    assert not (tmp_path / "x.zip").exists()
    ended = kept("audit", "--full", "--json").refused(1, "the audit found something wrong")
    *findings, last = ended.values
    assert last["summary"]["damaged"] == len([f for f in findings if f["kind"] == "damaged"]) > 0
    assert all(finding.keys() == {"kind", "where", "message"} for finding in findings)


def test_a_verdict_stands_whether_or_not_it_is_read(kept: Pressmark) -> None:
    """`pressmark audit | head` on a damaged archive is no success."""
    path = segments(kept.archive, "warc")[-1]
    path.write_bytes(path.read_bytes()[:-100])
    read, write = os.pipe()
    os.close(read)
    ended = kept.process("audit", stdout=write)
    os.close(write)
    assert ended.code == 1
    assert "Traceback" not in ended.err


def test_bundles_that_are_none(kept: Pressmark, tmp_path: Path) -> None:
    article = kept("articles", "--json").done().values[0]["id"]
    good = tmp_path / "good.zip"
    made = kept("prove", article, "-o", good, "--json").done().values[0]
    assert made == {"bundle": str(good), "bytes": good.stat().st_size, "key": kept("log", "key").done().out.strip()}
    report = kept("verify", good, "--key", made["key"], "--json").done().values[0]
    assert (report["ok"], report["findings"], report["timestamped"]) == (True, [], None)
    kept("verify", good, "--require-timestamp").refused(1, "no timestamp")
    data = good.read_bytes()
    bad = tmp_path / "bad.zip"
    for broken in (b"", b"not a zip", data[: len(data) // 2], data[:-30] + bytes(30), b"PK\x05\x06" + bytes(18)):
        bad.write_bytes(broken)
        ended = kept("verify", bad, "--json").refused(1, "does not verify")
        assert (ended.values[0]["ok"], ended.values[0]["proven"]) == (False, [])
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name) + (b" " if name == "entry-0.json" or "member" in name else b""))
    other = pressmark_key(tmp_path)
    kept("verify", good, "--key", other).refused(1, "does not verify")


def pressmark_key(folder: Path) -> str:
    """The public key of another archive."""
    from storage.log.signing import Signer

    return str(Signer.create(folder / "other.key", "other.example/log").vkey)


def test_output_that_goes_nowhere(kept: Pressmark, tmp_path: Path) -> None:
    article = kept("articles", "--json").done().values[0]["id"]
    (tmp_path / "file").write_text("x")
    for out in (tmp_path, tmp_path / "none" / "x.zip", tmp_path / "file" / "x.zip"):
        kept("prove", article, "-o", out).refused(2, str(out))
    old = tmp_path / "old.zip"
    old.write_bytes(b"what stood there")
    kept("prove", "a1", "-o", old).refused(4)
    assert old.read_bytes() == b"what stood there"
    source = tmp_path / "page.html"
    source.write_text(page(1))
    kept("extract", source, "--url", "https://lantern.example/1", "--out", tmp_path / "none" / "a.json").refused(2)
    kept("extract", source, "--url", "https://lantern.example/1", "--out", tmp_path / "a.json").done()
    assert json.loads((tmp_path / "a.json").read_text())["title"] == "Ferry 1 runs again"
    intact(kept)


def small_files(limit: int) -> Any:
    """For a child: no file may grow beyond so many bytes, as on a disk that is full."""

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return set_limit


@pytest.mark.parametrize("limit", [20_000, 400_000])
def test_files_that_may_not_grow_end_the_crawl_and_lose_nothing(limit: int, archive: Pressmark, room: Newsroom) -> None:
    paths = [f"/{number}.html" for number in range(40)]
    for number, path in enumerate(paths):
        room.page(path, page(number) + f"<!-- {os.urandom(15_000).hex()} -->")
    watch(archive, room, *paths)
    ended = archive.process("crawl", "--until-idle", preexec_fn=small_files(limit)).refused(5)
    assert ended.out == ""
    archive("crawl", "--until-idle").done()
    assert len(archive("articles").done().out.splitlines()) == len(paths)
    intact(archive)


def in_a_small_disk(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line with a disk of a megabyte at `folder`, in a mount namespace of its own."""
    line = f"mount -t tmpfs -o size=1200k tmpfs '{folder}' && {' '.join(words)}"
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", line],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def can_mount() -> bool:
    """Whether this system lets us mount a small disk."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this system mounts no small disk for us (user namespaces)")
def test_a_disk_that_is_full_ends_the_crawl_and_loses_nothing(
    pressmark: Pressmark, room: Newsroom, tmp_path: Path
) -> None:
    paths = [f"/{number}.html" for number in range(30)]
    for number, path in enumerate(paths):
        room.page(path, page(number) + f"<!-- {os.urandom(30_000).hex()} -->")
    settings = pressmark.settings(LOCAL)
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    run = f"{sys.executable} -m ops.cli"
    done = in_a_small_disk(
        disk,
        f"{run} init {disk}/a --settings {settings} --contact c@lantern.example",
        f"&& {run} outlet add {room.url('/')} -C {disk}/a --feed {feed(room, *paths)}",
        f'&& {{ {run} crawl --until-idle -C {disk}/a; echo "crawl ended with $?"; }}',
        f'; {run} audit -C {disk}/a; echo "audit ended with $?"; cp -r {disk}/a {copy}',
    )
    assert "crawl ended with 5" in done.stdout, done.stderr
    assert "audit ended with 0" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    pressmark.archive.symlink_to(copy)
    pressmark("crawl", "--until-idle").done()
    assert len(pressmark("articles").done().out.splitlines()) == len(paths)
    intact(pressmark)


# -- values -------------------------------------------------------------------------------------------------------


def test_trace_prints_the_published_shape(kept: Pressmark, tmp_path: Path) -> None:
    article = kept("articles", "--json").done().values[0]
    fragment = tmp_path / "fragment.txt"
    fragment.write_text("date 2026-11-20\n\n" + " ".join(article["paragraphs"]).upper())
    (result,) = kept("trace", fragment, "--json").done().values
    assert result.keys() >= {"id", "covered", "matches", "claims"}
    assert result["id"] == str(fragment)
    match = result["matches"][0]
    assert match.keys() >= {"article", "capture", "url", "outlet", "published", "captured", "covered", "spans"}
    assert (match["article"], match["outlet"]) == (article["id"], "The Lantern")
    assert 0.9 < match["covered"] <= 1
    assert result["claims"] == [{"kind": "date", "value": "2026-11-20", "verdict": "agrees"}]
    batch = tmp_path / "batch.jsonl"
    lines = [{"id": "one", "text": article["text"] if "text" in article else " ".join(article["paragraphs"])}]
    batch.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"id": 2, "text": "nowhere to be found"}]))
    one, two = kept("trace", "--batch", batch).done().values
    assert (one["id"], one["matches"][0]["article"]) == ("one", article["id"])
    assert (two["id"], two["matches"], two["covered"]) == ("2", [], 0.0)


def test_json_values_are_one_a_line(kept: Pressmark) -> None:
    for words in (
        "status", "coverage", "doctor", "articles", "outlet list", "outlet show 127.0.0.1", "log entries", "log key",
        "log checkpoint", "log proof 0", "log consistency 1 2", "audit --full", "snapshot list", "rebuild",
    ):  # fmt: skip
        ended = kept(*words.split(), "--json").done()
        assert all(isinstance(value, dict) for value in ended.values), words
        assert ended.values != [] or words == "snapshot list", words


def test_articles_after_a_cursor(kept: Pressmark) -> None:
    first, *rest = kept("articles", "--json", "--after", "-1").done().values
    assert [value["id"] for value in rest] == [
        value["id"] for value in kept("articles", "--json", "--after", str(first["log_index"])).done().values
    ]
    assert len(kept("articles", "--json", "--limit", "2").done().values) == 2
    by_url = kept("show", first["url"], "--json").done().values
    assert (
        by_url == kept("show", first["id"], "--json").done().values == kept("show", f"{first['id']}@1", "--json").values
    )


def test_hostile_titles_do_not_reach_the_terminal(archive: Pressmark, room: Newsroom) -> None:
    room.page("/a.html", page(1).replace("Ferry 1 runs again", "Ferry \x1b]0;owned\x07\u009b31m runs"))
    watch(archive, room, "/a.html")
    archive("crawl", "--until-idle").done()
    listed = archive("articles").done().out
    assert "runs" in listed
    assert [char for char in listed if char in "\x1b\x07\u009b"] == []
