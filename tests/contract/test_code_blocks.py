"""Code in the documents: recipes and studies are read, Python is compiled and its names are there,
and lines for a shell call programs, targets, extras and options that exist.

Lines that call `hyperfit` are in test_documents.py; the tutorial is run, as a whole, by
tests/acceptance/test_pipeline_tutorial.py.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import textwrap
import tomllib
from itertools import dropwhile
from typing import Any

import pytest

from hyperfitting.cli import parser
from hyperfitting.recipe import parse_recipe, parse_settings, read_tree, recipe_path
from tests.support.source import ROOT, shown

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "results").glob("*.md")),
]
OF_OTHERS = {"createdb", "pg_dump", "sqlite3", "docker", "git", "cd", "for", "done"}
"""Programs whose lines no test here checks."""


def blocks(language: str) -> list[Any]:
    """The code blocks of all pages in a language, by page and number."""
    found = []
    for page in PAGES:
        codes = re.findall(
            rf"^ *```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S
        )
        name = shown(page)
        found += [
            pytest.param(textwrap.dedent(code), id=f"{name}-{number}")
            for number, code in enumerate(codes)
        ]
    return found


def is_variable(word: str) -> bool:
    """Whether a word sets a variable for the command after it."""
    return re.match(r"[A-Z_]+=", word) is not None


def shell_lines(program: str | None = None) -> list[list[str]]:
    """Lines for a shell as words, without their comments and the variables that they begin with; of
    one program, or of all.
    """
    found = []
    for code in (block.values[0] for block in blocks("sh")):
        lines = code.replace("\\\n", " ").splitlines()
        words_of = (shlex.split(line, comments=True) for line in lines)
        found += [words for each in words_of if (words := [*dropwhile(is_variable, each)])]
    return [words for words in found if program in (None, words[0])]


@pytest.mark.parametrize("code", blocks("toml"))
def test_recipes_protocols_and_studies_are_read(code):
    """A part of a recipe is laid over the demo's, as a user would write it there."""
    from hyperfitting.preference.protocol import Protocol
    from hyperfitting.studies.settings import StudySettings

    tree = tomllib.loads(code)
    if {"axes", "base"} & tree.keys():
        assert parse_settings(StudySettings, tree, source="page").name == tree["name"]
    elif "question" in tree or "pairs" in tree:
        assert parse_settings(Protocol, tree, source="page").name == tree["name"]
    else:
        whole = {"data": tree} if "train" in tree and "path" in tree["train"] else tree
        assert parse_recipe(laid_over(read_tree(recipe_path("demo")), whole), source="page")


def laid_over(tree: Any, change: Any) -> Any:
    """Tables setting by setting, lists as a whole."""
    if not (isinstance(tree, dict) and isinstance(change, dict)):
        return change
    return tree | {key: laid_over(tree.get(key), value) for key, value in change.items()}


@pytest.mark.parametrize("code", blocks("python"))
def test_python_is_compiled_and_names_what_is_there(code):
    tree = compile(code, "page", "exec", ast.PyCF_ONLY_AST)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hyperfitting"):
            module = importlib.import_module(node.module or "")
            assert [each.name for each in node.names if not hasattr(module, each.name)] == []
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "hyperfitting":
            assert hasattr(importlib.import_module("hyperfitting"), node.attr)


def test_every_program_of_a_shell_line_is_known():
    programs = {words[0] for words in shell_lines()}
    assert programs - OF_OTHERS == {"hyperfit", "make", "pip", "python", "torchrun"}


def test_make_lines_name_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    inline = re.findall(
        r"`make ([\w-]+)", " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    )
    named = {words[1] for words in shell_lines("make")} | set(inline)
    assert named - targets == set()
    assert {"demo", "test", "docs"} <= targets
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1).split()
    assert targets == set(phony)


def test_pip_lines_name_extras_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    named = {
        extra
        for text in texts
        for extras in re.findall(r"pip install[^`\n]*?\[([\w,]+)\]", " ".join(text.split()))
        for extra in extras.split(",")
    }
    assert named - set(project["optional-dependencies"]) == set()
    assert named >= {"all", "preference", "models"}


def test_torchrun_lines_have_its_options_and_ours():
    from torch.distributed.run import get_args_parser

    lines = shell_lines("torchrun")
    assert lines
    for words in lines:
        options = get_args_parser().parse_args(words[1:])
        assert (options.module, options.training_script) == (True, "hyperfitting")
        assert parser().parse_args(options.training_script_args).function


def test_modules_that_python_runs_are_there():
    from pages import PAGES as GENERATED

    inline = re.findall(
        r"`python -m ([\w.]+)", " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    )
    called = [words[2:] for words in shell_lines("python") if words[1] == "-m"]
    for module in {words[0] for words in called} | set(inline):
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        if spec.submodule_search_locations:
            assert importlib.util.find_spec(f"{module}.__main__"), module
    for words in called:
        if words[0] == "pages":
            assert set(words[1:]) <= set(GENERATED)
