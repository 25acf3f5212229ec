"""The tables, defined once for SQLite and PostgreSQL.

How a fresh catalog gets them, and an older one is brought up to date, is left to `migrations`; a test holds
the two equal. An index stands here only where a named query of this package needs it, and no lease column
is in any index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

#: Byte order on both databases: ISO dates, names and cursors must not sort by the server's locale.
TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")

#: SQLite makes a row id only of a column that is called INTEGER.
ROW_ID: Final = BigInteger().with_variant(Integer(), "sqlite")

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

meta = Table(
    "meta",
    metadata,
    Column("key", TEXT, primary_key=True),
    Column("value", TEXT, nullable=False),
)

outlets = Table(
    "outlets",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("url", TEXT, nullable=False),
    Column("domain", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("every", Integer),
    Column("added", BigInteger),
)

# Row ids of sources, items and versions are held by others for a while, so they are never given out twice.
sources = Table(
    "sources",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("outlet_id", TEXT, ForeignKey("outlets.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("url", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    Column("next_due", BigInteger, nullable=False),
    Column("polled", BigInteger),
    Column("etag", TEXT),
    Column("last_modified", TEXT),
    Column("last_capture", TEXT),
    Column("last_keys", TEXT, nullable=False),
    Column("polls", Integer, nullable=False),
    Column("gaps", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Index("ix_sources_outlet_id", "outlet_id", "next_due"),
    sqlite_autoincrement=True,
)

# URLs come from strangers and may be longer than a B-tree page of PostgreSQL takes: the unique key is a
# digest.
items = Table(
    "items",
    metadata,
    Column("id", ROW_ID, primary_key=True),
    Column("outlet_id", TEXT, ForeignKey("outlets.id"), nullable=False),
    Column("url", TEXT, nullable=False),
    Column("key", TEXT, nullable=False),
    Column("key_digest", LargeBinary, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("found", BigInteger, nullable=False),
    Column("found_in", TEXT),
    Column("next_due", BigInteger),
    Column("stage", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("etag", TEXT),
    Column("last_modified", TEXT),
    Column("last_capture", TEXT),
    Column("article_id", TEXT),
    Column("lastmod", TEXT),
    Column("hints", TEXT, nullable=False),
    UniqueConstraint("key_digest", "outlet_id"),
    Index("ix_items_outlet_id", "outlet_id", "next_due"),
    sqlite_autoincrement=True,
)

Index(
    "ix_items_new",
    items.c.outlet_id,
    items.c.id,
    sqlite_where=items.c.state == "new",
    postgresql_where=items.c.state == "new",
)

hosts = Table(
    "hosts",
    metadata,
    Column("host", TEXT, primary_key=True),
    Column("next_ok", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("owner", TEXT),
    Column("until", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 70},  # room for the claim of a host to stay on its page
)

segments = Table(
    "segments",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("kind", TEXT, nullable=False),
    Column("worker", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    Column("object_key", TEXT),
    Column("length", BigInteger),
    Column("sha256", TEXT),
    Column("created", BigInteger, nullable=False),
)

# No foreign key between records, captures and segments: that each has the other is what an audit proves,
# and a rebuild meets damage where one is gone.
records = Table(
    "records",
    metadata,
    Column("record_id", TEXT, primary_key=True),
    Column("type", TEXT, nullable=False),
    Column("segment", TEXT, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("block_digest", TEXT),
    Column("payload_digest", TEXT),
    Column("target_uri", TEXT),
    Column("date", BigInteger, nullable=False),
    Column("event_id", TEXT),
    UniqueConstraint("segment", "offset"),
    Index("ix_records_digest", "digest"),
    Index("ix_records_event_id", "event_id"),
)

captures = Table(
    "captures",
    metadata,
    Column("seq", ROW_ID, primary_key=True, autoincrement=False),
    Column("id", TEXT, nullable=False, unique=True),
    Column("kind", TEXT, nullable=False),
    Column("url", TEXT, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("outlet_id", TEXT),
    Column("role", TEXT, nullable=False),
    Column("ending", TEXT, nullable=False),
    Column("status", SmallInteger),
    Column("media_type", TEXT),
    Column("location", TEXT),
    Column("etag", TEXT),
    Column("last_modified", TEXT),
    Column("payload_digest", TEXT),
    Column("payload_length", BigInteger),
    Column("refers_to", TEXT),
    Column("via", TEXT),
    Column("wall", TEXT),
    Column("log_index", BigInteger),
    Column("hints", TEXT, nullable=False),
    Column("item_url", TEXT),
    Column("extraction", TEXT, nullable=False),
    Column("extraction_code", TEXT),
    Column("extractor", TEXT),
    Index("ix_captures_url", "url", postgresql_using="hash"),
)
Index(
    "ix_captures_payload_digest",
    captures.c.payload_digest,
    sqlite_where=captures.c.kind == "response",  # a feed that rarely changes has revisits by the thousand
    postgresql_where=captures.c.kind == "response",
)
Index(
    "ix_captures_pending",
    captures.c.seq,
    sqlite_where=captures.c.extraction == "pending",
    postgresql_where=captures.c.extraction == "pending",
)

versions = Table(
    "versions",
    metadata,
    Column("row_id", ROW_ID, primary_key=True),
    Column("article_id", TEXT, nullable=False),
    Column("version", Integer, nullable=False),
    Column("extractor", TEXT, nullable=False),
    Column("content_key", TEXT, nullable=False),
    Column("conversion_id", TEXT, nullable=False, unique=True),
    Column("capture_id", TEXT, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("log_index", BigInteger, nullable=False, unique=True),
    Column("outlet_id", TEXT, nullable=False),
    Column("url", TEXT, nullable=False),
    Column("canonical_url", TEXT, nullable=False),
    Column("title", TEXT),
    Column("published", TEXT),
    Column("modified", TEXT),
    Column("language", TEXT),
    Column("kind", TEXT, nullable=False),
    Column("access", TEXT, nullable=False),
    Column("wall", TEXT),
    Column("text_sha256", TEXT, nullable=False),
    Column("word_count", Integer, nullable=False),
    Column("truncated", TEXT),
    Column("credits", TEXT, nullable=False),
    Column("block", TEXT, nullable=False),
    UniqueConstraint("article_id", "extractor", "content_key"),
    Index("ix_versions_article_id", "article_id", "log_index"),
    Index("ix_versions_url", "url", postgresql_using="hash"),
    Index("ix_versions_canonical_url", "canonical_url", postgresql_using="hash"),
    Index("ix_versions_text_sha256", "text_sha256", postgresql_using="hash"),
    sqlite_autoincrement=True,
)

sightings = Table(
    "sightings",
    metadata,
    Column("row_id", BigInteger, ForeignKey("versions.row_id"), primary_key=True),
    Column("capture_id", TEXT, primary_key=True),
    Column("date", BigInteger, nullable=False),
    Index("ix_sightings_capture_id", "capture_id"),
    sqlite_with_rowid=False,
)

# Which addresses the photos of a version have, in normal form; one that is none has no row.
photos = Table(
    "photos",
    metadata,
    Column("row_id", BigInteger, ForeignKey("versions.row_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("url", TEXT, nullable=False),
    Index("ix_photos_url", "url", postgresql_using="hash"),
    sqlite_with_rowid=False,
)

# What was read in a captured image; it belongs to the photos with its URL. The bands are the four parts of the hash:
# near hashes share one of them, or nearly.
images = Table(
    "images",
    metadata,
    Column("capture_id", TEXT, primary_key=True),
    Column("reader", TEXT, primary_key=True),
    Column("url", TEXT, nullable=False),
    Column("date", BigInteger, nullable=False),
    Column("payload_digest", TEXT, nullable=False),
    Column("phash", TEXT),
    Column("band0", Integer),
    Column("band1", Integer),
    Column("band2", Integer),
    Column("band3", Integer),
    Column("reading", TEXT, nullable=False),
    Index("ix_images_url", "url", postgresql_using="hash"),
    Index("ix_images_payload_digest", "payload_digest"),
    Index("ix_images_band0", "band0"),
    Index("ix_images_band1", "band1"),
    Index("ix_images_band2", "band2"),
    Index("ix_images_band3", "band3"),
)

entries = Table(
    "entries",
    metadata,
    Column("index", ROW_ID, primary_key=True, autoincrement=False),
    Column("type", TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("subject", TEXT),
    Index("ix_entries_subject", "subject", "index"),
)

# One row. `next_seq`, the captures' counter, stands here too, so that one row lock orders both: a cursor
# over either never meets a lower number that was committed later.
log_state = Table(
    "log_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("next_index", BigInteger, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("checkpoint", TEXT),
    Column("checkpoint_size", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("origin", TEXT, nullable=False),
    postgresql_with={"fillfactor": 20},  # updated in every write: keep its versions on one page
)

leases = Table(
    "leases",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("holder", TEXT, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

# Keys of one version in one value: a row a key would take four times the room.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("row_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("grams", LargeBinary, nullable=False),
)

fingerprint_segments = Table(
    "fingerprint_segments",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("documents", Integer, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("sha256", TEXT, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("version", TEXT, primary_key=True),
    Column("tree_size", BigInteger, nullable=False),
    Column("root", TEXT, nullable=False),
    Column("manifest_sha256", TEXT, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("prefix", TEXT, nullable=False),
)

# A snapshot of which rows were redacted, by its manifest's digest, and the entry of the one that took its place.
supersedings = Table(
    "supersedings",
    metadata,
    Column("manifest", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
)

# Content that is gone, or that must not be shown. All of it is made anew from log, tombstones and block list.
redactions = Table(
    "redactions",
    metadata,
    Column("log_index", ROW_ID, primary_key=True, autoincrement=False),
    Column("state", TEXT, nullable=False),
    Column("code", TEXT, nullable=False),
    Column("authority", TEXT, nullable=False),
    Column("scope", TEXT),
)

erased = Table(
    "erased",
    metadata,
    Column("digest", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("record_id", TEXT),
    Column("role", TEXT),
    Column("entry", BigInteger),
    Index("ix_erased_record_id", "record_id"),
    Index("ix_erased_log_index", "log_index", "place"),
)

blocked = Table(
    "blocked",
    metadata,
    Column("mark", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
)

restrictions = Table(
    "restrictions",
    metadata,
    Column("subject", TEXT, primary_key=True),
    Column("log_index", BigInteger, nullable=False),
    Column("code", TEXT),
    Column("until", BigInteger),
)
