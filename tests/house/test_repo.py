"""What is tracked names no machine, no registry and no unfinished work."""

import re

from tests.house.tree import ROOT, tracked

# Written so that this file does not hold what it looks for.
FOREIGN = {
    "a folder of some machine": re.compile(
        r"(?<![\w.\-])/(?:w[o]rk|r[o]ot|h[o]me/[a-z]|U[s]ers/[A-Za-z])(?:/|\b)"
    ),
    "a package registry's host": re.compile(
        r"(?i)p[y]pi\.org|p[y]thonhosted|n[p]mjs\.|c[r]ates\.io|p[r]oxy\.golang"
    ),
}
UNFINISHED = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
# Pictures and archives hold arbitrary bytes; what they say is looked at where they are used.
TEXT_LIMIT = 2_000_000  # bytes; nothing written by hand comes near


def texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        data = (ROOT / path).read_bytes()
        if b"\0" in data or len(data) > TEXT_LIMIT:
            continue
        found.append((path.as_posix(), data.decode("utf-8", "replace")))
    return found


def test_nothing_tracked_names_a_machine_or_a_registry() -> None:
    seen = [
        f"{name}:{number}: {what}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FOREIGN.items()
        if pattern.search(line)
    ]
    assert not seen, "\n".join(seen)


def test_no_unfinished_work_is_marked_in_the_code() -> None:
    seen = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        if name.endswith((".py", ".toml", ".md", ".html", "Makefile"))
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not seen, "\n".join(seen)


def test_every_folder_of_tests_is_a_package() -> None:
    """Else `import schemas` in tests/schemas finds tests/schemas."""
    folders = {path.parent for path in tracked("tests") if path.suffix == ".py"}
    bare = [folder.as_posix() for folder in folders if not (ROOT / folder / "__init__.py").is_file()]
    assert not bare
