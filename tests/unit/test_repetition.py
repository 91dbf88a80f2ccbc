from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.repetition import repeated_run_lengths


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
