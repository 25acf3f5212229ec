"""A stranger with nothing but a Python and a bundle: whom need he trust? The clock and the key, and no more."""

from __future__ import annotations

import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.journeys.stage import Stage

#: Bytes of the bundle that are flipped, each in a run of its own; `make test-long` flips the rest elsewhere.
FLIPS = 6


@pytest.fixture
def bundle(crawled: Stage, tmp_path: Path) -> tuple[Path, str]:
    """The unpacked proof of the corrected article, and the log's key."""
    (corrected,) = [a for a in crawled.articles() if a["version"] == 2]
    crawled.run("prove", corrected["id"], "-o", tmp_path / "proof.zip")
    with zipfile.ZipFile(tmp_path / "proof.zip") as box:
        box.extractall(tmp_path / "proof")
    return tmp_path / "proof", crawled.run("log", "key").out.strip()


def check(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the stranger types: an isolated Python, an empty environment."""
    return subprocess.run(
        [sys.executable, "-I", "verify.py", *words], cwd=folder, env={}, capture_output=True, text=True, check=False
    )


def test_a_stranger_checks_a_proof_with_the_standard_library_alone(bundle: tuple[Path, str]) -> None:
    folder, key = bundle
    pinned = check(folder, "--key", key)
    assert pinned.returncode == 0, pinned.stdout + pinned.stderr
    assert "not pinned" not in pinned.stdout
    unpinned = check(folder)
    assert unpinned.returncode == 0
    assert "not pinned" in unpinned.stdout
    other = key.replace(key.rpartition("+")[2][:8], key.rpartition("+")[2][:8].swapcase())
    assert check(folder, "--key", other).returncode != 0, "another key signed nothing here"


def test_one_flipped_byte_anywhere_is_found(bundle: tuple[Path, str]) -> None:
    folder, key = bundle
    chance = random.Random(20261123)
    parts = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in ("verify.py", "README.txt"))
    for path in chance.sample(parts, min(FLIPS, len(parts))):
        whole = path.read_bytes()
        at = chance.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :])
        found = check(folder, "--key", key)
        assert (found.returncode, "Traceback" in found.stderr) == (1, False), f"{path.name} at {at}: {found.stdout}"
        path.write_bytes(whole)
    assert check(folder, "--key", key).returncode == 0
