"""The same bytes give the same article: in processes of their own, by hash seed, locale, time zone, order and number.

The quick selection reads pages of our own a few times over; the full product over the real pages is slow and needs the
data folder.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ingest.extract.pages import ARTICLE, FUSED
from tests.ingest.images.files import agency_photo, picture, saved

ROOT = Path(__file__).resolve().parents[3]
SEEDS = ("0", "1", "4242")
#: UTF-8, and plain ASCII with nothing that Python would do about it.
LOCALES = ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"})
ZONES = ("Asia/Kathmandu", "America/Lima")
PROCESSES = (1, 2)

#: Reads pages and images in an order of its own; prints the digest of what each gave.
PROGRAM = """
import hashlib, json, locale, random, sys
from pathlib import Path
from datetime import UTC, datetime
from ingest.extract.worker import ExtractPool, ImageJob, Job
from schemas.errors import ExtractionError

def job(row):
    body = Path(row["file"]).read_bytes()
    if row["file"].endswith(".gz"):
        import gzip
        body = gzip.decompress(body)
    if "image" in row:
        return ImageJob(body=body)
    captured = datetime.fromisoformat(row["crawled"].replace("Z", "+00:00"))
    return Job(body=body, url=row["url"], captured=captured if captured.tzinfo else captured.replace(tzinfo=UTC))

def digest(result):
    if isinstance(result, ExtractionError):
        return result.code
    block = result.block() if hasattr(result, "block") else result.dumps().encode()
    return hashlib.sha256(block).hexdigest()

if __name__ == "__main__":
    locale.setlocale(locale.LC_ALL, "")
    rows = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    random.Random(sys.argv[2]).shuffle(rows)
    with ExtractPool(workers=int(sys.argv[3]), max_seconds=120) as pool:
        found = {row["id"]: digest(result) for row, result in zip(rows, pool.run(map(job, rows)), strict=True)}
    json.dump(found, sys.stdout, sort_keys=True)
"""


@dataclass(frozen=True)
class Circumstances:
    """What must make no difference."""

    seed: str
    locale: int
    zone: str
    processes: int


def differences(folder: Path, rows: Sequence[dict[str, str]], runs: Sequence[Circumstances]) -> Iterator[str]:
    """Read everything under each circumstance; what came out otherwise than the first time."""
    program, listing = folder / "reads.py", folder / "rows.json"
    program.write_text(PROGRAM, "utf-8")
    listing.write_text(json.dumps(rows), "utf-8")
    first: dict[str, str] = {}
    for number, run in enumerate(runs):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
        env |= {"PYTHONHASHSEED": run.seed, "TZ": run.zone, "PYTHONPATH": str(ROOT), **LOCALES[run.locale]}
        command = [sys.executable, str(program), str(listing), str(number), str(run.processes)]
        ended = subprocess.run(command, env=env, cwd=folder, capture_output=True, check=True)
        found = json.loads(ended.stdout)
        assert len(found) == len(rows)
        first = first or found
        yield from (f"{name} under {run}" for name in first if first[name] != found[name])


def test_own_pages_and_images(tmp_path: Path) -> None:
    files = {
        "article.html": ARTICLE.encode(), "fused.html": FUSED.encode(),
        "windows.html": FUSED.encode("cp1252", "replace"),
        "broken.html": ARTICLE.encode()[:2500], "empty.html": b"", "photo.jpg": agency_photo(),
        "photo.avif": saved(picture(3), "AVIF"), "no.jpg": b"no image",
    }  # fmt: skip
    rows = []
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
        row = {"id": name, "file": str(tmp_path / name), "url": f"https://lantern.example/{name}"}
        rows.append(row | ({"crawled": "2026-03-01T12:00:00"} if name.endswith("html") else {"image": "yes"}))
    runs = [
        Circumstances(seed, n % 2, ZONES[n % 2], PROCESSES[n % 2]) for n, seed in enumerate(SEEDS)
    ]  # fmt: skip
    assert list(differences(tmp_path, rows, runs)) == []


def test_a_difference_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.html").write_bytes(ARTICLE.encode())
    url = "https://a.example/"
    rows = [{"id": "a", "file": str(tmp_path / "a.html"), "url": url, "crawled": "2026-03-01T12:00:00"}]
    careless = PROGRAM.replace("sha256(block)", "sha256(block + str(hash('a')).encode())")
    monkeypatch.setattr(sys.modules[__name__], "PROGRAM", careless)
    runs = [Circumstances(seed, 0, ZONES[0], 1) for seed in SEEDS[:2]]
    assert len(list(differences(tmp_path, rows, runs))) == 1


@pytest.mark.slow
@pytest.mark.shared
def test_every_real_page_under_every_circumstance(shared: Path, tmp_path: Path) -> None:
    news = shared / "corpus" / "newsrooms"
    rows = []
    for line in (news / "truth.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        rows.append({"id": row["id"], "file": str(news / row["page"]), "url": row["url"], "crawled": row["crawled"]})
    for page in sorted((shared / "corpus" / "aeb" / "html").iterdir()):
        url = f"https://aeb.example/{page.name}"
        rows.append({"id": page.name, "file": str(page), "url": url, "crawled": "2026-03-01T12:00:00"})
    runs = [
        Circumstances(*values) for values in itertools.product(SEEDS, range(len(LOCALES)), ZONES, PROCESSES)
    ]  # fmt: skip
    assert len(runs) == 24
    assert list(differences(tmp_path, rows, runs)) == []
