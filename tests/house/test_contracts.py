"""The rules between rooms: the import contracts hold, they bite, and `schemas` is pure."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import FLOORS, ROOT, modules

LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]

# What schemas may not touch, though the standard library has it: disk, network, clock, chance, processes.
IMPURE = {
    *("glob", "os", "pathlib.Path", "shutil", "sqlite3", "tempfile"),
    *("asyncio", "http.client", "http.server", "select", "selectors", "socket", "ssl", "urllib.request"),
    *("random", "secrets", "time", "uuid"),
    *("multiprocessing", "signal", "subprocess", "threading"),
}
IMPURE_CALLS = {"open", "input"}  # the built-in ones: a zip in memory has members to open
IMPURE_METHODS = {"now", "utcnow", "today", "read_bytes", "read_text", "write_bytes", "write_text"}
# Parts of the stranger's program alone: it runs, reads its bundle, and asks openssl.
PROGRAMS = {"standalone.py"}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LINT, "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


OFFENCES = {
    "floors": ("schemas/offender.py", "import ingest.frontier"),
    "journey": ("ingest/offender.py", "import storage.archive"),
    "reading-room": ("ops/web/offender.py", "import ingest.recorder"),
    "no-cycles": ("storage/blobs.py", "import storage.stores"),
    "room-s3": ("storage/offender.py", "import boto3"),
    "room-warc": ("ingest/offender.py", "from warcio.archiveiterator import ArchiveIterator"),
    "room-catalog": ("storage/offender.py", "import sqlalchemy as sa"),
    "room-crypto": ("schemas/offender.py", "from cryptography import x509"),
    "room-images": ("ingest/offender.py", "from PIL import Image"),
    "room-wire": ("ingest/offender.py", "import httptools"),
    "room-web": ("ops/offender.py", "def late():\n    import starlette"),
}


@pytest.fixture(scope="module")
def offended(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the four floors into which every offence was written."""
    folder = tmp_path_factory.mktemp("offended")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for floor in FLOORS:
        shutil.copytree(ROOT / floor, folder / floor, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "house", folder / "tests" / "house")  # the contract types
    for path, line in OFFENCES.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        for package in (folder / path).parents[: path.count("/")]:
            (package / "__init__.py").touch()
        with (folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    done = lint(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("contract", OFFENCES)
def test_a_contract_bites(contract: str, offended: str) -> None:
    config = (ROOT / "pyproject.toml").read_text("utf-8")
    name = re.search(rf'id = "{contract}"\nname = "(.+)"', config)
    assert name is not None
    # Long names are wrapped by the linter: the verdict follows the name across the line break.
    said = re.sub(r"\s+", " ", offended)
    assert f"{name[1]} BROKEN" in said


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each absolute import, late ones included; `from a import b` is a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def test_schemas_imports_the_standard_library_alone() -> None:
    seen = []
    for path in modules("schemas"):
        for line, name in imports(ast.parse(path.read_bytes())):
            top = name.partition(".")[0]
            if top != "schemas" and top not in sys.stdlib_module_names:
                seen.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert modules("schemas")
    assert not seen, "\n".join(seen)


def impure_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of each call that asks the disk, the terminal or the clock."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_METHODS:
            yield node.lineno, node.func.attr
        elif isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield node.lineno, node.func.id


def test_schemas_knows_no_disk_network_clock_or_chance() -> None:
    seen = []
    for path in modules("schemas"):
        if path.name in PROGRAMS:
            continue
        where, tree = path.relative_to(ROOT), ast.parse(path.read_bytes())
        for line, name in imports(tree):
            if any(name == impure or name.startswith(f"{impure}.") for impure in IMPURE):
                seen.append(f"{where}:{line}: imports {name}")
        seen += [f"{where}:{line}: calls {name}()" for line, name in impure_calls(tree)]
    assert not seen, "\n".join(seen)


# What may be declared without being imported by us, and why.
UNSEEN = {
    "lxml-html-clean": "trafilatura's fallback needs it, and older installers miss the extra that asks for it",
    "psycopg": "SQLAlchemy loads it where the catalog's URL says postgresql+psycopg",
    "brotli": "locked for bodies that a server sends so without being asked",
    "zstandard": "locked for bodies that a server sends so without being asked",
    "fastwarc": "its command checks our segments, a second opinion beside every archive",
    "rfc3161-client": "locked for the timestamps of storage.log",
    "rich": "typer draws its help and its errors with it",
    "jinja2": "locked for ops.web",
    "starlette": "locked for ops.web",
    "uvicorn": "locked for ops.web",
}
# Without a room: no state, no I/O, no types that could leak (ops/decisions/0001-packaging.md).
ROOMLESS = {"brotli", "deflate", "zlib_ng", "zstandard"}


def foreign() -> dict[str, str]:
    """Top-level name of every import that is neither ours nor the standard library's -> one file that has it."""
    found = {}
    for floor in FLOORS:
        for path in modules(floor):
            for line, name in imports(ast.parse(path.read_bytes())):
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in FLOORS:
                    found[top] = f"{path.relative_to(ROOT)}:{line}"
    return found


def test_what_is_declared_is_imported_and_the_other_way_round() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared = {canonicalize_name(Requirement(text).name) for text in table["project"]["dependencies"]}
    of_module = {
        module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
    }
    imported: set[str] = set()
    for module, where in foreign().items():
        sources = of_module.get(module, set()) & declared
        # botocore comes with boto3, and is of one release with it.
        assert sources or module == "botocore", f"{where}: {module} is not in pyproject.toml"
        imported |= sources
    assert declared - imported <= set(UNSEEN)


def test_every_foreign_library_has_a_room() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    housed = {name for contract in contracts for name in contract.get("protected_modules", [])}
    homeless = {name: where for name, where in foreign().items() if name not in housed | ROOMLESS}
    assert not homeless
