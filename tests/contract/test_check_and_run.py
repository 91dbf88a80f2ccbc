"""`check` keeps its word: it notes what will have no effect, and refuses what `run` would refuse
for a missing part.
"""

import json
import subprocess
import sys

import pytest

from hyperfitting.cli import main
from tests.support.recipes import tiny_tree, write_recipe


@pytest.fixture
def recipe(tree, tmp_path):
    def written(**sections):
        for section, values in sections.items():
            tree.setdefault(section, {}).update(values)
        return str(write_recipe(tree, tmp_path / "r.json"))

    return written


def test_notes_stand_in_lines_of_their_own(recipe, capsys):
    assert main(["check", recipe(probe={"contexts": 5}), "--device", "cpu"]) == 0
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    assert found == [
        "note      probe.contexts = 5: there are 4 validation blocks to continue",
        "note      generate.new_tokens = 24: the main metric, ttr_last96, needs 96, and is left "
        "out",
        "note      set validation: 4 groups, and intervals need 10: its numbers have none",
    ]


# The sections of a recipe that need a package, and the extra that brings it. What the report needs
# stands first, before anything has loaded it.
MISSING = {
    "matplotlib": ({}, "report"),
    "jinja2": ({}, "report"),
    "sacrebleu": ({"measure": {"bleu": True}}, "measures"),
    "peft": ({"train": {"parameters": "lora"}}, "lora"),
}
RANDOM = {"model": {"initialise": "random"}}
WITHOUT = """
import contextlib, io, json, sys
from hyperfitting.cli import main

for package, command in json.load(sys.stdin):
    there, out, err = sys.modules.get(package), io.StringIO(), io.StringIO()
    sys.modules[package] = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(command)
    del sys.modules[package]
    if there is not None:
        sys.modules[package] = there
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.fixture(scope="module")
def without(tmp_path_factory, tiny_model, corpus):
    """Of each verb and missing package what it ended with, said and left, from one process that has
    imported none before.
    """
    folder, commands = tmp_path_factory.mktemp("missing"), {}
    cases = {name: (name, sections) for name, (sections, _) in MISSING.items()}
    for case, (package, sections) in (cases | {"pretraining": ("jinja2", RANDOM)}).items():
        tree = tiny_tree(tiny_model, corpus)
        for section, values in sections.items():
            tree[section] = tree.get(section, {}) | values
        file = write_recipe(tree, folder / f"{case}.json")
        for verb in ("check", "run") if case in MISSING else ("check",):
            out = ["--out", str(folder / f"{verb} {case}")]
            commands[verb, case] = (package, [verb, str(file), *out, "--device", "cpu"])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        check=True,
    )
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    left = [(folder / f"{verb} {case}").exists() for verb, case in commands]
    return dict(zip(commands, zip(ended, left, strict=True), strict=True))


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("package", MISSING)
def test_a_missing_part_is_refused_by_both(without, verb, package):
    said = (
        f"hyperfit: this needs {package}, which is not installed: pip install "
        f"'hyperfitting[{MISSING[package][1]}]'\n"
    )
    assert without[verb, package] == ([2, "", said], False)


def test_a_pretraining_needs_no_report(without):
    (code, _, said), _ = without["check", "pretraining"]
    assert code == 0, said


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("name", ["scorer", "mauve"])
def test_a_model_to_measure_with_that_is_not_there_is_refused_by_both(
    recipe, tmp_path, capsys, verb, name
):
    arguments = [
        verb,
        recipe(measure={name: "./gone", "force_mauve": name == "mauve"}),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*arguments, "--device", "cpu"]) == 2
    assert capsys.readouterr().err == f"hyperfit: {tmp_path / 'gone'}: no such model folder\n"
    assert not (tmp_path / "out").exists()
