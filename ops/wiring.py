"""The composition root: from settings to an opened archive and a crawler. Nothing else builds these.

The crawler's libraries are loaded where one is made: half of a second that commands which only read need not wait for.
"""

from __future__ import annotations

import importlib.metadata
import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.settings import SETTINGS_FILE, Settings, archive_directory, load, parse
from schemas.checkpoints import VerifierKey
from schemas.cosignatures import WITNESS_TYPES
from schemas.errors import SettingsError, UsageError
from schemas.outlets import Outlet
from schemas.urls import host_of
from storage.archive import Archive, StorageSettings, system_clock
from storage.lock import CrawlLock
from storage.recovery import recover

if TYPE_CHECKING:
    from ingest.extract.worker import ExtractPool
    from ingest.pipeline import Crawler, CrawlSettings
    from ingest.post import Post
    from ingest.recorder import RecorderSettings
    from storage.anchoring import Anchoring, AnchorSettings

SQLITE_FILE: Final = "catalog.sqlite"
OBJECTS_FOLDER: Final = "objects"


def software() -> str:
    """Name and version of this program."""
    return f"pressmark/{importlib.metadata.version('pressmark')}"


def user_agent(settings: Settings) -> str:
    """The User-Agent: product token, version, and how to reach the operator."""
    product = settings.crawl.user_agent
    base = software() if product == "pressmark" else product
    return f"{base} (+{settings.operator.contact})" if settings.operator.contact else base


def storage_settings(settings: Settings) -> StorageSettings:
    """What storage needs of the settings."""
    directory = settings.directory
    crawl = settings.crawl
    warcinfo = {
        "software": software(),
        "format": "WARC File Format 1.1",
        "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        "operator": f"{settings.operator.name} <{settings.operator.contact}>".strip(),
        "http-header-user-agent": user_agent(settings),
        "robots": "classic (RFC 9309)",
        "accept-language": crawl.accept_language,
    }
    return StorageSettings(
        directory=directory,
        catalog_url=settings.catalog.url or f"sqlite:///{directory.absolute() / SQLITE_FILE}",
        objects_url=settings.objects.url or str(directory.absolute() / OBJECTS_FOLDER),
        mirror_url=settings.objects.mirror,
        origin=settings.log.origin,
        segment_max_bytes=settings.segments.max_bytes,
        segment_max_age=settings.segments.max_age,
        max_entity=crawl.max_entity,
        warcinfo=warcinfo,
        passphrase=passphrase(settings),
    )


def passphrase(settings: Settings) -> str | None:
    """The passphrase of the log's key, where one is set. Raises SettingsError."""
    if settings.log.passphrase or not settings.log.passphrase_file:
        return settings.log.passphrase or None
    path = Path(settings.log.passphrase_file)
    try:
        first = path.read_text("utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"[log] passphrase_file {path} cannot be read: {words}", remedy="name a file that you may read"
        ) from error
    if not first:
        raise SettingsError(f"[log] passphrase_file {path} is empty", remedy="write the passphrase in its first line")
    return first


def open_archive(settings: Settings, *, mend: bool = False, say: Callable[[str], None] = print) -> Archive:
    """Open an archive; with `mend`, also complete what a stop interrupted (commands that write do)."""
    archive = Archive.open(storage_settings(settings))
    try:
        if mend:
            _mend(archive, settings, say)
    except BaseException:
        archive.close()
        raise
    return archive


def _mend(archive: Archive, settings: Settings, say: Callable[[str], None]) -> None:
    """What a command that writes does first. Raises LogForkRisk, before anything is signed."""
    if not archive.may_sign:
        raise UsageError(
            "the log key is encrypted", remedy="set PRESSMARK_LOG__PASSPHRASE, or [log] passphrase_file"
        )
    if settings.log.witnesses:
        for sentence in make_anchoring(archive, settings).check_start():
            say(sentence)
    for sentence in recover(archive):
        say(sentence)


def anchor_settings(settings: Settings) -> AnchorSettings:
    """Whom to ask to vouch for checkpoints."""
    from storage.anchoring import AnchorSettings, Authority, Witness
    from storage.log.stamps import trusted_roots

    pairs = (line.split(None, 1) for line in settings.log.witnesses)
    return AnchorSettings(
        authorities=tuple(Authority(url=url) for url in settings.log.timestamp_authorities),
        witnesses=tuple(
            Witness(url=url, vkey=VerifierKey.parse(key.strip(), types=WITNESS_TYPES)) for url, key in pairs
        ),
        timestamp_every=settings.log.timestamp_every,
        witness_every=settings.log.witness_every,
        roots=lambda: trusted_roots(
            Path(settings.log.timestamp_ca_file) if settings.log.timestamp_ca_file else None
        ),
    )


def make_post(settings: Settings) -> Post:
    """Small calls to services, by the crawl's address rules."""
    from ingest.post import Post, PostSettings

    crawl = settings.crawl
    return Post(
        settings=PostSettings(
            user_agent=user_agent(settings),
            allow_addresses=crawl.allow_addresses,
            connect_to=crawl.connect_to,
            ca_file=Path(crawl.ca_file) if crawl.ca_file else None,
        )
    )


def default_settings(directory: Path | None, allow: Sequence[str] | None) -> Settings:
    """The settings of an archive, or, where there is none, those that hold without one."""
    found = archive_directory(directory)
    settings = load(found) if (found / SETTINGS_FILE).is_file() else parse({}, found, where="the environment")
    crawl = settings.crawl.model_copy(update={"allow_addresses": (*settings.crawl.allow_addresses, *(allow or ()))})
    return settings.model_copy(update={"crawl": crawl})


def make_anchoring(archive: Archive, settings: Settings) -> Anchoring:
    """What has checkpoints stamped and cosigned."""
    from ingest.post import asker
    from storage.anchoring import Anchoring

    return Anchoring(archive, anchor_settings(settings), asker(make_post(settings)))


def recorder_settings(settings: Settings) -> RecorderSettings:
    """What the recorder needs of the settings."""
    from ingest.recorder import RecorderSettings

    crawl = settings.crawl
    return RecorderSettings(
        user_agent=user_agent(settings),
        connect_timeout=crawl.connect_timeout,
        read_timeout=crawl.read_timeout,
        total_timeout=crawl.total_timeout,
        max_body=crawl.max_body,
        max_head=crawl.max_head,
        allow_addresses=crawl.allow_addresses,
        connect_to=crawl.connect_to,
        ca_file=Path(crawl.ca_file) if crawl.ca_file else None,
        accept_language=crawl.accept_language,
        clock=system_clock,
    )


def crawl_settings(settings: Settings, limit: int | None = None) -> CrawlSettings:
    """What the journey needs of the settings."""
    from ingest.pipeline import CrawlSettings

    return CrawlSettings(
        user_agent=settings.crawl.user_agent,
        host_delay=settings.crawl.host_delay,
        concurrency=settings.crawl.concurrency,
        images=settings.crawl.images,
        recheck=settings.crawl.recheck,
        limit=limit,
    )


def extract_pool(settings: Settings) -> ExtractPool:
    """The processes that read pages."""
    from ingest.extract.worker import ExtractPool

    extract = settings.extract
    return ExtractPool(
        workers=extract.workers, max_seconds=extract.max_seconds, max_memory=extract.max_memory
    )  # fmt: skip


def make_crawler(
    archive: Archive,
    settings: Settings,
    pool: ExtractPool,
    *,
    limit: int | None = None,
    say: Callable[[str], None] = print,
) -> Crawler:
    """A crawler over an opened archive. Make it inside the event loop that it runs in."""
    from ingest.pipeline import Crawler
    from ingest.recorder import Recorder

    return Crawler(archive, crawl_settings(settings, limit), Recorder(recorder_settings(settings)), pool, say)


def need_contact(settings: Settings, outlets: list[Outlet]) -> None:
    """No crawl of a public address without somebody to complain to. Raises SettingsError."""
    if settings.operator.contact:
        return
    public = [o for o in outlets if not _is_private(host_of(o.url)) and not _kept_home(o, settings.crawl.connect_to)]
    if public:
        raise SettingsError(
            f"no contact is set and {public[0].url} is public",
            remedy="set [operator] contact in pressmark.toml to an e-mail address or URL at which you are reached",
        )


def _kept_home(outlet: Outlet, connect_to: Sequence[str]) -> bool:
    """Whether what is asked of an outlet's host goes to a private address instead (`connect_to`)."""
    for entry in connect_to:
        source, _, rest = entry.partition(":")
        target = rest.partition(":")[2].rpartition(":")[0]
        if source in ("", host_of(outlet.url)) and _is_private(target):
            return True
    return False


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return False


def crawl_lock(settings: Settings) -> CrawlLock:
    """On SQLite one process crawls at a time; on PostgreSQL leases keep processes apart and the lock does nothing."""
    return CrawlLock(settings.directory / "lock" if not settings.catalog.url.startswith("postgresql") else None)
