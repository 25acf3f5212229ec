"""Changing the log's name in the settings, for `pressmark log new-origin`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops.cli.common import write_file
from schemas.errors import UsageError

if TYPE_CHECKING:
    from ops.settings import Settings


def with_origin(settings: Settings, origin: str) -> Settings:
    """The settings with another `[log] origin`. Raises UsageError for what cannot name a log."""
    if not origin or re.search(r"[\s+\x00-\x1f\x7f\"\\\\]", origin):
        raise UsageError(f"{origin!r} cannot name a log", remedy="use a URL without scheme, spaces and plus signs")
    return settings.model_copy(update={"log": settings.log.model_copy(update={"origin": origin})})


def write_origin(settings: Settings, origin: str) -> None:
    """Put the new origin into pressmark.toml. Raises UsageError where it does not stand there."""
    from ops.settings import SETTINGS_FILE

    path = settings.directory / SETTINGS_FILE
    text = path.read_text("utf-8")
    old = re.escape(f'"{settings.log.origin}"')
    changed, count = re.subn(rf"(?m)^(\s*origin\s*=\s*){old}", lambda found: f'{found[1]}"{origin}"', text)
    if count != 1:
        raise UsageError(
            f"{path} does not name the log {settings.log.origin} once",
            remedy=f'write [log] origin = "{origin}" yourself',
        )
    write_file(path, changed.encode())
