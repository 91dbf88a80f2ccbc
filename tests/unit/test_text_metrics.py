"""What is measured of one text. The metrics themselves are tested where they are defined."""

from dataclasses import replace

import pytest

from hyperfitting.measuring.aggregate import Intervals, text_rows
from hyperfitting.measuring.text_metrics import blocked_inputs, measure_each_text
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.specs import metric
from hyperfitting.records import REFERENCE, Blocked, Continuation

HOW = Intervals(draws=1000, seed=0)


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


@pytest.mark.parametrize(
    ("ended", "rate"),
    [
        (["end_of_text", "length", "length", "end_of_text"], 0.5),
        (["length", "length"], 0.0),
        (["end_of_text"] * 3, 1.0),
    ],
)
def test_the_termination_rate_is_the_share_of_texts_that_a_model_ended(ended, rate):
    texts = [replace(text_of([1, 2], ["a ", "b"]), context=i) for i in range(len(ended))]
    measured = measure_each_text(texts, {"ended": ended})
    [row] = [each for each in text_rows(measured, HOW) if each.name == "termination_rate"]
    assert (row.value, row.n, row.left_out) == (rate, len(ended), 0)
    assert (row.low, row.high) == (None, None)  # one cluster


def test_the_termination_rate_has_an_interval_over_clusters_and_none_of_true_texts():
    texts = [replace(text_of([1], ["a"]), context=i, group=str(i // 2)) for i in range(40)]
    texts += [replace(text, variant="reference", strategy=None) for text in texts]
    ended = ["end_of_text" if i % 4 == 0 else "length" for i in range(40)] + [None] * 40
    measured = measure_each_text(texts, {"ended": ended})
    [row] = [each for each in text_rows(measured, HOW) if each.name == "termination_rate"]
    assert (row.variant, row.value, row.n, row.clusters) == ("m", 0.25, 40, 20)
    # Each cluster has one text of two that ends, or none: sd 1/4 a cluster, 1/4 / sqrt(20) of all.
    assert row.low == pytest.approx(0.25 - 1.96 * 0.25 / 20**0.5, abs=0.03)
    assert row.high == pytest.approx(0.25 + 1.96 * 0.25 / 20**0.5, abs=0.03)
    assert row.target == "reference"


def test_a_text_that_ends_at_once_counts_as_ended():
    assert values_of(text_of([], []), ended=["end_of_text"]) == {"termination_rate": ((1.0, 1.0),)}


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


def test_the_blocker_is_counted_in_texts_that_a_model_wrote_under_it():
    """Of four steps one did not touch the greedy choice, and one gave way."""
    ours = replace(text_of([1, 2, 3, 4], "abcd"), domain="d", strategy="blocked")
    steps = [
        Blocked("d", "blocked", 0, step, "", (), (), (), changed_greedy=changed, gave_way=gave_way)
        for step, (changed, gave_way) in enumerate(
            [(True, False), (True, False), (False, False), (True, True)]
        )
    ]
    texts = [
        ours,
        replace(ours, context=1),
        replace(ours, strategy="greedy"),
        replace(ours, variant=REFERENCE),
        replace(ours, ids=()),
    ]
    found = blocked_inputs(texts, ["blocked"], steps)
    assert found == {"blocked": [(2, 4), (0, 4), None, None, None]}
    (measured, *_) = measure_each_text(texts, found)
    assert measured.values["blocked_greedy_share"] == ((2.0, 4.0),)
