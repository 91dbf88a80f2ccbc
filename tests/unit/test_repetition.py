import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.repetition import (
    Loop,
    compression_ratio,
    ends_in_loop,
    final_loop,
    loop_start,
    repeated_run_lengths,
)


def slow(text, end):
    """The longest run ending at `end` that also ends earlier, found by trying every length."""
    for length in range(end, 0, -1):
        run = text[end - length + 1 : end + 1]
        if any(text[i - length + 1 : i + 1] == run for i in range(length - 1, end)):
            return length
    return 0


def test_by_hand():
    assert repeated_run_lengths([1, 2, 3, 1, 2, 3]) == [0, 0, 0, 1, 2, 3]
    assert repeated_run_lengths([1, 1, 1, 1]) == [0, 1, 2, 3]  # the earlier occurrence may overlap


def test_the_context_counts_but_is_not_shown():
    assert repeated_run_lengths([2, 9], context=[1, 2]) == [1, 0]
    assert repeated_run_lengths([1, 2], context=[1, 2]) == [1, 2]


def test_of_nothing_is_nothing():
    assert repeated_run_lengths([]) == []


@given(st.lists(st.integers(0, 2), max_size=25))
def test_equals_the_slow_search(text):
    assert repeated_run_lengths(text) == [slow(text, end) for end in range(len(text))]


def slow_loop(ids, most_tokens, least_copies):
    """Every unit at the end, shortest first, laid out as often as it fits."""
    for unit_tokens in range(1, most_tokens + 1):
        unit = ids[-unit_tokens:]
        fitting = [
            copies
            for copies in range(1, len(ids) + 1)
            if ids[-copies * unit_tokens :] == unit * copies
        ]
        if max(fitting, default=0) >= least_copies:
            return Loop(unit_tokens, max(fitting), len(ids) - max(fitting) * unit_tokens)
    return None


def test_a_final_loop_by_hand():
    assert final_loop([9, 1, 2, 1, 2, 1, 2]) == Loop(unit_tokens=2, copies=3, start=1)
    assert final_loop([9, 9, 9, 9]) == Loop(unit_tokens=1, copies=4, start=0)  # and not 9 9 twice
    assert final_loop([1, 2, 1, 2]) is None
    assert final_loop([1, 2, 1, 2], least_copies=2) == Loop(2, 2, 0)
    assert final_loop([1, 1, 1, 2]) is None  # it repeats, but does not end so
    assert final_loop(["so", "it", "goes"] * 3) == Loop(3, 3, 0)
    assert final_loop([]) is None


def test_a_loop_cut_off_within_a_copy_is_one_in_the_shifted_unit():
    assert final_loop([7, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]) == Loop(unit_tokens=3, copies=3, start=2)


def test_the_smallest_unit_counts_even_where_a_longer_one_loops_earlier():
    assert final_loop([0, 1, 1, 1] * 3) == Loop(unit_tokens=1, copies=3, start=9)


def test_the_unit_of_a_loop_has_a_bound():
    ids = [*range(65)] * 3
    assert final_loop(ids) is None
    assert final_loop(ids, most_tokens=65) == Loop(65, 3, 0)
    assert final_loop([*range(64)] * 3) == Loop(64, 3, 0)


@given(st.lists(st.integers(0, 1), max_size=24), st.integers(1, 9), st.integers(2, 4))
def test_final_loops_equal_the_slow_search(ids, most_tokens, least_copies):
    found = final_loop(ids, most_tokens=most_tokens, least_copies=least_copies)
    assert found == slow_loop(ids, most_tokens, least_copies)


@given(
    st.lists(st.integers(0, 2), max_size=9),
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
    st.integers(3, 6),
)
def test_a_repeated_end_is_found(before, unit, copies):
    loop = final_loop(before + unit * copies)
    assert loop is not None
    assert loop.unit_tokens <= len(unit)
    assert loop.copies >= 3


@pytest.mark.parametrize(("most_tokens", "least_copies"), [(0, 3), (64, 1)])
def test_what_is_no_loop_is_refused(most_tokens, least_copies):
    with pytest.raises(ValueError, match="are no loop"):
        final_loop([1, 1, 1], most_tokens=most_tokens, least_copies=least_copies)


def test_compression_ratio_counts_bytes():
    text = "Größe und Maß"
    assert compression_ratio(text) == 16 / len(zlib.compress(text.encode("utf-8"), 9))
    with pytest.raises(ValueError, match="an empty text has no compression ratio"):
        compression_ratio("")


def test_compression_ratio_is_higher_for_what_repeats_itself():
    letters = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz ", k=400))
    assert (
        compression_ratio("ab")
        < 1
        < compression_ratio(letters)
        < 2
        < 8
        < compression_ratio(letters[:20] * 20)
    )


def test_whether_and_where_a_text_loops():
    assert (ends_in_loop([9, 1, 2, 1, 2, 1, 2]), loop_start([9, 1, 2, 1, 2, 1, 2])) == (True, 1)
    assert (ends_in_loop([1, 2, 1, 2]), loop_start([1, 2, 1, 2])) == (False, None)
