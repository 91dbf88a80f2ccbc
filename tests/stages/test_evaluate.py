"""Evaluating experiments and models: the files left behind, resuming, the report, wrong input."""

from __future__ import annotations

import shutil
import sys

import pytest

from hyperfitting.cli import main
from hyperfitting.downstream.parser import PARSER_VERSION
from hyperfitting.downstream.tables import experiment_rows
from hyperfitting.errors import DataError, InputError, RunError
from hyperfitting.facts import read_facts
from hyperfitting.files import exclusive_lock, read_rows
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings
from hyperfitting.runs import Experiment
from hyperfitting.runs.answers import AnsweredItem, SheetFacts
from hyperfitting.stages import evaluate, evaluate_any
from hyperfitting.stages.evaluate import chosen_settings, evaluate_experiment, evaluate_model
from hyperfitting.stages.report import report_experiment
from tests.support.benchmarks import write_benchmarks
from tests.support.cli import refused
from tests.support.listening import StopsAfter

pytestmark = pytest.mark.pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"), items=12)


def settings(folder, *names, forms=("letters", "cloze"), **others):
    tasks = tuple(BenchmarkSettings(name=name, forms=forms) for name in names)
    return EvaluateSettings(data=str(folder), tasks=tasks, **others)


@pytest.fixture(scope="module")
def evaluated(finished, folder, tmp_path_factory):
    """A copy of the finished experiment that has answered three benchmarks."""
    made = Experiment(
        shutil.copytree(finished.folder, tmp_path_factory.mktemp("evaluated") / "tiny")
    )
    forms = ("letters", "cloze", "generated")
    chosen = settings(folder, "cola", "mrpc", forms=forms, answer_tokens=4, batch_items=4)
    evaluate_experiment(made, chosen, device="cpu")
    return made


def test_every_variant_has_a_sheet_for_each_benchmark_and_form(evaluated):
    names = [f"{t}-{f}" for t in ("cola", "mrpc") for f in ("cloze", "generated", "letters")]
    for run in evaluated.runs().values():
        sheets = run.evaluation.finished()
        assert [sheet.name for sheet in sheets] == names
        for sheet in sheets:
            assert [row.item for row in sheet.items()] == list(range(1, 13))
            assert not sheet.part_file.exists()
            facts = sheet.facts()
            assert facts.identity.weights == run.made_with[0]
            assert (facts.identity.dtype, facts.identity.beginning_of_text) == ("float32", "add")
            assert (facts.identity.batch_items, facts.identity.examples) == (4, 0)
            assert (facts.contaminated, facts.unchecked) != (None, None)
            assert facts.seconds >= 0
        generated = run.evaluation.sheet("cola-generated")
        assert all(isinstance(row.text, str) for row in generated.items())
        assert generated.facts().identity.parser == PARSER_VERSION


def test_a_benchmark_is_compared_with_the_training_blocks_once(
    evaluated, folder, tmp_path, monkeypatch
):
    made = Experiment(shutil.copytree(evaluated.folder, tmp_path / "out"))
    compared, compare = [], evaluate.find_contaminated

    def find(questions, index):
        compared.append(len(questions))
        return compare(questions, index)

    monkeypatch.setattr(evaluate, "find_contaminated", find)
    chosen = settings(folder, "cola", "mrpc", batch_items=4)
    evaluate_experiment(made, chosen, device="cpu")
    assert compared == [12, 12]  # two variants in two forms


def test_forms_that_ask_other_items_are_compared_apart(finished, folder, tmp_path):
    """A benchmark may be asked alone in one form and by its group in another, with other limits."""
    made = Experiment(shutil.copytree(finished.folder, tmp_path / "out"))
    tasks = (
        BenchmarkSettings(name="cola", forms=("letters",), limit=4),
        BenchmarkSettings(name="glue", forms=("cloze",), limit=2),
    )
    chosen = EvaluateSettings(data=str(folder), tasks=tasks, batch_items=4)
    evaluate_experiment(made, chosen, device="cpu")
    evaluation = made.run("original").evaluation
    too_short = {
        name: evaluation.sheet(name).facts().unchecked
        for name in ("cola-letters-limit-4", "cola-cloze-limit-2")
    }
    assert too_short == {"cola-letters-limit-4": 4, "cola-cloze-limit-2": 2}


def test_a_second_process_at_the_same_sheet_is_refused(evaluated, folder, tmp_path):
    made = Experiment(shutil.copytree(evaluated.folder, tmp_path / "out"))
    evaluation = made.run("original").evaluation
    evaluation.sheet("mrpc-letters").items_file.unlink()
    chosen = settings(folder, "mrpc", forms=("letters",), batch_items=4)
    with exclusive_lock(evaluation.folder, "cola-letters"):  # another sheet is free
        evaluate_experiment(made, chosen, device="cpu")
    evaluation.sheet("mrpc-letters").items_file.unlink()
    with (
        exclusive_lock(evaluation.folder, "mrpc-letters"),
        pytest.raises(RunError, match="mrpc-letters: another process is at work there"),
    ):
        evaluate_experiment(made, chosen, device="cpu")


def test_the_rows_compare_each_variant_with_the_original(evaluated):
    rows = experiment_rows(evaluated)
    assert len(rows) == 12
    for row in rows:
        assert (row.difference is None) == (row.variant == "original")
        assert (row.unparsed is None) == (row.form != "generated")
        assert (row.calibration is None) == (row.form == "generated")
        assert row.metric == {"cola": "mcc", "mrpc": "f1"}[row.task]
        assert row.chance is not None
        assert row.majority is not None
        if row.difference is not None:
            found = row.difference
            before = evaluated.run("original").evaluation.sheet(f"{row.task}-{row.form}").items()
            after = evaluated.run("hyperfitted").evaluation.sheet(f"{row.task}-{row.form}").items()
            pairs = [(a.score, b.score) for a, b in zip(before, after, strict=True)]
            assert found.discordance.lost == pairs.count((1.0, 0.0))
            assert found.discordance.gained == pairs.count((0.0, 1.0))
            assert found.p_holm >= found.discordance.p


def test_the_report_has_tables_and_a_picture(evaluated):
    page = report_experiment(evaluated)
    text = page.read_text()
    for words in ("Benchmarks", "Differences to the original", "Confidence", "CoLA, cloze"):
        assert words in text
    assert 'aria-label="Differences to the original by benchmark"' in text
    assert (page.parent / "evaluation.png").stat().st_size > 1000
    header, *lines = (page.parent / "evaluation.csv").read_text().splitlines()
    assert "excluded_loss" in header
    assert len(lines) == 12
    markdown = (page.parent / "report.md").read_text()
    assert "excluded at 95 %" in markdown
    assert "![differences to the original by benchmark](evaluation.png)" in markdown


def test_a_report_without_answers_is_as_before(finished):
    page = (finished.report_folder / "index.html").read_text()
    assert "Differences to the original" not in page
    assert not (finished.report_folder / "evaluation.csv").exists()


def test_what_is_answered_is_kept_and_other_settings_are_refused(evaluated, folder):
    sheet = evaluated.run("original").evaluation.sheet("cola-cloze")
    before = sheet.items_file.stat().st_mtime_ns
    said = []

    class Listening(NoProgress):
        def log(self, line):
            said.append(line)

    same = settings(folder, "cola", forms=("cloze",), batch_items=4)
    evaluate_experiment(evaluated, same, device="cpu", progress=Listening())
    assert "original: cola-cloze answered already" in said
    assert sheet.items_file.stat().st_mtime_ns == before
    other = settings(folder, "cola", forms=("cloze",), batch_items=8)
    with pytest.raises(RunError, match=r"batch_items = 4, and 8 is asked for: remove cola-cloze"):
        evaluate_experiment(evaluated, other, device="cpu")


def test_an_interrupted_evaluation_goes_on_to_the_same_file(tiny_model, folder, tmp_path):
    chosen = settings(folder, "sst2", forms=("cloze",), batch_items=1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    evaluate_model(str(tiny_model), whole, chosen, device="cpu")
    for items in (4, 10):
        with pytest.raises(KeyboardInterrupt):
            evaluate_model(str(tiny_model), cut, chosen, device="cpu", progress=StopsAfter(items))
        parts = list(cut.glob("*.part"))
        assert parts
        with parts[0].open("a") as file:
            file.write('{"item": 7, "subj')  # as a kill leaves it
    evaluate_model(str(tiny_model), cut, chosen, device="cpu")
    assert sorted(each.name for each in cut.iterdir()) == sorted(
        each.name for each in whole.iterdir()
    )
    name = "sst2-cloze.jsonl"
    assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_a_model_answers_a_sample_and_cuts_are_counted(tiny_model, folder, tmp_path, capsys):
    out = tmp_path / "answers"
    arguments = ["evaluate", str(tiny_model), "--data", str(folder), "--out", str(out)]
    assert main([*arguments, "--tasks", "mmlu", "arc", "--limit", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "| MMLU, letters, 2 a subject | model | acc |" in printed
    assert f"answers  {out}" in printed
    facts = read_facts(out / "mmlu-letters-limit-2.json", SheetFacts)
    assert (facts.identity.items, facts.identity.limit) == (6, 2)
    rows = read_rows(out / "mmlu-letters-limit-2.jsonl", AnsweredItem)
    assert facts.cut_items == sum(row.cut_tokens > 0 for row in rows) > 0  # of 128 positions
    assert facts.contaminated is None
    assert len((out / "arc_easy-cloze-limit-2.jsonl").read_text().splitlines()) == 2


def test_settings_of_a_recipe_are_kept_where_an_option_does_not_change_them():
    base = EvaluateSettings(
        tasks=(BenchmarkSettings(name="mmlu", limit=20, examples=5), BenchmarkSettings(name="arc")),
        data="there",
        seed=3,
    )
    made = chosen_settings(base, tasks=["mmlu", "rte"], forms=["generated"], seed=None, chat=True)
    mmlu, rte = made.tasks
    assert (mmlu.limit, mmlu.examples, mmlu.forms) == (20, 5, ("generated",))
    assert (rte.name, rte.limit, rte.forms) == ("rte", None, ("generated",))
    assert (made.data, made.seed, made.chat) == ("there", 3, True)
    assert chosen_settings(base) == base
    assert [each.limit for each in chosen_settings(base, limit="all").tasks] == [None, None]


def test_answers_of_former_weights_are_removed(evaluated, tmp_path):
    copy = Experiment(shutil.copytree(evaluated.folder, tmp_path / "copy"))
    run = copy.run("hyperfitted")
    assert not run.drop_stale()
    assert run.evaluation.drop_stale("other")
    assert run.evaluation.finished() == []


def test_items_of_two_samples_are_not_compared(evaluated, tmp_path):
    copy = Experiment(shutil.copytree(evaluated.folder, tmp_path / "copy"))
    sheet = copy.run("hyperfitted").evaluation.sheet("cola-cloze")
    lines = sheet.items_file.read_text().splitlines(keepends=True)
    sheet.items_file.write_text("".join([*lines[1:], lines[0]]))
    with pytest.raises(RunError, match="are of other items: remove one, and evaluate again"):
        experiment_rows(copy)
    sheet.items_file.write_text("".join([*lines[:-1], '{"item": 1}\n']))
    with pytest.raises(RunError, match="row 12 is no AnsweredItem"):
        experiment_rows(copy)


WRONG = {
    "an unknown task": (
        ["--tasks", "mmul"],
        "no task 'mmul': neither one of arc_challenge, arc_easy, cola, mmlu, mnli, mrpc, qnli, "
        "qqp, rte, sst2, arc, glue nor one of lm-evaluation-harness; did you mean mmlu",
    ),
    "no tasks": ([], "no benchmark is left of nothing"),
    "an empty name": (["--tasks", ""], "argument --tasks: it is empty: give a name"),
    "twice": (["--tasks", "arc", "arc_easy"], "is asked for twice"),
    "no chat template": (["--tasks", "rte", "--chat"], "its tokenizer has no chat template"),
    "no examples": (["--tasks", "rte", "--examples", "2"], "holds no glue/RTE_train.jsonl"),
    "a wrong limit": (["--tasks", "rte", "--limit", "0"], "'0' is not a whole number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_in_one_line_and_leaves_nothing(
    tiny_model, folder, tmp_path, capsys, case
):
    options, words = WRONG[case]
    out = tmp_path / "answers"
    arguments = ["evaluate", str(tiny_model), "--data", str(folder), "--out", str(out)]
    assert words in refused(capsys, *arguments, *options)
    assert not out.exists()


def test_empty_names_are_refused(capsys):
    found = refused(capsys, "evaluate", "", "--tasks", "rte")
    assert "argument EXPERIMENT|MODEL: it is empty: give a name" in found
    with pytest.raises(InputError, match="no model is named"):
        evaluate_any.evaluate("")
    with pytest.raises(DataError, match="the name of a benchmark is empty"):
        chosen_settings(EvaluateSettings(), tasks=[""])


def test_wrong_folders_are_refused(tiny_model, evaluated, folder, tmp_path, capsys):
    start = ["evaluate", str(tiny_model), "--tasks", "rte"]
    assert "set evaluate.data, or --data" in refused(capsys, *start)
    assert "no such folder of benchmarks" in refused(capsys, *start, "--data", "gone")
    (tmp_path / "notes.txt").write_text("mine")
    found = refused(capsys, *start, "--data", str(folder), "--out", str(tmp_path))
    assert "holds notes.txt, which is no sheet of answers" in found
    found = refused(capsys, "evaluate", str(tmp_path / "gone"), *start[2:], "--data", str(folder))
    assert "no such model folder" in found
    found = refused(capsys, "evaluate", str(evaluated.folder), "--out", str(tmp_path / "x"))
    assert "--out is for a model" in found


def test_without_the_extra_its_name_is_said(tiny_model, folder, monkeypatch, capsys):
    for name in [each for each in sys.modules if each.startswith("hyperfitting.")]:
        if name.startswith(("hyperfitting.downstream", "hyperfitting.stages.evaluate")):
            monkeypatch.delitem(sys.modules, name)
    for name in [each for each in sys.modules if each.split(".")[0] == "lm_eval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    found = refused(capsys, "evaluate", str(tiny_model), "--data", str(folder), "--tasks", "rte")
    assert "pip install 'hyperfitting[downstream]'" in found


def test_half_written_facts_are_refused(tiny_model, folder, tmp_path):
    chosen = settings(folder, "rte", forms=("cloze",))
    out = tmp_path / "answers"
    out.mkdir()
    (out / "rte-cloze.json").write_text('{"identity": {')
    with pytest.raises(RunError, match=r"rte-cloze.json is damaged"):
        evaluate_model(str(tiny_model), out, chosen, device="cpu")


def test_rows_are_written_as_their_record(evaluated):
    row = evaluated.run("original").evaluation.sheet("mrpc-letters").items()[0]
    assert isinstance(row, AnsweredItem)
    assert len(row.loglikelihoods) == 2
    assert row.lengths == ()
