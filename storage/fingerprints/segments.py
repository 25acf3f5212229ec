"""A sealed, sorted, immutable segment of the trace index: which versions hold which keys.

A file of four parts, little-endian: a header; `rows`, the catalog's row id of each document (a document is a version,
numbered within the segment); `fanout`, for each bucket (the upper bits of a key) where its postings begin; `postings`,
for each key of each document the key's lower bits and the document's number in 32 bits, ascending within a bucket. A
look-up is a bucket and a binary search in it, for all keys of a fragment at once; the file is mapped, not read. Derived
state: made anew by `rebuild`, written again without a version that is removed. Which segments there are, and where, is
left to `index`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import DamageError
from storage.disk import disk_errors
from storage.fingerprints.grams import GRAM, KEY_BITS, WINDOW, Keys

#: Documents of a segment at most: 20 bits of a posting name one, 12 are left for the key.
MAX_DOCUMENTS: Final = 1 << 20
#: Bits of a bucket's number beyond those of a document's: buckets hold some 16 postings.
_BUCKET_BITS: Final = KEY_BITS - 32
#: Postings of a bucket up to which they are all read, which is quicker than to search them.
_READ: Final = 64
#: Parts in which a merge passes through its segments, by the upper bits of the keys: bounds its memory.
_MERGE_PARTS: Final = 64

_MAGIC: Final = b"PMTRACE1"
_HEADER: Final = struct.Struct("<8s4IQ")  # magic, GRAM, WINDOW, document bits, documents, postings
_HEAD: Final = 64  # bytes that the header takes

Places = npt.NDArray[np.int64]
_U32: Final = np.uint64(0xFFFF_FFFF)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Segment:
    """An opened segment, mapped from a file or made in memory."""

    rows: Places
    fanout: npt.NDArray[np.uint32]
    postings: npt.NDArray[np.uint32]
    bits: int  # of a document's number

    @property
    def documents(self) -> int:
        """How many versions it holds."""
        return len(self.rows)

    def find(self, keys: Keys) -> tuple[Places, Places]:
        """For each key where its postings begin and end. Raises DamageError where they would lie outside the file."""
        rest = np.uint64(32 - self.bits)
        bucket = (keys >> rest).astype(np.int64)
        low, high = self.fanout[bucket].astype(np.int64), self.fanout[bucket + 1].astype(np.int64)
        if (low > high).any() or high.max(initial=0) > len(self.postings):
            raise _damaged()
        wanted = ((keys & ((np.uint64(1) << rest) - np.uint64(1))) << np.uint64(self.bits)).astype(np.int64)
        begin, end = self._read(low, np.minimum(high, low + _READ), wanted)
        if len(large := np.flatnonzero(high - low > _READ)):
            low, high, wanted = (np.concatenate((some, some)) for some in (low[large], high[large], wanted[large]))
            wanted[len(large) :] += 1 << self.bits
            begin[large], end[large] = self._search(low, high, wanted).reshape(2, -1)
        return begin, end

    def _read(self, low: Places, high: Places, wanted: Places) -> tuple[Places, Places]:
        """For each of small ranges where the postings of what is wanted begin and end: all of them are read."""
        sizes = high - low
        known = self.postings.take(spread(low, high)) >> np.uint32(self.bits)
        of = np.repeat((wanted >> self.bits).astype(np.uint32), sizes)
        behind = np.cumsum(sizes)
        first = behind - sizes
        begin = low + _in_each(known < of, first, behind)
        return begin, begin + _in_each(known == of, first, behind)

    def _search(self, low: Places, high: Places, wanted: Places) -> Places:
        """For each range of postings, which are not empty, the first that is not below what is wanted.

        Binary searches side by side, in steps of halves: before `low` all is below.
        """
        low, last = low - 1, high - 1
        step = 1 << (int((last - low).max()).bit_length() - 1)
        while step:
            middle = np.minimum(low + step, last)
            low = np.where(self.postings.take(middle) < wanted, middle, low)
            step >>= 1
        return low + 1

    def documents_at(self, begin: Places, end: Places) -> npt.NDArray[np.uint32]:
        """The documents of ranges of postings, one range after the other. Raises DamageError for one it has not."""
        found: npt.NDArray[np.uint32] = self.postings.take(spread(begin, end)) & np.uint32((1 << self.bits) - 1)
        if found.max(initial=0) >= max(self.documents, 1):
            raise _damaged()
        return found

    def pairs(self, part: int, parts: int) -> tuple[Keys, Places]:
        """(keys, documents) of one of so many equal parts (a power of two up to 256) of all keys, ascending."""
        buckets = (len(self.fanout) - 1) // parts
        first = part * buckets
        edges = self.fanout[first : first + buckets + 1].astype(np.int64)
        postings = self.postings[edges[0] : edges[-1]].astype(np.uint64)
        bucket = np.repeat(np.arange(first, first + buckets, dtype=np.uint64), np.diff(edges))
        keys = (bucket << np.uint64(32 - self.bits)) | (postings >> np.uint64(self.bits))
        return keys, (postings & np.uint64((1 << self.bits) - 1)).astype(np.int64)


def _damaged() -> DamageError:
    return DamageError("a segment of the trace index is damaged", remedy="run `pressmark rebuild`")


def spread(begin: Places, end: Places) -> Places:
    """The numbers of half-open ranges, one range after the other."""
    counts = end - begin
    total = int(counts.sum())
    starts = np.cumsum(counts) - counts
    numbers: Places = np.arange(total, dtype=np.int64) + np.repeat(begin - starts, counts)
    return numbers


def _in_each(marked: npt.NDArray[np.bool_], first: Places, behind: Places) -> Places:
    """How many are marked in each of some ranges."""
    before = np.zeros(len(marked) + 1, np.int64)
    np.cumsum(marked, out=before[1:])
    found: Places = before.take(behind) - before.take(first)
    return found


def _bits(documents: int) -> int:
    """Bits of a document's number: at least 4, so that a merge can part the buckets of any segment."""
    return max(4, (documents - 1).bit_length())


def build(rows: Sequence[int], keys: Sequence[Keys]) -> Segment:
    """A segment in memory: of each version's row id and its keys."""
    bits = _bits(len(rows))
    counts = np.fromiter((len(some) for some in keys), np.int64, len(rows))
    pairs = np.concatenate(keys) if keys else np.empty(0, np.uint64)
    pairs <<= np.uint64(bits)
    pairs |= np.repeat(np.arange(len(rows), dtype=np.uint64), counts)
    return _segment(np.array(rows, np.int64), pairs, bits)


def _segment(rows: Places, pairs: Keys, bits: int) -> Segment:
    pairs.sort()
    fanout = np.zeros((1 << (bits + _BUCKET_BITS)) + 1, np.uint32)
    np.cumsum(_sizes(pairs, len(fanout) - 1), out=fanout[1:])
    return Segment(rows=rows, fanout=fanout, postings=(pairs & _U32).astype(np.uint32), bits=bits)


def joined(segments: Sequence[Segment]) -> Segment:
    """One segment in memory of several that are small."""
    rows = np.concatenate([segment.rows for segment in segments])
    found, first = [], 0
    bits = _bits(len(rows))
    for segment in segments:
        keys, documents = segment.pairs(0, 1)
        found.append((keys << np.uint64(bits)) | (documents + first).astype(np.uint64))
        first += segment.documents
    return _segment(rows, np.concatenate(found), bits)


def _sizes(pairs: Keys, buckets: int, first: int = 0) -> Places:
    """Postings of each bucket, of sorted (key, document) numbers."""
    sizes: Places = np.bincount((pairs >> np.uint64(32)).astype(np.int64) - first, minlength=buckets)
    return sizes


# -- files


def write(path: Path, segment: Segment) -> None:
    """Write a segment that was built in memory. Raises DiskError."""
    with disk_errors(f"cannot write {path}"), path.open("wb") as stream:
        _write_head(stream, segment.bits, segment.rows, len(segment.postings))
        stream.write(segment.fanout.astype("<u4").tobytes())
        stream.write(segment.postings.astype("<u4").tobytes())


def merge(path: Path, segments: Sequence[Segment], without: Collection[int] = ()) -> int:
    """Write one segment of several, without some row ids; how many documents it holds. Raises DiskError.

    Passes through them in _MERGE_PARTS parts: memory is bounded by what one part holds.
    """
    gone = np.fromiter(without, np.int64, len(without))
    kept = [~np.isin(segment.rows, gone) for segment in segments]
    rows = np.concatenate([segment.rows[some] for segment, some in zip(segments, kept, strict=True)])
    bits = _bits(len(rows))
    numbers, count = [], 0  # for each segment, of each of its documents: the new number, -1 where it is left out
    for some in kept:
        numbers.append(np.where(some, np.cumsum(some) - 1 + count, -1))
        count += int(some.sum())
    buckets = 1 << (bits + _BUCKET_BITS)
    fanout = np.zeros(buckets + 1, np.uint32)
    with disk_errors(f"cannot write {path}"), path.open("wb") as stream:
        _write_head(stream, bits, rows, 0)
        stream.write(bytes(4 * (buckets + 1)))
        done, width = 0, buckets // _MERGE_PARTS
        for part, pairs in enumerate(_merged(segments, numbers, bits)):
            sizes = _sizes(pairs, width, part * width)
            fanout[1 + part * width : 1 + (part + 1) * width] = done + np.cumsum(sizes)
            done += len(pairs)
            stream.write((pairs & _U32).astype("<u4").tobytes())
        stream.seek(0)
        _write_head(stream, bits, rows, done)
        stream.write(fanout.astype("<u4").tobytes())
    return count


def _merged(segments: Sequence[Segment], numbers: Sequence[Places], bits: int) -> Iterator[Keys]:
    """Sorted (key, new document) numbers, part after part."""
    for part in range(_MERGE_PARTS):
        found = []
        for segment, new in zip(segments, numbers, strict=True):
            keys, documents = segment.pairs(part, _MERGE_PARTS)
            documents = new[documents]
            pairs = (keys << np.uint64(bits)) | documents.astype(np.uint64)
            found.append(pairs[documents >= 0])
        whole = np.concatenate(found)
        whole.sort()
        yield whole


def _write_head(stream: BinaryIO, bits: int, rows: Places, postings: int) -> None:
    stream.write(_HEADER.pack(_MAGIC, GRAM, WINDOW, bits, len(rows), postings).ljust(_HEAD, b"\0"))
    stream.write(rows.astype("<i8").tobytes())


def read(path: Path) -> Segment:
    """Map a segment's file. Raises DiskError, DamageError for what is no segment of this program's."""
    with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
        head = stream.read(_HEAD)
        data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if len(head) == _HEAD else b""
    magic, gram, window, bits, documents, postings = (
        _HEADER.unpack_from(head) if len(head) == _HEAD else (b"", 0, 0, 0, 0, 0)
    )
    fanout_at = _HEAD + 8 * documents
    buckets = 1 << (bits + _BUCKET_BITS)
    postings_at = fanout_at + 4 * (buckets + 1)
    if (magic, gram, window) != (_MAGIC, GRAM, WINDOW) or len(data) != postings_at + 4 * postings:
        raise DamageError(f"{path} is no whole segment of the trace index", remedy="run `pressmark rebuild`")
    return Segment(
        rows=np.frombuffer(data, "<i8", documents, _HEAD),
        fanout=np.frombuffer(data, "<u4", buckets + 1, fanout_at),
        postings=np.frombuffer(data, "<u4", postings, postings_at),
        bits=bits,
    )
