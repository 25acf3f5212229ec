"""WARC/1.1 files: rules, writer, reader, validator. The only room that may know warcio and FastWARC.

This is what other rooms use; `check` is imported by itself, for few need it.
"""

from storage.warc.drafts import Draft, new_record_id, new_record_ids
from storage.warc.members import MIN_MEMBER, compress_member
from storage.warc.reader import ScanEnd, Stored, read_member, read_segment, scan_segment
from storage.warc.records import encode_record
from storage.warc.rules import (
    HTTP_REQUEST,
    HTTP_RESPONSE,
    PROFILE_IDENTICAL,
    PROFILE_NOT_MODIFIED,
    TEXT_DNS,
    WARC_FIELDS,
)
from storage.warc.segments import KINDS, OPEN_SUFFIX, SEALED_SUFFIX, SegmentWriter, cut_tail, is_abandoned
from storage.warc.tombstones import TOMBSTONE, Tombstone, plain_tombstone, tombstone_member, tombstone_of

__all__ = [
    "HTTP_REQUEST",
    "HTTP_RESPONSE",
    "KINDS",
    "MIN_MEMBER",
    "OPEN_SUFFIX",
    "PROFILE_IDENTICAL",
    "PROFILE_NOT_MODIFIED",
    "SEALED_SUFFIX",
    "TEXT_DNS",
    "TOMBSTONE",
    "WARC_FIELDS",
    "Draft",
    "ScanEnd",
    "SegmentWriter",
    "Stored",
    "Tombstone",
    "compress_member",
    "cut_tail",
    "encode_record",
    "is_abandoned",
    "new_record_id",
    "new_record_ids",
    "plain_tombstone",
    "read_member",
    "read_segment",
    "scan_segment",
    "tombstone_member",
    "tombstone_of",
]
