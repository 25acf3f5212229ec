"""The published JSON Schemas say the same as the code: for what is written, and for what is refused."""

import json
from importlib import resources
from typing import Any

import pytest

from schemas.bundle_layout import Layout, parse_zip
from schemas.canonical import dumps
from schemas.errors import InvalidValue
from schemas.manifests import Manifest
from tests.schemas.evidence import ARTICLE, add_snapshot, article_world, capture_world
from tests.schemas.json_schema import problems


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        resources.files("schemas").joinpath(f"json/{name}.schema.json").read_text("utf-8")
    )
    return loaded


BUNDLE = json.loads(parse_zip(article_world().bundle(ARTICLE))["bundle.json"])
MANIFEST = json.loads(add_snapshot(capture_world())[1])


def test_what_is_written_fits() -> None:
    assert problems(schema("bundle"), BUNDLE) == []
    assert problems(schema("manifest"), MANIFEST) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "pressmark-evidence/2"}, {"origin": ""}, {"origin": 5}, {"subject": {"kind": "capture"}},
        {"subject": {"kind": "rumour", "id": "x"}}, {"parts": []}, {"parts": [{}]}, {"more": 1},
        {"parts": [{**BUNDLE["parts"][0], "role": "author"}]}, {"parts": [{**BUNDLE["parts"][0], "record": "../x"}]},
        {"parts": [{**BUNDLE["parts"][0], "index": -1}]},
        {"parts": [{**BUNDLE["parts"][0], "entry": "entries/x.json"}]},
    ],
)  # fmt: skip
def test_a_layout_refused_by_the_schema_is_refused_by_the_code(changes: dict[str, Any]) -> None:
    value = {**BUNDLE, **changes}
    assert problems(schema("bundle"), value)
    with pytest.raises(InvalidValue):
        Layout.decode(dumps(value))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "x"}, {"name": "A B"}, {"version": "1"}, {"tree_size": -1}, {"tree_size": True}, {"rows": "1"},
        {"root": "sha256:x"}, {"counts": {"a": -1}}, {"columns": [{"name": "x"}]}, {"row_digest": "x"}, {"more": 1},
    ],
)  # fmt: skip
def test_a_manifest_refused_by_the_schema_is_refused_by_the_code(changes: dict[str, Any]) -> None:
    value = {**MANIFEST, **changes}
    assert problems(schema("manifest"), value)
    with pytest.raises(InvalidValue):
        Manifest.decode(dumps(value))


@pytest.mark.parametrize(("name", "document"), [("bundle", BUNDLE), ("manifest", MANIFEST)])
def test_every_field_is_required_on_both_sides(name: str, document: dict[str, Any]) -> None:
    decode = Layout.decode if name == "bundle" else Manifest.decode
    assert schema(name)["required"] == list(schema(name)["properties"])
    for field in document:
        value = {key: item for key, item in document.items() if key != field}
        assert problems(schema(name), value) == [f"$: lacks {field}"]
        with pytest.raises(InvalidValue):
            decode(dumps(value))
