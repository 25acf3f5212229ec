"""So much of JSON Schema (2020-12) as the published schemas use: enough to hold them against real documents."""

import re
from typing import Any

KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)
}  # fmt: skip
KNOWN = {
    "$schema", "$id", "title", "description", "type", "required", "additionalProperties", "properties", "items",
    "const",
    "enum", "pattern", "minimum", "minLength", "minItems",
}  # fmt: skip


def problems(schema: dict[str, Any], value: Any, at: str = "$") -> list[str]:
    """What is wrong with a value; fails on a keyword that is not known here."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "const" in schema and value != schema["const"]:
        return [f"{at}: not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: none of {schema['enum']}"]
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, KINDS[kind]) or (kind == "integer" and isinstance(value, bool))):
        return [f"{at}: no {kind}"]
    found = []
    if isinstance(value, str):
        found += [f"{at}: too short"] if len(value) < schema.get("minLength", 0) else []
        found += [] if re.search(schema.get("pattern", ""), value) else [f"{at}: does not match"]
    elif isinstance(value, int):
        found += [f"{at}: too small"] if value < schema.get("minimum", value) else []
    elif isinstance(value, list):
        found += [f"{at}: too few"] if len(value) < schema.get("minItems", 0) else []
        for number, item in enumerate(value):
            found += problems(schema.get("items", {}), item, f"{at}[{number}]")
    elif isinstance(value, dict):
        found += [f"{at}: lacks {name}" for name in schema.get("required", []) if name not in value]
        more = schema.get("additionalProperties", {})
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, more)
            found += [f"{at}: has {name}"] if inner is False else problems(inner, item, f"{at}.{name}")
    return found
