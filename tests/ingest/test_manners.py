"""robots.txt by the sections of RFC 9309, Retry-After, back-off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.manners import (
    BACKOFF_BASE,
    BACKOFF_MAX,
    JITTER,
    MAX_CRAWL_DELAY,
    MAX_RETRY_AFTER,
    MAX_ROBOTS,
    Robots,
    Rule,
    backoff,
    product_token,
    retry_after,
    robots_policy,
)

AGENT = "Pressmark/0.1 (+mailto:desk@example.org)"
NOW = datetime(2022, 9, 13, 12, 0, tzinfo=UTC)


def allowed(text: str | bytes, path: str, agent: str = AGENT) -> bool:
    body = text.encode() if isinstance(text, str) else text
    return Robots.parse(body, agent).allowed(f"https://lantern.example{path}")


# -- 2.2.1: the group for us --------------------------------------------------------------------------------------


def test_the_group_of_our_token_goes_before_the_one_for_all() -> None:
    text = "User-agent: *\nDisallow: /\n\nUser-agent: PressMark\nDisallow: /private\n"
    assert allowed(text, "/a")
    assert not allowed(text, "/private/a")
    assert not allowed(text, "/a", "OtherBot/2.0")


@pytest.mark.parametrize(
    "line", ["pressmark", "PRESSMARK", "Pressmark/0.1", "Pressmark (a crawler)", " pressmark # us"]
)
def test_the_token_matches_in_any_case_and_with_a_version(line: str) -> None:
    assert not allowed(f"User-agent: {line}\nDisallow: /\n", "/a")


@pytest.mark.parametrize("line", ["press", "pressmarker", "Pressmark-News", "mark", "Mozilla/5.0 Pressmark"])
def test_another_token_is_another_crawler(line: str) -> None:
    assert allowed(f"User-agent: {line}\nDisallow: /\n", "/a")


def test_groups_of_one_token_are_joined() -> None:
    text = "User-agent: pressmark\nDisallow: /a\n\nUser-agent: x\nDisallow: /c\n\nUser-agent: pressmark\nDisallow: /b\n"
    assert [allowed(text, path) for path in ("/a", "/b", "/c")] == [False, False, True]


def test_several_agents_share_a_group() -> None:
    text = "User-agent: x\nUser-agent: pressmark\n\nDisallow: /a\n"
    assert not allowed(text, "/a")


def test_a_group_for_us_without_rules_frees_us() -> None:
    assert allowed("User-agent: *\nDisallow: /\n\nUser-agent: pressmark\nDisallow:\n", "/a")


def test_other_records_do_not_end_a_group() -> None:  # 2.2.4
    text = "User-agent: x\nSitemap: https://lantern.example/s.xml\nCrawl-delay: 3\nUser-agent: *\nDisallow: /a\n"
    assert not allowed(text, "/a")
    assert not allowed(text, "/a", "x")
    robots = Robots.parse(text.encode(), AGENT)
    assert robots.sitemaps == ("https://lantern.example/s.xml",)


def test_rules_before_any_agent_belong_to_nobody() -> None:
    assert allowed("Disallow: /\nUser-agent: x\nDisallow: /\n", "/a")


# -- 2.2.2: the rules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("Disallow: /fish", "/fish", False),
        ("Disallow: /fish", "/fish.html", False),
        ("Disallow: /fish", "/Fish", True),
        ("Disallow: /fish", "/catfish", True),
        ("Disallow: /fish*", "/fishheads?x=1", False),
        ("Disallow: /fish/", "/fish", True),
        ("Disallow: /*.php", "/folder/a.php?x", False),
        ("Disallow: /*.php$", "/a.php?x", True),
        ("Disallow: /*.php$", "/a.php", False),
        ("Disallow: /$", "/", False),
        ("Disallow: /$", "/a", True),
        ("Disallow: *", "/a", False),
        ("Disallow: fish", "/fish", False),
        ("Disallow: /a*b*c", "/axxbyyc/z", False),
        ("Disallow: /a*b*c$", "/axxbyycz", True),
        ("Disallow: /?print", "/?print=1", False),
        ("Disallow: /a$b", "/a$b", False),
        ("Disallow: /page\nAllow: /p", "/page", False),
        ("Allow: /p\nDisallow: /", "/page", True),
        ("Allow: /folder\nDisallow: /folder", "/folder/page", True),
        ("Allow: /page\nDisallow: /*.htm", "/page.htm", False),
        ("Allow: /$\nDisallow: /", "/page.htm", False),
        ("Allow: /$\nDisallow: /", "/", True),
        ("Disallow: /foo/bar?baz=quz", "/foo/bar?baz=quz", False),
        ("Disallow: /ツ", "/%E3%83%84", False),
        ("Disallow: /%e3%83%84", "/ツ", False),
        ("Disallow: /bar/%62%61%7A", "/bar/baz", False),
        ("Disallow: /a%3cd.html", "/a%3Cd.html", False),
        ("Disallow: /a%2Fb", "/a/b", True),
        ("Dissallow: /a", "/a", False),
        ("Disallow /a", "/a", False),
        ("Disallow:/a#not this", "/a", False),
    ],
)
def test_rules(rules: str, path: str, expected: bool) -> None:
    assert allowed(f"User-agent: *\n{rules}\n", path) is expected


def test_robots_txt_itself_may_always_be_fetched() -> None:
    assert allowed("User-agent: *\nDisallow: /\n", "/robots.txt")
    assert robots_policy(None, b"", AGENT).allowed("https://lantern.example/robots.txt")


def test_what_is_no_url_may_not_be_fetched() -> None:
    assert not Robots().allowed("nonsense")


# -- 2.3: access --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, False),
        (206, False),
        (301, True),
        (401, True),
        (403, True),
        (404, True),
        (410, True),
        (451, True),
        (429, False),
        (500, False),
        (503, False),
        (599, False),
        (None, False),
    ],
)
def test_what_an_answer_means(status: int | None, expected: bool) -> None:
    assert robots_policy(status, b"User-agent: *\nDisallow: /a", AGENT).allowed("https://x.example/a") is expected


def test_an_empty_file_allows_all() -> None:
    assert robots_policy(200, b"", AGENT).allowed("https://x.example/a")


# -- 2.5: limits and odd files ------------------------------------------------------------------------------------


def test_500_kib_are_read_and_no_half_line() -> None:
    head = b"User-agent: *\nDisallow: /early\n"
    filler = b"# filler\n" * ((MAX_ROBOTS - len(head)) // 9)
    short = MAX_ROBOTS - len(head) - len(filler)
    assert short < 14
    tail = b"Disallow: /late"
    assert not allowed(head + filler + tail, "/early")
    assert allowed(head + filler + tail, "/la"), "a rule cut in half would forbid far more"
    inside = head + filler[: -9 * 3] + tail + b"\n"
    assert len(inside) <= MAX_ROBOTS
    assert not allowed(inside, "/late")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark(newline: str) -> None:
    text = newline.join(["\ufeffUser-agent: *", "Disallow: /a", ""])
    assert not allowed(text, "/a")


def test_a_page_in_place_of_the_file_allows_all() -> None:
    assert allowed("<!doctype html><html><head><title>Not found: sorry</title></head></html>", "/a")


@given(st.binary(max_size=400))
def test_any_bytes_give_an_answer(body: bytes) -> None:
    robots = Robots.parse(b"User-agent: *\n" + body, AGENT)
    assert robots.allowed("https://x.example/a?b") in (True, False)
    assert robots.allowed("https://x.example/robots.txt")


PATHS = st.text(alphabet="/ab*$?=.%2fé", max_size=10).map(lambda text: f"/{text}")


@given(st.lists(st.tuples(st.booleans(), PATHS), max_size=6), st.text(alphabet="/abc", max_size=8))
def test_the_longest_match_decides(rules: list[tuple[bool, str]], path: str) -> None:
    text = "User-agent: *\n" + "".join(f"{'Allow' if a else 'Disallow'}: {p}\n" for a, p in rules)
    robots = Robots.parse(text.encode(), AGENT)
    fitting = [rule for rule in robots.rules if rule.matches(f"/{path}")]
    longest = max((len(rule.pattern) for rule in fitting), default=0)
    expected = not fitting or any(rule.allow for rule in fitting if len(rule.pattern) == longest)
    assert robots.allowed(f"https://x.example/{path}") is expected


def test_a_hostile_pattern_ends() -> None:
    rule = Rule(pattern="/" + "a*" * 4000 + "b", allow=False)  # with backtracking this would run for ever
    assert not rule.matches("/" + "a" * 8000)
    assert rule.matches("/" + "a" * 8000 + "b")


# -- delays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", 5.0),
        ("0.5", 0.5),
        ("1,5", 1.5),
        ("-1", None),
        ("x", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        ("100000", MAX_CRAWL_DELAY),
    ],
)
def test_crawl_delay(value: str, expected: float | None) -> None:
    assert Robots.parse(f"User-agent: *\nCrawl-delay: {value}\n".encode(), AGENT).crawl_delay == expected


def test_a_crawl_delay_for_others_is_not_ours() -> None:
    robots = Robots.parse(b"User-agent: x\nCrawl-delay: 9\nDisallow: /\n\nUser-agent: *\nDisallow: /a\n", AGENT)
    assert robots.crawl_delay is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0), (" 0 ", 0.0), ("99999999999999999999", MAX_RETRY_AFTER), (None, None), ("", None),
        ("soon", None), ("-5", None), ("1.5", None), ("Tue, 13 Sep 2022 12:01:00 GMT", 60.0),
        ("Tuesday, 13-Sep-22 12:01:00 GMT", 60.0), ("Tue Sep 13 12:01:00 2022", 60.0),
        ("Tue, 13 Sep 2022 11:00:00 GMT", 0.0), ("Fri, 13 Sep 2052 11:00:00 GMT", MAX_RETRY_AFTER),
        ("Tue, 99 Sep 2022 11:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert retry_after(value, NOW) == expected


@given(st.text(max_size=40))
def test_any_retry_after_gives_an_answer(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(st.integers(0, 80_000))
def test_a_retry_after_date_reads_back(seconds: int) -> None:
    value = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(value, NOW) == seconds


@given(st.integers(1, 10_000), st.text(max_size=20))
def test_backoff_grows_within_its_bounds_and_repeats(failures: int, seed: str) -> None:
    seconds = backoff(failures, seed=seed)
    plain = min(BACKOFF_BASE * 2.0 ** min(failures - 1, 40), BACKOFF_MAX)
    assert plain * (1 - JITTER) <= seconds <= plain * (1 + JITTER)
    assert backoff(failures, seed=seed) == seconds


def test_backoff_varies_with_the_host() -> None:
    assert backoff(0, seed="a") == 0.0
    assert len({backoff(3, seed=f"h{number}.example") for number in range(50)}) == 50


def test_product_tokens() -> None:
    tokens = [product_token(text) for text in (AGENT, "pressmark", " Foo_Bar-2 x", "", "  ", "/1")]
    assert tokens == ["pressmark", "pressmark", "foo_bar-2", "", "", ""]
