"""Log entries: one shape a type, canonical bytes, nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import dumps
from schemas.checkpoints import VerifierKey
from schemas.entries import (
    ENTRY_TYPES,
    MAX_ENTRY_BYTES,
    Entry,
    article_entry,
    attempt_entry,
    capture_entry,
    import_entry,
    outlet_entry,
    segment_entry,
    snapshot_entry,
)
from schemas.errors import InvalidValue

D = "sha256:" + "1" * 64
E = "sha256:" + "2" * 64
VKEY = str(VerifierKey(name="pressmark.invalid/x", public=bytes(32)))

EXAMPLES = [
    capture_entry({"request": D, "response": E, "metadata": D}),
    capture_entry({"revisit": E, "metadata": D}),
    attempt_entry("dns", {"metadata": D}),
    attempt_entry("time", {"metadata": D, "request": E}),
    import_entry(metadata=D, sha256=E, length=17),
    article_entry(conversion=D, capture=E),
    segment_entry(name="warc/2026/11/23/warc-20261123140000-w1-00ff00ff.warc.gz", length=1, sha256=D),
    segment_entry(name="x", length=1, sha256=D, supersedes=E),
    snapshot_entry(name="news", version="1.0.0", root=D, manifest=E, rows=3),
    outlet_entry(change="add", resource=D),
    Entry(type="redaction", fields={"code": "court", "authority": "lg-berlin", "targets": [D, E]}),
    Entry(type="restriction", fields={"change": "restrict", "targets": [D], "until": "2027-01-01T00:00:00Z"}),
    Entry(type="time", fields={"size": 9, "token": D, "authority": "a1"}),
    Entry(type="key", fields={"vkey": VKEY}),
    Entry(type="repair", fields={"name": "x", "was": D, "now": E}),
    Entry(type="loss", fields={"name": "x", "code": "open-segment", "records": 3}),
    Entry(type="audit", fields={"size": 9, "damaged": 0, "missing": 0, "report": D}),
]


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.type)
def test_an_entry_reads_back(entry: Entry) -> None:
    data = entry.encode()
    assert Entry.decode(data) == entry
    assert Entry.decode(data).encode() == data


def test_every_type_has_an_example() -> None:
    assert {entry.type for entry in EXAMPLES} == set(ENTRY_TYPES)


def test_the_bytes_of_a_capture() -> None:
    assert EXAMPLES[1].encode() == (
        b'{"records":{"metadata":"%s","revisit":"%s"},"type":"capture","v":1}' % (D.encode(), E.encode())
    )
    assert EXAMPLES[1].records == {"metadata": D, "revisit": E}
    assert EXAMPLES[6].records == {}


WRONG: list[Any] = [
    [],
    None,
    {},
    {"type": "capture", "v": 1},
    {"type": "capture", "v": 2, "records": {"response": D, "metadata": D}},
    {"type": "capture", "v": True, "records": {"response": D, "metadata": D}},
    {"type": "capture", "records": {"response": D, "metadata": D}},
    {"v": 1, "records": {"response": D, "metadata": D}},
    {"type": "gossip", "v": 1},
    {"type": "capture", "v": 1, "records": {"response": D}},
    {"type": "capture", "v": 1, "records": {"metadata": D}},
    {"type": "capture", "v": 1, "records": {"response": D, "revisit": D, "metadata": D}},
    {"type": "capture", "v": 1, "records": {"response": D, "metadata": D, "conversion": D}},
    {"type": "capture", "v": 1, "records": {"response": D.upper(), "metadata": D}},
    {"type": "capture", "v": 1, "records": {"response": "sha1:" + "0" * 40, "metadata": D}},
    {"type": "capture", "v": 1, "records": {"response": D, "metadata": D}, "url": "http://a/"},
    {"type": "attempt", "v": 1, "code": "No such host!", "records": {"metadata": D}},
    {"type": "segment", "v": 1, "name": "../x", "length": 1, "sha256": D},
    {"type": "segment", "v": 1, "name": "a/../b", "length": 1, "sha256": D},
    {"type": "segment", "v": 1, "name": "/x", "length": 1, "sha256": D},
    {"type": "segment", "v": 1, "name": "x", "length": -1, "sha256": D},
    {"type": "segment", "v": 1, "name": "x", "length": True, "sha256": D},
    {"type": "segment", "v": 1, "name": "x", "length": 1, "sha256": D, "supersedes": None},
    {"type": "redaction", "v": 1, "code": "a", "authority": "b", "targets": []},
    {"type": "restriction", "v": 1, "change": "restrict", "targets": [D], "until": "2027-01-01"},
    {"type": "restriction", "v": 1, "change": "restrict", "targets": [D], "until": "2027-01-01T00:00:00+00:00"},
    {"type": "key", "v": 1, "vkey": VKEY + "\n"},
    {"type": "import", "v": 1, "file": {"sha256": D}, "records": {"metadata": D}},
]


@pytest.mark.parametrize("value", WRONG)
def test_any_other_shape_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        Entry.decode(dumps(value))


def test_an_entry_is_checked_when_it_is_made() -> None:
    with pytest.raises(InvalidValue, match="records"):
        Entry(type="article", fields={"capture": D, "records": {"conversion": "x"}, "conversion": D})


def test_the_length_of_an_entry_is_bounded() -> None:
    many = Entry(type="redaction", fields={"code": "a", "authority": "b", "targets": [D] * 1000})
    with pytest.raises(InvalidValue, match="at most"):
        many.encode()
    with pytest.raises(InvalidValue, match="at most"):
        Entry.decode(b" " * (MAX_ENTRY_BYTES + 1))


@given(st.binary(max_size=200))
def test_bytes_at_random_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidValue):
        Entry.decode(data)
