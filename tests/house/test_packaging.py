"""The wheel: the four floors and nothing else, all their data with them, and a command that runs."""

import email
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.house.tree import FLOORS, ROOT, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DIST_INFO = f"{PROJECT['name']}-{PROJECT['version']}.dist-info"


def run(*command: str | Path, cwd: Path) -> str:
    """Run with an environment that names none of our paths; returns standard output, fails with all of it."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PRESSMARK", "VIRTUAL_ENV", "COV_", "PYTEST"))
    }
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command} answered {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the tree by the locked backend."""
    pytest.importorskip("hatchling", reason="hatchling is not installed: run `make install`")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_floors_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {*FLOORS, DIST_INFO}
    assert not [name for name in names if "test" in Path(name).name.lower() or "/tests/" in name]
    assert not [name for name in names if name.endswith((".pyc", ".open", ".warc.gz"))]


def test_the_wheel_holds_every_tracked_file_of_the_floors(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    missing = {path.as_posix() for path in tracked(*FLOORS)} - names
    assert not missing


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"{DIST_INFO}/METADATA"))
        entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert len(metadata.get_all("Requires-Dist", [])) == len(PROJECT["dependencies"])
    assert "pressmark = ops.cli.main:main" in entry_points


def environment(folder: Path) -> Path:
    """A fresh environment; returns its bin folder."""
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin"


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Fresh environment, our wheel, and the dependencies borrowed from this one."""
    programs = environment(tmp_path / "env")
    run(programs / "python", "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    where = run(programs / "python", "-c", "import schemas; print(schemas.__file__)", cwd=tmp_path).strip()
    site = Path(where).parents[1]
    assert site.is_relative_to(tmp_path)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    assert "Usage: pressmark" in run(programs / "pressmark", "--help", cwd=tmp_path)


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment_made_from_the_lock(wheel: Path, tmp_path: Path) -> None:
    """As a stranger installs it: locked wheels by hash, nothing built, nothing borrowed. Needs the index."""
    programs = environment(tmp_path / "env")
    pip = [programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    lock = ROOT / "requirements" / "runtime.txt"
    run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", lock, cwd=tmp_path)
    run(*pip, "--no-index", "--no-deps", wheel, cwd=tmp_path)
    assert "Usage: pressmark" in run(programs / "pressmark", "--help", cwd=tmp_path)
    assert "No broken requirements" in run(programs / "python", "-m", "pip", "check", cwd=tmp_path)
