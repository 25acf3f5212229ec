"""The same commands on PostgreSQL and S3, and on two machines that share them."""

from __future__ import annotations

import shutil

from tests.ops.conftest import LOCAL, Pressmark
from tests.ops.test_cli_crawl import feed, intact, page
from tests.support.newsroom import Newsroom
from tests.support.services import Bucket


def test_two_machines_share_one_archive(
    pressmark: Pressmark, room: Newsroom, postgres_url: str, s3_bucket: Bucket
) -> None:
    text = f'{LOCAL}\n[catalog]\nurl = "{postgres_url}"\n\n[objects]\nurl = "{s3_bucket.url}"\n'
    made = pressmark("init", "--settings", pressmark.settings(text), "--contact", "c@lantern.example", "--json").done()
    again = pressmark.archive.with_name("again")
    pressmark("init", again, "--settings", pressmark.settings(text), "--contact", "c@lantern.example").refused(
        2, "there is a catalog"
    )
    assert not (again / "keys").exists()
    second = pressmark.archive.with_name("second")
    (second / "keys").mkdir(parents=True)
    shutil.copy(pressmark.archive / "pressmark.toml", second)
    shutil.copy(pressmark.archive / "keys" / "log.key", second / "keys")

    paths = [f"/{number}.html" for number in range(12)]
    for number, path in enumerate(paths):
        room.page(path, page(number))
    pressmark("outlet", "add", room.url("/"), "--name", "The Lantern", "--feed", feed(room, *paths)).done()
    pressmark("crawl", "--until-idle", "--limit", "4").done()
    pressmark("crawl", "--until-idle", "-C", second, "--limit", "4").done()
    pressmark("crawl", "--until-idle").done()
    assert len(pressmark("articles", "-C", second).done().out.splitlines()) == len(paths)
    asked = [target for target in room.asked() if target in paths]
    assert sorted(asked) == sorted(paths), "each page once, by one of the two"
    assert pressmark("log", "key", "-C", second, "--json").done().values == [{"key": made.values[0]["key"]}]
    intact(pressmark)
