"""One exception tree for the whole house, and the table of exit codes.

Every error that crosses a room boundary is one of these. Each has an exit code (DESIGN: the command line) and a
message of one line that says what is wrong; `remedy`, where given, says what to do about it. Printing them is left
to the command line; nothing here reads or writes.
"""

from __future__ import annotations

from typing import ClassVar, Final

#: Exit code -> what it means. The README shows this table under test.
EXIT_CODES: Final[dict[int, str]] = {
    0: "done",
    1: "a check (audit, verify, warc check, snapshot verify) found something wrong",
    2: "bad usage or input",
    3: "any other command met damage",
    4: "not found",
    5: "a needed service, disk or store failed",
    130: "interrupted",
}


class PressmarkError(Exception):
    """Root of the tree. `str(error)` is one line: what is wrong, then what to do."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        text = " ".join(self.message.split())
        return f"{text}; {' '.join(self.remedy.split())}" if self.remedy else text


class CheckFailed(PressmarkError):
    """A check that the user asked for found something wrong."""

    exit_code = 1


class UsageError(PressmarkError):
    """The request cannot be carried out as given."""

    exit_code = 2


class InvalidValue(UsageError, ValueError):
    """A text or value is not what its format asks for."""


class SettingsError(UsageError):
    """The settings file or an environment override is wrong."""


class ArchiveMissing(UsageError):
    """The folder holds no archive."""


class CatalogNewer(UsageError):
    """The catalog was written by a newer version of Pressmark."""


class ArchiveLocked(UsageError):
    """Another process crawls this archive already."""


class ExtractionError(UsageError):
    """A page gave no article; `code` says why (empty, binary, too-deep, too-slow, broken, ...)."""

    def __init__(self, message: str, *, code: str, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


class DamageError(PressmarkError):
    """Bytes of the archive are not what was written. Never a kind of NotFound."""

    exit_code = 3


class LogForkRisk(DamageError):
    """The log known here disagrees with a published checkpoint: nothing may be signed."""


class NotFound(PressmarkError):
    """Nothing of that name or id is known."""

    exit_code = 4


class Withheld(NotFound):
    """Once redacted, or just now restricted: what a web server would answer with 451 (RFC 7725)."""


class Refused(PressmarkError):
    """What was redacted must not come in again, unless somebody asks for it."""

    exit_code = 2


class ServiceError(PressmarkError):
    """A needed service, disk or store failed."""

    exit_code = 5


class RedactionPending(ServiceError):
    """A redaction is logged, and a place of its content could not be reached yet: it is tried again."""


class StoreError(ServiceError):
    """The object store failed or refused."""


class SegmentElsewhere(ServiceError):
    """The record stands in a segment that another machine is still writing: readable once that one is sealed."""


class CatalogError(ServiceError):
    """The catalog's database failed or refused."""


class DiskError(ServiceError):
    """A local disk failed: full, read-only or input/output error."""


class ClockError(ServiceError):
    """This machine's clock cannot be right: it runs before what was recorded already."""


class AlreadyExists(PressmarkError):
    """A put-once object exists with other bytes."""

    exit_code = 3


class LeaseLost(ServiceError):
    """Another process took over a lease; what was begun here was not committed."""


class Interrupted(PressmarkError):
    """The user stopped the command."""

    exit_code = 130
