"""Judgements in files: what is written is read back, a spreadsheet runs nothing, and a wrong row is
named.
"""

import codecs
import csv
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.errors import StudyError
from hyperfitting.preference.records import Judgement
from hyperfitting.preference.store.judgement_files import (
    read_judgements,
    read_judgements_file,
    write_judgements,
)

ROW = Judgement(
    study="ab" * 32,
    assignment="0123",
    comparison="c1",
    kind="scored",
    domain="fiction",
    context="fiction-1",
    group="book 1",
    annotator="a0001",
    source="human",
    arm_first="hyperfitted, greedy",
    arm_second="reference",
    tokens=223,
    ttr_first=0.53,
    ttr_second=0.75,
    answer="first",
    dealt_at="2026-03-01T12:00:00.000000+00:00",
    answered_at="2026-03-01T12:00:09.000000+00:00",
    seconds=8.25,
)


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_what_is_written_is_read_back(tmp_path, ending):
    rows = [
        ROW,
        dataclasses.replace(
            ROW,
            assignment="2",
            surplus=True,
            excluded='too, "fast"\nby far',
            kind="repeat",
            repeats="c1",
        ),
        dataclasses.replace(
            ROW,
            assignment="3",
            comparison="c3",
            arm_first="=1+1",
            group="'quoted'",
            domain="-x",
            context="@y",
        ),
    ]
    write_judgements(tmp_path / f"j.{ending}", rows)
    assert read_judgements(tmp_path / f"j.{ending}") == rows


@given(text=st.text(min_size=1, alphabet=st.characters(codec="utf-8", exclude_characters="\x00")))
def test_any_text_survives_csv_and_no_cell_begins_a_formula(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("csv") / "j.csv"
    row = dataclasses.replace(ROW, group=text, arm_first=f"={text}")
    write_judgements(file, [row])
    assert read_judgements(file) == [row]
    assert file.read_bytes().startswith(codecs.BOM_UTF8)
    with file.open(newline="", encoding="utf-8-sig") as lines:
        (_, cells) = csv.reader(lines)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_rows_made_elsewhere_need_only_what_cannot_be_guessed(tmp_path):
    file = tmp_path / "theirs.csv"
    names = [
        f.name for f in dataclasses.fields(Judgement) if getattr(ROW, f.name) not in (None, False)
    ]
    values = [str(getattr(ROW, name)) for name in names]
    with file.open("w", encoding="utf-8-sig", newline="") as opened:
        csv.writer(opened).writerows([[*names, "mood"], [*values, "fine"]])
    assert read_judgements(file) == [ROW]
    file = tmp_path / "theirs.jsonl"
    file.write_text(
        json.dumps({name: getattr(ROW, name) for name in names} | {"seconds": 8, "mood": 1})
        + "\n\n"
    )
    assert read_judgements(file) == [dataclasses.replace(ROW, seconds=8.0)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": "both"}, "answer = \"both\": one of 'first', 'second' or 'equal' is needed"),
        ({"tokens": 2.5}, "tokens = 2.5: a number from 0 on is needed"),
        ({"tokens": True}, "tokens = true: a number from 0 on is needed"),
        ({"seconds": -1}, "seconds = -1: a number from 0 on is needed"),
        ({"seconds": "nan"}, 'seconds = "nan": a number'),
        ({"annotator": 7}, "annotator = 7: a text is needed"),
        ({"annotator": None}, "no 'annotator'"),
        ({"surplus": "maybe"}, 'surplus = "maybe": true or false is needed'),
        ({"arm_second": "hyperfitted, greedy"}, "arm_first and arm_second are the same"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, words):
    file = tmp_path / "j.jsonl"
    good, bad = dataclasses.asdict(ROW), dataclasses.asdict(ROW) | {"assignment": "2"} | change
    file.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(StudyError) as caught:
        read_judgements(file)
    assert str(caught.value).startswith(f"{file}, row 2: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("j.txt", b"", "kept in .jsonl or .csv files"),
        ("gone.csv", None, "cannot be read: No such file"),
        ("j.jsonl", b"\xff\xfe", "cannot be read: not UTF-8"),
        ("j.jsonl", b"", "no judgement in it"),
        ("j.jsonl", b"{", "row 1: not JSON"),
        ("j.jsonl", b"[1]\n", "row 1: an object is needed"),
        ("j.csv", b"study,assignment\nx\n", "row 1: it has not as many cells as the header"),
        ("j.csv", b'study\n"x\n', "not CSV"),
        ("j.csv", b"study,assignment\nx,y\n", "no column 'comparison', 'annotator', 'arm_first'"),
    ],
)
def test_a_file_that_is_none(tmp_path, name, data, words):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(StudyError, match=words) as caught:
        read_judgements(tmp_path / name)
    assert "\n" not in str(caught.value)


FIVE = """comparison,annotator,arm_first,arm_second,answer
c1,ann,model,reference,first
c2,ann,reference,model,equal
c1,bob,model,reference,second
"""


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_five_columns_are_enough(tmp_path, delimiter):
    file = tmp_path / "rows.csv"
    file.write_text(FIVE.replace(",", delimiter), encoding="utf-8")
    read = read_judgements_file(file)
    assert [(row.annotator, row.comparison, row.answer) for row in read.rows] == [
        ("ann", "c1", "first"),
        ("ann", "c2", "equal"),
        ("bob", "c1", "second"),
    ]
    assert {(row.source, row.kind, row.domain) for row in read.rows} == {("human", "scored", "all")}
    assert [row.context for row in read.rows] == ["c1", "c2", "c1"]
    assert {"source", "kind", "context", "tokens", "seconds", "ttr_first"} <= set(read.missing)
    assert read_judgements_file(file, source="model").rows[0].source == "model"


def test_every_wrong_row_is_named_at_once(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(
        FIVE
        + "c3,ann,model,reference,both\nc4,,model,model,first\nc1,ann,model,reference,equal\n"
        + "c5,ann,model\nc2,eve,model,another,first\n",
        encoding="utf-8",
    )
    with pytest.raises(StudyError) as caught:
        read_judgements(file)
    head, *lines = str(caught.value).split("\n  ")
    assert head == f"{file}: 5 rows are wrong:"
    assert lines == [
        "row 4: answer = \"both\": one of 'first', 'second' or 'equal' is needed",
        "row 5: no 'annotator'",
        "row 6: the assignment ann c1 has one already (row 1)",
        "row 7: it has not as many cells as the header",
        "row 8: comparison c2 has other arms (row 2)",
    ]
    file.write_text("".join([FIVE, *(f"x{number},ann,m,m,first\n" for number in range(40))]))
    with pytest.raises(StudyError, match="40 rows are wrong") as caught:
        read_judgements(file)
    assert str(caught.value).endswith(
        "row 23: arm_first and arm_second are the same\n  and 20 more"
    )


def test_an_assignment_has_one_judgement(tmp_path):
    write_judgements(tmp_path / "j.jsonl", [ROW, ROW])
    with pytest.raises(StudyError, match="the assignment 0123 has one already"):
        read_judgements(tmp_path / "j.jsonl")
