"""A training that did not come near zero loss is not called hyperfitted without a word, wherever it
is shown.
"""

import html
import json

import pytest

from hyperfitting.cli import main
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment

WORDS = (
    "this model has not been hyperfitted. Raise train.learning_rate (1e-06) or train.epochs (1)."
)


@pytest.fixture
def command(tree, tmp_path):
    """A function that writes the recipe with other settings of training and gives the command line
    of a verb.
    """
    tree["generate"]["strategies"] = [{"name": "greedy", "method": "greedy"}]
    tree |= {"probe": {"contexts": 1, "new_tokens": 4}, "report": {"examples": 0}}

    def line(verb, **train):
        tree["train"] |= train
        parse_recipe(tree, source="t")
        (tmp_path / "r.json").write_text(json.dumps(tree))
        return [verb, str(tmp_path / "r.json"), "--out", str(tmp_path / "out"), "--device", "cpu"]

    return line


def notes(capsys):
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("note ")]


def test_terminal_page_markdown_summary_and_run_json_say_so(command, tmp_path, capsys):
    assert main(command("run", learning_rate=1e-6, epochs=1)) == 0
    (note,) = notes(capsys)
    assert note.endswith(WORDS)
    out = Experiment(tmp_path / "out")
    verdict = str(out.run("hyperfitted").verdict)
    assert note == f"note     {verdict}"
    page = html.unescape((out.report_folder / "index.html").read_text())
    assert page.index(verdict) < page.index("While it trained")
    card = (out.run("hyperfitted").model_folder / "README.md").read_text()
    assert card.index(f"**{verdict}**") < card.index("| before | after |")
    text = (out.report_folder / "report.md").read_text()
    assert text.index(f"**{verdict}**") < text.index("## ")
    summary = json.loads((out.report_folder / "summary.json").read_text())
    noted = [row for row in summary if "note" in row]
    assert [(row["variant"], row["name"], row["note"]) for row in noted] == [
        ("hyperfitted", "train_loss", verdict)
    ]
    assert out.run("hyperfitted").facts.near_zero.near_zero is False
    assert out.run("original").verdict is None
    assert main(["report", str(tmp_path / "out")]) == 0
    assert notes(capsys) == [note]


def test_a_comparison_says_which_of_its_models_were_not_hyperfitted(finished, tmp_path, capsys):
    verdict = finished.run("hyperfitted").verdict  # three epochs do not come near
    assert not verdict.near_zero
    assert main(["compare", str(finished.folder), "--out", str(tmp_path / "c")]) == 0
    line = f"{finished.recipe.run_name}: {verdict}"
    assert notes(capsys) == [f"note     {line}"]
    assert line in html.unescape((tmp_path / "c" / "index.html").read_text())
    assert f"**{line}**" in (tmp_path / "c" / "report.md").read_text()


def test_training_alone_says_so_too_and_again_when_it_is_skipped(command, capsys):
    for _ in range(2):
        assert main(command("train", learning_rate=1e-6, epochs=1)) == 0
        assert [note.endswith(WORDS) for note in notes(capsys)] == [True]


def test_a_training_that_came_near_says_nothing(command, tmp_path, capsys):
    near = {"learning_rate": 2e-2, "epochs": 60, "stop": "train-loss", "stop_loss": 1.0}
    assert main(command("run", **near)) == 0
    assert notes(capsys) == []
    out = Experiment(tmp_path / "out")
    assert out.run("hyperfitted").verdict.near_zero
    for name in ("index.html", "report.md", "summary.json"):
        assert "not been hyperfitted" not in (out.report_folder / name).read_text()


def test_an_early_stopped_control_is_not_meant_to_come_near(tree, command, tmp_path):
    tree |= {"variants": [{"name": "early-stopped", "set": {"train.stop": "best-validation"}}]}
    assert main(command("train", epochs=1)) == 0
    runs = Experiment(tmp_path / "out").runs()
    assert [role for role, run in runs.items() if run.verdict] == ["hyperfitted"]
