"""The stranger, with a bundle that has everything: article, capture, timestamp, cosignature, a key that handed over.

`verify.py` runs as it travels, isolated and in an empty environment, over single-bit changes and over tamperings that
somebody designed who also mends the checksums.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from ingest.post import Post, PostSettings, asker
from schemas.bundle_layout import parse_zip, print_sums, print_witnesses
from schemas.checkpoints import ALGORITHM_COSIGNATURE, Note, VerifierKey
from schemas.proofs import LogProof
from storage import anchoring as anchors
from storage import keys
from storage.anchoring import Anchoring, AnchorSettings, Authority
from storage.archive import Archive, system_clock
from storage.evidence import prove
from storage.log.signing import Signer
from storage.log.stamps import trusted_roots
from storage.log.witness import WitnessBook
from tests.support.archives import ARTICLE, exchange, fill, page, read_article, settings
from tests.support.authority import TimeAuthority

#: Single-bit changes, and those of them with the checksums mended, each of which costs two runs of openssl.
FLIPS = 1000
MENDED = 1000 if os.environ.get("PRESSMARK_LONG") else 60

#: What the stranger's Python runs: load the program, then judge one set of parts after another, each a JSON line.
DRIVER = """
import importlib.util, json, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("stranger", Path("verify.py").resolve())
program = importlib.util.module_from_spec(spec)
sys.modules["stranger"] = program
spec.loader.exec_module(program)
parts = program.read_folder(Path("."))
trust = program.Trust(
    key=program.VerifierKey.parse(sys.argv[1]),
    witnesses=(program.VerifierKey.parse(sys.argv[2], types=program.WITNESS_TYPES),),
    check_timestamp=lambda text, files: program.openssl_timestamp(text, files, Path(sys.argv[3]).read_bytes()),
    authority_pinned=True,
)
for line in sys.stdin:
    changed = {name: None if data is None else bytes.fromhex(data) for name, data in json.loads(line).items()}
    judged = {name: data for name, data in {**parts, **changed}.items() if data is not None}
    report = program.verify_parts(judged, trust=trust)
    stamped = report.timestamped is not None
    print(json.dumps({"ok": report.ok, "stamped": stamped, "found": [[f.part, f.message] for f in report.findings]}))
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The unpacked bundle, what its stranger trusts, and what a forger may have at hand."""

    folder: Path
    parts: dict[str, bytes]
    key: VerifierKey
    witness: Signer
    root: Path
    older: dict[str, bytes]  # a bundle of the same archive under an earlier checkpoint
    stranger: dict[str, bytes]  # one of another archive

    def judge(self, changes: list[dict[str, bytes | None]]) -> list[dict[str, object]]:
        """What the stranger's program says to each change."""
        lines = [json.dumps({n: None if d is None else d.hex() for n, d in change.items()}) for change in changes]
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", DRIVER, str(self.key), str(self.witness.vkey), str(self.root)],
            cwd=self.folder, env={"PATH": os.environ["PATH"]}, input="\n".join(lines),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told: list[dict[str, object]] = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(told) == len(changes)
        return told

    def mended(self, **changes: bytes | None) -> dict[str, bytes | None]:
        """A change with the checksums made to fit, as a forger would."""
        files = {**self.parts, **changes}
        sums = print_sums({n: d for n, d in files.items() if d is not None and n != "SHA256SUMS"})
        return {**changes, "SHA256SUMS": sums}


def vouched(folder: Path, authority: TimeAuthority, signer: Signer, book: Path) -> tuple[Archive, Anchoring]:
    archive = Archive.create(replace(settings(folder), clock=system_clock))
    post = asker(Post(settings=PostSettings(user_agent="test", allow_addresses=("127.0.0.0/8",))))
    witness = WitnessBook(book, signer, [archive.vkey], system_clock)

    def ask(url: str, body: bytes, kind: str) -> tuple[int, str, bytes]:
        if not url.endswith("add-checkpoint"):
            return post(url, body, kind)
        reply = witness.add_checkpoint(body)
        return reply.status, reply.content_type, reply.body

    wanted = AnchorSettings(
        authorities=(Authority(url=authority.url),),
        witnesses=(anchors.Witness(url="http://witness.invalid/", vkey=signer.vkey),),
        roots=lambda: trusted_roots(authority.ca_file),
    )
    return archive, Anchoring(archive, wanted, ask)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    place = tmp_path_factory.mktemp("stranger")
    for name in ("one", "two", "witness"):
        (place / name).mkdir()
    signer = Signer.create(place / "witness.key", "witness.example/w", algorithm=ALGORITHM_COSIGNATURE)
    with TimeAuthority(place) as authority:
        archive, work = vouched(place / "one", authority, signer, place / "witness")
        with archive:
            captures = fill(archive)
            archive.seal()
            assert work.work(force=True) == []
            older = parse_zip(prove(archive, captures[0].id, stamped=True))
            (later,) = archive.deposit([(exchange("/later", page(7)), ARTICLE)])
            article, _ = archive.deposit_article(read_article(archive, later), later)
            archive.seal()
            assert work.work(force=True) == []
            first = archive.vkey
            keys.rotate(archive)
        with Archive.open(archive.settings) as again:
            bundle = prove(again, article.article_id, stamped=True)
        other, _ = vouched(place / "two", authority, signer, place / "witness")
        with other:
            theirs = fill(other)[0]
            other.seal()
            stranger = parse_zip(prove(other, theirs.id))
    parts = parse_zip(bundle)
    folder = place / "bundle"
    for name, data in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return Scene(
        folder=folder, parts=parts, key=first, witness=signer, root=authority.ca_file, older=older, stranger=stranger
    )


def test_the_bundle_holds_and_has_everything(scene: Scene) -> None:
    (told,) = scene.judge([{}])
    assert told == {"ok": True, "stamped": True, "found": []}
    done = subprocess.run(
        [
            sys.executable, "-I", "verify.py", "--key", str(scene.key), "--witness", str(scene.witness.vkey),
            "--authority", str(scene.root), "--require-timestamp",
        ],
        cwd=scene.folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "handed over to" in done.stdout
    kinds = {name.split("/")[0] for name in scene.parts}
    assert kinds == {
        "SHA256SUMS", "README.txt", "verify.py", "bundle.json", "records", "entries", "proofs", "checkpoint",
        "log.vkey", "keys", "witness.vkeys", "timestamp",
    }  # fmt: skip


def test_without_openssl_the_timestamp_is_told_as_not_checked(scene: Scene) -> None:
    command = [sys.executable, "-I", "verify.py", "--key", str(scene.key)]
    run = partial(subprocess.run, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    done = run(command, cwd=scene.folder)
    assert done.returncode == 0, done.stdout
    assert "was not checked (openssl is not there)" in done.stdout
    command.append("--require-timestamp")
    done = run(command, cwd=scene.folder)
    assert (done.returncode, "a timestamp is required" in done.stdout) == (1, True)


def flipped(data: bytes, random: Random) -> bytes:
    bit = random.randrange(len(data) * 8)
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_single_bit_changes_anywhere_each_name_the_part(scene: Scene) -> None:
    random = Random(20261125)
    whole = sorted(scene.parts)
    sizes = [len(scene.parts[name]) for name in whole]
    # Half of them where the bytes are, half in a part chosen first, so that the small ones get their share.
    names = random.choices(whole, sizes, k=FLIPS // 2) + random.choices(whole, k=FLIPS // 2)
    changes: list[dict[str, bytes | None]] = [{name: flipped(scene.parts[name], random)} for name in names]
    for name, told in zip(names, scene.judge(changes), strict=True):
        assert not told["ok"], name
        found = told["found"]
        assert isinstance(found, list)
        if name != "SHA256SUMS":  # there it is the part whose line no longer fits that is named, or the sums
            assert [part for part, _ in found] == [name]
        assert all(part and message for part, message in found)


def test_single_bit_changes_with_the_checksums_mended_are_found_by_the_proofs(scene: Scene) -> None:
    random = Random(7)
    guarded = [n for n in scene.parts if n.split("/")[0] in ("entries", "proofs", "keys", "records")]
    guarded += ["checkpoint", "log.vkey", "bundle.json", "witness.vkeys"]
    names = random.choices(sorted(guarded), k=MENDED)
    changes = []
    for name in names:
        data = scene.parts[name]
        if name.startswith("records/"):  # gzip's own header has bits that mean nothing
            data = gzip.compress(flipped(gzip.decompress(data), random), mtime=0)
        else:
            data = flipped(data, random)
        changes.append(scene.mended(**{name: data}))
    for name, told in zip(names, scene.judge(changes), strict=True):
        assert not told["ok"], name


def _cosigned_by(scene: Scene, signer: Signer) -> bytes:
    note = Note.parse(scene.parts["checkpoint"])
    mine = tuple(s for s in note.signatures if s.name != scene.witness.vkey.name)
    return Note(text=note.text, signatures=(*mine, signer.cosign(note.text, 1_900_000_000))).encode()


def _everywhere(scene: Scene, checkpoint: bytes) -> dict[str, bytes | None]:
    """The checkpoint replaced in the bundle and in all its proofs."""
    changed: dict[str, bytes | None] = {"checkpoint": checkpoint}
    for name, data in scene.parts.items():
        if name.startswith("proofs/"):
            changed[name] = replace(LogProof.parse(data), checkpoint=checkpoint).encode()
    return changed


def _stranger(scene: Scene) -> Signer:
    path = scene.folder.parent / "stranger.key"
    if not path.exists():
        Signer.create(path, "witness.example/w", algorithm=ALGORITHM_COSIGNATURE)
    return Signer.load(path)


def _record(scene: Scene, ending: str) -> str:
    return next(name for name in scene.parts if name.endswith(ending))


def _edited(scene: Scene, name: str, old: bytes, new: bytes) -> bytes:
    record = gzip.decompress(scene.parts[name])
    assert old in record, name
    return gzip.compress(record.replace(old, new, 1), mtime=0)


_Changes = dict[str, bytes | None]
#: A tampering -> what it changes, and the part that the first finding names (a prefix of it).
TAMPERINGS: dict[str, tuple[Callable[[Scene], _Changes], str]] = {
    "the timestamp of another checkpoint": (
        lambda s: {n: s.older[n] for n in s.older if n.startswith("timestamp/")}, "timestamp/response"),
    "the request of another timestamp": (
        lambda s: {"timestamp/request.tsq": s.older["timestamp/request.tsq"]}, "timestamp/response"),
    "a timestamp without its chain": (lambda s: {"timestamp/chain.pem": None}, "timestamp/"),
    "a chain of nobody": (lambda s: {"timestamp/chain.pem": b""}, "timestamp/response"),
    "a cut timestamp": (
        lambda s: {"timestamp/response.tsr": s.parts["timestamp/response.tsr"][:-40]}, "timestamp/response"),
    "a stray file among the timestamps": (lambda s: {"timestamp/extra.txt": b"x"}, "timestamp/extra.txt"),
    "a cosignature by a stranger": (lambda s: _everywhere(s, _cosigned_by(s, _stranger(s))), "checkpoint"),
    "a stranger among the witnesses": (
        lambda s: {"witness.vkeys": print_witnesses([s.witness.vkey, _stranger(s).vkey])}, "checkpoint"),
    "no word of the witness's key": (lambda s: {"witness.vkeys": None}, "checkpoint"),
    "a cosignature of an older checkpoint": (
        lambda s: _everywhere(s, Note(
            text=Note.parse(s.parts["checkpoint"]).text,
            signatures=(*(x for x in Note.parse(s.parts["checkpoint"]).signatures if x.name != s.witness.vkey.name),
                        *Note.parse(s.older["checkpoint"]).by(s.witness.vkey))).encode()), "checkpoint"),
    "another archive's key": (lambda s: {"log.vkey": s.stranger["log.vkey"]}, "log.vkey"),
    "another archive's checkpoint": (lambda s: {"checkpoint": s.stranger["checkpoint"]}, "checkpoint"),
    "another archive's record": (
        lambda s: {_record(s, "response.warc.gz"): s.stranger[_record(s, "response.warc.gz").replace("02", "01")]},
        "records/"),
    "no handover": (
        lambda s: {**{n: None for n in s.parts if n.startswith("keys/")},
                   "bundle.json": b",".join(s.parts["bundle.json"].split(b',"handovers":[')[:1])}, "bundle.json"),
    "a handover's proof by the new key": (
        lambda s: {next(n for n in s.parts if n.startswith("keys/") and n.endswith("proof")):
                   s.parts[next(n for n in s.parts if n.startswith("proofs/"))]}, "keys/"),
    "a handover to somebody": (
        lambda s: {n: s.parts[n].replace(b"rotated", b"rotates") for n in s.parts if n.startswith("keys/")
                   and n.endswith("json")}, "keys/"),
    "swapped proofs": (
        lambda s: dict(zip(sorted(n for n in s.parts if n.startswith("proofs/")),
                           [s.parts[n] for n in sorted((n for n in s.parts if n.startswith("proofs/")), reverse=True)],
                           strict=True)), "proofs/"),
    "swapped entries": (
        lambda s: dict(zip(sorted(n for n in s.parts if n.startswith("entries/")),
                           [s.parts[n] for n in sorted((n for n in s.parts if n.startswith("entries/")), reverse=True)],
                           strict=True)), "proofs/"),
    "a cut tail of a record": (
        lambda s: {(n := _record(s, "response.warc.gz")): s.parts[n][:-8]}, "records/"),
    "another date": (
        lambda s: {(n := _record(s, "response.warc.gz")): _edited(s, n, b"WARC-Date: 2026", b"WARC-Date: 2025")},
        "records/"),
    "another nonce": (
        lambda s: {(n := _record(s, "metadata.warc.gz")): _edited(s, n, b"Pressmark-Nonce: ", b"Pressmark-Nonce: f")},
        "records/"),
    "a header twice": (
        lambda s: {(n := _record(s, "request.warc.gz")): _edited(
            s, n, b"WARC-Type: ", b"WARC-Type: request\r\nWARC-Type: ")}, "records/"),
    "another word in the article": (
        lambda s: {(n := _record(s, "conversion.warc.gz")): _edited(s, n, b"Ferry 7", b"Ferry 9")}, "records/"),
    "the article of a capture that is left out": (
        lambda s: {_record(s, "response.warc.gz"): None}, "records/"),
}  # fmt: skip


def test_designed_tamperings_each_name_the_part(scene: Scene) -> None:
    made = {name: make(scene) for name, (make, _) in TAMPERINGS.items()}
    for name, told in zip(made, scene.judge([scene.mended(**change) for change in made.values()]), strict=True):
        found = told["found"]
        assert isinstance(found, list)
        assert not told["ok"], name
        assert found[0][0].startswith(TAMPERINGS[name][1]), (name, found)
        assert found[0][1], name
