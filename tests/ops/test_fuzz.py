"""The fuzz targets hold on their seeds, on what once broke them, and on inputs near both; and they can fail.

`tests/ops/fuzz/TARGET` keeps the inputs of past findings (`make fuzz` says where it left new ones).
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.bench import fuzz, fuzz_targets
from ops.bench.fuzz_targets import TARGETS
from schemas.http1 import parse_response
from tests.house.test_oracles import environment

FINDINGS = sorted(path for path in (Path(__file__).parent / "fuzz").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_hold(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].check(seed)


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_broke_a_parser_once_does_not_again(path: Path) -> None:
    TARGETS[path.parent.name].check(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=20)  # the engine does the counting
@given(data=st.data())
def test_inputs_near_the_seeds_hold(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    seed = data.draw(st.sampled_from(target.seeds))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(seed)))
        kept = data.draw(st.integers(at, min(len(seed), at + 8)))
        new = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"", *target.words])))
        seed = seed[:at] + new + seed[kept:]
    target.check(seed)


def test_a_fault_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(block: bytes) -> object:
        view = parse_response(block)
        return replace(view, body=view.body[1:])

    monkeypatch.setattr(fuzz_targets, "parse_response", careless)
    with pytest.raises(AssertionError):
        TARGETS["http"].check(TARGETS["http"].seeds[0])


def test_without_the_engine_it_says_how_to_get_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["http", "--python", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "make fuzz" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        fuzz.main(["nothing"])


@pytest.mark.interop
def test_a_short_run_of_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = environment("fuzz")
    assert fuzz.main(["http", "--minutes", "0.1", "--out", str(tmp_path), "--python", os.fspath(python)]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split(" | ")
    assert int(row[1]) > 100
    assert int(row[4]) > 5, "coverage guides it: inputs that reach something new are kept"
