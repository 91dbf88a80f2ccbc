"""Files and functions fit on a few screens; a public name has one meaning; whatever is public has a
docstring.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict

import pytest

import hyperfitting
from tests.support.longest_first import LONGEST_FIRST
from tests.support.source import BENCH, FILES, ROOT, TESTS, public_names, shown, tree

MOST_LINES = {"src": 400, "bench": 400, "tests": 600}
MOST_LINES_OF_A_FUNCTION = 60


def test_no_file_is_long():
    long = {
        shown(path)
        for path in [*FILES, *BENCH, *TESTS]
        if len(path.read_text(encoding="utf-8").splitlines())
        > MOST_LINES[path.relative_to(ROOT).parts[0]]
    }
    assert sorted(long) == []


def test_no_function_is_long():
    long = {
        f"{shown(path)}: {node.name}"
        for path in [*FILES, *BENCH]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    }
    assert sorted(long) == []


def test_no_two_modules_define_the_same_public_name():
    places = defaultdict(list)
    for path in FILES:
        for name in public_names(path):
            places[name].append(shown(path))
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert shared == {}


def test_names_are_found_in_definitions_and_assignments(tmp_path):
    (tmp_path / "a.py").write_text(
        "from b import C\nD = 1\nE: int = 2\n_F = 3\ndef g(): h = 1\nclass I: j = 1\nasync def "
        "k(): pass\n"
    )
    assert public_names(tmp_path / "a.py") == {"D", "E", "g", "I", "k"}


def test_every_public_function_and_class_has_a_docstring():
    bare = [
        f"{shown(path)}: {node.name}"
        for path in FILES
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


def test_the_packages_names_are_there():
    for name in hyperfitting.__all__:
        assert getattr(hyperfitting, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hyperfitting.nothing
    assert dir(hyperfitting) == hyperfitting.__all__


def test_no_public_name_is_a_module_too():
    """The module would take the name's place as soon as somebody imports it."""
    modules = {path.stem for path in (ROOT / "src" / "hyperfitting").iterdir()}
    assert modules & set(hyperfitting.__all__) == set()


def test_the_files_that_take_longest_are_there():
    assert [file for file in LONGEST_FIRST if not (ROOT / file).is_file()] == []


def test_test_modules_import_no_test_modules():
    """What they share is in tests/support."""
    found = {
        shown(path)
        for path in TESTS
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("tests.")
        and ".test_" in (node.module or "")
    }
    assert sorted(found) == []


def test_test_files_have_names_of_their_own():
    """pytest imports each by its base name."""
    names = Counter(path.name for path in TESTS if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []
