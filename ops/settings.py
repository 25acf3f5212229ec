"""Settings: DIR/pressmark.toml, overridden by the environment, as frozen values. The only reader of the environment.

Every key can be overridden by `PRESSMARK_<TABLE>__<KEY>` (lists as comma-separated text). An unknown key is an error:
a misspelt limit that silently does nothing is worse than a stop. Each key's description is what the README prints.
What the values are used for is left to `ops.wiring`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from schemas.checkpoints import VerifierKey
from schemas.cosignatures import WITNESS_TYPES
from schemas.errors import ArchiveMissing, SettingsError

SETTINGS_FILE: Final = "pressmark.toml"
PREFIX: Final = "PRESSMARK_"
DEFAULT_DIRECTORY: Final = Path("archive")
MIB: Final = 1024 * 1024
#: Seconds that a poll may be put off by `every`: a year; more is a slip of the pen.
MAX_SECONDS: Final = 366 * 86400
#: Bytes of a settings file; a larger one is something else.
MAX_FILE: Final = MIB


def _plain(text: str) -> str:
    """What stands in request headers and WARC fields must not be able to begin another line there."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("control characters are not allowed")
    return text


def _log_name(text: str) -> str:
    """C2SP signed-note: a key's name has no spaces and no plus sign."""
    if re.search(r"[\s+\x00-\x1f\x7f]", text):
        raise ValueError("spaces, plus signs and control characters cannot stand in the name of a log")
    return text


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]
Plain = Annotated[str, AfterValidator(_plain)]


def _services(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not re.fullmatch(r"https?://[^\s/]+\S*", url):
            raise ValueError(f"{url!r} is no http or https URL")
    if len(set(urls)) != len(urls):
        raise ValueError("one is named twice")
    return urls


def _witnesses(lines: tuple[str, ...]) -> tuple[str, ...]:
    for line in lines:
        url, _, key = line.partition(" ")
        _services((url,))
        VerifierKey.parse(key.strip(), types=WITNESS_TYPES)  # an InvalidValue is a ValueError
    return lines


Services = Annotated[tuple[str, ...], AfterValidator(_services)]
Witnesses = Annotated[tuple[str, ...], AfterValidator(_witnesses)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatorTable(_Table):
    """Who crawls: stands in the User-Agent and in every warcinfo record."""

    name: Plain = Field(default="", description="who operates the archive")
    contact: Plain = Field(
        default="", description="e-mail address or URL at which you are reached; public sites need one"
    )


class CatalogTable(_Table):
    """Where the catalog is."""

    url: str = Field(default="", description="empty: SQLite in the archive's folder; or `postgresql+psycopg://…`")


class ObjectsTable(_Table):
    """Where sealed objects are."""

    url: str = Field(
        default="", description="empty: `objects/` in the archive's folder; or a folder, or `s3://bucket/prefix`"
    )
    mirror: str = Field(default="", description="a second store, kept whole, that `audit --repair` restores from")


class CrawlTable(_Table):
    """How the crawl behaves."""

    user_agent: Annotated[Plain, Field(min_length=1)] = Field(
        default="pressmark", description="product token of the User-Agent; robots.txt rules for it apply"
    )
    host_delay: Seconds = Field(default=2.0, description="seconds between two exchanges with one host")
    concurrency: Annotated[int, Field(ge=1, le=1024)] = Field(default=64, description="outlets served at a time")
    images: Literal["none", "lead", "all"] = Field(
        default="none", description="which images of an article are fetched: `none`, the `lead`, or `all`"
    )
    recheck: tuple[Annotated[int, Field(gt=0)], ...] = Field(
        default=(1800, 10800, 86400, 604800, 2592000),
        description="seconds after its first capture at which a page is checked",
    )
    allow_addresses: tuple[str, ...] = Field(
        default=(), description="CIDR blocks, not public, that may be asked all the same"
    )
    connect_to: tuple[str, ...] = Field(
        default=(), description="send a host elsewhere: `HOST:PORT:HOST:PORT`, curl's syntax"
    )
    ca_file: str = Field(default="", description="PEM file of trusted authorities instead of the system's")
    accept_language: Annotated[Plain, Field(min_length=1)] = Field(
        default="*", description="Accept-Language of every request"
    )
    max_body: Bytes = Field(
        default=64 * MIB, description="bytes of a response body as sent; the rest is cut and marked"
    )
    max_head: Bytes = Field(default=MIB, description="bytes of a response head")
    max_entity: Bytes = Field(default=64 * MIB, description="bytes of a body after content-decoding")
    connect_timeout: SomeSeconds = Field(default=15.0, description="seconds for name, connection and TLS handshake")
    read_timeout: SomeSeconds = Field(default=30.0, description="seconds without a byte")
    total_timeout: SomeSeconds = Field(default=300.0, description="seconds for one exchange")


class ExtractTable(_Table):
    """How pages are read."""

    workers: Annotated[int, Field(ge=0, le=256)] = Field(
        default=1, description="processes that read pages; 0: the crawler's"
    )
    max_seconds: SomeSeconds = Field(default=30.0, description="seconds for one page")
    max_memory: Annotated[int, Field(ge=512 * MIB)] = Field(
        default=2048 * MIB, description="bytes of address space of a process that reads pages"
    )


class LogTable(_Table):
    """The transparency log."""

    origin: Annotated[str, AfterValidator(_log_name)] = Field(
        default="", description="the log's name, set by `init`; never change it"
    )
    checkpoint_every: SomeSeconds = Field(default=5.0, description="seconds between two checkpoints")
    timestamp_authorities: Services = Field(
        default=(), description="URLs of RFC 3161 authorities that stamp checkpoints"
    )
    timestamp_every: SomeSeconds = Field(default=600.0, description="seconds between two timestamps, if the log grew")
    timestamp_ca_file: str = Field(
        default="", description="PEM file with the authorities' roots; empty: the system's authorities"
    )
    witnesses: Witnesses = Field(
        default=(), description="`URL KEY` of each witness that cosigns checkpoints (C2SP tlog-witness)"
    )
    witness_every: SomeSeconds = Field(default=600.0, description="seconds between two cosignatures, if the log grew")
    passphrase: str = Field(
        default="", repr=False, description="encrypts the log's key; better set by the environment or in a file"
    )
    passphrase_file: str = Field(default="", description="file whose first line is the passphrase")


class SegmentsTable(_Table):
    """When segments rotate."""

    max_bytes: Bytes = Field(default=1_000_000_000, description="bytes of a segment file")
    max_age: SomeSeconds = Field(default=3600.0, description="seconds from its first record to its sealing")


class AuditTable(_Table):
    """How `run` audits by itself."""

    every: Seconds = Field(default=86400.0, description="seconds between two audits of `run`; 0: none")
    sample: Annotated[int, Field(ge=0)] = Field(
        default=1000, description="records that each reads, chosen at random; 0: all"
    )
    rate: SomeSeconds = Field(default=20_000_000.0, description="bytes a second that they read at most")


class OutletTable(_Table):
    """An outlet to add at `init`."""

    url: str = Field(description="its homepage")
    name: Plain = Field(default="", description="its name; empty: its host")
    feeds: tuple[str, ...] = Field(default=(), description="URLs of feeds, instead of looking for them")
    sitemaps: tuple[str, ...] = Field(default=(), description="URLs of sitemaps")
    every: str | int = Field(default="", description="poll at least this often: `90s`, `15m`, `6h`, `1d`")


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
    audit: AuditTable = AuditTable()
    outlet: tuple[OutletTable, ...] = ()


#: The tables of a settings file, each with its keys.
TABLES: Final[dict[str, type[BaseModel]]] = {
    "operator": OperatorTable,
    "catalog": CatalogTable,
    "objects": ObjectsTable,
    "crawl": CrawlTable,
    "extract": ExtractTable,
    "log": LogTable,
    "segments": SegmentsTable,
    "audit": AuditTable,
    "outlet": OutletTable,
}


def outlet_table(values: Mapping[str, Any]) -> OutletTable:
    """An outlet as the command line gives it. Raises SettingsError."""
    try:
        return OutletTable.model_validate(dict(values))
    except ValidationError as error:
        raise _explained(error, "the outlet", {}) from error


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
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise SettingsError(f"{path} is larger than {MAX_FILE} bytes", remedy="give a settings file")
        return tomllib.loads(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsError(f"{path} cannot be read as TOML: {words}", remedy="mend the file") from error


def parse(
    values: Mapping[str, Any], directory: Path, environment: Mapping[str, str] = os.environ, *, where: str
) -> Settings:
    """Check values and lay the environment over them. Raises SettingsError that names the key and where it stands."""
    merged: dict[str, Any] = {}
    for name, value in values.items():
        if name not in TABLES:
            raise _unknown(f"{where}: [{name}]", name, TABLES)
        merged[name] = dict(value) if isinstance(value, dict) else value
    origins: dict[tuple[str, ...], str] = {}
    for variable, table, key, text in _overrides(environment):
        if not isinstance(merged.setdefault(table, {}), dict):
            raise SettingsError(f"{where}: {table} is not a table", remedy=f"write [{table}] and its keys below it")
        merged[table][key] = _from_text(table, key, text)
        origins[table, key] = variable
    try:
        return Settings.model_validate({**merged, "directory": directory})
    except ValidationError as error:
        raise _explained(error, where, origins) from error


def _explained(error: ValidationError, where: str, origins: Mapping[tuple[str, ...], str]) -> SettingsError:
    """The first thing that is wrong, in words, with the key and the file or variable in which it stands."""
    first = error.errors()[0]
    names = tuple(str(part) for part in first["loc"])
    keys = tuple(part for part in names if not part.isdecimal())
    place = origins.get(keys[:2]) or f"{where}: {'.'.join(names)}"
    if first["type"] == "extra_forbidden":
        return _unknown(place, keys[-1], TABLES[keys[0]].model_fields)
    words = first["msg"].removeprefix("Value error, ").lower()
    return SettingsError(f"{place}: {words}", remedy="mend the value; the README lists all keys")


def _unknown(place: str, name: str, known: Mapping[str, Any]) -> SettingsError:
    near = difflib.get_close_matches(name, known, 1)
    remedy = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return SettingsError(f"{place}: no setting is called {name!r}", remedy=remedy)


def _overrides(environment: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """(variable, table, key, text) of each override. Raises SettingsError for a table that is none."""
    found = []
    for variable, text in sorted(environment.items()):
        table, separator, key = variable.removeprefix(PREFIX).partition("__")
        if not variable.startswith(PREFIX) or not separator:
            continue
        table, key = table.lower(), key.lower()
        if table == "outlet":
            raise SettingsError(f"{variable} cannot be set by the environment", remedy="use `pressmark outlet add`")
        if table not in TABLES:
            raise _unknown(variable, table, {name: None for name in TABLES if name != "outlet"})
        found.append((variable, table, key, text))
    return found


def _from_text(table: str, key: str, text: str) -> Any:
    """A list where the key is a list; pydantic reads numbers out of text."""
    field = TABLES[table].model_fields.get(key)
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
    if not (number.isascii() and number.isdecimal()) or not 0 < int(number) * units[unit] <= MAX_SECONDS:
        raise SettingsError(f"{text!r} is not a length of time up to a year", remedy="write 90s, 15m, 6h or 1d")
    return int(number) * units[unit]
