"""The table of hostile responses: our column is right throughout, and the judge is no friend of ours."""

from dataclasses import replace
from pathlib import Path

import pytest

from ops.bench import hostile_table
from ops.bench.hostile_table import compare, judge
from ops.demo.faults import CASES
from storage.warc.frames import Frame, walk
from tests.house.test_oracles import environment

KNOWN = {case.name: case for case in CASES}
#: Quick ones of each kind: the recorder itself is held against all in tests/ingest/test_recorder.py.
SOME = ("early_hints", "chunk_extensions", "odd_headers", "junk_after", "missing_terminator", "not_http", "silence")


def test_ours_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile_table, "tools", lambda _python: {"pressmark": hostile_table.pressmark})
    verdicts = compare([KNOWN[name] for name in SOME], tmp_path)
    shown = {name: str(row["pressmark"]) for name, row in verdicts.items()}
    assert shown == dict.fromkeys(SOME, "BDT") | {"silence": "none"}


def record(block: bytes, fields: bytes) -> Frame:
    head = b"WARC/1.1\r\nWARC-Type: response\r\n%bContent-Length: %d\r\n\r\n" % (fields, len(block))
    (frame,) = walk(head + block + b"\r\n\r\n", lambda *_args, **_more: None)
    return frame


def test_the_judge_sees_what_is_wrong() -> None:
    case = KNOWN["chunk_cut"]
    sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nca"
    over_framing = b"WARC-Payload-Digest: sha1:%b\r\n" % b"A" * 32
    assert str(judge(case, sent, record(sent, b"WARC-Truncated: disconnect\r\n" + over_framing))) == "B.T"
    assert str(judge(case, sent, record(sent[:-1], b""))) == "..."
    assert str(judge(case, sent, None)) == "nothing"
    assert str(judge(replace(case, complete=True), b"", None)) == "none"
    assert str(judge(case, b"", record(b"HTTP/1.1 200 OK\r\n\r\n", b""))) == "invented"


@pytest.mark.interop
def test_no_case_is_kept_better_by_another_tool() -> None:
    verdicts = compare(CASES, Path(environment("capture")))
    ours = {name: str(row["pressmark"]) for name, row in verdicts.items() if not row["pressmark"].right}
    assert ours == {}
    for tool in ("warcio", "warcprox"):
        assert sum(row[tool].right for row in verdicts.values()) > len(CASES) / 4, f"{tool} was not asked in earnest"
