"""A small archive in memory: records, entries, a tree, a signed checkpoint, and bundles made of them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.bundle_layout import BundleEntry, BundleRecord, Subject, build_bundle, print_sums, print_zip
from schemas.canonical import dumps
from schemas.checkpoints import ALGORITHM_COSIGNATURE, Checkpoint, Note, VerifierKey, note_signature_line
from schemas.cosignatures import TimedSignature, cosigned_message
from schemas.digests import Digest
from schemas.entries import Entry, article_entry, capture_entry, snapshot_entry
from schemas.http1 import print_chunked, print_head
from schemas.manifests import ROW_NONCE, Column, Manifest, row_digest, rows_root
from schemas.merkle import CompactRange, inclusion_path, leaf_hash
from schemas.proofs import LogProof
from schemas.records import RecordView, print_record
from schemas.standalone import verify_source

ORIGIN = "pressmark.invalid/test"
URL = "https://lantern.example/harbour/ferry"
REQUEST_TYPE = "application/http;msgtype=request"
RESPONSE_TYPE = "application/http;msgtype=response"
PARAGRAPHS = ["The ferry came late.", "Nobody minded."]


@dataclass(frozen=True, kw_only=True)
class Key:
    """A log's key pair."""

    private: Ed25519PrivateKey
    vkey: VerifierKey

    @classmethod
    def make(cls, seed: int = 1, name: str = ORIGIN) -> Key:
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        return cls(private=private, vkey=VerifierKey(name=name, public=private.public_key().public_bytes_raw()))

    def sign(self, checkpoint: Checkpoint) -> bytes:
        signature = self.private.sign(checkpoint.text.encode())
        return f"{checkpoint.text}\n{note_signature_line(self.vkey.name, self.vkey.key_id, signature)}".encode()


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A witness's key pair, of the type 0x04."""

    private: Ed25519PrivateKey
    vkey: VerifierKey

    @classmethod
    def make(cls, seed: int, name: str) -> Witness:
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = private.public_key().public_bytes_raw()
        return cls(private=private, vkey=VerifierKey(name=name, public=public, algorithm=ALGORITHM_COSIGNATURE))

    def cosign(self, checkpoint: bytes, time: int) -> bytes:
        """The signature line over a signed checkpoint."""
        signature = self.private.sign(cosigned_message(Note.parse(checkpoint).text, time))
        timed = TimedSignature(time=time, signature=signature).encode()
        return note_signature_line(self.vkey.name, self.vkey.key_id, timed).encode()


def uuid_of(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012x}"


def make_record(kind: str, number: int, block: bytes, fields: Mapping[str, str], *, date: str) -> bytes:
    """A record as the archive writes it; `number` gives id and nonce."""
    headers = [
        ("WARC-Type", kind),
        ("WARC-Record-ID", f"<{uuid_of(number)}>"),
        ("WARC-Date", date),
        *fields.items(),
        ("WARC-Block-Digest", str(Digest.sha256(block))),
        ("Pressmark-Nonce", hashlib.sha256(str(number).encode()).hexdigest()),
        ("Content-Length", str(len(block))),
    ]
    return print_record(RecordView(version="1.1", headers=tuple(headers), block=block))


def digest_of(record: bytes) -> str:
    return str(Digest.sha256(record))


@dataclass(kw_only=True)
class World:
    """Entries in a log, and the records behind them."""

    key: Key = field(default_factory=Key.make)
    entries: list[bytes] = field(default_factory=list)
    records: list[tuple[str, int, bytes]] = field(default_factory=list)  # role, log index, uncompressed record

    def add(self, entry: Entry, records: Mapping[str, bytes]) -> int:
        index = len(self.entries)
        self.entries.append(entry.encode())
        self.records += [(role, index, record) for role, record in records.items()]
        return index

    def pad(self, count: int) -> None:
        """Other entries, so that proofs have some length."""
        for number in range(count):
            filler = Entry(type="loss", fields={"name": f"n{number}", "code": "test"})
            self.entries.append(filler.encode())

    def checkpoint(self) -> bytes:
        tree = CompactRange()
        for entry in self.entries:
            tree.append(leaf_hash(entry))
        return self.key.sign(Checkpoint(origin=self.key.vkey.name, size=tree.size, root=tree.root()))

    def proof(self, index: int, checkpoint: bytes | None = None) -> LogProof:
        nodes: dict[tuple[int, int], bytes] = {}
        tree = CompactRange()
        for entry in self.entries:
            nodes.update({(level, place): value for level, place, value in tree.append(leaf_hash(entry))})
        path = inclusion_path(index, tree.size, lambda level, place: nodes[level, place])
        return LogProof(index=index, hashes=tuple(path), checkpoint=checkpoint or self.checkpoint())

    def bundle(self, subject: Subject, **more: Any) -> bytes:
        indices = sorted(
            {index for _, index, _ in self.records}
            | ({more["manifest"][0]} if "manifest" in more else set())
            | set(more.get("bare", ()))
        )
        return build_bundle(
            subject=subject,
            vkey=self.key.vkey,
            checkpoint=self.checkpoint(),
            records=[
                BundleRecord(role=role, index=index, member=gzip.compress(record, mtime=0))
                for role, index, record in self.records
            ],
            entries=[
                BundleEntry(index=index, entry=self.entries[index], proof=self.proof(index).encode())
                for index in indices
            ],
            verify_py=verify_source(),
            **more,
        )


def add_capture(
    world: World, *, first: int = 1, date: str = "2026-11-23T14:00:00.123456Z", body: bytes = b"page"
) -> int:
    """A chunked 200 with request and metadata; record ids from `first`. Gives the log index."""
    target = {"WARC-Target-URI": URL}
    request = print_head("GET /harbour/ferry HTTP/1.1", [("Host", "lantern.example")])
    response = print_head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")]) + print_chunked([body])
    metadata = dumps({"format": "pressmark-capture/1"})
    made = {
        "request": make_record(
            "request", first, request, {**target, "Content-Type": REQUEST_TYPE,
                                        "WARC-Concurrent-To": f"<{uuid_of(first + 1)}>"}, date=date),
        "response": make_record(
            "response", first + 1, response, {**target, "Content-Type": RESPONSE_TYPE,
                                              "WARC-Payload-Digest": str(Digest.sha256(body))}, date=date),
        "metadata": make_record(
            "metadata", first + 2, metadata, {**target, "Content-Type": "application/json"}, date=date),
    }  # fmt: skip
    return world.add(capture_entry({role: digest_of(record) for role, record in made.items()}), made)


def add_revisit(world: World, *, first: int = 10, of: int = 2, date: str = "2026-11-23T15:00:00.000000Z") -> int:
    """A revisit of the capture whose response has the record id `of`."""
    block = print_head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")])
    fields = {
        "WARC-Target-URI": URL,
        "Content-Type": RESPONSE_TYPE,
        "WARC-Payload-Digest": str(Digest.sha256(b"page")),
        "WARC-Refers-To": f"<{uuid_of(of)}>",
    }
    metadata = {"WARC-Target-URI": URL, "Content-Type": "application/json"}
    made = {
        "revisit": make_record("revisit", first, block, fields, date=date),
        "metadata": make_record("metadata", first + 1, b"{}", metadata, date=date),
    }
    return world.add(capture_entry({role: digest_of(record) for role, record in made.items()}), made)


def article_block(**changes: Any) -> bytes:
    text = "\n\n".join(PARAGRAPHS)
    article = {"id": "a" * 25, "paragraphs": PARAGRAPHS, "text_sha256": hashlib.sha256(text.encode()).hexdigest()}
    return dumps({**article, **changes})


def add_article(world: World, *, of: int = 2, block: bytes | None = None, capture: str | None = None) -> int:
    """A conversion of the response whose record id is `of`."""
    source = next(
        (record for _, _, record in world.records if f"WARC-Record-ID: <{uuid_of(of)}>".encode() in record), b""
    )
    fields = {"WARC-Target-URI": URL, "Content-Type": "application/json", "WARC-Refers-To": f"<{uuid_of(of)}>"}
    date = "2026-11-23T14:00:01.000000Z"
    record = make_record("conversion", 100, article_block() if block is None else block, fields, date=date)
    entry = article_entry(conversion=digest_of(record), capture=capture or digest_of(source))
    return world.add(entry, {"conversion": record})


def make_manifest(world: World, rows: Sequence[Mapping[str, Any]]) -> Manifest:
    return Manifest(
        name="harbour",
        version="1.0.0",
        origin=world.key.vkey.name,
        tree_size=len(world.entries),
        checkpoint=world.checkpoint().decode(),
        selection={"outlets": ["lantern"], "by": "captured", "from": None, "to": None},
        extractors=({"name": "pressmark", "version": "1"},),
        columns=(Column(name="title", type="string"), Column(name=ROW_NONCE, type="string")),
        rows=len(rows),
        root=rows_root(row_digest(row) for row in rows),
        counts={"lantern": len(rows)},
    )


def add_snapshot(world: World) -> tuple[int, bytes]:
    manifest = make_manifest(world, [{"title": "Ferry", ROW_NONCE: "00"}])
    data = manifest.encode()
    entry = snapshot_entry(
        name="harbour", version="1.0.0", root=str(manifest.root), manifest=str(Digest.sha256(data)), rows=1
    )
    return world.add(entry, {}), data


def capture_world() -> World:
    world = World()
    world.pad(3)
    add_capture(world)
    world.pad(9)
    return world


def article_world() -> World:
    world = capture_world()
    add_article(world)
    world.pad(2)
    return world


CAPTURE = Subject(kind="capture", id=uuid_of(2))
ARTICLE = Subject(kind="article", id="a" * 25)


def resealed(parts: Mapping[str, bytes], **changes: bytes | None) -> bytes:
    """The bundle with some parts changed (None: left out) and its checksums made to fit, as a forger would."""
    files = {name: data for name, data in {**parts, **changes}.items() if data is not None and name != "SHA256SUMS"}
    return print_zip({**files, "SHA256SUMS": print_sums(files)})


def with_entry(parts: Mapping[str, bytes], world: World, index: int, entry: bytes) -> bytes:
    """The bundle with an entry replaced, its proof kept."""
    return resealed(
        parts, **{f"entries/{index}.json": entry, f"proofs/{index}.tlog-proof": world.proof(index).encode()}
    )


def proof_changed(proof: LogProof, **changes: Any) -> bytes:
    return replace(proof, **changes).encode()
