"""Where the checkout lies and what git tracks in it: shared by the tests of the house, and nothing else."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("schemas", "storage", "ingest", "ops")


def tracked(*under: str) -> list[Path]:
    """Paths, relative to ROOT, of the files that git tracks and that are still there.

    Skips the calling test, saying so, where this is not a checkout (an unpacked source archive).
    """
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be asked")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *under], cwd=ROOT, capture_output=True, check=True
    ).stdout
    paths = [Path(name.decode()) for name in listing.split(b"\0") if name]
    return [path for path in paths if (ROOT / path).is_file()]


def modules(floor: str) -> list[Path]:
    """Every Python file on a floor, absolute, sorted."""
    return sorted((ROOT / floor).rglob("*.py"))
