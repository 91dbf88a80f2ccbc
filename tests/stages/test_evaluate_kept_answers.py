"""Answers that are kept: the same questions for every variant, and nothing half-written."""

from __future__ import annotations

import json
import shutil

import pytest

from hyperfitting.downstream.tables import evaluation_rows
from hyperfitting.errors import RunError
from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings
from hyperfitting.runs import EvaluationFolder, Experiment
from hyperfitting.stages import evaluate
from hyperfitting.stages.evaluate import evaluate_experiment, evaluate_model
from tests.support.benchmarks import write_benchmarks

pytestmark = pytest.mark.pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"), items=12)


def test_examples_are_the_same_for_every_variant_and_every_try(
    finished, folder, tmp_path, monkeypatch
):
    made = Experiment(shutil.copytree(finished.folder, tmp_path / "out"))
    task = BenchmarkSettings(name="arc_easy", forms=("cloze",), examples=2)
    chosen = EvaluateSettings(data=str(folder), tasks=(task,), batch_items=4)
    loaded = evaluate.load_run(made.run("original"), evaluate.torch.device("cpu"))
    monkeypatch.setattr(evaluate, "load_run", lambda *_, **__: loaded)  # equal weights
    evaluate_experiment(made, chosen, device="cpu")
    one, other = (run.evaluation.sheet("arc_easy-cloze-examples-2") for run in made.runs().values())
    first = one.items_file.read_bytes()
    assert other.items_file.read_bytes() == first
    other.items_file.unlink()
    evaluate_experiment(made, chosen, device="cpu")
    assert other.items_file.read_bytes() == first


@pytest.fixture(scope="module")
def answered(tiny_model, folder, tmp_path_factory):
    """A folder with the answers to one benchmark."""
    out = tmp_path_factory.mktemp("answers") / "out"
    evaluate_model(str(tiny_model), out, rte(folder), device="cpu")
    return out


def rte(folder):
    task = BenchmarkSettings(name="rte", forms=("cloze",))
    return EvaluateSettings(data=str(folder), tasks=(task,), batch_items=1)


@pytest.mark.parametrize("damage", ["lines", "last line"])
def test_a_finished_sheet_that_was_cut_off_is_refused(
    answered, tiny_model, folder, tmp_path, damage
):
    out = shutil.copytree(answered, tmp_path / "out")
    sheet = EvaluationFolder(out).sheet("rte-cloze")
    text = sheet.items_file.read_text()
    cut = text[:-9] if damage == "last line" else "".join(text.splitlines(keepends=True)[:5])
    sheet.items_file.write_text(cut)
    words = r"rte-cloze.jsonl holds \d+ of 12 items: remove rte-cloze.\* there, and evaluate again"
    with pytest.raises(RunError, match=words):
        evaluate_model(str(tiny_model), out, rte(folder), device="cpu")
    with pytest.raises(RunError, match=words):  # and where both variants are cut alike
        evaluation_rows({name: EvaluationFolder(out) for name in ("original", "hyperfitted")})


def test_an_unfinished_sheet_of_other_items_is_refused(answered, tiny_model, folder, tmp_path):
    out = shutil.copytree(answered, tmp_path / "out")
    sheet = EvaluationFolder(out).sheet("rte-cloze")
    rows = sheet.items_file.read_text().splitlines(keepends=True)
    sheet.items_file.unlink()
    for wrong, number in ((rows[1:9], 1), ([*rows, rows[0]], 13)):
        sheet.part_file.write_text("".join(wrong))
        with pytest.raises(RunError, match=f"rte-cloze.part: row {number} is not of the item"):
            evaluate_model(str(tiny_model), out, rte(folder), device="cpu")
    sheet.part_file.write_text("".join(rows))
    evaluate_model(str(tiny_model), out, rte(folder), device="cpu")
    assert sheet.items_file.read_text() == "".join(rows)


def test_a_row_whose_right_choice_is_none_of_its_choices_is_refused(answered, tmp_path):
    out = shutil.copytree(answered, tmp_path / "out")
    sheet = EvaluationFolder(out).sheet("rte-cloze")
    first, *rest = sheet.items_file.read_text().splitlines(keepends=True)
    wrong = json.dumps(json.loads(first) | {"gold": 9}) + "\n"
    sheet.items_file.write_text("".join([wrong, *rest]))
    with pytest.raises(RunError, match="is damaged: row 1 has a choice that its likelihoods"):
        evaluation_rows({"model": EvaluationFolder(out)})


def test_answers_of_another_kind_of_device_are_not_mixed_in(answered, tiny_model, folder, tmp_path):
    out = shutil.copytree(answered, tmp_path / "out")
    sheet = EvaluationFolder(out).sheet("rte-cloze")
    text = sheet.facts_file.read_text()
    assert sheet.facts().identity.device == "cpu"
    held = json.loads(text)
    held["identity"]["device"] = "cuda"
    sheet.facts_file.write_text(json.dumps(held))
    with pytest.raises(RunError, match="with device = 'cuda', and 'cpu' is asked for"):
        evaluate_model(str(tiny_model), out, rte(folder), device="cpu")
