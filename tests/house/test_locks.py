"""The locks: every pin hashed, no address in them, and everything that pyproject.toml asks for inside."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.house.tree import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class Pin(NamedTuple):
    requirement: Requirement
    version: Version
    hashes: tuple[str, ...]


def pins(name: str) -> dict[str, list[Pin]]:
    """The pins of a lock by normalised name; more than one where markers split it. Refuses any other line."""
    found: dict[str, list[Pin]] = {}
    text = (ROOT / "requirements" / name).read_text("ascii").replace("\\\n", " ")
    for line in text.splitlines():
        head, *options = re.split(r"\s+(?=--)", line.strip())
        assert all(HASH.fullmatch(option.strip()) for option in options), f"{name}: {line}"
        requirement = Requirement(head)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{name}: {head} is not pinned"
        pin = Pin(requirement, Version(specifier.version), tuple(options))
        found.setdefault(canonicalize_name(requirement.name), []).append(pin)
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_locks_that_make_install_reads_are_there() -> None:
    assert {"runtime.txt", "dev.txt", "build.txt"} <= {lock.name for lock in LOCKS}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_a_hash(lock: Path) -> None:
    found = pins(lock.name)
    assert found
    for name, several in found.items():
        for pin in several:
            assert pin.hashes, f"{name} has no hash"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_an_address(lock: Path) -> None:
    text = lock.read_text("ascii")
    assert "://" not in text
    assert " @ " not in text
    assert not re.search(r"^\s*(-i|-f|-e|--(?!hash=))", text, re.MULTILINE)
    assert not re.search(r"\b[a-z0-9-]+\.(org|com|io|net|dev)\b", text)


def test_dev_holds_the_very_pins_of_runtime() -> None:
    runtime, dev = pins("runtime.txt"), pins("dev.txt")
    for name, several in runtime.items():
        assert {pin.version for pin in several} <= {pin.version for pin in dev[name]}, name


def test_what_pyproject_asks_for_is_locked() -> None:
    table = project()
    wanted = {
        "runtime.txt": table["project"]["dependencies"],
        "dev.txt": table["dependency-groups"]["dev"],
        "build.txt": table["dependency-groups"]["build"] + table["build-system"]["requires"],
    }
    for lock, texts in wanted.items():
        locked = pins(lock)
        for requirement in map(Requirement, texts):
            several = locked[canonicalize_name(requirement.name)]
            assert all(pin.version in requirement.specifier for pin in several), str(requirement)
