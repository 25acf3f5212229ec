"""Values to put into a catalog, each different in what a test names and plausible in the rest."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.captures import Capture, Ending, Role
from schemas.outlets import Outlet, Source
from storage.catalog import RecordRow, SegmentRow, VersionRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]


def new_id() -> str:
    """A record id."""
    return f"urn:uuid:{uuid.uuid4()}"


def sha256(text: str) -> str:
    """A digest as columns hold it."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def outlet(id: str = "lantern.example", **fields: Any) -> Outlet:
    """An outlet with a feed and a sitemap."""
    values: dict[str, Any] = {
        "name": "The Lantern",
        "url": f"https://www.{id}/",
        "domain": id,
        "every": 900,
        "sources": (
            Source(url=f"https://www.{id}/feed", kind="feed"),
            Source(url=f"https://www.{id}/news.xml", kind="sitemap"),
        ),
        "added": NOON,
    }
    return Outlet(id=id, **{**values, **fields})


def capture(url: str = "https://lantern.example/a", **fields: Any) -> Capture:
    """A whole 200 answer with an article's page."""
    values: dict[str, Any] = {
        "id": new_id(),
        "seq": 0,
        "kind": "response",
        "date": NOON,
        "outlet_id": "lantern.example",
        "role": Role.ARTICLE,
        "ending": Ending.COMPLETE,
        "status": 200,
        "media_type": "text/html",
        "location": None,
        "etag": '"1"',
        "last_modified": "Sun, 01 Mar 2026 11:00:00 GMT",
        "payload_digest": sha256(url),
        "payload_length": 1234,
        "refers_to": None,
        "via": None,
        "wall": None,
        "log_index": None,
        "hints": {"title": "Ebbe und Flut – 潮"},
        "item_url": None,
    }
    return Capture(url=url, **{**values, **fields})


def record(segment: str = "warc-1", offset: int = 0, **fields: Any) -> RecordRow:
    """A response record."""
    record_id = fields.pop("record_id", None) or new_id()
    values: dict[str, Any] = {
        "type": "response",
        "length": 700,
        "digest": sha256(record_id),
        "block_digest": sha256("block"),
        "payload_digest": None,
        "target_uri": "https://lantern.example/a",
        "date": 1,
        "event_id": record_id,
    }
    return RecordRow(record_id=record_id, segment=segment, offset=offset, **{**values, **fields})


def segment(name: str, **fields: Any) -> SegmentRow:
    """An open segment."""
    values: dict[str, Any] = {
        "kind": "warc", "worker": "w1", "state": "open", "object_key": None, "length": None, "sha256": None,
        "created": 5,
    }  # fmt: skip
    return SegmentRow(name=name, **{**values, **fields})


def version(article_id: str, log_index: int, **fields: Any) -> VersionRow:
    """A version of an article; its text says which."""
    url = fields.pop("url", f"https://lantern.example/{article_id}")
    title = fields.pop("title", f"Title {article_id}")
    paragraphs = fields.pop("paragraphs", [f"Text of {article_id} at {log_index}."])
    seen = fields.pop("first_seen", log_index * 1000)
    values: dict[str, Any] = {
        "version": 1,
        "extractor": "e1",
        "content_key": f"{article_id}-{log_index}",
        "conversion_id": new_id(),
        "capture_id": new_id(),
        "last_seen": seen,
        "outlet_id": "lantern.example",
        "canonical_url": url,
        "published": "2026-03-01T09:00:00+01:00",
        "modified": None,
        "language": "en",
        "kind": "article",
        "access": "free",
        "wall": None,
        "text_sha256": sha256("text"),
        "word_count": 5,
        "truncated": None,
        "credits": "",
        "block": json.dumps({"paragraphs": paragraphs, "title": title}, ensure_ascii=False),
    }
    return VersionRow(
        row_id=None, article_id=article_id, log_index=log_index, url=url, title=title, first_seen=seen,
        **{**values, **fields},
    )  # fmt: skip


def later(seconds: int) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def undone(*done: object) -> None:
    """Fail after what was done, so that the transaction around it is rolled back."""
    raise ZeroDivisionError(f"{len(done)} steps")


def program(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs this code, its output piped."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
