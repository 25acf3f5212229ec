"""The stranger's program: `verify.py`, one file on the standard library, made from the modules of this
package.

The upper part is what that program does beside the checks: arguments, files, the terminal, `openssl ts`. It
is the one place in `schemas` that touches a disk or a process. The lower part makes the file; it stays out of
it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from schemas.bundle_layout import HANDOVERS, MAX_BUNDLE, SUMS, TIMESTAMP, parse_sums
from schemas.bundle_report import Report
from schemas.bundle_trust import Trust
from schemas.bundles import verify_bundle, verify_parts
from schemas.checkpoints import ALGORITHM_ED25519, VerifierKey
from schemas.cosignatures import WITNESS_TYPES
from schemas.errors import CheckFailed, InvalidValue, ServiceError

#: Exit codes of the program: all holds, something is wrong, it was called wrongly.
VERIFIED: Final = 0
NOT_VERIFIED: Final = 1
USAGE: Final = 2

#: Folders of an unpacked bundle in which every file must be accounted for.
BUNDLE_FOLDERS: Final = ("records", "entries", "proofs", TIMESTAMP.rstrip("/"), HANDOVERS.rstrip("/"))

#: Seconds that openssl may take over one token; it takes some milliseconds.
OPENSSL_SECONDS: Final = 60

_GEN_TIME: Final = re.compile(r"^Time stamp: ([A-Z][a-z]{2}) +(\d+) (\d+):(\d+):(\d+)(?:\.(\d+))? (\d{4}) GMT$", re.M)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def verify_main(arguments: Sequence[str], folder: Path) -> int:
    """Run the program:

    `folder` is where it lies, the bundle that is checked where none is named. Gives the exit code.
    """
    parser = argparse.ArgumentParser(description="Check an evidence bundle with nothing but Python.")
    parser.add_argument("bundle", nargs="?", default=str(folder), help="the zip, or the folder it was unpacked into")
    parser.add_argument("--key", help="the archive's public key (name+hash+base64), or a file that holds it")
    parser.add_argument(
        "--witness", action="append", default=[], help="public key of a witness that must have cosigned, or its file"
    )
    parser.add_argument("--authority", type=Path, help="certificates (PEM) of the timestamp authorities that you trust")
    parser.add_argument("--require-timestamp", action="store_true", help="fail where no timestamp verifies")
    options = parser.parse_args(arguments)
    try:
        trust = Trust(
            key=None if options.key is None else read_key_argument(options.key),
            witnesses=tuple(read_key_argument(text, types=WITNESS_TYPES) for text in options.witness),
            check_timestamp=partial(openssl_timestamp, anchors=options.authority and options.authority.read_bytes()),
            authority_pinned=options.authority is not None,
        )
        report = _check_path(Path(options.bundle), trust)
    except (InvalidValue, OSError) as error:
        print(_printable(f"cannot check: {error}"), file=sys.stderr)
        return USAGE
    for line in report.lines():
        print(_printable(line))
    if report.ok and options.require_timestamp and report.timestamped is None:
        print("NOT VERIFIED\nwrong: a timestamp is required, and none was verified")
        return NOT_VERIFIED
    return VERIFIED if report.ok else NOT_VERIFIED


def openssl_timestamp(text: bytes, files: Mapping[str, bytes], anchors: bytes | None = None) -> datetime:
    """Check an RFC 3161 response over `text` with `openssl ts`, by `anchors` (PEM) or else by the chain that lies
    beside it, and by its request where that is there; gives its time.

    Certificates are judged as of that time, for they expire. Raises CheckFailed where the token does not
    hold, ServiceError where there is no openssl.
    """
    program = shutil.which("openssl")
    if program is None:
        raise ServiceError("openssl is not there")
    if not {"response.tsr", "chain.pem"} <= files.keys():
        raise CheckFailed("there is no response.tsr with a chain.pem")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for file, data in files.items():
            (place / file).write_bytes(data)
        (place / "text").write_bytes(text)
        (place / "anchors.pem").write_bytes(files["chain.pem"] if anchors is None else anchors)
        said = _run_openssl(program, place, "-reply", "-in", "response.tsr", "-text")
        instant = _gen_time(said.stdout.decode("utf-8", "replace"))
        chain = ("-CAfile", "anchors.pem", "-untrusted", "chain.pem", "-attime", str(int(instant.timestamp())))
        for asked in (("-data", "text"), ("-queryfile", "request.tsq")):
            if (place / asked[1]).exists():
                done = _run_openssl(program, place, "-verify", *asked, "-in", "response.tsr", *chain)
                if done.returncode != 0:
                    words = "the checkpoint or its chain" if asked[1] == "text" else "the request that lies beside it"
                    raise CheckFailed(f"openssl refuses the timestamp: it does not fit {words}")
    return instant


def read_folder(folder: Path) -> dict[str, bytes]:
    """The parts of an unpacked bundle: what SHA256SUMS names, and all else that lies in its folders.

    Raises InvalidValue where there is no readable SHA256SUMS or too much, OSError where a file cannot be
    read.
    """
    if not (folder / SUMS).is_file():
        raise InvalidValue(f"{folder} holds no unpacked evidence bundle: there is no {SUMS}")
    sums = (folder / SUMS).read_bytes()
    names = {name for name in parse_sums(sums) if (folder / name).is_file()}
    for inner in BUNDLE_FOLDERS:
        found = sorted((folder / inner).rglob("*"))
        names |= {path.relative_to(folder).as_posix() for path in found if path.is_file()}
    if sum((folder / name).stat().st_size for name in names) > MAX_BUNDLE:
        raise InvalidValue("the folder holds more than an evidence bundle may")
    return {SUMS: sums, **{name: (folder / name).read_bytes() for name in names}}


def _check_path(path: Path, trust: Trust) -> Report:
    if path.is_dir():
        return verify_parts(read_folder(path), trust=trust)
    if path.stat().st_size > 2 * MAX_BUNDLE:
        raise InvalidValue(f"{path} is larger than an evidence bundle may be")
    return verify_bundle(path.read_bytes(), trust=trust)


def read_key_argument(text: str, types: Collection[int] = (ALGORITHM_ED25519,)) -> VerifierKey:
    """A public key as people give it: itself, or the name of a file that holds it. Raises InvalidValue, OSError."""
    try:
        return VerifierKey.parse(text, types=types)
    except InvalidValue:
        path = Path(text)
        if "+" in text or not path.is_file():
            raise
        return VerifierKey.parse(path.read_text("utf-8", "replace"), types=types)


def _run_openssl(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [program, "ts", *arguments], cwd=folder, capture_output=True, timeout=OPENSSL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"openssl did not run: {error}") from error


def _gen_time(said: str) -> datetime:
    match = _GEN_TIME.search(said)
    if match is None or match[1] not in _MONTHS:
        raise CheckFailed("openssl reads no time in response.tsr")
    micros = int((match[6] or "0").ljust(6, "0")[:6])
    day, hour, minute, second, year = (int(match[group]) for group in (2, 3, 4, 5, 7))
    try:
        return datetime(year, _MONTHS.index(match[1]) + 1, day, hour, minute, second, micros, tzinfo=UTC)
    except ValueError as error:
        raise CheckFailed(f"no such time in response.tsr: {error}") from error


def _printable(line: str) -> str:
    """What comes from a bundle must not steer a terminal."""
    return "".join(c if " " <= c <= "~" else f"\\u{ord(c):04x}" for c in line)


# ---- From here on: the maker of the file, which is no part of it ----

import ast  # noqa: E402 -- needed by the maker alone
from importlib import resources  # noqa: E402 -- likewise

_MADE_FROM: Final = (
    "errors",
    "digests",
    "instants",
    "canonical",
    "merkle",
    "ed25519",
    "checkpoints",
    "cosignatures",
    "proofs",
    "http1",
    "records",
    "entries",
    "manifests",
    "bundle_layout",
    "bundle_report",
    "bundle_trust",
    "bundles",
    "standalone",
)

_CUT: Final = "# ---- From here on: the maker of the file"

_HEAD: Final = '''\
#!/usr/bin/env python3
"""Check an evidence bundle of a Pressmark archive: python3 -I verify.py [BUNDLE.zip] [--key KEY]

Python 3.11 or later and its standard library; openssl, where it is there, for timestamps. One file made from
the package `schemas` of Pressmark: each part below is one of its modules. Exit code 0: all holds; 1:
something is wrong; 2: called wrongly.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.stderr.write("verify.py needs Python 3.11 or later\\n")
    sys.exit(2)
'''

_TAIL: Final = """

if __name__ == "__main__":
    sys.exit(verify_main(sys.argv[1:], Path(__file__).resolve().parent))
"""


def verify_source() -> str:
    """The text of `verify.py`. The same version of this package always gives the same text.

    Raises InvalidValue where two modules define one name: they could not share a file.
    """
    imports: set[tuple[str, str]] = set()
    owners: dict[str, str] = {}
    bodies: list[str] = []
    for module in _MADE_FROM:
        body, used, names = _module_body(module)
        imports |= used
        for name in names:
            if owners.setdefault(name, module) != module:
                raise InvalidValue(f"{module} and {owners[name]} both define {name}: no one file can hold them")
        bodies.append(f"\n\n# ---- {module} ----\n\n{body}\n")
    whole = [f"import {name}" for name, inner in sorted(imports) if not inner]
    chosen = []
    for module in sorted({name for name, inner in imports if inner}):
        inners = sorted(inner for name, inner in imports if name == module and inner)
        chosen.append(f"from {module} import {', '.join(inners)}")
    return "\n".join([_HEAD, *whole, *chosen]) + "".join(bodies) + _TAIL


def _module_body(module: str) -> tuple[str, set[tuple[str, str]], list[str]]:
    """A module's text without docstring and imports; its imports from outside, as (module, name) with an
    empty name for the whole module; the names it defines.
    """
    source = resources.files("schemas").joinpath(f"{module}.py").read_text("utf-8").split(_CUT)[0]
    lines = source.split("\n")
    imports: set[tuple[str, str]] = set()
    names: list[str] = []
    dropped: set[int] = set()
    for number, node in enumerate(ast.parse(source).body):
        docstring = number == 0 and isinstance(node, ast.Expr)
        if docstring or isinstance(node, (ast.Import, ast.ImportFrom)):
            dropped.update(range(node.lineno - 1, node.end_lineno or node.lineno))
        if isinstance(node, ast.Import):
            imports |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module not in (None, "__future__"):
            if not (node.module or "").startswith("schemas"):
                imports |= {(str(node.module), alias.name) for alias in node.names}
            elif node.module == "schemas" or any(alias.asname for alias in node.names):
                raise InvalidValue(f"{module} must import the names of other modules of schemas as they are")
        else:
            names += _defined_names(node)
    kept = "\n".join(line for number, line in enumerate(lines) if number not in dropped)
    return kept.strip("\n"), imports, names


def _defined_names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]
