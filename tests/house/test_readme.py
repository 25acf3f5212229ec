"""The README under test: its tour runs, its tables are what the code says, its settings are settings.

    PRESSMARK_README=write python -m pytest tests/house/test_readme.py

puts in what the commands really print. A line `...` in a block of output stands for any lines. A block of Python whose
first line is `# NAME.py` is a file that the commands find.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic_core import PydanticUndefined
from typer.main import get_command

from ops.cli.main import app
from ops.demo.server import PaperServer
from ops.settings import TABLES, parse
from schemas.errors import EXIT_CODES

ROOT: Final = Path(__file__).resolve().parents[2]
README: Final = ROOT / "README.md"
HOST: Final = "www.harbour-lantern.example"
WRITE: Final = os.environ.get("PRESSMARK_README") == "write"
#: In the page's source: the clock goes on, and the paper's next edition appears.
LATER: Final = "<!-- an hour passes, and the paper publishes a correction -->"
BLOCK: Final = re.compile(r"(?ms)^```console\n(.*?)^```$|" + re.escape(LATER))

PROGRAM: Final = re.compile(r"(?ms)^```python\n# ([a-z]+\.py)\n(.*?)^```$")

#: What differs from one archive to the next, and what stands for it when outputs are compared.
CHANGING: Final = (
    (r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "RECORD"),
    (r"pressmark\.invalid/[0-9a-f]{16}(?:\+[0-9a-f]{8}(?:\+[A-Za-z0-9+/]+=*)?)?", "LOG"),
    (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?Z", "INSTANT"),
    (r"\b(warc|text)-[0-9]{14}-[0-9a-f]{8}-[0-9a-f]{8}\b", r"\1-SEGMENT"),
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r"\b[0-9]+ bytes", "SIZE bytes"),
    (r"^[0-9]+ objects,", "COUNT objects,"),  # a checkpoint every few seconds: a busy machine publishes more tiles
    (r"\b(entry|log index)( +)[0-9]+", r"\1\2NUMBER"),
    (r"\[[0-9]+\.\.[0-9]+ (attr|html|json|header)\]", r"[SPAN \1]"),
    # A slow machine publishes more checkpoints on the way, and each leaves partial tiles.
    (r"\b[0-9]+ objects", "SOME objects"),
    (r'"objects":[0-9]+', '"objects":SOME'),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A command of the page, and what the page says that it prints; without a command, the next edition."""

    command: str
    expected: tuple[str, ...] = ()


def normal(line: str) -> str:
    """A line with what changes replaced by what it is."""
    for pattern, name in CHANGING:
        line = re.sub(pattern, name, line)
    return line.rstrip()


def steps(text: str) -> Iterator[Step]:
    """The page's commands in their order."""
    for block in BLOCK.finditer(text):
        if block[1] is None:
            yield Step(command="")
            continue
        for part in re.split(r"(?m)^\$ ", block[1])[1:]:
            command, *expected = part.rstrip("\n").split("\n")
            yield Step(command=command, expected=tuple(expected))


def matches(expected: list[str], actual: list[str]) -> bool:
    """Whether normal lines are as expected, where `...` stands for any lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[cut:]) for cut in range(len(actual) + 1))
    return bool(actual) and expected[0] == actual[0] and matches(expected[1:], actual[1:])


def shortened(actual: list[str], expected: tuple[str, ...]) -> list[str]:
    """Real output in the shape of what stood there: as many lines before and after `...`."""
    if "..." not in expected:
        return actual
    before = expected.index("...") or 12
    after = len(expected) - 1 - expected.index("...")
    return [*actual[:before], "...", *actual[len(actual) - after :]] if len(actual) > before + after else actual


class Tour:
    """The page's commands, run one after the other against the paper."""

    def __init__(self, folder: Path, paper: PaperServer) -> None:
        self.folder, self.paper = folder, paper
        (folder / "bin").mkdir()
        for name, line in (("pressmark", f"{sys.executable} -m ops.cli"), ("python3", sys.executable)):
            (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
            (folder / "bin" / name).chmod(0o755)
        (folder / "lantern.toml").write_text(paper.settings)
        for name, program in PROGRAM.findall(README.read_text(encoding="utf-8")):
            (folder / name).write_text(program)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRESSMARK_")}
        path = f"{folder / 'bin'}:{kept.get('PATH', os.defpath)}"
        self.environment = {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

    def run(self, step: Step) -> list[str]:
        """What a command prints, both streams as a terminal shows them. Fails where it fails."""
        if not step.command:
            self.later()
            return []
        done = subprocess.run(
            step.command, shell=True, cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {step.command}\n{done.stdout}"
        return [line.rstrip() for line in done.stdout.splitlines()]

    def later(self) -> None:
        """An hour passes for the sources, and the next edition appears."""
        self.paper.advance()
        with sqlite3.connect(self.folder / "archive" / "catalog.sqlite") as catalog:
            assert catalog.execute("UPDATE sources SET next_due = 0").rowcount > 0
        catalog.close()


def replaced(text: str, start: int, step: Step, actual: list[str]) -> tuple[str, int]:
    """The page with what a command really prints, and where in it to go on."""
    old = "\n".join([f"$ {step.command}", *step.expected])
    new = "\n".join([f"$ {step.command}", *shortened(actual, step.expected)])
    at = text.index(old + "\n", start)
    return text[:at] + new + text[at + len(old) :], at + len(new)


def test_the_tour_prints_what_the_page_says(tmp_path: Path) -> None:
    text, at = README.read_text(encoding="utf-8"), 0
    wrong: list[str] = []
    with PaperServer(host=HOST, tls=True) as paper:
        tour = Tour(tmp_path, paper)
        for step in list(steps(text)):
            actual = tour.run(step)
            if WRITE and step.command:
                text, at = replaced(text, at, step, actual)
            elif not matches([normal(line) for line in step.expected], [normal(line) for line in actual]):
                wrong.append("\n".join([f"$ {step.command}", *(f"  {normal(line)}" for line in actual)]))
    if WRITE:
        README.write_text(text, encoding="utf-8")
    assert wrong == [], "these print something else (see the top of this file):\n" + "\n".join(wrong)


def test_the_tour_is_all_there() -> None:
    commands = [step.command for step in steps(README.read_text(encoding="utf-8"))]
    for word in ("init", "outlet add", "crawl", "articles", "show", "trace", "prove", "snapshot build", "audit"):
        assert [command for command in commands if command.startswith(f"pressmark {word} ")] != [] or (
            f"pressmark {word}" in commands
        ), word
    assert "" in commands, "the correction"
    assert any("python3 -I verify.py" in command for command in commands)


def test_a_changed_output_would_be_seen() -> None:
    """The comparison forgives what changes and nothing else."""
    one = "urn:uuid:db7c9b23-a735-4f7f-b055-6d7d2126154b at 2026-11-23T15:21:49.690544Z, 127134 bytes"
    other = "urn:uuid:00000000-a735-4f7f-b055-6d7d2126154b at 2027-01-01T00:00:00Z, 9 bytes"
    assert normal(one) == normal(other) == "RECORD at INSTANT, SIZE bytes"
    assert normal("published 2025-10-13T19:10:00+01:00") != normal("published 2025-10-13T19:11:00+01:00")
    assert normal("12 articles") != normal("13 articles")
    assert matches(["a", "...", "z"], ["a", "z"])
    assert matches(["a", "..."], ["a", "b", "c"])
    assert not matches(["a", "...", "z"], ["a", "b"])
    assert not matches(["a"], ["a", "b"])
    assert not matches(["a", "b"], ["a"])


# -- tables -------------------------------------------------------------------------------------------------------


def literal(value: Any) -> str:
    """A default as a settings file would have it."""
    if value is PydanticUndefined:
        return "none: it must be given"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def settings_table() -> str:
    lines = ["| key | default | what it is |", "|---|---|---|"]
    for name, table in TABLES.items():
        title = f"[[{name}]]" if name == "outlet" else f"[{name}]"
        for key, field in table.model_fields.items():
            lines.append(f"| `{title} {key}` | {literal(field.default)} | {field.description} |")
    return "\n".join(lines)


def exit_codes_table() -> str:
    return "\n".join(["| code | meaning |", "|---|---|", *(f"| {n} | {words} |" for n, words in EXIT_CODES.items())])


def commands_table() -> str:
    lines = ["| command | what it does |", "|---|---|"]

    def add(group: Any, above: str) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                add(command, f"{above} {name}")
            else:
                lines.append(f"| `{above} {name}` | {(command.help or '').split(chr(10))[0]} |")

    add(get_command(app), "pressmark")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "make"),
    [("settings", settings_table), ("exit codes", exit_codes_table), ("commands", commands_table)],
)
def test_a_table_says_what_the_code_says(name: str, make: Any) -> None:
    text = README.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, _, rest = text.partition(begin)
    found, _, tail = rest.partition(end)
    if WRITE:
        README.write_text(f"{head}{begin}{make()}\n{end}{tail}", encoding="utf-8")
    else:
        assert found.strip() == make()


# -- the rest -----------------------------------------------------------------------------------------------------


def test_settings_in_the_page_are_settings() -> None:
    blocks = re.findall(r"(?ms)^```toml\n(.*?)^```$", README.read_text(encoding="utf-8"))
    assert blocks != []
    for block in blocks:
        parse(tomllib.loads(block), Path("archive"), {}, where="the README")


def test_the_first_screen_says_what_it_is_for_whom_and_the_two_commands() -> None:
    screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:30])
    for words in ("An archive of the news", "operator", "auditor", "researcher", "make demo", "make test"):
        assert words in screen


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8")):
        assert "://" in target or (ROOT / target).exists(), target


def test_commands_outside_the_tour_exist() -> None:
    """`sh` blocks need a network or a service; that their commands and options exist is checked here."""
    text = README.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", text):
        for line in block.splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["make"]:
                assert f"\n{words[1]}:" in makefile, line
            if words[:1] == ["pressmark"]:
                command: Any = get_command(app)
                rest = words[1:]
                while hasattr(command, "commands"):
                    command, rest = command.commands[rest[0]], rest[1:]
                known = {option for parameter in command.params for option in parameter.opts}
                assert {word for word in rest if word.startswith("-")} <= known, line
