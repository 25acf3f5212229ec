"""Trace on real texts: the orphan that started the project, and short fragments in scripts without spaces or cases."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.extract import extract
from ingest.trace import trace
from ops.bench.stock import Stock
from schemas.articles import Article
from schemas.errors import ExtractionError
from storage.archive import Archive
from storage.fingerprints import letters
from tests.support.archives import ARTICLE, START, add_outlet, exchange, settings

pytestmark = pytest.mark.shared

BOTH_AGREE = {"date": "agrees", "credit": "agrees"}
#: Synthetic articles around the orphan's page.
OTHERS = 100_000 if os.environ.get("PRESSMARK_LONG") else 3_000
#: Characters of the fragments in other scripts.
SHORT = 30
#: Scripts by name: the letters that a text must have many of.
SCRIPTS = {
    "Han": "[\u4e00-\u9fff]", "kana": "[\u3041-\u30ff]", "Arabic": "[\u0600-\u06ff]", "Thai": "[\u0e00-\u0e7f]",
    "Hangul": "[\uac00-\ud7af]", "Devanagari": "[\u0900-\u097f]",
}  # fmt: skip

#: Texts of our own in scripts that the corpus lacks.
OWN = {
    "Arabic": (
        "أعلنت بلدية المدينة صباح اليوم أن العبارة القديمة ستعود إلى العمل بعد إصلاحات استمرت عامين كاملين.",
        "وقال مدير الميناء إن الركاب انتظروا طويلا وإن التذاكر ستبقى بالسعر نفسه حتى نهاية فصل الشتاء.",
    ),
    "Devanagari": (
        "नगर पालिका ने आज सुबह बताया कि पुरानी नाव दो साल की मरम्मत के बाद फिर से चलेगी।",
        "बंदरगाह के प्रबंधक ने कहा कि यात्रियों ने लंबा इंतज़ार किया और टिकट सर्दियों के अंत तक उसी दाम पर रहेंगे।",
    ),
    "Thai": (
        "เทศบาลประกาศเมื่อเช้าวันนี้ว่าเรือข้ามฟากลำเก่าจะกลับมาวิ่งอีกครั้งหลังการซ่อมนานสองปี",
        "ผู้จัดการท่าเรือกล่าวว่าผู้โดยสารรอมานานและตั๋วจะยังคงราคาเดิมจนถึงสิ้นฤดูหนาว",
    ),
}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.create(settings(tmp_path)) as made:
        add_outlet(made)
        yield made


def keep(archive: Archive, path: str, body: bytes) -> Article | None:
    """Capture a page and keep its article."""
    try:
        article = extract(body=body, url=f"https://lantern.example{path}", captured=START, content_type="text/html")
    except ExtractionError:
        return None
    (capture,) = archive.deposit([(exchange(path, body), ARTICLE)])
    archive.deposit_article(article, capture)
    return article


def orphans_page(orphan: str) -> bytes:
    """A page as the orphan's was: photo with its credit, and a text that is in paragraphs."""
    head, body = orphan.strip().split("\n", 1)
    found = re.fullmatch(r"date (\d{4}-\d\d-\d\d) \u00a9 (.+)", head.strip())
    assert found is not None
    paragraphs = re.split(r'(?<=[a-z."])(?=[A-Z"])(?<! ")', body.strip())
    assert len(paragraphs) > 3
    data = {"@type": "NewsArticle", "headline": "Heavy barrage on all fronts", "datePublished": f"{found[1]}T10:00:00Z"}
    figure = f'<figure><img src="/p.jpg"><figcaption>A soldier. <span>\u00a9 {found[2]}</span></figcaption></figure>'
    return (
        f"<html lang=en><head><title>Heavy barrage on all fronts</title><script type='application/ld+json'>"
        f"{json.dumps(data)}</script></head><body><article><h1>Heavy barrage on all fronts</h1>{figure}"
        + "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        + "</article></body></html>"
    ).encode()


def test_the_orphan_finds_home(archive: Archive, shared: Path) -> None:
    assert traced(archive, (shared / "seed" / "orphan.txt").read_text("utf-8")) == BOTH_AGREE


@pytest.mark.slow
def test_the_orphan_finds_home_among_many(tmp_path: Path, shared: Path) -> None:
    orphan = (shared / "seed" / "orphan.txt").read_text("utf-8")
    with Stock(tmp_path, OTHERS) as stock:
        add_outlet(stock.archive)
        assert traced(stock.archive, orphan) == BOTH_AGREE


def traced(archive: Archive, orphan: str) -> dict[str, str]:
    """Keep the orphan's page and trace the orphan, which must be found and all aligned; the verdicts on its claims."""
    article = keep(archive, "/war", orphans_page(orphan))
    assert article is not None
    assert article.photos[0].photographers == ("Kostiantyn Liberov",)
    assert article.photos[0].agencies == ("AP",)
    result = trace(archive, orphan)
    (match,) = result.matches
    _, body = orphan.strip().split("\n", 1)
    assert letters(body) in letters(match.version.text)
    assert match.covered > 0.97, "all but the line with date and credit"
    aligned = sum(span.end - span.start for span in match.spans)
    assert aligned >= 0.99 * len(body.strip())
    return {claim.kind: claim.verdict for claim in result.claims}


def test_thirty_characters_in_any_script_are_found(archive: Archive, shared: Path) -> None:
    """From the middle of each page of the corpus whose text is mostly in the script; of two there are no pages."""
    folder = shared / "corpus" / "newsrooms"
    asked: dict[str, list[tuple[str, str]]] = {name: [] for name in SCRIPTS}
    for number, line in enumerate((folder / "truth.jsonl").read_text("utf-8").splitlines()):
        truth = json.loads(line)
        text = "".join(truth["paragraphs"] or ())
        scripts = [name for name, wanted in SCRIPTS.items() if len(re.findall(wanted, text)) > 0.3 * len(text)]
        page = gzip.decompress((folder / truth["page"]).read_bytes())
        if scripts and (article := keep(archive, f"/{number}", page)) is not None:
            asked[scripts[0]].append((middle(article), f"https://lantern.example/{number}"))
    for name, paragraphs in OWN.items():
        article = keep(archive, f"/{name}", in_a_page(paragraphs))
        assert article is not None
        asked[name].append((middle(article), f"https://lantern.example/{name}"))
    assert {"Han", "Hangul", "Arabic", "Thai", "Devanagari"} <= {name for name, some in asked.items() if some}
    for name, some in asked.items():
        for fragment, url in some:
            found = trace(archive, fragment).matches
            assert url in {match.version.url for match in found}, (name, fragment)


def middle(article: Article) -> str:
    """SHORT characters from the middle of the longest paragraph."""
    paragraph = max(article.paragraphs, key=len)
    start = max(0, len(paragraph) // 2 - SHORT // 2)
    return paragraph[start : start + SHORT]


def in_a_page(paragraphs: tuple[str, ...]) -> bytes:
    """A page with these paragraphs."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    title = paragraphs[0][:30]
    head = f"<head><meta charset=utf-8><title>{title}</title></head>"
    return f"<html>{head}<body><article><h1>{title}</h1>{body}</article></body></html>".encode()
