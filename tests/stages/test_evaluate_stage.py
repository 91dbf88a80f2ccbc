"""Benchmarks as a stage of an experiment, and task files of lm-evaluation-harness."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hyperfitting import pipeline
from hyperfitting.cli import main
from hyperfitting.downstream import harness
from hyperfitting.downstream.harness import foreign_tasks
from hyperfitting.errors import DataError
from hyperfitting.files import read_rows
from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings, parse_recipe
from hyperfitting.runs.answers import AnsweredItem
from hyperfitting.stages.evaluate import evaluate_model
from tests.support.benchmarks import mmlu_rows, write_benchmarks, write_jsonl
from tests.support.cli import refused


@pytest.fixture
def small(tree):
    """The smallest experiment that is one."""
    tree["data"] |= {"train_blocks": 4, "validation_blocks": 2, "domains": []}
    tree["train"] |= {"epochs": 1}
    tree["probe"] |= {"contexts": 1, "new_tokens": 2}
    return tree


def asks(tree, folder, **settings):
    task = {"name": "rte", "limit": 3, "forms": ["cloze", "generated"]}
    tree["evaluate"] = {"data": str(folder), "tasks": [task], "answer_tokens": 2, **settings}
    return tree


def test_a_recipe_that_names_benchmarks_is_evaluated_before_its_report(small, tmp_path, light):
    folder = write_benchmarks(tmp_path / "data", items=5)
    recipe = parse_recipe(asks(small, folder), source="test")
    experiment = pipeline.run(recipe, tmp_path / "out", device="cpu")
    for run in experiment.runs().values():
        names = [sheet.name for sheet in run.evaluation.finished()]
        assert names == ["rte-cloze-limit-3", "rte-generated-limit-3"]
        assert len(run.evaluation.sheet("rte-cloze-limit-3").items()) == 3
    assert "RTE, cloze, 3 items" in (experiment.report_folder / "index.html").read_text()


def test_a_recipe_without_benchmarks_has_the_digest_of_before(small, tmp_path):
    plain = parse_recipe(dict(small), source="test")
    asked = parse_recipe(asks(dict(small), tmp_path), source="test")
    small["evaluate"] = {"batch_items": 16, "seed": 0, "tasks": []}
    assert parse_recipe(small, source="test").digest == plain.digest != asked.digest


def test_a_missing_benchmark_is_refused_before_the_training(small, tmp_path):
    recipe = parse_recipe(asks(small, tmp_path), source="test")
    with pytest.raises(DataError, match="holds no glue/RTE_dev"):
        pipeline.run(recipe, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


# Task files of lm-evaluation-harness


def task_file(path, data, **settings):
    """A task file that reads local rows; JSON is YAML."""
    splits = {"data_files": {"test": str(data)}, "cache_dir": str(path.parent / "cache")}
    held = {
        "task": path.stem,
        "dataset_path": "json",
        "dataset_kwargs": splits,
        "test_split": "test",
        **settings,
    }
    path.write_text(json.dumps(held))
    return path


MEAN = {"aggregation": "mean", "higher_is_better": True}


def test_a_task_file_is_asked_in_its_own_form(tiny_model, tmp_path, capsys):
    rows = mmlu_rows(5, subjects=("s",))
    write_jsonl(tmp_path / "rows.jsonl", rows)
    choice = task_file(
        tmp_path / "mine.yaml",
        tmp_path / "rows.jsonl",
        output_type="multiple_choice",
        doc_to_text="Q: {{question}}\nA:",
        doc_to_choice="choices",
        doc_to_target="answer",
        metric_list=[{"metric": "acc", **MEAN}],
    )
    text = task_file(
        tmp_path / "texts.yaml",
        tmp_path / "rows.jsonl",
        output_type="generate_until",
        doc_to_text="{{question}}",
        doc_to_target="{{choices[answer]}}",
        generation_kwargs={"until": ["\n"], "max_gen_toks": 3},
        metric_list=[{"metric": "exact_match", **MEAN}],
    )
    out = tmp_path / "answers"
    arguments = ["evaluate", str(tiny_model), "--tasks", str(choice), str(text), "--limit", "4"]
    assert main([*arguments, "--out", str(out), "--device", "cpu"]) == 0
    assert "| mine, own, 4 items | model | acc |" in capsys.readouterr().out
    mine, texts = (
        read_rows(out / f"{name}-own-limit-4.jsonl", AnsweredItem) for name in ("mine", "texts")
    )
    assert len(mine) == len(texts) == 4
    assert [row.item for row in mine] == [row.item for row in texts]
    for row in mine:
        assert row.gold == rows[row.item - 1]["answer"]
        assert row.score == float(row.gold == row.chosen)
    assert all(row.text is not None and row.gold is None for row in texts)


def choosing(tmp_path, metric, rows=None, **settings):
    """A task file of questions with choices that names one metric."""
    write_jsonl(tmp_path / "rows.jsonl", rows or mmlu_rows(12, subjects=("s",)))
    held = {"doc_to_text": "Q: {{question}}\nA:", "doc_to_choice": "choices"}
    held |= {"doc_to_target": "answer", "output_type": "multiple_choice"} | settings
    metrics = [{"metric": metric, **(MEAN if metric.startswith("acc") else {})}]
    return task_file(tmp_path / "mine.yaml", tmp_path / "rows.jsonl", **held, metric_list=metrics)


@pytest.mark.parametrize("metric", ["acc_norm", "acc_bytes"])
def test_a_metric_by_length_decides_the_choice_too(tiny_model, tmp_path, metric):
    task, out = choosing(tmp_path, metric), tmp_path / "answers"
    arguments = ["evaluate", str(tiny_model), "--tasks", str(task), "--out", str(out)]
    assert main([*arguments, "--device", "cpu"]) == 0
    rows = read_rows(out / "mine-own.jsonl", AnsweredItem)
    assert all(row.score == float(row.gold == row.chosen) for row in rows)
    choices = mmlu_rows(12, subjects=("s",))[0]["choices"]
    assert rows[0].lengths == tuple(map(len, choices))
    raw = [max(range(4), key=row.loglikelihoods.__getitem__) for row in rows]
    assert raw != [row.chosen for row in rows]


@pytest.mark.parametrize(
    ("metric", "settings", "words"),
    [
        ("brier_score", {}, "its metric brier_score is no mean of what single items score"),
        ("f1", {}, "its metric f1 is read of two choices with one right answer"),
        (
            "bleu",
            {"output_type": "generate_until", "doc_to_target": "{{choices[answer]}}"},
            "its metric bleu is no mean",
        ),
    ],
)
def test_a_metric_that_makes_no_row_is_refused_before_a_model_is_asked(
    tiny_model, tmp_path, capsys, metric, settings, words
):
    task, out = choosing(tmp_path, metric, **settings), tmp_path / "answers"
    assert main(["evaluate", str(tiny_model), "--tasks", str(task), "--out", str(out)]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


def test_items_with_several_right_answers_have_no_majority(tiny_model, tmp_path):
    rows = [{**row, "answer": [0, row["answer"]]} for row in mmlu_rows(12, subjects=("s",))]
    settings = EvaluateSettings(
        tasks=(BenchmarkSettings(name=str(choosing(tmp_path, "acc", rows))),)
    )
    (row,) = evaluate_model(str(tiny_model), tmp_path / "answers", settings, device="cpu")
    assert (row.chance, row.majority) == (0.25, None)


def test_a_task_may_be_called_anything(tiny_model, tmp_path):
    chosen = choosing(tmp_path, "acc", task="../up / and (down)")
    settings = EvaluateSettings(tasks=(BenchmarkSettings(name=str(chosen)),))
    (row,) = evaluate_model(str(tiny_model), tmp_path / "answers", settings, device="cpu")
    assert row.task == "../up / and (down)"
    assert (tmp_path / "answers" / "..-up-and-(down)-own.jsonl").is_file()


def test_a_task_file_that_cannot_be_loaded_is_refused(tiny_model, tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text("task: bad\ndataset_path: json\ndataset_kwargs: {data_files: gone.jsonl}\n")
    found = refused(capsys, "evaluate", str(tiny_model), "--tasks", str(bad))
    assert "lm-evaluation-harness cannot load this task" in found


@pytest.mark.parametrize("name", ["nope.yaml", "folder.yaml"])
def test_a_task_file_that_is_not_there_is_refused(tiny_model, tmp_path, capsys, name):
    (tmp_path / "folder.yaml").mkdir()
    found = refused(capsys, "evaluate", str(tiny_model), "--tasks", str(tmp_path / name))
    assert f"{name}: no such task file" in found


@pytest.mark.parametrize(("name", "near"), [("question", "question_s"), ("MMLU", "mmlu")])
def test_a_word_of_a_task_file_is_no_name_of_a_task(monkeypatch, name, near):
    shipped = SimpleNamespace(all_tasks=["question_s", "hellaswag"])
    monkeypatch.setattr(harness, "_manager_of_shipped", lambda: shipped)
    with pytest.raises(DataError, match=f"no task '{name}': neither .* did you mean {near}"):
        foreign_tasks(name, examples=0)


def test_a_task_of_perplexity_is_refused(tiny_model, tmp_path, capsys):
    write_jsonl(tmp_path / "rows.jsonl", mmlu_rows(2, subjects=("s",)))
    rolling = task_file(
        tmp_path / "rolling.yaml",
        tmp_path / "rows.jsonl",
        output_type="loglikelihood_rolling",
        doc_to_text="",
        doc_to_target="{{question}}",
        metric_list=[{"metric": "word_perplexity"}],
    )
    out = tmp_path / "answers"
    assert main(["evaluate", str(tiny_model), "--tasks", str(rolling), "--out", str(out)]) == 2
    found = capsys.readouterr().err.splitlines()[-1]  # after what reads the rows
    assert "rolling: tasks of perplexity are not evaluated" in found
    assert "`hyperfit measure TEXTS.jsonl --scorer MODEL`" in found
    assert not out.exists()


def test_the_task_files_of_the_harness_are_read_once(monkeypatch):
    def refused_name(name):
        with pytest.raises(DataError, match="neither one of") as error:
            foreign_tasks(name, examples=0)
        return str(error.value)

    first = refused_name("arc_eazy")
    monkeypatch.setattr(Path, "read_bytes", None)  # a file that is read now ends the test
    assert refused_name("arc_eazy") == first
