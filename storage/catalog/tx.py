"""One transaction: the named queries, grouped by what they ask about."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy import Connection, delete

from storage.catalog import tables
from storage.catalog.articles import Articles
from storage.catalog.captures import Captures
from storage.catalog.checks import Checks
from storage.catalog.entries import LogQueries
from storage.catalog.fingerprints import Fingerprints
from storage.catalog.frontier import Frontier
from storage.catalog.images import Images
from storage.catalog.leases import Leases
from storage.catalog.meta import Meta
from storage.catalog.outlets import Outlets
from storage.catalog.records import Records
from storage.catalog.redactions import Redactions, Restrictions
from storage.catalog.removals import Removals
from storage.catalog.segments import Segments
from storage.catalog.snapshots import Snapshots


class Tx:
    """Queries within one transaction; of use only inside the `with` that gave it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def meta(self) -> Meta:
        """Key and value."""
        return Meta(self._connection)

    @cached_property
    def outlets(self) -> Outlets:
        """Whom the archive watches."""
        return Outlets(self._connection)

    @cached_property
    def frontier(self) -> Frontier:
        """Sources, items and hosts: what is due."""
        return Frontier(self._connection)

    @cached_property
    def segments(self) -> Segments:
        """Segment files."""
        return Segments(self._connection)

    @cached_property
    def records(self) -> Records:
        """WARC records and where they stand."""
        return Records(self._connection)

    @cached_property
    def captures(self) -> Captures:
        """Acknowledged captures and attempts."""
        return Captures(self._connection)

    @cached_property
    def articles(self) -> Articles:
        """Article versions and the captures that showed them."""
        return Articles(self._connection)

    @cached_property
    def log(self) -> LogQueries:
        """Log entries and the state of the tree."""
        return LogQueries(self._connection)

    @cached_property
    def leases(self) -> Leases:
        """Who may do what only one may do at a time."""
        return Leases(self._connection)

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """The trace index."""
        return Fingerprints(self._connection)

    @cached_property
    def images(self) -> Images:
        """Captured images and the photos that they are."""
        return Images(self._connection)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Sealed datasets."""
        return Snapshots(self._connection)

    @cached_property
    def redactions(self) -> Redactions:
        """What was erased, and what must not come back."""
        return Redactions(self._connection)

    @cached_property
    def restrictions(self) -> Restrictions:
        """What is not to be shown for now."""
        return Restrictions(self._connection)

    @cached_property
    def removals(self) -> Removals:
        """Taking rows away."""
        return Removals(self._connection)

    @cached_property
    def checks(self) -> Checks:
        """What the tables say of each other."""
        return Checks(self._connection)

    def clear(self) -> None:
        """Empty every table, for a rebuild in place: sequence and log index begin anew."""
        for table in reversed(tables.metadata.sorted_tables):
            self._connection.execute(delete(table))
        self.log.reset()
