"""Walls as an answer shows them: general rules, and careful ones."""

from __future__ import annotations

import pytest

from ingest.walls import wall_of

ARTICLE_TEXT = "<p>" + "The ferry runs again and the islanders cheer on the quay. " * 20 + "</p>"
ASKED = "https://news.example/2026/11/ferry"
HTML = [("Content-Type", "text/html; charset=utf-8")]


def judged(
    title: str = "Ferry runs again", text: str = "<p>Wait.</p>", *, status: int = 200, url: str = ASKED,
    headers: list[tuple[str, str]] = HTML, asked: str | None = None,
) -> str | None:  # fmt: skip
    body = f"<html><head><title>{title}</title></head><body>{text}</body></html>".encode()
    return wall_of(url=url, status=status, headers=headers, body=body, asked=asked)


@pytest.mark.parametrize(
    ("title", "status", "wall"),
    [
        ("Just a moment...", 403, "bot"),
        ("Just a moment...", 503, "bot"),
        ("Attention Required! | Cloudflare", 403, "bot"),
        ("Access Denied", 403, "bot"),
        ("Pardon Our Interruption", 200, "bot"),
        ("Security check", 429, "bot"),
        ("404 - The News", 200, "soft404"),
        ("Page not found | The News", 200, "soft404"),
        ("Seite nicht gefunden", 200, "soft404"),
        ("Log in to The News", 200, "login"),
        ("Anmelden", 200, "login"),
        ("Before you continue", 200, "consent"),
        ("Zustimmung erforderlich", 200, "consent"),
        ("Page not found", 404, None),  # the status says it
        ("Log in", 401, None),
        ("Ferry runs again", 200, None),
        ("Ferry runs again", 403, None),
        ("Just a moment...", 500, None),
    ],
)
def test_titles_of_walls(title: str, status: int, wall: str | None) -> None:
    assert judged(title, status=status) == wall


@pytest.mark.parametrize("title", ["Just a moment", "404", "Log in", "Before you continue", "Access denied"])
def test_a_page_with_an_article_on_it_is_none(title: str) -> None:
    assert judged(title, ARTICLE_TEXT) is None
    assert judged(title, "<script>" + ARTICLE_TEXT + "</script>") is not None


@pytest.mark.parametrize(
    "header",
    [("CF-Mitigated", "challenge"), ("x-amzn-waf-action", "captcha"), ("X-DataDome", "protected")],
)
def test_services_say_in_a_header_that_it_is_theirs(header: tuple[str, str]) -> None:
    assert judged(headers=[*HTML, header], status=403) == "bot"
    assert judged(headers=[*HTML, (header[0], "none")], status=403) is None


def test_a_mark_of_a_challenge_in_a_page_without_text() -> None:
    script = '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script>'
    assert judged("news.example", script, status=403) == "bot"
    assert judged("Ferry", script + ARTICLE_TEXT) is None


def test_where_one_was_sent_to() -> None:
    password = "<form><input name=p type='password'></form>"
    assert judged(url="https://consent.news.example/?to=x", asked=ASKED) == "consent"
    assert judged(url="https://news.example/login?next=x", asked=ASKED, text=password) == "login"
    assert judged(url="https://news.example/login?next=x", asked=ASKED) is None
    assert judged(url="https://www.news.example/", asked=ASKED, text=ARTICLE_TEXT) == "soft404"
    assert judged(url="https://other.example/", asked=ASKED, text=ARTICLE_TEXT) is None
    assert judged(url="https://news.example/2026/11/the-ferry", asked=ASKED, text=ARTICLE_TEXT) is None


def test_what_is_no_page_is_no_wall() -> None:
    assert judged("404", headers=[("Content-Type", "application/xml")]) is None
    assert wall_of(url=ASKED, status=200, headers=HTML, body=b"") is None
    assert wall_of(url=ASKED, status=None, headers=[], body=b"\xff" * 100) is None


@pytest.mark.parametrize("piece", [b"<script", b"<p ", b"<title ", b"<input ", b"<", b"<p><b", b"&#", b"</script "])
def test_hostile_repetition_is_read_to_its_end(piece: bytes) -> None:
    """Each rule is linear: a quadratic one would not come back for minutes."""
    body = b"<title>404</title>" + piece * (200_000 // len(piece))
    assert wall_of(url="https://news.example/login", status=200, headers=HTML, body=body, asked=ASKED) in (
        "soft404",
        None,  # so many empty paragraphs may hold an article's worth of words
    )
