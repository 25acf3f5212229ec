"""Stages for the stories: the paper under its own name, and an archive of it that was crawled once and is copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.demo.server import PaperServer
from tests.journeys.stage import CONTACT, Stage

HOST = "www.harbour-lantern.example"
#: Pages are read in the crawler's own process unless a story says otherwise: each start of a pool costs a second.
QUICK = "[extract]\nworkers = 0\n"


def contact(paper: PaperServer) -> dict[str, str]:
    """The environment in which commands reach a paper that has a host name, wherever it listens."""
    return {"PRESSMARK_CRAWL__CONNECT_TO": paper.connect_to}


@pytest.fixture
def lantern() -> Iterator[PaperServer]:
    """The paper under its own name, in its first edition."""
    with PaperServer(host=HOST) as running:
        yield running


@pytest.fixture(scope="session")
def watched_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that watches the paper and has fetched no page yet."""
    archive = tmp_path_factory.mktemp("watched") / "archive"
    with PaperServer(host=HOST) as paper:
        stage = Stage(archive, contact(paper))
        stage.init(paper.settings.replace(f'connect_to = ["{paper.connect_to}"]\n', ""), "recheck = [86400]\n", QUICK)
        stage.run("outlet", "add", paper.url, "--name", "The Harbour Lantern")
    return archive


@pytest.fixture
def watched(watched_template: Path, lantern: PaperServer, tmp_path: Path) -> Callable[[str], Stage]:
    """Makes copies of an archive that watches the running paper."""

    def copy(name: str = "archive") -> Stage:
        shutil.copytree(watched_template, tmp_path / name)
        return Stage(tmp_path / name, contact(lantern))

    return copy


@pytest.fixture(scope="session")
def crawled_template(watched_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of two editions of the paper, sealed: corrections, a moved page, revisits."""
    folder = tmp_path_factory.mktemp("crawled")
    shutil.copytree(watched_template, folder / "archive")
    with PaperServer(host=HOST) as paper:
        stage = Stage(folder / "archive", contact(paper))
        stage.run("crawl", "--until-idle")
        paper.advance()
        stage.later()
        stage.run("crawl", "--until-idle")
    return folder / "archive"


@pytest.fixture
def crawled(crawled_template: Path, tmp_path: Path) -> Stage:
    """A copy of an archive of two editions; the paper is gone."""
    shutil.copytree(crawled_template, tmp_path / "archive")
    return Stage(tmp_path / "archive")


__all__ = ["CONTACT", "HOST", "QUICK"]
