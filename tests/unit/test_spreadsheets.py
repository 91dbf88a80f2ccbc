"""CSV that a spreadsheet opens as it is: a byte order mark, and nothing that runs as a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.spreadsheets import csv_table, unguarded


def read(text):
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@name", "'@name"),
        ("-arm", "'-arm"),
        ("'quoted'", "''quoted'"),
        ("-INFINITY", "'-INFINITY"),
        (-0.12, "-0.12"),
        ("hyperfitted · greedy", "hyperfitted · greedy"),
        (None, ""),
    ],
)
def test_only_what_would_run_is_guarded(cell, written):
    assert read(csv_table(["arm"], [[cell]])) == [["arm"], [written]]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1))
def test_every_text_comes_back_and_no_cell_begins_a_formula(text):
    (_, (cell, _)) = read(csv_table([text, "n"], [[f"={text}", 1]]))
    assert cell.startswith("'=")
    assert unguarded(cell) == f"={text}"
