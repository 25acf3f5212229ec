"""What Object Lock of an S3 bucket would keep though a redaction erases it: a default rule, and locks on objects.

Asked by `storage.s3` when it probes a bucket. Amazon S3 User Guide, "Locking objects with Object Lock".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

#: Where content lies that may have to be erased.
ERASABLE: Final = ("warc/", "text/", "import/", "snapshots/", "trace/")
#: Objects of each of these that are asked for a lock of their own: the first and, of a run of days, some of the last.
SAMPLE: Final = 20


def kept_by_lock(client: Any, errors: tuple[type[Exception], ...], bucket: str, prefix: str) -> str | None:
    """What would be kept, in words; None where nothing is seen that would.

    `errors` are what the client raises: a bucket without Object Lock, or a store that knows none, answers with one.
    Errors of what is asked then are passed on.
    """
    try:
        answer = client.get_object_lock_configuration(Bucket=bucket).get("ObjectLockConfiguration", {})
    except errors:
        return None
    if answer.get("Rule"):
        return "a default retention holds every new object"
    if answer.get("ObjectLockEnabled") != "Enabled":
        return None
    for part in ERASABLE:
        for key, version in _versions(client, bucket, prefix + part):
            if _held(client, Bucket=bucket, Key=key, VersionId=version):
                return f"{key} is under a retention or legal hold"
    return None


def _versions(client: Any, bucket: str, prefix: str) -> list[tuple[str, str]]:
    found = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        found += [(entry["Key"], entry["VersionId"]) for entry in page.get("Versions", ())]
        if len(found) > SAMPLE:
            found = found[: SAMPLE // 2] + found[-SAMPLE // 2 :]
    return found


def _held(client: Any, **version: str) -> bool:
    """One question tells both kinds of lock."""
    head = client.head_object(**version)
    until = head.get("ObjectLockRetainUntilDate")
    return head.get("ObjectLockLegalHoldStatus") == "ON" or (until is not None and until > datetime.now(UTC))
