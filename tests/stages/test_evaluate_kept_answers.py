"""Answers that are kept: the same questions for every variant, and nothing half-written."""

from __future__ import annotations

import shutil

import pytest

from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings
from hyperfitting.runs import Experiment
from hyperfitting.stages.evaluate import evaluate_experiment
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
    from hyperfitting.stages import evaluate

    loaded = evaluate.load_run(made.run("original"), evaluate.torch.device("cpu"))
    monkeypatch.setattr(evaluate, "load_run", lambda *_, **__: loaded)  # equal weights
    evaluate_experiment(made, chosen, device="cpu")
    one, other = (
        run.evaluation.sheet("arc_easy-cloze-examples-2") for run in made.runs().values()
    )
    first = one.items_file.read_bytes()
    assert other.items_file.read_bytes() == first
    other.items_file.unlink()
    evaluate_experiment(made, chosen, device="cpu")
    assert other.items_file.read_bytes() == first
