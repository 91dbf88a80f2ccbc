"""What is measured of one text. The measures themselves are tested where they are defined."""

import pytest

from hyperfitting.measure.text_metrics import text_values
from hyperfitting.records import Continuation


def text_of(ids, pieces):
    return Continuation(
        "m",
        "r",
        "s",
        "a",
        0,
        "f",
        1,
        "g",
        "t",
        (),
        (),
        ids=tuple(ids),
        pieces=tuple(pieces),
        ended="length",
    )


@pytest.mark.parametrize("name", ["ttr", "ttr_words"])
def test_windows_by_position_see_where_a_text_begins_to_loop(name):
    ids = [*range(64), *[64] * 64]
    values = text_values(text_of(ids, (f"w{token} " for token in ids)))
    found = {key: value for key, value in values.items() if key.startswith(f"{name}_window96_at")}
    assert found == {
        f"{name}_window96_at96": (65 / 96, 1.0),
        f"{name}_window96_at128": (33 / 96, 1.0),
    }


def test_a_text_without_tokens_has_no_value():
    assert text_values(text_of([], [])) == {}
