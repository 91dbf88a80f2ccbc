"""Files of benchmarks: what is read of them, how they are sampled, and what is refused."""

from __future__ import annotations

import gzip
import json

import pytest

from hyperfitting.data.decode import PACKED
from hyperfitting.downstream.benchmarks import has_files, read_benchmark
from hyperfitting.downstream.overlap_check import find_contaminated, training_index
from hyperfitting.downstream.prompts import documents, harness_config
from hyperfitting.downstream.task_files import GROUPS, benchmark_names, read_task_file
from hyperfitting.errors import DataError
from tests.support.benchmarks import (
    GLUE,
    SUBJECTS,
    arc_rows,
    mmlu_rows,
    write_benchmarks,
    write_jsonl,
    write_tsv,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_benchmarks(tmp_path_factory.mktemp("benchmarks"), items=6)


def test_the_groups_name_benchmarks_that_are_there():
    assert {name for names in GROUPS.values() for name in names} | {"mmlu"} == set(
        benchmark_names()
    )
    assert all(read_task_file(name).title for name in benchmark_names())


@pytest.mark.parametrize("name", benchmark_names())
def test_each_benchmark_reads_its_file(folder, name):
    found = read_benchmark(name, folder)
    assert len(found.questions) == (18 if name == "mmlu" else 6)
    assert all(0 <= each.answer < len(each.choices) for each in found.questions)
    assert len(found.files) == 1
    assert has_files(name, folder)


def test_mmlu_has_its_subjects_and_examples_of_each(folder):
    found = read_benchmark("mmlu", folder, examples=2)
    assert found.subjects == list(SUBJECTS)
    assert {each.subject for each in found.examples} == set(SUBJECTS)
    assert sorted(found.files) == ["mmlu_dev.jsonl", "mmlu_test.jsonl"]


def test_arc_takes_the_rows_of_its_set(folder):
    rows = arc_rows(6)
    for name, kept in (("arc_easy", "easy"), ("arc_challenge", "challenge")):
        expected = [number for number, row in enumerate(rows, 1) if row["set"] == kept]
        assert [each.item for each in read_benchmark(name, folder).questions] == expected


def test_quotation_marks_of_tables_are_ordinary_characters(folder):
    for name in [name for name, *_ in GLUE.values()]:
        question = read_benchmark(name, folder).questions[0]
        assert all(text.endswith('"so') for text in question.fields.values())


def test_a_table_that_was_written_as_csv_is_read_as_csv(tmp_path):
    """Decided for the file: one field with a plain quotation mark makes all of it raw."""
    path, header = tmp_path / "glue" / "RTE_dev.tsv", ["sentence1", "sentence2", "label"]
    rows = [['"He said ""so"", twice."', '"""So"""', "1"], ["plain", "also", "0"]]
    write_tsv(path, header, rows)
    first, second = (each.fields for each in read_benchmark("rte", tmp_path).questions)
    assert first == {"sentence1": 'He said "so", twice.', "sentence2": '"So"'}
    assert second == {"sentence1": "plain", "sentence2": "also"}
    write_tsv(path, header, [*rows, ['a "raw" one', "b", "0"]])
    first = read_benchmark("rte", tmp_path).questions[0]
    assert first.fields == {"sentence1": rows[0][0], "sentence2": rows[0][1]}


def test_a_column_that_is_named_twice_is_refused(tmp_path):
    path = tmp_path / "glue" / "RTE_dev.tsv"
    write_tsv(path, ["sentence1", "sentence2", "sentence1", "label"], [["a", "b", "c", "1"]])
    with pytest.raises(DataError, match=r"RTE_dev.tsv: its header names 'sentence1' twice"):
        read_benchmark("rte", tmp_path)


def test_packed_files_are_read_as_the_plain_one(folder, tmp_path):
    text = (folder / "arc.jsonl").read_bytes()
    (tmp_path / "arc.jsonl.gz").write_bytes(gzip.compress(text))
    assert ".gz" in PACKED
    packed, plain = (read_benchmark("arc_easy", each) for each in (tmp_path, folder))
    assert packed.questions == plain.questions
    assert list(packed.files.values()) == list(plain.files.values())


def test_a_smaller_sample_is_part_of_a_larger_one_and_the_seed_decides(folder):
    def items(limit, seed=0):
        found = read_benchmark("mmlu", folder, limit=limit, seed=seed)
        return {each.item for each in found.questions}, found.sample_sha256

    (two, hashed), (four, _) = items(2), items(4)
    assert (len(two), len(four)) == (6, 12)
    assert two < four
    assert items(2) == (two, hashed)
    assert items(2, seed=1)[1] != hashed
    assert items(60)[0] == items(None)[0]


def test_rows_of_which_a_choice_has_no_text_are_left_out_and_named(tmp_path):
    rows = mmlu_rows(4, subjects=("anatomy",))
    rows[1]["choices"] = ["", "", "", ""]
    rows[3]["choices"][1] = " "
    write_jsonl(tmp_path / "mmlu_test.jsonl", rows)
    found = read_benchmark("mmlu", tmp_path)
    assert [each.item for each in found.questions] == [1, 3]
    assert found.left_out == (2, 4)
    write_jsonl(tmp_path / "mmlu_test.jsonl", rows[1:2])
    with pytest.raises(DataError, match=r"mmlu: mmlu_test\.jsonl holds no item of it"):
        read_benchmark("mmlu", tmp_path)


def test_empty_choices_at_the_end_only_fill_up_a_row(tmp_path):
    rows = mmlu_rows(3, subjects=("anatomy",))
    for row, answer in zip(rows, (2, 3, 0), strict=True):
        row["choices"][3], row["answer"] = "", answer
    rows[2]["choices"][1:] = ["", "", ""]
    write_jsonl(tmp_path / "mmlu_test.jsonl", rows)
    found = read_benchmark("mmlu", tmp_path)
    assert [each.choices for each in found.questions] == [tuple(rows[0]["choices"][:3])]
    assert found.left_out == (2, 3)  # the right choice is empty; only one is left


def test_a_file_of_an_unusual_part_is_named_in_the_title(folder, tmp_path):
    (tmp_path / "glue").mkdir()
    for name, file, title in (
        ("mrpc", "MRPC", "MRPC (test)"),
        ("cola", "CoLA", "CoLA (out-of-domain, in lower case)"),
    ):
        assert read_benchmark(name, folder).title == file
        part = "MRPC_test" if name == "mrpc" else "CoLA_dev_lowercased"
        rows = (folder / "glue" / f"{file}_dev.tsv").read_bytes()
        (tmp_path / "glue" / f"{part}.tsv").write_bytes(rows)
        assert read_benchmark(name, tmp_path).title == title
    assert read_benchmark("arc_easy", folder).title == "ARC easy (train and validation)"


ROW = mmlu_rows(1)[0]
WRONG = {
    "no JSON": ("{", "row 2: not JSON: correct or remove the line"),
    "nested too deeply": ("[" * 200_000, "row 2: not JSON: correct or remove the line"),
    "half a character": (
        json.dumps(ROW | {"question": "a \ud800 b"}),
        'question = "a \\ud800 b" is no text',
    ),
    "half a character in a choice": (
        json.dumps(ROW | {"choices": ["a", "\udc00"], "answer": 0}),
        "choices is no list of 2 to 10 texts",
    ),
    "a number without end": (
        json.dumps(ROW | {"answer": int("9" * 400)}),
        f"answer = {'9' * 60} is no number from 0 to 3: correct",
    ),
    "no object": ("[1]", "row 2: not a JSON object with named fields"),
    "other field": (
        json.dumps({name: value for name, value in ROW.items() if name != "question"}),
        "row 2: no field 'question'; there are: subject, choices, answer: correct or remove the",
    ),
    "answer out of range": (
        json.dumps(ROW | {"answer": 4}),
        "row 2: answer = 4 is no number from 0 to 3",
    ),
    "answer as a letter": (json.dumps(ROW | {"answer": "A"}), "answer = 'A' is no number"),
    "one choice": (json.dumps(ROW | {"choices": ["a"]}), "choices is no list of 2 to 10 texts"),
    "an empty question": (json.dumps(ROW | {"question": " "}), 'question = " " is no text'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_row_of_another_shape_is_refused_with_its_number(tmp_path, case):
    line, words = WRONG[case]
    (tmp_path / "mmlu_test.jsonl").write_text(f"{json.dumps(ROW)}\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_benchmark("mmlu", tmp_path)
    assert str(caught.value).startswith("mmlu_test.jsonl, row 2: ")
    assert words in str(caught.value)


def test_tables_of_another_shape_are_refused(tmp_path):
    path = tmp_path / "glue" / "RTE_dev.tsv"
    write_tsv(path, ["sentence1", "sentence2", "label"], [["a", "b", "1"], ["a", "b"]])
    with pytest.raises(DataError, match=r"row 2: 2 fields, and the header names 3"):
        read_benchmark("rte", tmp_path)
    write_tsv(path, ["sentence1", "sentence2", "label"], [["a", "b", "yes"]])
    with pytest.raises(DataError, match="answer = 'yes' is none of entailment, not_entailment"):
        read_benchmark("rte", tmp_path)
    write_tsv(path, ["one", "two", "label"], [["a", "b", "1"]])
    with pytest.raises(DataError, match="no field 'sentence1'; there are: one, two, label"):
        read_benchmark("rte", tmp_path)


def test_missing_files_and_examples_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no mmlu_test\.jsonl"):
        read_benchmark("mmlu", tmp_path)
    write_jsonl(tmp_path / "mmlu_test.jsonl", mmlu_rows(1))
    with pytest.raises(DataError, match=r"holds no mmlu_dev\.jsonl"):
        read_benchmark("mmlu", tmp_path, examples=1)
    write_jsonl(tmp_path / "mmlu_dev.jsonl", mmlu_rows(1, seed=5))
    with pytest.raises(DataError, match="2 examples are asked for, and its file has 1 of"):
        read_benchmark("mmlu", tmp_path, examples=2)
    write_jsonl(tmp_path / "arc.jsonl", arc_rows(2))
    with pytest.raises(DataError, match="lower `examples`"):
        read_benchmark("arc_easy", tmp_path, examples=2)  # one of both is the question itself


def test_the_prompts_of_the_forms(folder):
    found = read_benchmark("mmlu", folder)
    how = {"examples": 0, "answer_tokens": 8, "chat": False}
    letters, cloze, generated = (
        harness_config(found, form, "anatomy", **how) for form in ("letters", "cloze", "generated")
    )
    assert letters["doc_to_text"] == generated["doc_to_text"]
    assert letters["doc_to_choice"] == "letters"
    assert cloze["doc_to_choice"] == "choices"
    assert [each["metric"] for each in cloze["metric_list"]] == ["acc", "acc_norm"]
    kwargs = {"until": ["\n"], "max_gen_toks": 8, "until_after_text": True}
    assert generated["generation_kwargs"] == kwargs
    document = documents(found.questions[:1])[0]
    assert document["letters"] == ["A", "B", "C", "D"]


def test_items_that_stand_in_the_training_texts_are_found(folder):
    questions = read_benchmark("mmlu", folder).questions
    known = max(questions, key=lambda each: len(each.text))
    words = known.text.replace("?", " ").split()
    assert len(words) > 14
    index = training_index([f"It was said that {' '.join(words)} and nothing else was."])
    found = find_contaminated(questions, index)
    assert found.items == (known.item,)
    short = [each for each in questions if len(each.text.split()) <= 13]
    assert found.unchecked == len(short)
    assert find_contaminated(questions, training_index([])).items == ()
