"""What the tests share that kill processes: who traces them, and a folder in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crash import Crasher

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    """Tells stories; the test is skipped, saying why, where no process may be traced."""
    with Crasher() as running:
        refusal = running.refusal()
        if refusal is not None:
            pytest.skip(refusal)
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder, in memory where there is such a one: what a killed process wrote is there without any sync."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="pressmark-killed-") as name:
        yield Path(name)
