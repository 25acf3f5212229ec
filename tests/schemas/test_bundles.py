"""Evidence bundles: what verifies, and every way of tampering, each with a sentence that names the part."""

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bundle_layout import (
    BundleEntry,
    Layout,
    Part,
    Subject,
    build_bundle,
    parse_sums,
    parse_zip,
    print_sums,
    print_witnesses,
    print_zip,
)
from schemas.bundle_report import Report
from schemas.bundle_trust import Trust
from schemas.bundles import verify_bundle, verify_parts
from schemas.canonical import dumps
from schemas.checkpoints import Note
from schemas.entries import ROTATED, Entry, key_entry
from schemas.errors import CheckFailed, InvalidValue, ServiceError
from schemas.proofs import LogProof
from tests.schemas.evidence import (
    ARTICLE,
    CAPTURE,
    Key,
    Witness,
    World,
    add_article,
    add_capture,
    add_revisit,
    add_snapshot,
    article_block,
    article_world,
    capture_world,
    digest_of,
    proof_changed,
    resealed,
    uuid_of,
)

names = st.text("abc/._-0", min_size=1, max_size=12).filter(
    lambda n: not n.startswith("/") and ".." not in n.split("/")
)


@given(st.dictionaries(names, st.binary(max_size=50), max_size=8))
def test_checksums_and_zip_read_back(files: dict[str, bytes]) -> None:
    files = {name: data for name, data in files.items() if not name.endswith("/")}
    assert print_sums(files).count(b"\n") == len(parse_sums(print_sums(files))) == len(files)
    assert parse_zip(print_zip(files)) == files


@given(st.lists(st.tuples(st.sampled_from(["request", "response"]), st.integers(0, 2**40)), min_size=1, max_size=5))
def test_a_layout_reads_back(made: list[tuple[str, int]]) -> None:
    parts = tuple(
        Part(
            role=role,
            record=f"records/{number:02d}-{role}.warc.gz",
            entry=f"entries/{index}.json",
            proof=f"proofs/{index}.tlog-proof",
            index=index,
        )
        for number, (role, index) in enumerate(made)
    )
    layout = Layout(origin="o", subject=CAPTURE, parts=parts)
    assert Layout.decode(layout.encode()) == layout


def test_a_bundle_is_the_same_every_time_and_says_how_to_check_it_by_hand() -> None:
    data = capture_world().bundle(CAPTURE)
    assert capture_world().bundle(CAPTURE) == data
    parts = parse_zip(data)
    assert next(iter(parts)) == "SHA256SUMS"
    readme = parts["README.txt"].decode("ascii")
    for words in (
        "verify.py",
        "sha256sum -c",
        "gunzip -c",
        "openssl ts",
        "does not prove",
        "records/01-response.warc.gz",
    ):
        assert words in readme


def test_a_bundle_of_parts_that_do_not_fit_is_not_built() -> None:
    world = capture_world()
    with pytest.raises(InvalidValue, match="do not fit"):
        world.bundle(CAPTURE, timestamp={"../x": b""})
    with pytest.raises(InvalidValue):
        build_bundle(
            subject=CAPTURE, vkey=world.key.vkey, checkpoint=b"", records=[], entries=[], verify_py=""
        )  # fmt: skip


def test_a_capture_is_proven() -> None:
    world = capture_world()
    report = verify_bundle(world.bundle(CAPTURE), key=world.key.vkey)
    assert report.ok
    assert report.lines()[0] == "VERIFIED"
    proven, unproven = "\n".join(report.proven), "\n".join(report.unproven)
    assert f"with {len(world.entries)} entries is signed by the key {world.key.vkey.name}" in proven
    assert f"response record {CAPTURE.id}, dated 2026-11-23T14:00:00.123456Z by the archive" in proven
    assert "entry 3 (capture) stands in that log" in proven
    assert "TLS leaves no evidence" in unproven
    assert "no timestamp" in unproven
    assert "not pinned" not in unproven
    assert not report.notes


def test_without_a_key_the_fingerprint_is_told() -> None:
    world = capture_world()
    report = verify_bundle(world.bundle(CAPTURE))
    assert report.ok
    assert f"signed by {world.key.vkey.fingerprint}, not pinned" in "\n".join(report.unproven)


def test_another_key_is_refused() -> None:
    report = verify_bundle(capture_world().bundle(CAPTURE), key=Key.make(2).vkey)
    assert [finding.part for finding in report.findings] == ["log.vkey"]
    assert report.proven == ()
    assert report.lines()[0] == "NOT VERIFIED"


def test_an_article_is_proven_with_its_capture() -> None:
    report = verify_bundle(article_world().bundle(ARTICLE))
    assert report.ok, report.lines()
    assert "committed to as made from that capture" in "\n".join(report.proven)


def test_a_revisit_is_proven_with_its_original() -> None:
    world = capture_world()
    add_revisit(world)
    report = verify_bundle(world.bundle(Subject(kind="capture", id=uuid_of(10))))
    assert report.ok, report.lines()
    assert "it revisits" not in "\n".join(report.unproven)


def test_a_revisit_alone_leaves_its_payload_unproven() -> None:
    world = World()
    add_revisit(world)
    report = verify_bundle(world.bundle(Subject(kind="capture", id=uuid_of(10))))
    assert report.ok, report.lines()
    assert f"it revisits {uuid_of(2)}, not in this bundle" in "\n".join(report.unproven)


def test_a_snapshot_is_proven() -> None:
    world = capture_world()
    index, manifest = add_snapshot(world)
    world.records.clear()
    report = verify_bundle(world.bundle(Subject(kind="snapshot", id="harbour/1.0.0"), manifest=(index, manifest)))
    assert report.ok, report.lines()
    assert "commits to the snapshot harbour 1.0.0, 1 rows" in "\n".join(report.proven)


def test_a_record_that_is_left_out_is_told() -> None:
    world = capture_world()
    world.records = [row for row in world.records if row[0] != "request"]
    report = verify_bundle(world.bundle(CAPTURE))
    assert report.ok, report.lines()
    assert report.notes == ("entry 3 commits to a request record too, which is not in this bundle",)


def test_a_zip_that_was_packed_again_still_verifies_and_says_so() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as box:
        for name, data in reversed(parse_zip(capture_world().bundle(CAPTURE)).items()):
            box.writestr(name, data)
    report = verify_bundle(out.getvalue())
    assert report.ok
    assert "packed again" in report.notes[0]


STAMP = {"response.tsr": b"token", "chain.pem": b"chain"}


def test_a_timestamp_bounds_the_time() -> None:
    world = capture_world()
    seen: list[tuple[bytes, Mapping[str, bytes]]] = []

    def check(text: bytes, files: Mapping[str, bytes]) -> datetime:
        seen.append((text, files))
        return datetime(2026, 11, 23, 14, 10, tzinfo=UTC)

    data = world.bundle(CAPTURE, timestamp=STAMP)
    report = verify_bundle(data, check_timestamp=check)
    assert report.ok, report.lines()
    assert seen == [(Note.parse(world.checkpoint()).text.encode(), STAMP)]
    assert report.timestamped == datetime(2026, 11, 23, 14, 10, tzinfo=UTC)
    assert "by 2026-11-23T14:10:00Z at the latest" in "\n".join(report.proven)
    assert "was not checked" in "\n".join(verify_bundle(data).unproven)


def test_a_date_later_than_the_timestamp_allows_is_wrong() -> None:
    early = datetime(2026, 11, 23, 13, 59, tzinfo=UTC)
    report = verify_bundle(capture_world().bundle(CAPTURE, timestamp=STAMP), check_timestamp=lambda *_: early)
    assert {finding.part for finding in report.findings} == {f"records/0{n}-{r}.warc.gz" for n, r in enumerate(
        ("request", "response", "metadata"))}  # fmt: skip
    assert report.timestamped is None


def test_a_timestamp_that_fails_or_cannot_be_checked() -> None:
    def refuse(text: bytes, files: Mapping[str, bytes]) -> datetime:
        raise CheckFailed("the token is of another text")

    def absent(text: bytes, files: Mapping[str, bytes]) -> datetime:
        raise ServiceError("openssl is not there")

    data = capture_world().bundle(CAPTURE, timestamp=STAMP)
    assert [f.part for f in verify_bundle(data, check_timestamp=refuse).findings] == ["timestamp/response.tsr"]
    report = verify_bundle(data, check_timestamp=absent)
    assert report.ok
    assert "was not checked (openssl is not there)" in "\n".join(report.unproven)


@dataclass(frozen=True)
class Forgery:
    """A bundle changed by somebody who also mends the checksums; the part that gives it away, and a word of why."""

    make: Callable[[World, dict[str, bytes]], bytes]
    part: str
    words: str


def _member(parts: Mapping[str, bytes], name: str, old: bytes, new: bytes) -> bytes:
    data = gzip.decompress(parts[name])
    assert old in data
    return gzip.compress(data.replace(old, new), mtime=0)


def _older(world: World) -> tuple[bytes, World]:
    older = World(key=world.key, entries=world.entries[:4])
    return older.checkpoint(), older


R = "records/01-response.warc.gz"
Q = "records/00-request.warc.gz"
ENTRY, PROOF = "entries/3.json", "proofs/3.tlog-proof"

FORGERIES: dict[str, Forgery] = {
    "another body": Forgery(lambda w, p: resealed(p, **{R: _member(p, R, b"page", b"pale")}), R, "entry 3 holds"),
    "another date": Forgery(lambda w, p: resealed(p, **{R: _member(p, R, b"T14:", b"T13:")}), R, "entry 3 holds"),
    "another nonce": Forgery(
        lambda w, p: resealed(p, **{R: _member(p, R, b"Pressmark-Nonce: ", b"Pressmark-Nonce: 0")}), R, "entry 3 holds"
    ),
    "a header twice": Forgery(
        lambda w, p: resealed(p, **{R: _member(p, R, b"WARC-Date", b"WARC-Date: 1\r\nWARC-Date")}), R, "one WARC-Date"
    ),
    "an added header": Forgery(
        lambda w, p: resealed(p, **{R: _member(p, R, b"WARC-Date", b"X-Y: z\r\nWARC-Date")}), R, "entry 3 holds"
    ),
    "records swapped": Forgery(lambda w, p: resealed(p, **{R: p[Q], Q: p[R]}), R, "as its response"),
    "a cut member": Forgery(lambda w, p: resealed(p, **{R: p[R][:-3]}), R, "breaks off"),
    "bytes behind": Forgery(lambda w, p: resealed(p, **{R: p[R] + b"\0"}), R, "behind"),
    "two members": Forgery(lambda w, p: resealed(p, **{R: p[R] + p[R]}), R, "behind"),
    "no gzip": Forgery(lambda w, p: resealed(p, **{R: gzip.decompress(p[R])}), R, "not a gzip member"),
    "another entry": Forgery(
        lambda w, p: resealed(p, **{ENTRY: p[ENTRY].replace(b"a", b"b", 1)}), ENTRY, ""),
    "an entry of another record": Forgery(
        lambda w, p: resealed(p, **{ENTRY: w.entries[4]}), PROOF, "inclusion"),
    "a field added to the entry": Forgery(
        lambda w, p: resealed(p, **{ENTRY: p[ENTRY].replace(b'{"', b'{"extra":1,"', 1)}), ENTRY, "no field"),
    "white space in the entry": Forgery(
        lambda w, p: resealed(p, **{ENTRY: p[ENTRY] + b"\n"}), ENTRY, "canonical"),
    "the proof of a neighbour": Forgery(
        lambda w, p: resealed(p, **{PROOF: w.proof(4).encode()}), PROOF, "proof of entry 4"),
    "the path of a neighbour": Forgery(
        lambda w, p: resealed(p, **{PROOF: proof_changed(w.proof(3), hashes=w.proof(4).hashes)}), PROOF, "inclusion"),
    "a shorter path": Forgery(
        lambda w, p: resealed(p, **{PROOF: proof_changed(w.proof(3), hashes=w.proof(3).hashes[:-1])}), PROOF, "fewer"),
    "a longer path": Forgery(
        lambda w, p: resealed(p, **{PROOF: proof_changed(w.proof(3), hashes=(*w.proof(3).hashes, bytes(32)))}),
        PROOF, "more hashes"),
    "extra data": Forgery(
        lambda w, p: resealed(p, **{PROOF: proof_changed(w.proof(3), extra=b"x")}), PROOF, "extra data"),
    "an older checkpoint": Forgery(
        lambda w, p: resealed(p, checkpoint=_older(w)[0]), PROOF, "not the checkpoint of the bundle"),
    "an older proof": Forgery(
        lambda w, p: resealed(p, **{PROOF: _older(w)[1].proof(3).encode()}), PROOF, "not the checkpoint of the bundle"),
    "another log's key": Forgery(
        lambda w, p: resealed(p, **{"log.vkey": f"{Key.make(2).vkey}\n".encode()}), "checkpoint", "no signature"),
    "a key twice": Forgery(
        lambda w, p: resealed(p, **{"log.vkey": p["log.vkey"] * 2}), "log.vkey", "base64"),
    "a key without its newline": Forgery(
        lambda w, p: resealed(p, **{"log.vkey": p["log.vkey"][:-1]}), "log.vkey", "one line"),
    "a larger tree": Forgery(
        lambda w, p: resealed(p, checkpoint=p["checkpoint"].replace(b"\n13\n", b"\n14\n")), "checkpoint", "not that"),
    "base64 that re-encodes otherwise": Forgery(
        lambda w, p: resealed(p, checkpoint=_stray_bit(p["checkpoint"])), "checkpoint", "re-encode"),
    "a part too many": Forgery(
        lambda w, p: resealed(p, **{"records/99-response.warc.gz": b"x"}), "records/99-response.warc.gz", "account"),
    "a part too few": Forgery(lambda w, p: resealed(p, **{Q: None}), Q, "missing"),
    "no program": Forgery(lambda w, p: resealed(p, **{"verify.py": None}), "verify.py", "missing"),
    "another subject": Forgery(
        lambda w, p: resealed(p, **{"bundle.json": p["bundle.json"].replace(uuid_of(2).encode(), uuid_of(7).encode())}),
        "bundle.json", "that the bundle is about"),
    "another origin": Forgery(
        lambda w, p: resealed(p, **{"bundle.json": p["bundle.json"].replace(b"invalid/test", b"invalid/best")}),
        "checkpoint", "bundle.json names"),
    "a field added to bundle.json": Forgery(
        lambda w, p: resealed(p, **{"bundle.json": b'{"a":1,' + p["bundle.json"][1:]}), "bundle.json", "fields"),
    "another role": Forgery(
        lambda w, p: resealed(p, **{"bundle.json": p["bundle.json"].replace(b'"role":"request"', b'"role":"revisit"')}),
        Q, "as its revisit"),
}  # fmt: skip


def _stray_bit(note: bytes) -> bytes:
    """The signature's 68 bytes end in one `=`: their last digit has two bits that decoders ignore."""
    lines = note.split(b"\n")
    assert lines[4].endswith(b"=")
    digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    lines[4] = lines[4][:-2] + digits[digits.index(lines[4][-2:-1]) + 1 :][:1] + b"="
    return b"\n".join(lines)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_found_and_named(name: str) -> None:
    world = capture_world()
    forgery = FORGERIES[name]
    forged = forgery.make(world, parse_zip(world.bundle(CAPTURE)))
    report = verify_bundle(forged, key=None if name == "another log's key" else world.key.vkey)
    found = [finding for finding in report.findings if finding.part == forgery.part]
    assert found, report.lines()
    assert forgery.words in found[0].message
    assert report.proven == ()


def test_a_whole_archive_forged_under_another_key_fails_only_with_the_key() -> None:
    forged = World(key=Key.make(2))
    add_capture(forged, body=b"what was never there")
    data = forged.bundle(CAPTURE)
    assert verify_bundle(data).ok
    assert not verify_bundle(data, key=Key.make().vkey).ok


def test_a_record_with_a_false_digest_of_its_own_is_wrong() -> None:
    """Even where the log holds it: the archive itself wrote it so."""
    world = World()
    add_capture(world)
    role, index, record = world.records[1]
    lying = record.replace(b"WARC-Payload-Digest: sha256:", b"WARC-Payload-Digest: sha512:")
    lying = lying.replace(b"WARC-Block-Digest: sha256:", b"WARC-Block-Digest: sha256:0", 1)
    world.records[1] = (role, index, lying)
    world.entries[index] = Entry(
        type="capture", fields={"records": {name: digest_of(data) for name, _, data in world.records}}
    ).encode()
    report = verify_bundle(world.bundle(CAPTURE))
    assert [finding.part for finding in report.findings] == [R, R]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda world: add_article(world, capture="sha256:" + "0" * 64), "another capture"),
        (lambda world: add_article(world, of=999, capture="sha256:" + "0" * 64), "not in the bundle"),
        (lambda world: add_article(world, of=1), "not in the bundle"),
        (lambda world: add_article(world, block=article_block(text_sha256="0" * 64)), "text_sha256"),
        (lambda world: add_article(world, block=article_block() + b"\n"), "canonical"),
        (lambda world: add_article(world, block=b"[]"), "no article"),
        (
            lambda world: add_article(world, block=dumps({"id": "a" * 25, "paragraphs": [1], "text_sha256": ""})),
            "no article",
        ),
    ],
)
def test_an_article_that_does_not_fit_its_capture_is_wrong(make: Callable[[World], int], words: str) -> None:
    world = capture_world()
    make(world)
    report = verify_bundle(world.bundle(ARTICLE))
    assert "records/03-conversion.warc.gz" in {finding.part for finding in report.findings}
    assert words in "\n".join(report.lines())


def test_records_of_one_capture_share_a_date() -> None:
    world = World()
    add_capture(world)
    role, index, record = world.records[0]
    world.records[0] = (role, index, record.replace(b"T14:", b"T13:"))
    records = {name: digest_of(data) for name, _, data in world.records}
    world.entries[index] = Entry(type="capture", fields={"records": records}).encode()
    report = verify_bundle(world.bundle(CAPTURE))
    assert [str(finding) for finding in report.findings] == [
        "entries/0.json: the records of one capture bear different dates"
    ]


@pytest.mark.parametrize("of", [1, 3])
def test_a_revisit_points_at_a_response(of: int) -> None:
    world = capture_world()
    add_revisit(world, of=of)
    report = verify_bundle(world.bundle(Subject(kind="capture", id=uuid_of(10))))
    assert "revisits a record that is no response" in "\n".join(report.lines())


def test_a_snapshot_with_another_manifest_is_wrong() -> None:
    world = capture_world()
    index, manifest = add_snapshot(world)
    world.records.clear()
    other = manifest.replace(b'"lantern":1', b'"lantern":2')
    report = verify_bundle(world.bundle(Subject(kind="snapshot", id="harbour/1.0.0"), manifest=(index, other)))
    assert [finding.part for finding in report.findings] == ["manifest.json"]


def flip(data: bytes, random: Random) -> bytes:
    bit = random.randrange(len(data) * 8)
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _refused(report: Report, name: str) -> bool:
    return not report.ok and name in {finding.part for finding in report.findings} | ({"SHA256SUMS"} & {name})


def test_a_bit_flipped_in_any_part_is_found_in_that_part() -> None:
    parts = parse_zip(article_world().bundle(ARTICLE))
    random = Random(20261123)
    for name in sorted(parts):
        for _ in range(30):
            report = verify_parts({**parts, name: flip(parts[name], random)})
            assert not report.ok
            assert name == "SHA256SUMS" or [f.part for f in report.findings] == [name]


def test_a_bit_flipped_with_the_checksums_mended_is_found_or_harmless() -> None:
    """What a checksum does not guard, the proofs must: all but README, program and gzip's own header."""
    world = article_world()
    parts = parse_zip(world.bundle(ARTICLE))
    guarded = [
        n for n in parts if n.startswith(("entries/", "proofs/")) or n in ("checkpoint", "log.vkey", "bundle.json")
    ]
    random = Random(7)
    for name in guarded:
        for _ in range(15):
            report = verify_bundle(resealed(parts, **{name: flip(parts[name], random)}), key=world.key.vkey)
            assert not report.ok, name
    for name in (n for n in parts if n.startswith("records/")):
        record = gzip.decompress(parts[name])
        for _ in range(15):
            report = verify_bundle(resealed(parts, **{name: gzip.compress(flip(record, random), mtime=0)}))
            assert name in {finding.part for finding in report.findings}


@given(st.binary(max_size=300))
def test_bytes_at_random_are_refused_without_an_exception(data: bytes) -> None:
    assert not verify_bundle(data).ok


def test_a_flipped_container_never_raises() -> None:
    data = capture_world().bundle(CAPTURE)
    random = Random(1)
    start = data.rindex(b"PK\x01\x02records/00") if b"PK\x01\x02records/00" in data else len(data) - 900
    for _ in range(150):
        at = random.randrange(start, len(data))
        changed = bytearray(data)
        changed[at] ^= 1 << random.randrange(8)
        report = verify_bundle(bytes(changed))
        assert not report.ok or report.notes, at


@pytest.mark.parametrize(
    "sums",
    [
        b"", b"x\n", b"0" * 64 + b" a\n", b"0" * 64 + b"  a", b"A" * 64 + b"  a\n", b"0" * 64 + b"  ../a\n",
        b"0" * 64 + b"  /a\n", b"0" * 64 + b" *a\n", (b"0" * 64 + b"  a\n") * 2, b"\xff\n",
        b"0" * 64 + b"  b\n" + b"0" * 64 + b"  a\n",
    ],
)  # fmt: skip
def test_checksums_in_another_form_are_refused(sums: bytes) -> None:
    report = verify_parts({"SHA256SUMS": sums, "a": b""})
    assert not report.ok
    assert report.findings[0].part in ("SHA256SUMS", "a")


def test_a_zip_may_not_hold_two_parts_of_one_name() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as box:
        box.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            box.writestr("a", b"2")
    report = verify_bundle(out.getvalue())
    assert "two parts of one name" in str(report.findings[0])


WITNESS = Witness.make(9, "witness.example/w")


def cosigned(world: World, witness: Witness = WITNESS, *, listed: bool = True, time: int = 1_795_446_000) -> bytes:
    """The bundle of the world's capture, its checkpoint cosigned; with the witness's key, or without."""
    checkpoint = world.checkpoint() + witness.cosign(world.checkpoint(), time)
    parts = parse_zip(world.bundle(CAPTURE))
    proof = proof_changed(LogProof.parse(parts[PROOF]), checkpoint=checkpoint)
    keys = {"witness.vkeys": print_witnesses([witness.vkey])} if listed else {}
    return resealed(parts, checkpoint=checkpoint, **{PROOF: proof}, **keys)


def test_the_checkpoint_may_be_cosigned() -> None:
    world = capture_world()
    report = verify_bundle(cosigned(world), key=world.key.vkey)
    assert report.ok, report.lines()
    assert f"the witness {WITNESS.vkey.name}+" in "\n".join(report.proven)
    assert "its key is the bundle's, not pinned" in "\n".join(report.unproven)
    pinned = verify_bundle(cosigned(world), trust=Trust(key=world.key.vkey, witnesses=(WITNESS.vkey,)))
    assert pinned.ok, pinned.lines()
    assert "not pinned" not in "\n".join(pinned.unproven)


def test_a_cosignature_that_does_not_hold_condemns_the_checkpoint() -> None:
    world = capture_world()
    stranger = Witness.make(11, "witness.example/w")
    told = {
        "a stranger here": verify_bundle(cosigned(world, listed=False)),
        "no cosignatures by": verify_bundle(cosigned(world), trust=Trust(witnesses=(stranger.vkey,))),
        "is not that of this checkpoint": verify_bundle(
            cosigned(world, Witness(private=stranger.private, vkey=WITNESS.vkey))
        ),
    }
    for words, report in told.items():
        assert [finding.part for finding in report.findings] == ["checkpoint"], report.lines()
        assert words in report.findings[0].message


def test_nothing_is_dated_later_than_a_witness_says_it_saw_it() -> None:
    report = verify_bundle(cosigned(capture_world(), time=1_700_000_000))
    assert {finding.part for finding in report.findings} == {R, Q, "records/02-metadata.warc.gz"}
    assert "later than the witness" in report.findings[0].message


def handed_over(world: World, *keys: Key) -> bytes:
    """The bundle of the world's capture after its key handed over to each of these in turn."""
    handovers: list[BundleEntry] = []
    for key in keys:
        index = len(world.entries)
        world.entries.append(key_entry(change=ROTATED, vkey=key.vkey, was=world.key.vkey).encode())
        world.pad(1)
        handovers.append(BundleEntry(index=index, entry=world.entries[index], proof=world.proof(index).encode()))
        world.key = key
    return world.bundle(CAPTURE, handovers=handovers)


def test_a_key_that_handed_over_still_verifies() -> None:
    world = capture_world()
    first, second, third = world.key, Key.make(21), Key.make(22)
    data = handed_over(world, second, third)
    for key in (first, second, third):
        report = verify_bundle(data, key=key.vkey)
        assert report.ok, report.lines()
    assert "handed over to" in "\n".join(verify_bundle(data, key=first.vkey).proven)
    assert not verify_bundle(data, key=Key.make(23).vkey).ok


def test_a_handover_that_the_old_key_did_not_sign_is_refused() -> None:
    world = capture_world()
    first, thief = world.key, Key.make(21)
    data = handed_over(world, thief)
    parts = parse_zip(data)
    entry, proof = (next(n for n in parts if n.startswith("keys/") and n.endswith(e)) for e in (".json", ".tlog-proof"))
    index = int(entry[5:-5])
    forged = {
        proof: resealed(parts, **{proof: world.proof(index).encode()}),  # signed by the new key alone
        entry: resealed(parts, **{entry: parts[entry].replace(b"rotated", b"lost")}),
        "log.vkey": resealed(parts, **{"log.vkey": f"{first.vkey}\n".encode()}),
    }
    for part, bundle in forged.items():
        report = verify_bundle(bundle, key=first.vkey)
        assert [finding.part for finding in report.findings] == [part], report.lines()


def test_a_redaction_is_proven() -> None:
    world = capture_world()
    world.records.clear()
    fields = {"code": "court-order", "authority": "court", "targets": [f"sha256:{'ab' * 32}"]}
    index = world.add(Entry(type="redaction", fields=fields), {})
    report = verify_bundle(world.bundle(Subject(kind="redaction", id=str(index)), bare=[index]))
    assert report.ok, report.lines()
    assert "the content of 1 records was erased, for court-order, by court" in "\n".join(report.proven)
    other = world.bundle(Subject(kind="redaction", id="0"), bare=[index])
    assert [finding.part for finding in verify_bundle(other).findings] == ["bundle.json"]


def test_several_timestamps_are_each_checked() -> None:
    files = {"response.tsr": b"1", "chain.pem": b"c"}
    files |= {"response-2.tsr": b"2", "request-2.tsq": b"q", "chain-2.pem": b"d"}
    days = {b"1": 25, b"2": 24}

    def check(text: bytes, given: Mapping[str, bytes]) -> datetime:
        assert given.keys() <= {"response.tsr", "request.tsq", "chain.pem"}
        return datetime(2026, 11, days[given["response.tsr"]], tzinfo=UTC)

    world = capture_world()
    report = verify_bundle(world.bundle(CAPTURE, timestamp=files), check_timestamp=check)
    assert report.ok, report.lines()
    assert report.timestamped == datetime(2026, 11, 24, tzinfo=UTC)
    parts = parse_zip(world.bundle(CAPTURE, timestamp=files))
    lacking = verify_bundle(resealed(parts, **{"timestamp/chain-2.pem": None}), check_timestamp=check)
    assert "timestamp/response-2.tsr" in str(lacking.findings[0])
    stray = verify_bundle(resealed(parts, **{"timestamp/note.txt": b"x"}), check_timestamp=check)
    assert [f.part for f in stray.findings] == ["timestamp/note.txt"]
