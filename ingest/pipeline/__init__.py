"""The journey of an article: learn of it, fetch it, keep it, read it; and the frontier made anew from what was kept.

Everything that is learned is deposited before it is used: robots.txt, homepages, feeds and sitemaps as well as pages.
What is fetched when is decided in `frontier` and `manners`, how in `recorder`, what it says in `extract`; durability is
left to `storage.archive`, schedules and signals to `ops`.
"""

from ingest.pipeline.announce import announced
from ingest.pipeline.crawler import Crawler
from ingest.pipeline.refill import refill_frontier
from ingest.pipeline.sources import find_sources
from ingest.pipeline.values import CrawlSettings, Tally

__all__ = ["CrawlSettings", "Crawler", "Tally", "announced", "find_sources", "refill_frontier"]
