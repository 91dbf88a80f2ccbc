import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.overlap import TrainingIndex

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=30)


def slow_longest(ids, blocks):
    """Every run of every text against every run of every block."""
    best = 0
    for start in range(len(ids)):
        for end in range(start + 1, len(ids) + 1):
            run = ids[start:end]
            if any(block[i : i + len(run)] == run for block in blocks for i in range(len(block))):
                best = max(best, len(run))
    return best


@given(TOKENS, st.lists(TOKENS, min_size=1, max_size=4))
def test_longest_shared_run_equals_the_slow_search(ids, blocks):
    run = TrainingIndex(blocks).longest_shared_run(ids)
    assert run.length == slow_longest(ids, blocks)
    if run.length:
        found = blocks[run.block][run.block_start : run.block_start + run.length]
        assert found == ids[run.start : run.start + run.length]


@given(TOKENS, st.lists(TOKENS, min_size=1, max_size=4), st.integers(1, 5))
def test_recited_ngrams_equals_the_slow_count(ids, blocks, order):
    held = {tuple(block[i : i + order]) for block in blocks for i in range(len(block) - order + 1)}
    grams = [tuple(ids[i : i + order]) for i in range(len(ids) - order + 1)]
    assert TrainingIndex(blocks).recited_ngrams(ids, order=order) == (sum(gram in held for gram in grams), len(grams))


def test_no_run_crosses_a_block_border():
    assert TrainingIndex([[1, 2], [3, 4]]).longest_shared_run([1, 2, 3, 4]).length == 2


def test_the_first_of_equal_places_is_named():
    run = TrainingIndex([[9, 9], [1, 2, 3], [1, 2, 3]]).longest_shared_run([0, 1, 2, 3])
    assert (run.length, run.start, run.block, run.block_start) == (3, 1, 1, 0)


def test_an_empty_continuation_is_refused():
    with pytest.raises(ValueError, match="shares no run"):
        TrainingIndex([[1]]).longest_shared_run([])


def test_lengths_are_given_for_every_position():
    lengths = TrainingIndex([[1, 2, 3, 4]]).shared_run_lengths([2, 3, 9, 1])
    assert np.array_equal(lengths, [2, 1, 0, 1])
