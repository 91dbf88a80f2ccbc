"""`make acceptance ROOM=name` finds each slow test under exactly one name."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.source import ROOT, TESTS, tree

ROOMS = [
    "bench",
    "browser",
    "cli",
    "data",
    "decoding",
    "downstream",
    "metrics",
    "models",
    "pipeline",
    "preference",
    "training",
]
SLOW = "pytest.mark.slow"


def slow_tests():
    """What `-k` looks at for each slow test: its folder, its file and its function."""
    for path in TESTS:
        if SLOW not in path.read_text(encoding="utf-8"):
            continue  # to parse a file takes longer
        all_slow = any(
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "pytestmark"
            and SLOW in ast.unparse(node.value)
            for node in tree(path).body
        )
        # A set of parameters can be slow by a name that is assigned in the module.
        slow_names = {
            ast.unparse(node.targets[0])
            for node in tree(path).body
            if isinstance(node, ast.Assign) and SLOW in ast.unparse(node.value)
        }
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = " ".join(map(ast.unparse, node.decorator_list))
                named = any(re.search(rf"\b{name}\b", marks) for name in slow_names)
                if all_slow or SLOW in marks or named:
                    yield f"{path.relative_to(ROOT / 'tests').as_posix()}::{node.name}"


@pytest.mark.parametrize("test", list(slow_tests()))
def test_each_slow_test_is_found_by_one_room(test):
    assert [room for room in ROOMS if room in test] == [
        room for room in ROOMS if re.search(rf"(^|[/_]){room}(_|\b)", test)
    ], "a room's name is part of another word"
    assert len([room for room in ROOMS if room in test]) == 1


def test_every_room_has_a_slow_test():
    tests = list(slow_tests())
    assert [room for room in ROOMS if not any(room in test for test in tests)] == []


@pytest.mark.parametrize("file", ["CONTRIBUTING.md", "Makefile"])
def test_the_rooms_are_listed(file):
    assert ", ".join(ROOMS) in " ".join((ROOT / file).read_text(encoding="utf-8").split())
