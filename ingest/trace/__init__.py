"""Trace: from a fragment to the captures that it came from.

`search` finds, `matches` tells span by span, `claims` holds what a fragment says of itself against what was found,
`diffs` shows how they differ, `answers` are the values that all speak in.
"""

from ingest.trace.answers import FIRST_SEEN, Claim, Cluster, Match, Part, Span, TraceResult
from ingest.trace.claims import claims
from ingest.trace.diffs import diff
from ingest.trace.search import MATCH_RUN, MAX_FRAGMENT, SHORTEST, trace

__all__ = [
    "FIRST_SEEN",
    "MATCH_RUN",
    "MAX_FRAGMENT",
    "SHORTEST",
    "Claim",
    "Cluster",
    "Match",
    "Part",
    "Span",
    "TraceResult",
    "claims",
    "diff",
    "trace",
]
