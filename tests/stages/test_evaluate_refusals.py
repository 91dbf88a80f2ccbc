"""What a model cannot answer is refused before anything is trained or answered."""

from __future__ import annotations

import shutil

import pytest

from hyperfitting import pipeline
from hyperfitting.errors import DataError, ModelError, RunError
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings, parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.evaluate import evaluate_experiment, evaluate_model
from tests.support.benchmarks import mmlu_rows, write_benchmarks, write_jsonl

TEMPLATE = (
    "{% for each in messages %}{{ each.role }}: {{ each.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"), items=3)


def asking(folder, *forms, chat_forms=(), **others):
    task = BenchmarkSettings(name="rte", forms=forms, chat_forms=chat_forms)
    return EvaluateSettings(data=str(folder), tasks=(task,), **others)


WRONG = {
    "no template": (
        {"chat": True},
        ModelError,
        r"no chat template: leave out --chat \(evaluate.chat, chat_forms\)",
    ),
    "too many tokens": (
        {"answer_tokens": 600},
        DataError,
        r"rte: an answer of 600 tokens does not fit the model's 128 positions: lower "
        "evaluate.answer_tokens",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_section_is_refused_before_the_training(tree, folder, tmp_path, case):
    settings, error, words = WRONG[case]
    task = {"name": "rte", "forms": ["generated"]}
    tree["evaluate"] = {"data": str(folder), "tasks": [task], **settings}
    with pytest.raises(error, match=words):
        pipeline.run(parse_recipe(tree, source="test"), tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", WRONG)
def test_a_model_is_refused_before_its_first_answer(tiny_model, folder, tmp_path, case):
    settings, error, words = WRONG[case]
    chosen = asking(folder, "cloze", "generated", **settings)
    with pytest.raises(error, match=words):
        evaluate_model(str(tiny_model), tmp_path / "out", chosen, device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_choice_that_never_fits_is_refused_with_its_row(tiny_model, tmp_path):
    rows = mmlu_rows(3)
    rows[4]["choices"][2] = "river " * 200
    write_jsonl(tmp_path / "data" / "mmlu_test.jsonl", rows)
    tasks = (BenchmarkSettings(name="mmlu", forms=("letters", "cloze")),)
    chosen = EvaluateSettings(data=str(tmp_path / "data"), tasks=tasks)
    words = r"mmlu, row 5: a choice of \d+ tokens does not fit the model's 128 positions: remove"
    with pytest.raises(DataError, match=words):
        evaluate_model(str(tiny_model), tmp_path / "out", chosen, device="cpu")
    assert not (tmp_path / "out").exists()


def test_all_variants_are_trained_before_the_first_answers(finished, folder, tmp_path):
    made = Experiment(shutil.copytree(finished.folder, tmp_path / "out"))
    shutil.rmtree(made.run("hyperfitted").model_folder)
    with pytest.raises(RunError, match="hyperfitted is not trained yet"):
        evaluate_experiment(made, asking(folder, "cloze"), device="cpu")
    assert made.run("original").evaluation.finished() == []


def test_a_model_most_of_whose_texts_name_no_choice_is_told_of_chats(tiny_model, folder, tmp_path):
    said = []

    class Listening(NoProgress):
        def log(self, line):
            said.append(line)

    chosen = asking(folder, "generated", answer_tokens=2)
    evaluate_model(str(tiny_model), tmp_path / "out", chosen, device="cpu", progress=Listening())
    words = "3 of 3 answers name no choice, and count as wrong: a model of chats answers in one"
    assert any(words in line for line in said)


def test_forms_may_be_chats_while_others_are_not(tiny_model, folder, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "chat_template.jinja").write_text(TEMPLATE)
    chosen = asking(folder, "cloze", "generated", chat_forms=("generated",), answer_tokens=2)
    rows = evaluate_model(str(model), tmp_path / "out", chosen, device="cpu")
    assert [row.how for row in rows] == ["cloze", "generated, chat"]
    names = sorted(path.name for path in (tmp_path / "out").glob("*.jsonl"))
    assert names == ["rte-cloze.jsonl", "rte-generated-chat.jsonl"]
    plain = asking(folder, "cloze")
    evaluate_model(str(tiny_model), tmp_path / "plain", plain, device="cpu")
    found, expected = (tmp_path / each / "rte-cloze.jsonl" for each in ("out", "plain"))
    assert found.read_bytes() == expected.read_bytes()
