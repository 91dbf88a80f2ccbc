"""`check` keeps its word: it notes what will have no effect, and refuses what `run` would refuse
for a missing part.
"""

import json
import subprocess
import sys

import pytest

from hyperfitting.cli import main


@pytest.fixture
def recipe(tree, tmp_path):
    def written(**sections):
        for section, values in sections.items():
            tree.setdefault(section, {}).update(values)
        (tmp_path / "r.json").write_text(json.dumps(tree))
        return str(tmp_path / "r.json")

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


MISSING = {
    "sacrebleu": ({"measure": {"bleu": True}}, "measures"),
    "peft": ({"train": {"parameters": "lora"}}, "lora"),
    "matplotlib": ({}, "report"),
    "jinja2": ({}, "report"),
}


@pytest.mark.parametrize("package", MISSING)
def test_a_missing_part_is_refused_by_both(recipe, tmp_path, package):
    sections, extra = MISSING[package]
    arguments = [recipe(**sections), "--out", str(tmp_path / "out"), "--device", "cpu"]
    code = (
        f"import sys\nsys.modules[{package!r}] = None\nfrom hyperfitting.cli import main\n"
        f"sys.exit(10 * main(['check', *{arguments}]) + main(['run', *{arguments}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 22
    assert done.stdout == ""
    said = (
        f"hyperfit: this needs {package}, which is not installed: pip install "
        f"'hyperfitting[{extra}]'\n"
    )
    assert done.stderr == said * 2
    assert not (tmp_path / "out").exists()


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


def test_a_pretraining_needs_no_report(recipe, tmp_path):
    arguments = [
        "check",
        recipe(model={"initialise": "random"}),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    code = (
        "import sys\nsys.modules['jinja2'] = None\nfrom hyperfitting.cli import "
        f"main\nsys.exit(main({arguments}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
