"""Fixtures for all floors: the world, a newspaper, services, the data folder; and what was skipped."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.demo.server import PaperServer
from tests.support.newsroom import Newsroom
from tests.support.services import (
    S3_KEY,
    S3_REGION,
    S3_SECRET,
    Bucket,
    Postgres,
    new_bucket,
    postgres_or_skip,
    s3_server,
)
from tests.support.tools import TOOLS, missing_tools

ROOT = Path(__file__).resolve().parent.parent
#: Fixtures that give a test its mark, so that `-m postgres` finds all that need one.
MARKING = {"postgres_url": "postgres", "s3_bucket": "s3", "shared": "shared"}


def _shared_folder() -> Path | None:
    named = os.environ.get("PRESSMARK_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    return folder if (folder / "corpus").is_dir() else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures that they use, before `-m` chooses."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKING:
                item.add_marker(MARKING[fixture])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `shared` is skipped where the data folder is missing, with or without the fixture."""
    if item.get_closest_marker("shared") is not None and _shared_folder() is None:
        pytest.skip("the data folder is missing (../shared beside the checkout, or PRESSMARK_SHARED)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not looked at, and why."""
    skipped: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped[why.removeprefix("Skipped: ")] += 1
    missing = missing_tools()
    if not skipped and not missing:
        return
    terminalreporter.section("not looked at")
    for why, count in sorted(skipped.items()):
        terminalreporter.line(f"{count} skipped: {why}")
    for name in missing:
        terminalreporter.line(f"{name} is not installed: {TOOLS[name]}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The data folder beside the checkout (corpora, vectors, seed); skipped where it is missing."""
    folder = _shared_folder()
    if folder is None:
        pytest.skip("the data folder is missing (../shared beside the checkout, or PRESSMARK_SHARED)")
    return folder


@pytest.fixture
def newsroom() -> Iterator[Newsroom]:
    """The world over plain HTTP, running and empty."""
    with Newsroom() as room:
        yield room


@pytest.fixture
def tls_newsroom() -> Iterator[Newsroom]:
    """The world over TLS, running and empty; `ca_file` is what a client must trust."""
    with Newsroom(tls=True) as room:
        yield room


@pytest.fixture
def paper() -> Iterator[PaperServer]:
    """The Harbour Lantern by address over plain HTTP, running, in its first edition."""
    with PaperServer() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server for the session; skipped by name where it cannot start."""
    with postgres_or_skip() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """`postgresql+psycopg://…` of a new, empty database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The endpoint of an S3 server for the session."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def s3_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of the tests' S3 servers, and nothing of the machine's own."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", S3_REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3_bucket(s3_endpoint: str, s3_environment: None) -> Bucket:
    """A new bucket on the session's server."""
    return new_bucket(s3_endpoint)
