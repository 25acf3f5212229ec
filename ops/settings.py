"""Settings: DIR/pressmark.toml, overridden by the environment, as frozen values. The only reader of the environment.

Every key can be overridden by `PRESSMARK_<TABLE>__<KEY>` (lists as comma-separated text). An unknown key is an error:
a misspelt limit that silently does nothing is worse than a stop. What the values are used for is left to `ops.wiring`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ArchiveMissing, SettingsError

SETTINGS_FILE: Final = "pressmark.toml"
PREFIX: Final = "PRESSMARK_"
DEFAULT_DIRECTORY: Final = Path("archive")
MIB: Final = 1024 * 1024

Seconds = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatorTable(_Table):
    """Who crawls: stands in the User-Agent and in every warcinfo record."""

    name: str = ""
    contact: str = ""  # an e-mail address or URL at which the operator is reached


class CatalogTable(_Table):
    """Where the catalog is."""

    url: str = ""  # empty: SQLite in the archive's folder; postgresql+psycopg://... for many machines


class ObjectsTable(_Table):
    """Where sealed objects are."""

    url: str = ""  # empty: DIR/objects; a folder, or s3://bucket/prefix
    mirror: str = ""  # a second store that audit may name intact copies in


class CrawlTable(_Table):
    """How the crawl behaves."""

    user_agent: str = "pressmark"  # product token; robots.txt rules for it apply
    host_delay: Seconds = 2.0  # seconds between two exchanges with one host
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 16  # outlets served at a time
    images: Literal["none", "lead", "all"] = "none"
    recheck: tuple[Annotated[int, Field(gt=0)], ...] = (1800, 10800, 86400, 604800, 2592000)  # seconds
    allow_addresses: tuple[str, ...] = ()  # CIDR blocks that are not public and may be asked all the same
    connect_to: tuple[str, ...] = ()  # HOST:PORT:HOST:PORT, curl's syntax
    ca_file: str = ""  # PEM file of trusted authorities instead of the system's
    accept_language: str = "*"
    max_body: Bytes = 64 * MIB  # bytes of one response body as sent
    max_head: Bytes = MIB  # bytes of one response head
    max_entity: Bytes = 64 * MIB  # bytes of one body after content-decoding
    connect_timeout: Seconds = 15.0
    read_timeout: Seconds = 30.0  # seconds without a byte
    total_timeout: Seconds = 300.0  # seconds for one exchange


class ExtractTable(_Table):
    """How pages are read."""

    workers: Annotated[int, Field(ge=0, le=256)] = 1  # processes; 0: in the crawler's own
    max_seconds: Annotated[float, Field(gt=0)] = 30.0  # per page


class LogTable(_Table):
    """The transparency log."""

    origin: str = ""
    checkpoint_every: Annotated[float, Field(gt=0)] = 5.0  # seconds


class SegmentsTable(_Table):
    """When segments rotate."""

    max_bytes: Bytes = 1_000_000_000
    max_age: Annotated[float, Field(gt=0)] = 3600.0  # seconds


class OutletTable(_Table):
    """An outlet to add at `init`."""

    url: str
    name: str = ""
    feeds: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    every: str | int = ""  # e.g. "15m"; a ceiling


class Settings(_Table):
    """All of an archive's settings."""

    directory: Path = DEFAULT_DIRECTORY
    operator: OperatorTable = OperatorTable()
    catalog: CatalogTable = CatalogTable()
    objects: ObjectsTable = ObjectsTable()
    crawl: CrawlTable = CrawlTable()
    extract: ExtractTable = ExtractTable()
    log: LogTable = LogTable()
    segments: SegmentsTable = SegmentsTable()
    outlet: tuple[OutletTable, ...] = ()


def archive_directory(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The archive's folder: as given, else PRESSMARK_ARCHIVE, else ./archive."""
    return given or Path(environment.get(f"{PREFIX}ARCHIVE") or DEFAULT_DIRECTORY)


def load(directory: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read DIR/pressmark.toml and the environment. Raises ArchiveMissing, SettingsError."""
    path = directory / SETTINGS_FILE
    if not path.is_file():
        raise ArchiveMissing(
            f"{directory} holds no archive",
            remedy="run `pressmark init`, or name another folder with --archive DIR",
        )
    return parse(read_toml(path), directory, environment, where=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's values. Raises SettingsError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}", remedy="mend the file") from error


def parse(
    values: Mapping[str, Any], directory: Path, environment: Mapping[str, str] = os.environ, *, where: str
) -> Settings:
    """Check values and lay the environment over them. Raises SettingsError that names the key."""
    merged: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items() if k != "directory"}
    for table, key, text in _overrides(environment):
        fields = Settings.model_fields.get(table)
        if fields is None or table in ("directory", "outlet"):
            raise SettingsError(
                f"{PREFIX}{table.upper()}__{key.upper()} names no table of the settings",
                remedy="see the README for the keys",
            )
        merged.setdefault(table, {})[key] = _from_text(table, key, text)
    try:
        return Settings.model_validate({**merged, "directory": directory})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{where}: {name}: {first['msg'].lower()}", remedy="mend the key; the README lists them all"
        ) from error


def _overrides(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found = []
    for name, text in sorted(environment.items()):
        table, separator, key = name.removeprefix(PREFIX).partition("__")
        if name.startswith(PREFIX) and separator:
            found.append((table.lower(), key.lower(), text))
    return found


def _from_text(table: str, key: str, text: str) -> Any:
    """A list where the key is a list; pydantic reads numbers out of text."""
    model = Settings.model_fields[table].annotation
    field = model.model_fields.get(key) if isinstance(model, type) and issubclass(model, BaseModel) else None
    if field is not None and isinstance(field.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def seconds(text: str | int) -> int | None:
    """`90`, `90s`, `15m`, `6h` or `1d` in seconds; None for an empty text. Raises SettingsError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    plain = str(text).strip().lower()
    if not plain:
        return None
    number, unit = (plain[:-1], plain[-1]) if plain[-1] in units else (plain, "s")
    if not number.isdecimal() or int(number) == 0:
        raise SettingsError(f"{text!r} is not a length of time", remedy="write 90s, 15m, 6h or 1d")
    return int(number) * units[unit]
