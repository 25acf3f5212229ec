"""Settings: what is read, what the environment changes, and that nothing misspelt is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import settings
from ops.settings import TABLES, Settings, outlet_table, parse, read_toml, seconds
from schemas.errors import ArchiveMissing, SettingsError

HERE = Path("archive")


def read(text: str, folder: Path, **environment: str) -> Settings:
    (folder / settings.SETTINGS_FILE).write_text(text, encoding="utf-8")
    return settings.load(folder, environment)


def test_no_settings_at_all_are_the_defaults(tmp_path: Path) -> None:
    found = read("", tmp_path)
    assert found == Settings(directory=tmp_path)
    assert (found.crawl.host_delay, found.crawl.recheck[0], found.segments.max_bytes) == (2.0, 1800, 1_000_000_000)


def test_a_folder_without_settings_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="pressmark init"):
        settings.load(tmp_path, {})


def test_file_then_environment(tmp_path: Path) -> None:
    found = read(
        '[crawl]\nhost_delay = 5\nconcurrency = 3\nconnect_to = ["a:1:b:2"]\n',
        tmp_path,
        PRESSMARK_CRAWL__HOST_DELAY="0",
        PRESSMARK_CRAWL__RECHECK="60, 120,",
        PRESSMARK_CRAWL__ALLOW_ADDRESSES="127.0.0.0/8,::1/128",
        PRESSMARK_OPERATOR__CONTACT="desk@lantern.example",
        PRESSMARK_ARCHIVE="elsewhere",
        PRESSMARK_LONG="1",
        OTHER__KEY="x",
    )
    assert (found.crawl.host_delay, found.crawl.concurrency) == (0.0, 3)
    assert found.crawl.recheck == (60, 120)
    assert found.crawl.allow_addresses == ("127.0.0.0/8", "::1/128")
    assert found.crawl.connect_to == ("a:1:b:2",)
    assert found.operator.contact == "desk@lantern.example"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().crawl.host_delay = 0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[crawl]\nhost_dealy = 5\n", ("crawl.host_dealy", "did you mean host_delay?")),
        ("[craw]\nhost_delay = 5\n", ("[craw]", "did you mean crawl?")),
        ('directory = "x"\n', ("[directory]", "no setting is called")),
        ("[crawl]\nzzz = 1\n", ("crawl.zzz", "known here: user_agent")),
        ("[crawl]\nhost_delay = -1\n", ("crawl.host_delay", "greater than or equal to 0")),
        ("[crawl]\nhost_delay = inf\n", ("crawl.host_delay", "finite")),
        ("[crawl]\nhost_delay = nan\n", ("crawl.host_delay",)),
        ('[crawl]\nhost_delay = "soon"\n', ("crawl.host_delay", "valid number")),
        ("[crawl]\nmax_body = 0\n", ("crawl.max_body", "greater than 0")),
        ("[crawl]\nrecheck = [60, 0]\n", ("crawl.recheck.1", "greater than 0")),
        ("[crawl]\nrecheck = 60\n", ("crawl.recheck", "tuple")),
        ("[crawl]\nread_timeout = 0\n", ("crawl.read_timeout",)),
        ('[crawl]\nuser_agent = "a\\r\\nX-Evil: b"\n', ("crawl.user_agent", "control characters")),
        ('[crawl]\nuser_agent = ""\n', ("crawl.user_agent",)),
        ('[operator]\ncontact = "a\\nb"\n', ("operator.contact", "control characters")),
        ('[log]\norigin = "a b"\n', ("log.origin", "spaces")),
        ("crawl = 5\n", ("crawl", "dictionary")),
        ("[outlet]\nurl = 5\n", ("outlet",)),
        ('[[outlet]]\nname = "x"\n', ("outlet.0.url", "required")),
        ('[[outlet]]\nurl = "x"\nfeed = "y"\n', ("outlet.0.feed", "did you mean feeds?")),
        ("[crawl\n", ("cannot be read as TOML", "mend the file")),
        ("[crawl]\n[crawl]\n", ("cannot be read as TOML",)),
    ],
)
def test_what_is_wrong_is_named_with_its_key(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(text, tmp_path)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PRESSMARK_CRAWL__HOST_DEALY", "1", "did you mean host_delay?"),
        ("PRESSMARK_CRWL__HOST_DELAY", "1", "did you mean crawl?"),
        ("PRESSMARK_CRAWL__HOST_DELAY", "soon", "valid number"),
        ("PRESSMARK_CRAWL__RECHECK", "60,soon", "valid integer"),
        ("PRESSMARK_OUTLET__URL", "https://lantern.example/", "pressmark outlet add"),
        ("PRESSMARK_DIRECTORY__X", "1", "no setting is called"),
        ("PRESSMARK___", "1", "no setting is called"),
    ],
)
def test_an_override_is_named_where_it_stands(name: str, value: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read("[crawl]\nconcurrency = 2\n", tmp_path, **{name: value})
    assert str(caught.value).startswith(name)
    assert words in str(caught.value)


def test_an_override_of_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="crawl is not a table"):
        read("crawl = 5\n", tmp_path, PRESSMARK_CRAWL__HOST_DELAY="1")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    for data in (b"\xff\xfe", b"#" * (settings.MAX_FILE + 1), b"a = " + b"[" * 100_000):
        path.write_bytes(data)
        with pytest.raises(SettingsError, match=r"mend the file|give a settings file"):
            read_toml(path)
    with pytest.raises(SettingsError, match="No such file"):
        read_toml(tmp_path / "none.toml")


def test_an_outlet_of_the_command_line() -> None:
    table = outlet_table({"url": "https://lantern.example/", "name": "The Lantern", "feeds": ["https://f/"]})
    assert table.feeds == ("https://f/",)
    with pytest.raises(SettingsError, match="name: control characters"):
        outlet_table({"url": "https://lantern.example/", "name": "The\nLantern"})


def test_every_key_says_what_it_is() -> None:
    for name, table in TABLES.items():
        assert name in Settings.model_fields
        for key, field in table.model_fields.items():
            assert field.description, f"{name}.{key}"
            assert "|" not in field.description, "it stands in a table of the README"


@pytest.mark.parametrize(
    ("text", "length"), [("90", 90), ("90s", 90), (90, 90), ("15m", 900), ("6H", 21600), (" 1d ", 86400), ("", None)]
)
def test_lengths_of_time(text: str | int, length: int | None) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["0", "0s", "-5m", "m", "1.5h", "1w", "five", "٣m", "²", "9" * 40, "400d"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(SettingsError, match="15m"):
        seconds(text)


@given(st.text(max_size=12))
def test_any_text_is_a_length_or_refused(text: str) -> None:
    try:
        length = seconds(text)
    except SettingsError:
        return
    assert length is None or 0 < length <= settings.MAX_SECONDS


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from([*sorted(TABLES), "x"]) | st.text(max_size=5)
keys = st.sampled_from([key for table in TABLES.values() for key in table.model_fields]) | st.text(max_size=5)


@given(
    st.dictionaries(names, st.dictionaries(keys, values, max_size=3) | values, max_size=3),
    st.dictionaries(st.builds("PRESSMARK_{}__{}".format, names, keys), st.text(max_size=8), max_size=2),
)
def test_whatever_the_values_are_the_answer_is_settings_or_a_settings_error(
    tables: dict[str, Any], environment: dict[str, str]
) -> None:
    said = ""
    try:
        assert parse(tables, HERE, environment, where="here").directory == HERE
    except SettingsError as error:
        said = str(error)
    assert said == "" or ("; " in said and "\n" not in said)
