"""What is measured of one text. The metrics themselves are tested where they are defined."""

import pytest

from hyperfitting.measure.text_metrics import measure_each_text
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.specs import metric
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


def values_of(text, **inputs):
    (measured,) = measure_each_text([text], inputs)
    return measured.values


@pytest.mark.parametrize("name", ["ttr_by_position", "ttr_words_by_position"])
def test_windows_by_position_see_where_a_text_begins_to_loop(name):
    ids = [*range(64), *[64] * 64]
    found = values_of(text_of(ids, (f"w{token} " for token in ids)))[name]
    assert found == ((65 / 96, 1.0), (33 / 96, 1.0))
    assert [metric(name).position(index) for index in (0, 1)] == [96, 128]


def test_a_text_without_tokens_has_no_value():
    assert values_of(text_of([], [])) == {}


def test_a_text_has_the_metrics_that_it_is_long_enough_for():
    found = values_of(text_of([1, 2, 1], ["a ", "b ", "a"]))
    assert found["repeated_2gram_share"] == ((0.0, 1.0),)
    assert "repeated_4gram_share" not in found
    assert "mattr" not in found
    assert found["looping_share"] == ((0.0, 1.0),)
    assert "loop_start_tokens" not in found


@pytest.mark.parametrize(("tokens", "above", "recited"), [(8, 0.0, (1, 1)), (11, 1.0, (4, 4))])
def test_overlap_is_a_length_a_step_and_a_ratio(tokens, above, recited):
    index = TrainingIndex([list(range(40))])
    text = text_of(range(tokens), "x" * tokens)
    found = values_of(text, overlap=list(index.search([text.ids])))
    assert found["longest_overlap_tokens"] == ((float(tokens), 1.0),)
    assert found["overlap_above10_share"] == ((above, 1.0),)
    assert found["recited_8gram_share"] == (recited,)
