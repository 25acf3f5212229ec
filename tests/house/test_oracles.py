"""Ours beside independent implementations, each in the environment that `make test-interop` makes for it.

They run as processes and answer in JSON, so that nothing of theirs is imported here.
"""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest

from schemas.digests import Digest
from schemas.entries import attempt_entry
from schemas.merkle import consistency_path, inclusion_path, leaf_hash, node_hash, root_of
from storage.blobs import FolderStore
from storage.catalog import Catalog
from storage.log import Log, Signer, append
from tests.house.tree import ROOT

pytestmark = pytest.mark.interop

Ask = Callable[..., Any]
# Both sides of the powers of two, and one tile of 256 with its neighbours.
SIZES = [*range(1, 20), 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300]

PYMERKLE = """
import json, sys
from pymerkle import InmemoryTree
asked = json.load(sys.stdin)
tree = InmemoryTree(algorithm="sha256")
for leaf in asked["leaves"]:
    tree.append_entry(bytes.fromhex(leaf))
paths = [tree.prove_inclusion(i + 1, n).serialize()["path"][1:] for i, n in asked["inclusions"]]
json.dump({"roots": [tree.get_root(n).hex() for n in asked["sizes"]], "inclusions": paths}, sys.stdout)
"""

AICS = """
import json, sys
from aics_tlog import MerkleTree
asked = json.load(sys.stdin)
tree = MerkleTree([bytes.fromhex(leaf) for leaf in asked["leaves"]])
told = {"roots": [tree.root(n).hex() for n in asked["sizes"]]}
told["inclusions"] = [[h.hex() for h in tree.inclusion_proof(i, n)] for i, n in asked["inclusions"]]
told["consistencies"] = [[h.hex() for h in tree.consistency_proof(m, n)] for m, n in asked["consistencies"]]
json.dump(told, sys.stdout)
"""


def not_asked(why: str) -> NoReturn:
    """Skip; but `make test-interop` was run to ask them, and what it did not ask must not look as if it agreed."""
    if "PRESSMARK_INTEROP" in os.environ:
        pytest.fail(f"not asked: {why}")
    pytest.skip(why)


def environment(name: str) -> Path:
    """The Python of an environment of `make test-interop`; not asked where it was not made."""
    python = Path(os.environ.get("PRESSMARK_INTEROP", ROOT)) / f".venv-interop-{name}" / "bin" / "python"
    if not python.exists():
        not_asked(f"no environment from requirements/interop-{name}.txt: `make test-interop` makes it")
    return python


def ask(python: Path, needs: str, program: str, question: object) -> Any:
    """Run a program of theirs on a question; not asked where the package needs another interpreter."""
    there = subprocess.run([python, "-c", f"import {needs}"], capture_output=True, text=True, check=False)
    if there.returncode:
        not_asked(
            f"{needs} is not in {python.parents[1].name}: its lock asks for Python 3.12 or newer, "
            "and `make test-interop` found none on the path"
        )
    done = subprocess.run(
        [python, "-c", program], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def question() -> dict[str, list[Any]]:
    pairs = [(old, new) for new in SIZES for old in SIZES if old <= new]
    return {
        "leaves": [f"entry {number}".encode().hex() for number in range(max(SIZES))],
        "sizes": SIZES,
        "inclusions": [(index - 1, size) for index, size in pairs],
        "consistencies": pairs,
    }


def our_hash(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    """The complete subtree (level, index) over these leaf hashes."""

    def get(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(get(level - 1, 2 * index), get(level - 1, 2 * index + 1))

    return get


@pytest.mark.parametrize(("needs", "program"), [("pymerkle", PYMERKLE), ("aics_tlog", AICS)])
def test_the_merkle_tree_is_theirs(needs: str, program: str, question: dict[str, list[Any]]) -> None:
    told = ask(environment("log"), needs, program, question)
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in question["leaves"]]
    get = our_hash(leaves)
    assert told["roots"] == [root_of(leaves[:size]).hex() for size in SIZES]
    ours = [[h.hex() for h in inclusion_path(index, size, get)] for index, size in question["inclusions"]]
    assert told["inclusions"] == ours
    if "consistencies" in told:  # pymerkle's consistency proofs are of another form
        assert told["consistencies"] == [
            [h.hex() for h in consistency_path(old, new, get)] for old, new in question["consistencies"]
        ]


LOG_AUDIT = """
import json, sys
from pathlib import Path
from aics_tlog import FileSystemTileReader, audit_tiles, parse_note, parse_vkey, read_entry, verify_checkpoint
asked = json.load(sys.stdin)
note = parse_note((Path(asked["log"]) / "checkpoint").read_bytes())
said = verify_checkpoint(note, parse_vkey(asked["vkey"]), expected_origin=asked["origin"])
told = {"ok": said.ok, "error": said.error, "size": said.size}
if said.ok:
    reader = FileSystemTileReader(asked["log"])
    report = audit_tiles(reader, said.size, said.root)
    told["audited"] = report.size
    told["entries"] = [read_entry(reader, n, said.size).decode() for n in asked["read"]]
json.dump(told, sys.stdout)
"""


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_a_published_log_is_audited_by_another(size: int, tmp_path: Path) -> None:
    """C2SP tlog-tiles, signed-note and tlog-checkpoint as somebody else read them; ours is only asked to write."""
    signer = Signer.create(tmp_path / "log.key", "pressmark.invalid/oracle")
    entries = [attempt_entry("timeout", {"metadata": str(Digest.sha256(b"%d" % n))}) for n in range(size)]
    with Catalog.create(f"sqlite:///{tmp_path / 'catalog.sqlite'}") as catalog:
        store = FolderStore(tmp_path / "objects")
        log = Log(store, catalog, origin="pressmark.invalid/oracle", signer=signer, holder="test")
        for batch in (entries[: size // 2], entries[size // 2 :]):  # grown twice: partial tiles are left behind
            with catalog.begin() as tx:
                for entry in batch:
                    append(tx, entry, subject=None)
            log.integrate(datetime(2026, 3, 1, tzinfo=UTC))
    read = sorted({0, size // 2, size - 1})
    question = {
        "log": str(tmp_path / "objects" / "log"),
        "vkey": str(signer.vkey),
        "origin": "pressmark.invalid/oracle",
        "read": read,
    }
    told = ask(environment("log"), "aics_tlog", LOG_AUDIT, question)
    assert told == {
        "ok": True,
        "error": None,
        "size": size,
        "audited": size,
        "entries": [entries[n].encode().decode() for n in read],
    }


RIVALS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import newspaper, readability
page = json.load(sys.stdin)
theirs = newspaper.article(page["url"], input_html=page["html"], language="en")
print(json.dumps({"newspaper4k": theirs.text, "readability": readability.Document(page["html"]).summary()}))
"""


def test_the_rival_extractors_run() -> None:
    """The benchmark compares with them: each must take a page handed to it, and fetch nothing."""
    words = "The harbour master opened the second lock before dawn, and nobody had been told why. "
    body = f"<article>{f'<p>{words * 3}</p>' * 6}</article>"
    html = f"<html><head><title>Lock</title></head><body>{body}</body></html>"
    page = {"url": "http://paper.invalid/lock", "html": html}
    told = ask(environment("extract"), "newspaper", RIVALS, page)
    assert "harbour master" in told["newspaper4k"]
    assert "harbour master" in told["readability"]
