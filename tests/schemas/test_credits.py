"""Photo credits: read out of the ways in which pages write them, in many languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.credits import agency_name, looks_like_credit, parse_credit, split_caption_credit, strip_lead

CREDITS = [
    ("© AP Photo/Kostiantyn Liberov", "AP Photo/Kostiantyn Liberov", ("Kostiantyn Liberov",), ("AP",)),
    ("BERTRAND GUAY / AFP", "BERTRAND GUAY / AFP", ("Bertrand Guay",), ("AFP",)),
    (
        "Photo: Tom Brenner for The Washington Post via Getty Images",
        "Tom Brenner for The Washington Post via Getty Images",
        ("Tom Brenner",),
        ("Getty Images",),
    ),
    ("dpa/Zuma Wire/K.C. Alfred", "dpa/Zuma Wire/K.C. Alfred", ("K.C. Alfred",), ("dpa", "Zuma")),
    ("Foto: Imago/Ada Quay", "Imago/Ada Quay", ("Ada Quay",), ("Imago",)),
    ("(Foto: Ada Quay/dpa)", "Ada Quay/dpa", ("Ada Quay",), ("dpa",)),
    ("Bild: Ada Quay (Keystone)", "Ada Quay (Keystone)", ("Ada Quay",), ("Keystone",)),
    ("Crédit photo : Ada Quay / Hans Lucas", "Ada Quay / Hans Lucas", ("Ada Quay",), ("Hans Lucas",)),
    ("Фото: Андрей Иванов / РИА Новости", "Андрей Иванов / РИА Новости", ("Андрей Иванов",), ("RIA",)),
    ("Reuters", "Reuters", (), ("Reuters",)),
    ("Ada Quay/The Harbour Lantern", "Ada Quay/The Harbour Lantern", ("Ada Quay",), ()),
    ("Ada Quay for The Lantern / Reuters", "Ada Quay for The Lantern / Reuters", ("Ada Quay",), ("Reuters",)),
    ("Court of the Port", "Court of the Port", (), ()),
    ("(c) 2024 The Canadian Press", "The Canadian Press", (), ("The Canadian Press",)),
    ("imago/Ada Quay | IMAGO/Ada Quay", "imago/Ada Quay", ("Ada Quay",), ("Imago",)),
    ("Harbour Museum", "Harbour Museum", (), ()),
    ("Photo by Ada Lens on Unsplash", "Ada Lens on Unsplash", ("Ada Lens",), ("Unsplash",)),
    ("Ada Lens/AFP via Getty Images", "Ada Lens/AFP via Getty Images", ("Ada Lens",), ("AFP", "Getty Images")),
    ("picture alliance / dpa | Max Muster", "picture alliance / dpa | Max Muster", ("Max Muster",),
     ("Picture Alliance", "dpa")),
    ("Courtesy of Ada Quay", "Ada Quay", (), ()),
    ("Handout via Reuters", "Handout via Reuters", (), ("Reuters",)),
    ("fot. Anna Lens/PAP", "Anna Lens/PAP", ("Anna Lens",), ("PAP",)),
    ("Kuva: Anna Linssi / Lehtikuva", "Anna Linssi / Lehtikuva", ("Anna Linssi",), ("Lehtikuva",)),
    ("Fotoğraf: Ali Mercek/AA", "Ali Mercek/AA", ("Ali Mercek",), ("Anadolu",)),
    ("写真：ロイター/アフロ", "ロイター/アフロ", (), ("Reuters", "Aflo")),
    ("圖／美聯社提供", "美聯社提供", (), ("AP",)),
    ("新华社记者 李明 摄", "新华社记者 李明", ("李明",), ()),
    ("صورة: رويترز", "رويترز", (), ("Reuters",)),
    ("फोटो: पीटीआई", "पीटीआई", (), ("PTI",)),
    ("Фото: Укрінформ", "Укрінформ", (), ("Ukrinform",)),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "photographers", "agencies"), CREDITS)
def test_credits_are_split(raw: str, text: str, photographers: tuple[str, ...], agencies: tuple[str, ...]) -> None:
    credit = parse_credit(raw)
    assert (credit.raw, credit.text, credit.photographers, credit.agencies) == (raw, text, photographers, agencies)


CAPTIONS = [
    ("The quay at dawn. (Photo: Ada Quay/AFP)", "The quay at dawn.", "Ada Quay/AFP"),
    ("Der Kai am Morgen. Foto: Ada Quay/dpa", "Der Kai am Morgen.", "Ada Quay/dpa"),
    ("The quay at dawn. © Ada Quay", "The quay at dawn.", "Ada Quay"),
    ("The quay at dawn | Getty Images", "The quay at dawn", "Getty Images"),
    ("The quay at dawn. Ada Quay/AP", "The quay at dawn.", "Ada Quay/AP"),
    ("The quay at dawn (Ada Quay/Harbour Pictures)", "The quay at dawn", "Ada Quay/Harbour Pictures"),
    ("The quay at dawn. — Picture by Ada Quay", "The quay at dawn.", "Ada Quay"),
    ("夜明けの埠頭（港新聞提供）", "夜明けの埠頭", "港新聞提供"),
    ("부두의 새벽을 시민들이 걷고 있다. 연합뉴스", "부두의 새벽을 시민들이 걷고 있다.", "연합뉴스"),
    ("Prieplauka auštant / A. Kojų / LNT nuotr.", "Prieplauka auštant", "A. Kojų / LNT nuotr."),
    ("Isikhumulo ekuseni. Isithombe: Ada Quay", "Isikhumulo ekuseni.", "Ada Quay"),
    ("Photo: Ada Quay/AP", "", "Ada Quay/AP"),
    ("The quay at dawn. Photo provided by Harbour Board", "The quay at dawn.", "Harbour Board"),
    ("The quay at dawn. Ada Quay for The Lantern", "The quay at dawn.", "Ada Quay for The Lantern"),
    ("The quay at dawn. Handout via Reuters", "The quay at dawn.", "Handout via Reuters"),
    ("The quay, March 3, 2026. REUTERS/Ada Quay/File Photo", "The quay, March 3, 2026.", "REUTERS/Ada Quay/File Photo"),
    ("(Ada Quay/The Lantern)", "", "Ada Quay/The Lantern"),
    ("El muelle al alba.ANA LENTE (EFE)", "El muelle al alba.", "ANA LENTE (EFE)"),
    ("Il molo all'alba (foto: Anna Lente/LaPresse)", "Il molo all'alba", "Anna Lente/LaPresse"),
    ("Nabrzeże o świcie. Fot. Anna Lens / PAP", "Nabrzeże o świcie.", "Anna Lens / PAP"),
    ("Laituri aamulla. Kuva: Anna Linssi / Lehtikuva", "Laituri aamulla.", "Anna Linssi / Lehtikuva"),
    ("夜明けの埠頭＝共同提供", "夜明けの埠頭", "共同提供"),
    ("码头的黎明。新华社记者 李明 摄", "码头的黎明。", "新华社记者 李明"),
    ("الرصيف عند الفجر. صورة: رويترز", "الرصيف عند الفجر.", "رويترز"),
]


@pytest.mark.parametrize(
    "text", ["The quay on March 3, 2026, where talks opened", "Mara Quill, the chair, speaks in Port Quill"]
)
def test_a_caption_alone_holds_no_credit(text: str) -> None:
    assert split_caption_credit(text) == (text, None)


@pytest.mark.parametrize(("text", "caption", "credit"), CAPTIONS)
def test_caption_and_credit_are_told_apart(text: str, caption: str, credit: str) -> None:
    found, raw = split_caption_credit(text)
    assert found == caption
    assert raw is not None
    assert strip_lead(raw).rstrip(".") == credit.rstrip(".")


@pytest.mark.parametrize(
    "text",
    [
        "The quay at dawn, seen from the harbour.",
        "Reporters stood on the quay for hours (left) and waited.",
        "Source of the river near the town",
        "He said: it was by far the best photo of the year.",
    ],
)
def test_a_caption_alone_has_no_credit(text: str) -> None:
    assert split_caption_credit(text) == (text, None)
    assert not looks_like_credit(text)


@pytest.mark.parametrize(
    "text", ["Photo: Ada Quay", "Getty Images", "Ada Quay/AFP via Getty Images", "© Ada Quay", "警視庁提供"]
)
def test_credits_on_their_own_are_known(text: str) -> None:
    assert looks_like_credit(text)


def test_agencies_have_one_name() -> None:
    assert agency_name("the associated press") == agency_name("AP Photo") == "AP"
    assert agency_name("Harbour Lantern") is None


@given(st.text(max_size=120))
def test_any_string_can_be_asked_about(text: str) -> None:
    credit = parse_credit(text)
    assert credit.raw == text
    assert len(credit.text) <= len(text)
    for name in credit.photographers:
        assert name.casefold() in " ".join(text.split()).casefold() or name.casefold() in text.casefold()
    caption, raw = split_caption_credit(text)
    assert caption in text
    assert raw is None or raw in text
    assert isinstance(looks_like_credit(text), bool)


@given(st.sampled_from(CREDITS))
def test_stripping_a_lead_is_settled(case: tuple[str, str, tuple[str, ...], tuple[str, ...]]) -> None:
    assert strip_lead(strip_lead(case[0])) == strip_lead(case[0]) == case[1]


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_long_strings_cost_little(size: int) -> None:
    for unit in ("(", "Photo by ", "© ", "a/", "/ ", "foto ", ". ", "提供"):
        text = unit * (size // len(unit))
        caption, credit = split_caption_credit(text)
        assert caption in text
        assert credit is None or credit in text
        assert parse_credit(text).raw == text
