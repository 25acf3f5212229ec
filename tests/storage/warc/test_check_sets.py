"""The validator on sets of files and what stands between records; on encoded-words and zstd."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import zstandard

from storage.warc.check import ERROR, NOTE, WARNING, check_data, check_file, check_files, is_valid
from tests.storage.warc.test_check import ANSWER, BODY, FIRST, ID, INFO, SECOND, found, record, sha256

# -- what records say of each other, in one file or in several


REVISIT = {
    **ANSWER,
    "WARC-Type": "revisit",
    "WARC-Record-ID": ID % 2,
    "WARC-Date": "2026-11-24T14:00:00Z",
    "WARC-Profile": "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
    "WARC-Payload-Digest": sha256(b"calm"),
    "WARC-Refers-To": ID % 1,
    "WARC-Refers-To-Target-URI": "http://lantern.example/",
    "WARC-Refers-To-Date": "2026-11-23T14:00:00Z",
    "WARC-Truncated": "length",
}
ORIGINAL = record({**ANSWER, "WARC-Payload-Digest": sha256(b"calm")}, BODY)
HEAD = BODY[:-4]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"WARC-Refers-To": ID % 9}, [(NOTE, "link")]),
        ({"WARC-Refers-To": ID % 0}, [(ERROR, "revisit-original")]),
        ({"WARC-Refers-To": ID % 2}, [(ERROR, "link")]),
        ({"WARC-Refers-To-Target-URI": "http://lantern.example/b"}, [(ERROR, "revisit-original")]),
        ({"WARC-Refers-To-Date": "2026-11-22T14:00:00Z"}, [(ERROR, "revisit-original")]),
        ({"WARC-Refers-To-Date": "2026-11-23T14:00:00.000Z"}, []),
        ({"WARC-Date": "2026-11-22T14:00:00Z"}, [(WARNING, "revisit-original")]),
        ({"WARC-Payload-Digest": sha256(b"storm")}, [(ERROR, "revisit-payload")]),
        ({"WARC-Concurrent-To": ID % 0}, [(ERROR, "link")]),
        ({"WARC-Concurrent-To": ID % 1}, [(ERROR, "event-date")]),
    ],
)
def test_links_within_a_file(changes: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(record(INFO) + ORIGINAL + record({**REVISIT, **changes}, HEAD)) == expected


def test_a_revisit_of_a_revisit() -> None:
    second = {**REVISIT, "WARC-Record-ID": ID % 3, "WARC-Refers-To": ID % 2}
    del second["WARC-Refers-To-Date"]
    assert found(ORIGINAL + record(REVISIT, HEAD) + record(second, HEAD)) == [(WARNING, "revisit-original")]


def test_links_are_sought_in_the_whole_set(tmp_path: Path) -> None:
    one, two = tmp_path / "one.warc", tmp_path / "two.warc"
    one.write_bytes(record(REVISIT, HEAD))
    two.write_bytes(gzip.compress(ORIGINAL))
    alone = [f.rule for f in check_file(one)]
    assert alone == ["warcinfo-first", "link"]
    first, second = check_files([one, two])
    assert {f.rule for f in first + second} == {"warcinfo-first"}
    assert {f.file for f in first} == {str(one)}
    two.write_bytes(gzip.compress(record({**INFO, "WARC-Record-ID": ID % 2})))
    rules = [(f.file, f.rule) for found_in in check_files([one, two]) for f in found_in if f.severity == ERROR]
    assert rules == [(str(one), "record-id"), (str(two), "record-id")]


def test_a_warcinfo_that_is_declared_to_be_something_else() -> None:
    """5.6: Content-Type tells what is there. 6.2 lets the format vary, so another format is only advised against."""
    fields = {**INFO, "Content-Type": "application/octet"}
    assert found(record(fields, b"software: quill/1\r\nformat: WARC\r\n")) == [(ERROR, "content-type")]
    assert found(record(fields, b"\x00\x01 of my own")) == [(WARNING, "content-type")]
    assert found(record(fields)) == [(WARNING, "content-type")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?Q?calm?=", [(WARNING, "encoded-word")]),
        ("=?utf-8?B?Y2FsbQ==?=", [(WARNING, "encoded-word")]),
        ("a =?o?Q??calm", [(ERROR, "encoded-word")]),
        ("=?utf-8?q?calm", [(ERROR, "encoded-word")]),
        ("=?utf-8?X?calm?=", []),
        ("a=?b", []),
    ],
)
def test_encoded_words(value: str, expected: list[tuple[str, str]]) -> None:
    assert found(record({**INFO, "X-Name": value})) == expected


def test_strict_counts_warnings() -> None:
    findings = check_data(record({**INFO, "Content-Type": "text/plain"}), "x")
    assert is_valid(findings)
    assert not is_valid(findings, strict=True)


# -- zstd


def zst(data: bytes, **settings: Any) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, **settings).compress(data)


def test_zstd_frames() -> None:
    one, two = zst(FIRST), zst(SECOND)
    assert found(one + two) == []
    assert found(zst(FIRST + SECOND)) == [(WARNING, "record-at-a-time")]
    assert found(one + b"garbage" + two) == [(ERROR, "zstd-frame")]
    assert found(one + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + two) == []  # an extension frame
    offsets = {f.offset for f in check_data(one + zst(record({**ANSWER, "WARC-Date": "x"}, BODY)), "x")}
    assert offsets == {len(one)}
    for cut in (1, 10, len(two) - 1):
        assert (ERROR, "zstd-frame") in found(one + two[:cut])
    damaged = bytearray(one + two)
    damaged[len(one) + len(two) // 2] ^= 0xFF
    assert not is_valid(check_data(bytes(damaged), "x"))


def test_zstd_dictionaries() -> None:
    samples = [record({**INFO, "WARC-Record-ID": ID % n, "X-Number": str(n * n)}) for n in range(2000)]
    dictionary = zstandard.train_dictionary(4096, samples)
    raw = dictionary.as_bytes()
    frame = zst(FIRST, dict_data=dictionary)
    for held in (raw, zst(raw)):
        whole = b"\x5d\x2a\x4d\x18" + len(held).to_bytes(4, "little") + held + frame
        assert found(whole) == []
        assert (ERROR, "zstd-frame") in found(whole[: len(held)])
    assert (ERROR, "zstd-frame") in found(frame)  # without its dictionary
    assert (ERROR, "zstd-frame") in found(b"\x5d\x2a\x4d\x18\x04\x00\x00\x00abcd" + frame)
