"""The audit: re-read everything, recompute everything, compare catalog, objects, open segments and log both
ways.

Reports, never repairs. `findings` holds what is reported, `segments` reads the bytes, `events` compares
them with the rows and log entries that should follow from them, `work` shares segments out among processes, `sample`
chooses records at random, `journal` lets an interrupted audit go on, `run` puts the passes in order. The log by
itself is left to `storage.log.fsck`, other people's WARC files to `storage.warc.check`.
"""

from storage.fixity.findings import CONFIDENCE, AuditReport, Finding, Progress, Sampled
from storage.fixity.run import AuditOptions, audit

__all__ = ["CONFIDENCE", "AuditOptions", "AuditReport", "Finding", "Progress", "Sampled", "audit"]
