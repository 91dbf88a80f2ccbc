"""The layers inside the preference room: imports go strictly down, and no modules import each other
in a circle.
"""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "hyperfitting"
ROOM = SOURCE / "preference"
PREFIX = "hyperfitting.preference."

# From the ground up. A module or package imports only from the layers below, or from its own
# package.
LAYERS = [
    {"records", "languages"},
    {"wording"},
    {"protocol"},
    {"settings_input", "study"},
    {"store"},
    {"judges", "analysis"},
    {"design", "settings_tables", "web"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(ROOM.rglob("*.py"))


def module(path):
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path):
    """Every module that a file imports, at its top or inside a function, with the names taken from
    it.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias.name) for alias in node.names)


def part(name):
    """The module or package of this room that a dotted name belongs to; none for other rooms."""
    return name.removeprefix(PREFIX).split(".")[0] if name.startswith(PREFIX) else None


def test_every_module_has_a_layer():
    assert {part(module(path)) for path in FILES} - {None} == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOM)))
def test_imports_go_strictly_down(path):
    own = part(module(path))
    for name, _ in imported(path):
        other = part(name)
        if own is not None and other is not None and other != own:
            assert LEVEL[other] < LEVEL[own], f"{path} imports {name}"


def test_no_modules_import_each_other_in_a_circle():
    known = {module(path): path for path in FILES}
    edges = {}
    for name, path in known.items():
        taken = {
            f"{source}.{each}" if f"{source}.{each}" in known else source
            for source, each in imported(path)
        }
        edges[name] = {each for each in taken if each in known and each != name}
    assert any(edges.values())
    while loose := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in loose}
    assert edges == {}, f"a circle among {sorted(edges)}"


@pytest.mark.parametrize("path", sorted((SOURCE / "web").glob("*.py")), ids=lambda path: path.name)
def test_the_web_kit_knows_nothing_of_its_apps(path):
    rooms = {name for name, _ in imported(path) if name.startswith("hyperfitting")}
    assert {name.split(".")[1] for name in rooms} <= {"errors", "web"}
    assert "preference" not in path.read_text(encoding="utf-8")
