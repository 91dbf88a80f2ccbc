"""How repetitive an image is, on images whose answers are known."""

import math
from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.images.grids import ContinuedImage, colours_of
from hyperfitting.metrics.images.repetition import (
    autocorrelation,
    columns_equal_to_left,
    distinct_colour_ratio,
    distinct_colour_ratio_of_quarter,
    distinct_patches,
    ends_in_one_colour,
    is_periodic,
    longest_constant_run,
    patch_entropy,
    period,
    rows_equal_to_above,
    tokens_equal_to_above,
    tokens_equal_to_left,
)

SIDE, GIVEN = 8, 2
ROWS, COLUMNS = np.indices((SIDE, SIDE))
NOISE = np.random.default_rng(0).permutation(SIDE * SIDE).reshape(SIDE, SIDE)


def image(ids, given_rows=GIVEN):
    return ContinuedImage(np.asarray(ids, dtype=np.int64), given_rows)


PLAIN, UPRIGHT, LEVEL = image(0 * ROWS), image(COLUMNS % 4), image(ROWS % 3)
CHECKS, COUNTED, RANDOM = image((ROWS + COLUMNS) % 2), image(ROWS * SIDE + COLUMNS), image(NOISE)

small_images = st.integers(2, 6).flatmap(
    lambda columns: st.lists(
        st.lists(st.integers(0, 2), min_size=columns, max_size=columns), min_size=2, max_size=6
    )
)


@pytest.mark.parametrize(
    ("shown", "ratio", "last_quarter"),
    [(PLAIN, 1 / 64, 1 / 16), (UPRIGHT, 4 / 64, 4 / 16), (COUNTED, 1, 1), (RANDOM, 1, 1)],
)
def test_the_type_token_ratio_counts_colours(shown, ratio, last_quarter):
    assert distinct_colour_ratio(shown) == ratio
    assert distinct_colour_ratio_of_quarter(shown, 3) == last_quarter


def test_quarters_are_rows_from_the_top():
    shown = image(np.where(ROWS < 4, 0, ROWS * SIDE + COLUMNS))
    assert [distinct_colour_ratio_of_quarter(shown, each) for each in range(4)] == [
        1 / 16, 1 / 16, 1, 1,
    ]  # fmt: skip
    assert distinct_colour_ratio_of_quarter(image([[1, 2], [1, 2], [3, 4]], 1), 0) is None
    with pytest.raises(ValueError, match="an image has quarters 0 to 3, not 4"):
        distinct_colour_ratio_of_quarter(shown, 4)


@pytest.mark.parametrize(
    ("shown", "rows", "columns"),
    [
        (PLAIN, (6, 6), (7, 7)),
        (UPRIGHT, (6, 6), (0, 7)),
        (LEVEL, (0, 6), (7, 7)),
        (CHECKS, (0, 6), (0, 7)),
        (RANDOM, (0, 6), (0, 7)),
    ],
)
def test_equal_rows_and_columns_are_counted(shown, rows, columns):
    assert rows_equal_to_above(shown) == rows
    assert columns_equal_to_left(shown) == columns


def test_the_row_above_the_first_written_one_is_the_last_given_one():
    ids = np.arange(16).reshape(4, 4)
    ids[2] = ids[1]
    assert rows_equal_to_above(image(ids, 2)) == (1, 2)
    assert rows_equal_to_above(image(ids, 1)) == (1, 3)
    assert rows_equal_to_above(image(ids, 0)) == (1, 3)
    assert rows_equal_to_above(image(ids, 3)) == (0, 1)
    assert tokens_equal_to_above(image(ids, 2)) == (4, 8)
    assert tokens_equal_to_above(image(ids, 0)) == (4, 12)


def test_a_single_other_token_makes_a_row_other_but_not_its_tokens():
    ids = COLUMNS % 4
    ids[5, 5] = 9
    assert rows_equal_to_above(image(ids)) == (4, 6)  # rows 5 and 6 differ from those above
    assert tokens_equal_to_above(image(ids)) == (46, 48)
    assert tokens_equal_to_left(image(COLUMNS // 2)) == (6 * 4, 6 * 7)


@given(small_images)
def test_equal_tokens_are_those_of_a_slow_count(ids):
    shown = image(ids, 1)
    held = shown.ids_HW.tolist()
    pairs = list(product(range(1, len(held)), range(len(held[0]))))
    above = sum(held[y][x] == held[y - 1][x] for y, x in pairs)
    left = sum(held[y][x] == held[y][x - 1] for y, x in pairs if x)
    assert tokens_equal_to_above(shown) == (above, len(pairs))
    assert tokens_equal_to_left(shown) == (left, (len(held) - 1) * (len(held[0]) - 1))


@given(small_images)
def test_the_longest_constant_run_is_that_of_a_slow_count(ids):
    flat, best, run = [each for row in ids[1:] for each in row], 1, 1
    for before, here in pairwise(flat):
        run = run + 1 if here == before else 1
        best = max(best, run)
    assert longest_constant_run(image(ids, 1)) == best


@pytest.mark.parametrize(
    ("shown", "longest", "tail"),
    [(PLAIN, 48, True), (LEVEL, 8, True), (UPRIGHT, 1, False), (RANDOM, 1, False)],
)
def test_constant_runs_and_tails(shown, longest, tail):
    assert longest_constant_run(shown) == longest
    assert ends_in_one_colour(shown) is tail


def test_a_tail_is_a_whole_row_and_a_run_goes_over_the_ends_of_rows():
    almost = NOISE.copy()
    almost[-1, 1:] = almost[-1, 0] + 100
    assert not ends_in_one_colour(image(almost))
    assert longest_constant_run(image([[1, 2, 3], [1, 2, 2], [2, 2, 1]], 1)) == 4


def test_patches_are_counted_at_every_position():
    assert patch_entropy(PLAIN) == 0
    assert math.copysign(1, patch_entropy(PLAIN)) == 1
    assert distinct_patches(PLAIN) == (1, 5 * 7)
    assert patch_entropy(RANDOM) == pytest.approx(math.log(35))
    assert distinct_patches(RANDOM) == (35, 35)
    assert distinct_patches(CHECKS) == (2, 35)
    assert patch_entropy(CHECKS) == pytest.approx(
        -(18 / 35 * math.log(18 / 35) + 17 / 35 * math.log(17 / 35))
    )
    assert patch_entropy(image(NOISE, SIDE - 1)) is None
    assert distinct_patches(image([[1], [2], [3]], 0)) is None


@given(small_images)
def test_patch_entropy_is_that_of_a_slow_count(ids):
    rows = ids[1:]
    patches = Counter(
        (rows[y][x], rows[y][x + 1], rows[y + 1][x], rows[y + 1][x + 1])
        for y in range(len(rows) - 1)
        for x in range(len(rows[0]) - 1)
    )
    shown = image(ids, 1)
    if not patches:
        assert patch_entropy(shown) is None
        return
    total = patches.total()
    slow = -sum(count / total * math.log(count / total) for count in patches.values())
    assert patch_entropy(shown) == pytest.approx(slow, abs=1e-12)
    assert distinct_patches(shown) == (len(patches), total)


@pytest.mark.parametrize(
    ("shown", "across", "downwards"),
    [
        (PLAIN, 1, 1),
        (UPRIGHT, 4, 1),
        (LEVEL, 1, 3),
        (CHECKS, 2, 2),
        (RANDOM, None, None),
        (image(COLUMNS % 5), None, 1),  # one period and a bit is no period
    ],
)
def test_periods_are_found_along_both_axes(shown, across, downwards):
    assert period(shown, "x") == across
    assert period(shown, "y") == downwards
    assert is_periodic(shown, "x") == (across is not None)


def test_a_period_bears_one_other_token_in_ten_and_no_more():
    _, columns = np.indices((11, 10))
    ids = columns % 2
    ids[1:5, 5] = 7  # each spoils 2 of the 8 pairs of its row: 8 of 80
    assert autocorrelation(ids[1:], "x")[1] == 0.9
    assert period(image(ids, 1), "x") == 2
    ids[5, 5] = 7
    assert period(image(ids, 1), "x") is None


def test_autocorrelation_is_the_share_of_equals_at_each_lag():
    assert autocorrelation(np.array([[1, 2, 1, 2, 3, 2]]), "x") == [0, 3 / 4, 0]
    assert autocorrelation(np.array([[1], [1], [2], [2]]), "y") == [2 / 3, 0]
    assert autocorrelation(np.array([[1, 2, 3]]), "y") == []


def test_an_image_is_cut_out_of_context_and_continuation():
    shown = ContinuedImage.of_ids([0, 1, 2], [3, 4, 5, 6, 7], columns=2)
    assert shown.ids_HW.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert shown.given_rows == 2  # a row that the context begins was given
    assert shown.written.tolist() == [[4, 5], [6, 7]]
    assert len(shown) == 4
    cut = ContinuedImage.of_ids([0, 1], [2, 3, 4], columns=2)
    assert cut.ids_HW.tolist() == [[0, 1], [2, 3]]
    assert ContinuedImage.of_ids([0, 1], [2], columns=2) is None


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"2 given rows of ids of shape \(2, 2\) leave no image"):
        image([[1, 2], [3, 4]], 2)
    with pytest.raises(ValueError, match=r"ids of shape \(4,\)"):
        image([1, 2, 3, 4], 0)


def test_ids_become_colours_and_others_are_refused():
    table = np.array([[0, 0, 0], [255, 128, 0]], dtype=np.uint8)
    assert colours_of(np.array([[1, 0]]), table).tolist() == [[[255, 128, 0], [0, 0, 0]]]
    with pytest.raises(ValueError, match="ids from 0 to 2 do not fit 2 colours"):
        colours_of(np.array([0, 2]), table)
    with pytest.raises(ValueError, match=r"colours are a table \(K, 3\) of uint8, not \(2, 3\) of"):
        colours_of(np.array([0]), table.astype(np.float64))


def test_the_example_of_the_document():
    shown = image([[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 5], [6, 6, 6, 6]], 1)
    assert rows_equal_to_above(shown) == (1, 3)
    assert tokens_equal_to_above(shown) == (7, 12)
    assert longest_constant_run(shown) == 4
    assert ends_in_one_colour(shown)
    assert patch_entropy(shown) == pytest.approx(math.log(6))
    assert distinct_colour_ratio(shown) == 0.375
    assert period(image([[1, 2, 3, 1, 2, 3], [4, 5, 6, 4, 5, 6]], 1), "x") == 3
