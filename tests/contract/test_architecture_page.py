"""docs/explain/architecture.md names files, functions, classes and layers that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.source import FILES, ROOT, SOURCE, room, tree

PAGE = " ".join((ROOT / "docs" / "explain" / "architecture.md").read_text(encoding="utf-8").split())
PATHS = sorted(set(re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", PAGE)))
NAMED = sorted(
    (name, path)
    for names, path in re.findall(r"((?:`[\w.]+`(?: and )?)+) \(`([\w/]+\.py)`\)", PAGE)
    for name in re.findall(r"`([\w.]+)`", names)
)


def layers() -> list[set[str]]:
    """The layers of tests/contract/test_layers.py."""
    for node in tree(ROOT / "tests" / "contract" / "test_layers.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS":
            return list(ast.literal_eval(node.value))
    raise AssertionError("LAYERS is not there")


def defined(path: str) -> set[str]:
    """The names that a module defines, and the methods of its classes as `Class.method`."""
    found = set()
    for node in tree(SOURCE / path).body:
        match node:
            case ast.FunctionDef():
                found.add(node.name)
            case ast.ClassDef():
                methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
                found |= {node.name, *(f"{node.name}.{each}" for each in methods)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


@pytest.mark.parametrize("path", PATHS)
def test_every_file_named_is_there(path):
    root = ROOT if path.startswith(("tests/", "src/")) else SOURCE
    assert path == "parts/" or (root / path).exists()  # parts/ is a folder of a run


def test_names_and_files_are_found():
    assert len(PATHS) > 40
    assert len(NAMED) > 60
    assert ("keep_answer", "preference/store/judgements.py") in NAMED
    assert ("truncate_alike", "preference/design/presentation.py") in NAMED


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_every_function_and_class_named_is_defined_there(name, path):
    assert name in defined(path)


def test_the_table_of_layers_is_that_of_the_contract():
    rows = re.findall(r"\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", PAGE)
    shown = [set(re.findall(r"\w+", names)) for _, names in rows]
    there = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert shown == [names & there for names in layers() if names & there]
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
