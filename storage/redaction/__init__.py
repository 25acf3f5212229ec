"""Taking content down, and keeping the truth that something was there.

`closure` finds what goes along and what quotes it, `intent` logs it, `erase` and `external` put tombstones in its
place, `resume` completes what was logged, now or after a stop, `restrict` closes and opens access. Marks of what must
not come back are left to `storage.blocklist`, rows of datasets to `storage.datasets.redact`,
what doors ask to `storage.withholding`.
"""

from storage.redaction.intent import Plan, log_intent, plan
from storage.redaction.redact import REMAINDERS, redact
from storage.redaction.restrict import restrict
from storage.redaction.resume import Progress, resume
from storage.redaction.values import Closure, Outcome, Quote, Request

__all__ = [
    "REMAINDERS",
    "Closure",
    "Outcome",
    "Plan",
    "Progress",
    "Quote",
    "Request",
    "log_intent",
    "plan",
    "redact",
    "restrict",
    "resume",
]
