"""The validator: our own segments are valid, and each rule that is broken is found under its name."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DiskError, NotFound
from storage.warc.check import (
    ERROR,
    MAX_FINDINGS,
    NOTE,
    WARNING,
    Finding,
    check_data,
    check_file,
    is_valid,
)
from tests.storage.warc.samples import PAYLOAD, RESPONSE, capture, write_segment

ID = "<urn:uuid:00000000-0000-4000-8000-00000000000%s>"
INFO = {
    "WARC-Type": "warcinfo",
    "WARC-Record-ID": ID % 0,
    "WARC-Date": "2026-11-23T14:00:00Z",
    "Content-Type": "application/warc-fields",
}
ANSWER = {
    "WARC-Type": "response",
    "WARC-Record-ID": ID % 1,
    "WARC-Date": "2026-11-23T14:00:00Z",
    "WARC-Target-URI": "http://lantern.example/",
    "Content-Type": "application/http; msgtype=response",
}
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncalm"


def record(fields: dict[str, str], block: bytes = b"", *, version: str = "1.1", end: bytes = b"\r\n\r\n") -> bytes:
    """A record as it is told, right or wrong; Content-Length is added where it is not told."""
    lines = dict(fields)
    lines.setdefault("Content-Length", str(len(block)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"WARC/{version}\r\n{head}\r\n".encode() + block + end


def found(data: bytes) -> list[tuple[str, str]]:
    """(severity, rule) of each finding but the notes on a missing warcinfo."""
    return [(f.severity, f.rule) for f in check_data(data, "x") if f.rule != "warcinfo-first"]


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


# -- what is valid


def test_our_own_segments_have_nothing_to_say_about(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    assert check_file(path) == []


def test_the_same_records_uncompressed(tmp_path: Path) -> None:
    _, path = write_segment(tmp_path)
    plain = tmp_path / "plain.warc"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    assert check_file(plain) == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_both_editions(version: str) -> None:
    assert found(record(INFO, version=version) + record(ANSWER, BODY, version=version)) == []


def test_folded_and_oddly_cased_fields_are_read() -> None:
    data = record(INFO).replace(b"WARC-Type: warcinfo", b"warc-TYPE:\r\n\t warcinfo")
    assert found(data) == []


def test_digests_in_base32_and_hex() -> None:
    import base64

    base32 = "sha1:" + base64.b32encode(hashlib.sha1(BODY).digest()).decode()
    for digest in (base32, base32.lower(), "sha1:" + hashlib.sha1(BODY).hexdigest(), sha256(BODY), "crc9:abc"):
        errors = [
            f for f in check_data(record({**ANSWER, "WARC-Block-Digest": digest}, BODY), "x") if f.severity == ERROR
        ]
        assert errors == []


# -- what is not

BROKEN: dict[str, tuple[dict[str, str], list[tuple[str, str]]]] = {
    "no date": ({"WARC-Date": ""}, [(ERROR, "empty-field")]),
    "local date": ({"WARC-Date": "2026-11-23 14:00"}, [(ERROR, "date")]),
    "id without brackets": ({"WARC-Record-ID": "urn:uuid:1"}, [(ERROR, "record-id")]),
    "id that is no URI": ({"WARC-Record-ID": "<seven>"}, [(ERROR, "record-id")]),
    "URI with a space": ({"WARC-Target-URI": "http://lantern.example/a b"}, [(ERROR, "uri")]),
    "URI in brackets": ({"WARC-Target-URI": "<http://lantern.example/>"}, [(ERROR, "uri")]),
    "address": ({"WARC-IP-Address": "300.1.1.1"}, [(ERROR, "ip-address")]),
    "media type": ({"Content-Type": "http"}, [(ERROR, "media-type"), (WARNING, "content-type")]),
    "request as response": (
        {"Content-Type": "application/http;msgtype=request"},
        [(WARNING, "content-type")],
    ),
    "refers": ({"WARC-Refers-To": ID % 2}, [(ERROR, "forbidden-field"), (NOTE, "link")]),
    "profile": ({"WARC-Profile": "http://x.example/"}, [(ERROR, "forbidden-field")]),
    "file name": ({"WARC-Filename": "x"}, [(ERROR, "forbidden-field")]),
    "truncated by whim": ({"WARC-Truncated": "whim"}, [(NOTE, "truncated-reason")]),
    "truncated by two words": ({"WARC-Truncated": "a whim"}, [(ERROR, "truncated-reason")]),
    "segment number": ({"WARC-Segment-Number": "2"}, [(ERROR, "segment-number")]),
    "block digest": ({"WARC-Block-Digest": sha256(b"x")}, [(ERROR, "block-digest")]),
    "payload digest": ({"WARC-Payload-Digest": sha256(b"x")}, [(ERROR, "payload-digest")]),
    "digest cut short": ({"WARC-Block-Digest": "sha256:abcd"}, [(ERROR, "digest-form")]),
    "digest without a label": ({"WARC-Block-Digest": "abcd"}, [(ERROR, "digest-form")]),
    "unknown type": ({"WARC-Type": "reply"}, [(NOTE, "record-type")]),
    "type in capitals": ({"WARC-Type": "Response"}, [(WARNING, "record-type")]),
    "control character": ({"X-One": "a\x01"}, [(ERROR, "control-character")]),
    "name with a space": ({"X One": "a"}, [(ERROR, "header-line")]),
    "concurrent to nobody": ({"WARC-Concurrent-To": ID % 9}, [(NOTE, "link")]),
    "length that is no number": (
        {"Content-Length": "many"},
        [(ERROR, "number")],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_fields(case: str) -> None:
    changes, expected = BROKEN[case]
    assert found(record({**ANSWER, **changes}, BODY)) == expected


def test_each_mandatory_field() -> None:
    for name in ("WARC-Type", "WARC-Record-ID", "WARC-Date", "WARC-Target-URI"):
        fields = {key: value for key, value in ANSWER.items() if key != name}
        findings = [f for f in check_data(record(fields, BODY), "x") if f.severity == ERROR]
        if name == "WARC-Type":  # of an unknown type nothing more can be asked
            assert [f.message for f in findings] == ["a record shall have WARC-Type"]
        else:
            assert only(findings).message == f"a response shall have {name}"


def test_a_record_without_length() -> None:
    data = b"WARC/1.1\r\nWARC-Type: metadata\r\n\r\n\r\n\r\n" + record(INFO)
    missing = [f for f in check_data(data, "x") if f.rule == "missing-field"]
    assert {f.message for f in missing} == {
        f"a metadata shall have {name}" for name in ("WARC-Record-ID", "WARC-Date", "Content-Length")
    }
    assert {f.offset for f in missing} == {0}


def test_dates_of_each_edition() -> None:
    for date, in_1_0, in_1_1 in (
        ("2026-11-23T14:00:00Z", True, True),
        ("2026-11-23T14:00:00.123456Z", False, True),
        ("2026-11", False, True),
        ("2026-11-23T14:00:00+01:00", False, False),
        ("2026-02-30T14:00:00Z", False, False),
    ):
        for version, held in (("1.0", in_1_0), ("1.1", in_1_1)):
            errors = check_data(record({**INFO, "WARC-Date": date}, version=version), "x")
            assert (errors == []) is held, (date, version)


def test_brackets_around_uris_belong_to_1_0() -> None:
    fields = {**ANSWER, "WARC-Target-URI": "<http://lantern.example/>"}
    assert found(record(fields, BODY, version="1.0")) == []
    finding = only([f for f in check_data(record(fields, BODY), "x") if f.severity == ERROR])
    assert finding.section == "ISO 28500:2017 5.14"


def test_sections_are_those_of_the_edition() -> None:
    for version, section in (("1.0", "ISO 28500:2009 5.12"), ("1.1", "ISO 28500:2017 5.14")):
        fields = {key: value for key, value in ANSWER.items() if key != "WARC-Target-URI"}
        errors = [f for f in check_data(record(fields, BODY, version=version), "x") if f.severity == ERROR]
        assert only(errors).section == section


def test_a_repeated_field() -> None:
    data = record(INFO).replace(b"WARC-Type: warcinfo\r\n", b"WARC-Type: warcinfo\r\n" * 2)
    assert found(data) == [(ERROR, "repeated-field")]
    twice = record({**ANSWER, "WARC-Protocol": "http/1.1"}, BODY).replace(
        b"WARC-Protocol: http/1.1\r\n", b"WARC-Protocol: http/1.1\r\nWARC-Protocol: tls/1.3\r\n"
    )
    assert found(twice) == []


def test_an_id_that_two_records_have() -> None:
    findings = check_data(record(INFO) + record(INFO), "x")
    assert [(f.offset, f.rule) for f in findings] == [(0, "record-id"), (len(record(INFO)), "record-id")]


def test_forbidden_digests() -> None:
    for kind in ("warcinfo", "metadata"):
        fields = {**INFO, "WARC-Type": kind, "WARC-Payload-Digest": sha256(b"")}
        assert (ERROR, "forbidden-field") in found(record(fields))


# -- payload digests: which reading did the writer take?


def test_a_payload_digest_over_the_chunk_framing_is_told_apart() -> None:
    framed = RESPONSE.partition(b"\r\n\r\n")[2]
    for data, expected in (
        (PAYLOAD, []),
        (framed, [(WARNING, "payload-digest")]),
        (b"neither", [(ERROR, "payload-digest")]),
    ):
        assert found(record({**ANSWER, "WARC-Payload-Digest": sha256(data)}, RESPONSE)) == expected
    finding = check_data(record({**ANSWER, "WARC-Payload-Digest": sha256(framed)}, RESPONSE), "x")[-1]
    assert "chunk framing" in finding.message
    assert finding.section == "ISO 28500:2017 5.9"


def test_a_payload_digest_after_content_decoding_is_told_apart() -> None:
    coded = gzip.compress(PAYLOAD)
    block = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(coded) + coded
    assert found(record({**ANSWER, "WARC-Payload-Digest": sha256(coded)}, block)) == []
    finding = check_data(record({**ANSWER, "WARC-Payload-Digest": sha256(PAYLOAD)}, block), "x")[-1]
    assert (finding.severity, finding.rule) == (WARNING, "payload-digest")
    assert "content-decoding" in finding.message


def test_a_cut_response_should_say_so() -> None:
    assert found(record(ANSWER, BODY[:-1])) == [(WARNING, "http")]
    assert found(record({**ANSWER, "WARC-Truncated": "disconnect"}, BODY[:-1])) == []


def test_revisits() -> None:
    fields = {
        **ANSWER,
        "WARC-Type": "revisit",
        "WARC-Profile": "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
        "WARC-Payload-Digest": sha256(b"elsewhere"),
        "WARC-Refers-To": ID % 7,
        "WARC-Truncated": "length",
    }
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    elsewhere = (NOTE, "link")  # the original is in no file of the set
    assert found(record(fields, head)) == [elsewhere]
    without = {name: {k: v for k, v in fields.items() if k != name} for name in fields}
    assert found(record(without["WARC-Payload-Digest"], head)) == [(ERROR, "missing-field"), elsewhere]
    assert found(record(without["WARC-Profile"], head)) == [(ERROR, "missing-field"), elsewhere]
    assert found(record(without["WARC-Truncated"], head)) == [(WARNING, "revisit-truncated"), elsewhere]
    assert found(record(without["WARC-Refers-To"], head)) == [(NOTE, "refers-to")]
    old = {**fields, "WARC-Profile": "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"}
    assert found(record(old, head)) == [(WARNING, "profile"), elsewhere]
    assert found(record(old, head, version="1.0")) == [elsewhere]


# -- framing


FIRST, SECOND = record(INFO), record(ANSWER, BODY)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [(ERROR, "empty-file")]),
        (b"hello", [(ERROR, "garbage")]),
        (b"\r\n" + FIRST, [(ERROR, "garbage")]),
        (FIRST + b"monkeys\r\n" + SECOND, [(ERROR, "garbage")]),
        (FIRST + SECOND + b"\n", [(ERROR, "garbage")]),
        (FIRST[:-2], [(ERROR, "record-end")]),
        (FIRST[:-2] + SECOND, [(ERROR, "record-end")]),
        (FIRST + b"\r\n" + SECOND, [(ERROR, "garbage")]),
        (SECOND[:-6], [(ERROR, "truncated")]),
        (b"WARC/1.1\r\nWARC-Type: warcinfo\r\n", [(ERROR, "header-end")]),
        (FIRST.replace(b"\r\n", b"\n", 2), [(ERROR, "line-end")]),
        (FIRST.replace(b"WARC/1.1", b"WARC/0.18"), [(WARNING, "version")]),
        (
            FIRST.replace(b"warc-fields", b"warc-f\xfcelds"),
            [(ERROR, "encoding"), (ERROR, "media-type"), (WARNING, "content-type")],
        ),
        (b"\x28\xb5\x2f\xfdzstd", [(ERROR, "zstd-frame")]),
    ],
)
def test_broken_framing(data: bytes, expected: list[tuple[str, str]]) -> None:
    assert found(data) == expected


@pytest.mark.parametrize("change", [-3, -1, 1, 3, 4, 5, 700])
def test_a_wrong_content_length_is_found_and_the_next_record_too(change: int) -> None:
    wrong = record({**ANSWER, "Content-Length": str(len(BODY) + change)}, BODY)
    data = FIRST + wrong + record({**INFO, "WARC-Record-ID": ID % 3, "WARC-Date": "never"})
    rules = [rule for severity, rule in found(data) if severity == ERROR]
    assert set(rules) & {"record-end", "truncated"}
    assert "date" in rules  # the record behind it was still read


def test_gzip_members() -> None:
    one, two = gzip.compress(FIRST), gzip.compress(SECOND)
    assert found(one + two) == []
    assert found(gzip.compress(FIRST + SECOND)) == [(WARNING, "record-at-a-time")]
    assert found(one + b"garbage" + two) == [(ERROR, "garbage")]
    assert found(one + two + bytes(100)) == [(ERROR, "garbage")]
    assert found(one + gzip.compress(b"")) == [(WARNING, "gzip-member")]
    offsets = {f.offset for f in check_data(one + gzip.compress(record({**ANSWER, "WARC-Date": "x"}, BODY)), "x")}
    assert offsets == {len(one)}


def test_a_clipped_member() -> None:
    one, two = gzip.compress(FIRST), gzip.compress(SECOND)
    for length in range(1, len(two)):
        findings = check_data(one + two[:length], "x")
        assert not is_valid(findings), length
        assert {f.offset for f in findings} == {len(one)}


def test_a_damaged_member_costs_one_record() -> None:
    members = [
        gzip.compress(record({**INFO, "WARC-Record-ID": ID % n, "WARC-Date": "x"}, b"x: y" * 100)) for n in range(3)
    ]
    damaged = bytearray(members[1])
    damaged[len(damaged) // 2] ^= 0xFF
    findings = check_data(members[0] + bytes(damaged) + members[2], "x")
    dates = [f.record_id for f in findings if f.rule == "date"]
    assert {f.rule for f in findings} >= {"gzip-member"}
    assert dates[0] == (ID % 0).strip("<>")
    assert dates[-1] == (ID % 2).strip("<>")


def test_every_flipped_byte_that_changes_a_record_is_found(tmp_path: Path) -> None:
    """A quarter of all bytes. What is not found changes nothing: times and padding bits that gzip ignores."""
    _, path = write_segment(tmp_path)
    data = path.read_bytes()
    records, unfound = gzip.decompress(data), 0
    for position in range(0, len(data), 4):
        flipped = bytearray(data)
        flipped[position] ^= 0x01
        if is_valid(check_data(bytes(flipped), "x")):
            assert gzip.decompress(flipped) == records
            unfound += 1
    assert unfound < 30


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([FIRST, SECOND, b"WARC/1.1\r\n", b"\r\n\r\n", b"\x1f\x8b\x08", gzip.compress(FIRST)]),
            st.sampled_from([b"\x28\xb5\x2f\xfd", b"\x5d\x2a\x4d\x18\x08\x00\x00\x00", zstandard.compress(SECOND)]),
        ),
        max_size=6,
    )
)
def test_nothing_makes_it_fail(parts: list[bytes]) -> None:
    """Any bytes are checked to their end, and every finding says where."""
    data = b"".join(parts)
    for finding in check_data(data, "x"):
        assert 0 <= finding.offset <= len(data)
        assert finding.section.startswith("ISO 28500:")
        assert finding.to_json()["rule"] == finding.rule


def test_findings_are_bounded() -> None:
    assert len(check_data((b"WARC/1.1\r\n\r\n" * 6000), "x")) == MAX_FINDINGS


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        check_file(tmp_path / "absent")
    with pytest.raises(DiskError):
        check_file(tmp_path)
    empty = tmp_path / "empty"
    empty.touch()
    assert only(check_file(empty)).rule == "empty-file"


def test_what_the_samples_declare_is_true() -> None:
    """The chunked response of the samples is what the tests above take it for."""
    assert capture()[1].block == RESPONSE


# -- files of others


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("jwat/invalid-warcfile-contenttype-warcinfo-recommended.warc", "content-type"),
        ("jwat/invalid-warcfile-encoding-headers.warc.gz", "encoded-word"),
        ("jwat/invalid-warcfile-digest-fields.warc", "digest-form"),
        ("jwat/invalid-warcfile-fields-invalidformat.warc", "uri"),
        ("jwat/invalid-warcfile-fields-missing.warc", "empty-field"),
        ("jwat/invalid-warcfile-lonely-request-response-resource-conversion.warc", "missing-field"),
        ("jwat/invalid-warcfile-lonely-revisit.warc", "missing-field"),
        ("jwat/invalid-warcfile-record-then-garbage.warc", "garbage"),
        ("jwat/invalid-warcfile-segment-number-response.warc", "segment-number"),
        ("warcio/example-space-in-target-uri.warc.gz", "uri"),
        ("warcio/example-trunc.warc", "record-end"),
        ("warcio/example-wrong-chunks.warc.gz", "truncated"),
        ("fastwarc/clipped.warc.gz", "gzip-member"),
        ("fastwarc/clueweb-quirk.warc.gz", "date"),
    ],
)
def test_invalid_files_of_others_are_refused_for_the_right_reason(shared: Path, name: str, rule: str) -> None:
    findings = check_file(shared / "vectors" / "warc" / name)
    assert rule in {f.rule for f in findings if f.severity == ERROR}


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "jwat/valid-warcfile-contenttype-continuation.warc",
        "jwat/valid-warcfile-fields-metainfo.warc",
        "jwat/valid-warcfile-utf8.warc",
        "jwat/IAH-20080430204825-00000-blackbook.warc.gz",
        "iipc-primer/hello-world.warc",
        "iipc-primer/hello-world.warc.gz",
        "fastwarc/warcfile.warc",
        "fastwarc/warcfile.warc.gz",
        "jwarc/gzip_extra_sl.warc.gz",
        "warcio/example.warc",
        "warcio/example.warc.gz",
    ],
)
def test_valid_files_of_others_are_accepted(shared: Path, name: str) -> None:
    findings = check_file(shared / "vectors" / "warc" / name)
    assert [f for f in findings if f.severity == ERROR] == []


@pytest.mark.shared
def test_a_chunked_payload_that_was_hashed_with_its_framing(shared: Path) -> None:
    findings = check_file(shared / "vectors" / "warc" / "warcio" / "example-iana.org-chunked.warc")
    assert [(f.severity, f.rule) for f in findings] == [(WARNING, "payload-digest")]
