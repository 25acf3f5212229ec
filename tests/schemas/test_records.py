"""One WARC record: strict parsing, printing, and the digests that it declares."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.digests import Digest
from schemas.errors import InvalidValue
from schemas.http1 import print_chunked, print_head
from schemas.records import RecordView, parse_record, print_record, record_digest, record_findings

ID = "urn:uuid:00000000-0000-4000-8000-000000000001"
DATE = "2026-11-23T14:00:00.000000Z"


def record(kind: str, block: bytes, *more: tuple[str, str]) -> RecordView:
    mandatory = [("WARC-Type", kind), ("WARC-Record-ID", f"<{ID}>"), ("WARC-Date", DATE)]
    return RecordView(version="1.1", headers=(*mandatory, *more, ("Content-Length", str(len(block)))), block=block)


names = st.text("abcdefghijklmnopqrstuvwxyz-ABC0123456789_", min_size=1, max_size=20).map(lambda name: f"X-{name}")
contents = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40).map(lambda text: text.strip(" \t"))


@given(st.sampled_from(["response", "metadata"]), st.binary(), st.lists(st.tuples(names, contents), max_size=5))
def test_a_printed_record_reads_back(kind: str, block: bytes, more: list[tuple[str, str]]) -> None:
    view = record(kind, block, *more)
    data = print_record(view)
    assert parse_record(data) == view
    assert record_digest(data) == Digest.sha256(data)


def test_the_fields() -> None:
    view = record("Revisit", b"", ("WARC-Refers-To", f"<{ID}>"), ("warc-target-uri", "<http://a/>"))
    assert (view.type, view.record_id, view.refers_to) == ("revisit", ID, ID)
    assert view.target_uri == "http://a/"
    assert view.date == datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert (view.get("X-None"), view.all("X-None"), view.content_type) == (None, [], None)
    with pytest.raises(InvalidValue, match="X-None"):
        view.need("X-None")


GOOD = print_record(record("response", b"block"))


@pytest.mark.parametrize(
    "data",
    [
        b"", GOOD[:-1], GOOD + b"\n", GOOD + GOOD, GOOD.replace(b"WARC/1.1", b"HTTP/1.1"), GOOD.replace(b"\r\n", b"\n"),
        GOOD.replace(b"Content-Length: 5", b"Content-Length: 4"),
        GOOD.replace(b"Content-Length: 5", b"Content-Length: +5"),
        GOOD.replace(b"Content-Length: 5", b"Content-Length:\xd9\xa5"), GOOD.replace(b"WARC-Date: ", b"WARC-Dated: "),
        GOOD.replace(b"WARC-Type: ", b"WARC-Type: response\r\nwarc-type: "),
        GOOD.replace(b"WARC-Type: ", b"WARC-Type : "),
        GOOD.replace(b"WARC-Type: r", b"WARC-Type:\r\n r"), GOOD.replace(b"response", b"resp\x00nse"),
        GOOD.replace(b"response", b"resp\xffnse"), GOOD.replace(b"WARC-Type:", b"no colon\r\nWARC-Type:"),
        GOOD.replace(b"block", b"block\r\n\r\n"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse_record(data)


@pytest.mark.parametrize(
    "header", [("X A", "b"), ("X", "a\r\nb"), ("X", " a"), ("X", "\ud800"), ("WARC-Type", "x"), ("", "x")]
)
def test_what_would_not_read_back_is_not_printed(header: tuple[str, str]) -> None:
    with pytest.raises(InvalidValue):
        print_record(record("response", b"", header))


HTTP = ("Content-Type", "application/http; msgtype=response")
BODY = print_chunked([b"chunked ", b"page"])
BLOCK = print_head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")]) + BODY


def digests(block: bytes, payload: bytes) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("WARC-Block-Digest", str(Digest.sha256(block))), ("WARC-Payload-Digest", str(Digest.sha256(payload)))


def test_right_digests_leave_no_finding() -> None:
    assert record_findings(record("response", BLOCK, HTTP, *digests(BLOCK, b"chunked page"))) == []
    sha1 = ("WARC-Payload-Digest", Digest.of("sha1", b"chunked page").base32)
    assert record_findings(record("response", BLOCK, HTTP, sha1)) == []
    assert record_findings(record("resource", b"x", *digests(b"x", b"x"))) == []
    assert record_findings(record("revisit", b"x", HTTP, *digests(b"x", b"of the original"))) == []
    assert record_findings(record("response", BLOCK, HTTP)) == []


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (record("response", BLOCK, HTTP, *digests(b"other", b"chunked page")), "block digest"),
        (record("response", BLOCK, HTTP, *digests(BLOCK, b"other")), "payload digest"),
        (record("response", BLOCK, HTTP, *digests(BLOCK, BODY)), "chunk framing"),
        (record("response", b"junk", HTTP, *digests(b"junk", b"junk")), "no readable HTTP head"),
        (record("resource", b"x", *digests(b"x", b"y")), "payload digest"),
        (record("resource", b"x", ("WARC-Block-Digest", "nonsense")), "labelled digest"),
    ],
)
def test_a_wrong_digest_is_named(view: RecordView, words: str) -> None:
    findings = record_findings(view)
    assert len(findings) == 1
    assert words in findings[0]


@pytest.mark.shared
def test_a_record_of_another_writer(shared: Path) -> None:
    data = gzip.decompress((shared / "vectors/warc/iipc-primer/hello-world.warc.gz").read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(b"WARC/1.", at)]
    views = [parse_record(data[start:stop]) for start, stop in zip(starts, [*starts[1:], len(data)], strict=True)]
    assert {"warcinfo", "response"} <= {view.type for view in views}
    assert [finding for view in views for finding in record_findings(view)] == []
