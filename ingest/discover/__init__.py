"""Where an outlet announces its articles, and what it announces.

`sources` reads feeds and sitemaps, `pages` reads homepages. Fetching is left to `pipeline`, and so is the choice of
what to follow; what is due is decided in `frontier`.
"""

from ingest.discover.pages import belongs, feeds_of_home, links_of_home, looks_like_article
from ingest.discover.sources import Listing, parse_source, sitemaps_of_robots

__all__ = [
    "Listing",
    "belongs",
    "feeds_of_home",
    "links_of_home",
    "looks_like_article",
    "parse_source",
    "sitemaps_of_robots",
]
