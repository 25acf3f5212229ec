"""The paper's stories: read from `stories/*.toml`, and what each of them says in which edition.

A story is the truth that a page is rendered from, so a test can ask what an extractor should have found. How it
looks as HTML is left to `layout`, where it is found to `newspaper`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Any, Literal

Transfer = Literal["plain", "chunked", "gzip"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A photo in a story. `style` says how the page writes its caption and credit (see `layout`)."""

    name: str
    alt: str
    caption: str
    credit: str
    style: str

    @property
    def path(self) -> str:
        """Where the image is."""
        return f"/photos/{self.name}.jpg"


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """A change that is published with an edition."""

    edition: int
    modified: str
    title: str | None = None
    replace: tuple[tuple[str, str], ...] = ()
    append: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """One article. Times are as the page writes them: RFC 3339, or a date alone."""

    path: str
    section: str
    title: str
    standfirst: str
    authors: tuple[str, ...]
    published: str
    paragraphs: tuple[str, ...]
    """A paragraph that starts with `## ` is a subheading."""
    modified: str | None = None
    language: str = "en"
    kind: str = "article"
    access: str = "free"
    layout: str = "classic"
    byline: str | None = None
    """How the page names the authors, where it is not a list of their names."""
    tags: tuple[str, ...] = ()
    photos: tuple[Picture, ...] = ()
    transfer: Transfer = "plain"
    restless: bool = False
    """Whether the page's bytes differ at every visit while its text stays the same."""
    from_edition: int = 0
    revisions: tuple[Revision, ...] = ()
    move_edition: int | None = None
    move_path: str | None = None
    fail_status: int | None = None
    fail_until: int | None = None
    """The edition in which a failing page begins to work; None where it never does."""

    def at(self, edition: int) -> Story:
        """The story as the edition has it: corrected, and at its new address where it moved."""
        story = self
        for revision in self.revisions:
            if revision.edition <= edition:
                paragraphs = tuple(_replaced(text, revision.replace) for text in story.paragraphs)
                story = replace(
                    story,
                    title=revision.title or story.title,
                    modified=revision.modified,
                    paragraphs=paragraphs + revision.append,
                )
        if self.move_path is not None and self.move_edition is not None and edition >= self.move_edition:
            story = replace(story, path=self.move_path)
        return story

    def failing(self, edition: int) -> int | None:
        """The status that the page fails with in an edition, None where it works."""
        if self.fail_status is None or (self.fail_until is not None and edition >= self.fail_until):
            return None
        return self.fail_status

    @property
    def text(self) -> tuple[str, ...]:
        """What a reader reads: standfirst and paragraphs, without the marks of subheadings."""
        lead = (self.standfirst,) if self.standfirst else ()
        return lead + tuple(text.removeprefix("## ") for text in self.paragraphs)

    @property
    def seconds(self) -> float:
        """The last change as seconds since 1970; a date alone counts from midnight UTC."""
        return instant(self.modified or self.published).timestamp()


def instant(value: str) -> datetime:
    """A time as a story writes it, as an aware instant."""
    if len(value) == len("2025-10-13"):
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return datetime.fromisoformat(value)


@cache
def stories() -> tuple[Story, ...]:
    """All stories of all editions, newest first."""
    folder = resources.files("ops.demo") / "stories"
    found = [
        _story(tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    ]
    return tuple(sorted(found, key=lambda story: (-instant(story.published).timestamp(), story.path)))


def _story(values: dict[str, Any]) -> Story:
    move = values.pop("move", {})
    fails = values.pop("fails", {})
    photos = tuple(Picture(**photo) for photo in values.pop("photos", ()))
    revisions = tuple(_revision(revision) for revision in values.pop("revisions", ()))
    for name in ("authors", "paragraphs", "tags"):
        values[name] = tuple(values.get(name, ()))
    return Story(
        **values,
        photos=photos,
        revisions=revisions,
        move_edition=move.get("edition"),
        move_path=move.get("path"),
        fail_status=fails.get("status"),
        fail_until=fails.get("until_edition"),
    )


def _revision(values: dict[str, Any]) -> Revision:
    pairs = tuple((old, new) for old, new in values.pop("replace", ()))
    return Revision(**values | {"append": tuple(values.get("append", ()))}, replace=pairs)


def _replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        text = text.replace(old, new)
    return text
