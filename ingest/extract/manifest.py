"""Extraction of a manifest's pages: one article a line, as an accuracy score reads it.

A manifest holds one JSON object a line: `id`, `page` (a file beside the manifest, gzipped where it ends in .gz),
`url`, `crawled` (ISO 8601; without a zone it means UTC). The manifest's `id` stands in place of the article's.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from ingest.extract.worker import ExtractPool, Job
from schemas.errors import ExtractionError, UsageError


def jobs_of(manifest: Path) -> Iterator[tuple[str, Job]]:
    """The manifest's ids and what to extract. Raises UsageError on a manifest that cannot be read."""
    try:
        with manifest.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _job(json.loads(line), manifest, number)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the manifest {manifest.name} cannot be read: {error}", remedy="give one JSON object a line"
        ) from error


def _job(row: dict[str, Any], manifest: Path, number: int) -> tuple[str, Job]:
    data = (manifest.parent / row["page"]).read_bytes()
    if row["page"].endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"page {row['page']} of line {number} is no gzip file: {error}") from error
    crawled = datetime.fromisoformat(row["crawled"].replace("Z", "+00:00"))
    crawled = crawled if crawled.tzinfo else crawled.replace(tzinfo=UTC)
    return row["id"], Job(body=data, url=row["url"], captured=crawled, content_type="text/html")


def predict(
    manifest: Path, out: TextIO, *, workers: int = 0, max_seconds: float = 60.0
) -> tuple[int, list[tuple[str, str]]]:
    """Write an article a line; gives how many, and the pages that gave none, each with why."""
    ids: list[str] = []

    def feed() -> Iterator[Job]:
        for identity, job in jobs_of(manifest):
            ids.append(identity)
            yield job

    written, failed = 0, []
    with ExtractPool(workers=workers, max_seconds=max_seconds) as pool:
        for number, result in enumerate(pool.run(feed())):
            if isinstance(result, ExtractionError):
                failed.append((ids[number], str(result)))
                continue
            value = result.to_json()
            value["id"] = ids[number]
            out.write(json.dumps(value, ensure_ascii=False) + "\n")
            written += 1
    return written, failed
