"""Our models behind lm-evaluation-harness: known answers, its own tasks, batches, cuts, texts."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from hyperfitting import models
from hyperfitting.downstream.answering import answer_sheet, answered_portion, own_tasks
from hyperfitting.downstream.benchmarks import read_benchmark
from hyperfitting.downstream.calibration import choice_scores
from hyperfitting.downstream.harness import HarnessModel, build_requests
from hyperfitting.errors import InputError, ModelError
from hyperfitting.progress import NO_PROGRESS
from hyperfitting.recipe import EvaluateSettings, ModelSettings
from hyperfitting.runs import EvaluationFolder
from tests.support.benchmarks import (
    SUBJECTS,
    arc_rows,
    evaluated_by_harness,
    harness_task,
    make_bigram_model,
    mmlu_rows,
    write_benchmarks,
    write_jsonl,
)
from tests.support.sheets import sheet_facts
from tests.support.tiny_models import make_model

SETTINGS = EvaluateSettings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"), items=2)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, tiny_tokenizer):
    place = tmp_path_factory.mktemp("models") / "wide"
    return load(make_model(place, tiny_tokenizer, max_position_embeddings=1024))


def load(place):
    settings = ModelSettings(source=str(place))
    return models.load_model(settings, torch.device("cpu")), models.load_codec(settings)


def answers(model, name, form, folder, **options):
    """The rows of a benchmark in one form."""
    examples = options.pop("examples", 0)
    benchmark = read_benchmark(name, folder, examples=examples, **options)
    (task,) = own_tasks(benchmark, [form], SETTINGS, examples=examples)
    return answered_portion(model, list(task.asked(None)))


# Answers that are known beforehand


@pytest.fixture(scope="module")
def says_b(tmp_path_factory, tiny_tokenizer):
    follows = {":": " ", " ": "B", "B": "\n", "\n": "\n"}
    return load(make_bigram_model(tmp_path_factory.mktemp("models") / "b", tiny_tokenizer, follows))


def test_a_model_that_knows_one_letter_chooses_it_everywhere(says_b, folder):
    model = HarnessModel(*says_b, positions=1024)
    for name in ("mmlu", "arc_easy", "rte"):
        for form in ("letters", "generated"):
            rows = answers(model, name, form, folder)
            assert {row.chosen for row in rows} == {1}, (name, form)
            assert [row.score for row in rows] == [float(row.gold == 1) for row in rows]
    assert answers(model, "arc_easy", "generated", folder)[0].text == " B"


def test_the_cloze_form_is_divided_by_characters(says_b, tmp_path):
    """After a colon and a space the model knows `B`; every other token costs the same. So the
    choice with the fewest unknown tokens a character is chosen.
    """
    rows = [
        {"subject": "s", "question": "q?", "choices": ["BB", "xyzxyz", "B", "Bx"], "answer": 2},
        {"subject": "s", "question": "q?", "choices": ["zz", "B\n\n\n\n", "yy", "xx"], "answer": 0},
    ]
    write_jsonl(tmp_path / "mmlu_test.jsonl", rows)
    found = answers(HarnessModel(*says_b, positions=1024), "mmlu", "cloze", tmp_path)
    assert [row.chosen for row in found] == [2, 1]
    assert [row.lengths for row in found] == [(2, 6, 1, 2), (2, 5, 2, 2)]
    size = says_b[1].rows
    known = 1 / math.sqrt(1 / size + 1e-6)  # the logit of what it knows, after its norm
    cost = math.log(math.exp(known) + size - 1) - known  # of one token that the model knows
    assert found[0].loglikelihoods[2] == pytest.approx(-2 * cost, abs=1e-5)
    unknown = cost + (known + cost) + math.log(size)  # a space, then `x` after it, `x` after `x`
    assert found[1].loglikelihoods[3] == pytest.approx(-unknown, rel=1e-5)
    assert [row.score for row in found] == [1.0, 0.0]


# The same rows through the task files of lm-evaluation-harness


def assert_equal(rows, expected, metric):
    assert len(rows) == len(expected)
    for row, (loglikelihoods, sample) in zip(rows, expected, strict=True):
        assert row.loglikelihoods == pytest.approx(loglikelihoods, rel=1e-5)
        assert row.score == sample[metric]


@pytest.mark.parametrize("examples", [0, 2])
@pytest.mark.parametrize(
    ("form", "file"),
    [("letters", "mmlu/default/mmlu_"), ("cloze", "mmlu/continuation/mmlu_")],
)
def test_mmlu_equals_their_task_files_item_by_item(loaded, folder, form, file, examples):
    model = HarnessModel(*loaded, positions=1024)
    ours = answers(model, "mmlu", form, folder, examples=examples)
    for subject in SUBJECTS:
        items, shown = (
            [row for row in rows if row["subject"] == subject]
            for rows in (mmlu_rows(2), mmlu_rows(3, seed=7))
        )
        task = harness_task(f"{file}{subject}.yaml", items, shown)
        task.set_config(key="num_fewshot", value=examples)
        task.set_fewshot_seed(0)
        rows = [row for row in ours if row.subject == subject]
        assert_equal(
            rows, evaluated_by_harness(task, model), "acc" if form == "letters" else "acc_norm"
        )


@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_equals_their_task_files_item_by_item(loaded, folder, name):
    model = HarnessModel(*loaded, positions=1024)
    rows = [row for row in arc_rows(2) if row["set"] == name.removeprefix("arc_")]
    items = [
        {
            "question": row["question"],
            "choices": {"text": row["choices"], "label": list("ABCD")},
            "answerKey": "ABCD"[row["answer"]],
        }
        for row in rows
    ]
    ours = answers(model, name, "cloze", folder)
    assert_equal(
        ours, evaluated_by_harness(harness_task(f"arc/{name}.yaml", items), model), "acc_norm"
    )


@pytest.mark.parametrize("name", ["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2"])
def test_glue_asks_what_their_task_files_ask(folder, name):
    benchmark = read_benchmark(name, folder)
    items = [{**each.fields, "label": each.answer} for each in benchmark.questions]
    task = harness_task(f"glue/{name}/default.yaml", items)
    (ours,) = own_tasks(benchmark, ["cloze"], SETTINGS, examples=0)
    for number, (asked, document) in enumerate(zip(ours.asked(None), items, strict=True)):
        expected = build_requests(task, number, document, None)
        assert [each.args for each in asked.requests] == [each.args for each in expected]
        assert benchmark.questions[number].answer == task.doc_to_target(document)


# Batches, cuts and texts


@pytest.mark.parametrize("form", ["letters", "cloze", "generated"])
def test_one_at_a_time_equals_sixteen(loaded, folder, form):
    alone, together = (
        [
            row
            for name in ("mmlu", "rte")
            for row in answers(
                HarnessModel(*loaded, positions=1024, batch_items=size), name, form, folder
            )
        ]
        for size in (1, 16)
    )
    differing = [
        (one.item, margin(one), margin(other))
        for one, other in zip(alone, together, strict=True)
        if one.chosen != other.chosen or one.text != other.text
    ]
    assert differing == []
    for one, other in zip(alone, together, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)


def margin(row):
    """By how much the chosen choice won."""
    best, second, *_ = sorted(choice_scores(row), reverse=True)
    return best - second


def pairs():
    ends = [("a house", " in the morning"), ("the river\n", "B"), ("the river \n", "B")]
    return [("the river of", f" {letter}") for letter in "ABCD"] + ends


@torch.no_grad()
def test_shared_readings_equal_the_plain_forward(loaded):
    model, codec = loaded
    found = HarnessModel(model, codec, positions=1024).likelihoods(pairs())
    for (context, more), answer in zip(pairs(), found, strict=True):
        ids = torch.tensor([codec.encode(context + more)])
        start = len(codec.encode(context.rstrip()))
        log_p = model(ids).logits[0].float().log_softmax(-1)
        each = [float(log_p[place - 1, ids[0, place]]) for place in range(start, ids.shape[1])]
        assert answer.loglikelihood == pytest.approx(sum(each), rel=1e-5)
        greedy = all(
            int(log_p[place - 1].argmax()) == ids[0, place] for place in range(start, ids.shape[1])
        )
        assert answer.is_greedy == greedy


@torch.no_grad()
def test_a_long_prompt_is_cut_at_its_beginning_and_counted(loaded):
    model, codec = loaded
    context, more = "the river " * 40, " morning"
    ids = codec.encode(context.rstrip() + more)
    cut, whole = (
        HarnessModel(model, codec, positions=positions).likelihoods([(context.rstrip(), more)])[0]
        for positions in (30, 1024)
    )
    assert (cut.cut_tokens, whole.cut_tokens) == (len(ids) - 30, 0)
    kept = [*codec.start_ids, *ids[len(codec.start_ids) :][-(30 - len(codec.start_ids)) :]]
    log_p = model(torch.tensor([kept])).logits[0].float().log_softmax(-1)
    more_tokens = len(ids) - len(codec.encode(context.rstrip()))
    places = range(30 - more_tokens, 30)
    expected = sum(float(log_p[place - 1, kept[place]]) for place in places)
    assert cut.loglikelihood == pytest.approx(expected, rel=1e-5)
    text = HarnessModel(model, codec, positions=30).texts([(context, {"max_gen_toks": 8})])[0]
    assert text.cut_tokens > 0


def test_an_answer_that_never_fits_is_refused(loaded):
    model = HarnessModel(*loaded, positions=8)
    with pytest.raises(ModelError, match="an answer of 8 tokens does not fit the model's 8"):
        model.texts([("the river", {"max_gen_toks": 8})])


def test_texts_stop_before_their_stop_strings(says_b):
    model = HarnessModel(*says_b, positions=1024, batch_items=2)
    asked = [
        ("a:", {"until": ["\n"], "max_gen_toks": 6}),
        ("b:", {"until": "B", "max_gen_toks": 6}),
        ("the house:", {"until": [], "max_gen_toks": 4}),
    ]
    assert [each.text for each in model.texts(asked)] == [" B", " ", " B\n\n"]


def test_an_answer_may_begin_with_empty_lines(tmp_path, tiny_tokenizer, folder):
    follows = {":": "\n", "\n": "D", "D": ".", ".": "\n"}
    place = make_bigram_model(tmp_path / "d", tiny_tokenizer, follows)
    model = HarnessModel(*load(place), positions=1024)
    rows = answers(model, "arc_easy", "generated", folder)
    assert {(row.text, row.chosen) for row in rows} == {("\nD.", 3)}
    plain = model.texts([("Answer:", {"until": ["\n"], "max_gen_toks": 6})])
    assert plain[0].text == ""


def test_samples_are_refused(loaded):
    model = HarnessModel(*loaded)
    with pytest.raises(InputError, match="a task asks for samples"):
        model.texts([("a", {"temperature": 0.7})])


@torch.no_grad()
def test_an_empty_prompt_stands_after_beginning_of_text(loaded):
    model, codec = loaded
    found = HarnessModel(model, codec).likelihoods([("", "river")])[0]
    ids = codec.encode("river")
    log_p = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
    expected = sum(float(log_p[place - 1, ids[place]]) for place in range(1, len(ids)))
    assert found.loglikelihood == pytest.approx(expected, rel=1e-5)


TEMPLATE = (
    "{{ bos_token }}{% for each in messages %}{{ each.role }}: {{ each.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.mark.parametrize("policy", ["add", "none"])
def test_a_chat_begins_once_and_asks_in_the_users_turn(tiny_tokenizer, folder, policy, loaded):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = TEMPLATE
    model, codec = loaded
    codec = models.TextCodec(tokenizer, codec.end_ids, beginning_of_text=policy)
    asked = HarnessModel(model, codec, chat=True)
    (task,) = own_tasks(read_benchmark("mmlu", folder, limit=1), ["letters"], SETTINGS, examples=0)
    requests = next(iter(task.asked(asked.apply_chat_template))).requests
    context, first = requests[0].args
    assert context.startswith("<|end|>system: The following are multiple choice questions")
    assert context.endswith("Answer:\nassistant:")
    assert first == "A"
    ids = codec.encode_prompt(context)
    assert (ids[0], ids.count(tokenizer.bos_token_id)) == (tokenizer.bos_token_id, 1)
    assert asked.likelihoods([requests[0].args])[0].loglikelihood < 0


def test_texts_follow_the_longest_prompts_first_and_are_kept_in_the_files_order(loaded, tmp_path):
    rows = [
        row | {"question": "why " * (1 + number % 5)} for number, row in enumerate(arc_rows(20))
    ]
    write_jsonl(tmp_path / "arc.jsonl", rows)
    (task,) = own_tasks(read_benchmark("arc_easy", tmp_path), ["generated"], SETTINGS, examples=0)
    model = HarnessModel(*loaded, positions=1024)
    sheet, read = EvaluationFolder(tmp_path).sheet("texts"), []
    facts = sheet_facts("arc_easy", "generated", len(task))
    sheet.begin(facts)
    write, model.texts = model.texts, lambda asked: read.extend(asked) or write(asked)
    answer_sheet(task, model, sheet, facts, batch_items=1, label="", progress=NO_PROGRESS)
    lengths = [model.prompt_tokens(context) for context, _ in read]
    assert lengths == sorted(lengths, reverse=True) != [lengths[0]] * len(lengths)
    kept = sheet.items()
    assert [(each.item, each.item_sha256) for each in kept] == task.keys
    assert {each.item: each.text for each in kept} == {
        each.item: each.text for each in answers(model, "arc_easy", "generated", tmp_path)
    }
