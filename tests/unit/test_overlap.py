import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.overlap import SharedRun, TrainingIndex


def texts(*, least):
    """Texts that share much: few ids, near each other or far apart, so that more or fewer fit into
    one sorting key.
    """
    few = st.sampled_from([[0], [0, 1], [0, 1, 2, 3], [7, 50_000, 130_000], [0, 10**6, 10**12]])
    return few.flatmap(
        lambda ids: st.tuples(
            st.lists(st.sampled_from(ids), min_size=least, max_size=30),
            st.lists(st.lists(st.sampled_from(ids), max_size=30), min_size=1, max_size=6),
        )
    )


def slow_runs(ids, blocks):
    """From each start the longest run in a block and the first place of it, by trying every
    place.
    """
    runs = []
    for start in range(len(ids)):
        best = SharedRun(0, start, 0, 0)
        for number, block in enumerate(blocks):
            for place in range(len(block)):
                length = 0
                while ids[start : start + length + 1] == block[place : place + length + 1]:
                    length += 1
                    if length == min(len(ids) - start, len(block) - place):
                        break
                if length > best.length:
                    best = SharedRun(length, start, number, place)
        runs.append(best)
    return runs


def shared(index, ids):
    """What one text shares."""
    return next(index.search([ids]))


@given(texts(least=1))
def test_lengths_the_longest_run_and_its_place_equal_the_slow_search(case):
    ids, blocks = case
    runs = slow_runs(ids, blocks)
    found = shared(TrainingIndex(blocks), ids)
    assert found.lengths.tolist() == [run.length for run in runs]
    assert found.longest == max(runs, key=lambda run: run.length)


@given(texts(least=1), st.integers(1, 9))
def test_recited_ngrams_equals_the_slow_count(case, order):
    ids, blocks = case
    held = {tuple(block[i : i + order]) for block in blocks for i in range(len(block) - order + 1)}
    grams = [tuple(ids[i : i + order]) for i in range(len(ids) - order + 1)]
    assert shared(TrainingIndex(blocks), ids).recited_ngrams(order=order) == (
        sum(gram in held for gram in grams),
        len(grams),
    )


@given(texts(least=1), st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), max_size=6))
def test_many_texts_at_once_are_as_one_by_one(case, others):
    ids, blocks = case
    index = TrainingIndex(blocks)
    for text, found in zip([*others, ids], index.search([*others, ids]), strict=True):
        alone = shared(index, text)
        assert found.lengths.tolist() == alone.lengths.tolist()
        assert found.longest == alone.longest


def test_no_run_crosses_a_block_border():
    assert shared(TrainingIndex([[1, 2], [3, 4]]), [1, 2, 3, 4]).longest.length == 2


def test_the_first_of_equal_places_is_named():
    run = shared(TrainingIndex([[9, 9], [1, 2, 3], [1, 2, 3]]), [0, 1, 2, 3]).longest
    assert (run.length, run.start, run.block, run.block_start) == (3, 1, 1, 0)


def test_an_empty_continuation_is_refused():
    with pytest.raises(ValueError, match="shares no run"):
        shared(TrainingIndex([[1]]), [])
    with pytest.raises(ValueError, match="shares no run"):
        list(TrainingIndex([[1]]).search([[1], []]))


def test_no_blocks_are_refused():
    with pytest.raises(ValueError, match="no training blocks to search"):
        TrainingIndex([])


def test_lengths_are_given_for_every_position():
    lengths = shared(TrainingIndex([[1, 2, 3, 4]]), [2, 3, 9, 1]).lengths
    assert np.array_equal(lengths, [2, 1, 0, 1])


def test_empty_blocks_share_nothing():
    index = TrainingIndex([[], []])
    assert shared(index, [0, 1]).lengths.tolist() == [0, 0]
    assert shared(index, [0]).longest == SharedRun(0, 0, 0, 0)
    assert shared(TrainingIndex([[], [], [5]]), [5]).longest == SharedRun(1, 0, 2, 0)


def test_an_array_of_blocks_is_as_good_as_lists():
    blocks = np.array([[1, 2, 3], [3, 4, 5]], dtype=np.int32)
    assert shared(TrainingIndex(blocks), [3, 4, 9]).longest == SharedRun(2, 0, 1, 0)


def test_one_token_a_hundred_thousand_times_over():
    index = TrainingIndex(np.full((400, 256), 7))
    assert shared(index, [7] * 300).lengths.tolist() == [
        min(256, 300 - start) for start in range(300)
    ]
    assert shared(index, [1, *[7] * 300]).longest == SharedRun(256, 1, 0, 0)


def test_a_training_set_that_holds_each_block_twice_names_the_first():
    blocks = np.random.default_rng(0).integers(0, 1000, (200, 256))
    index = TrainingIndex(np.concatenate([blocks, blocks]))
    assert shared(index, [1000, *blocks[150, 20:200].tolist()]).longest == SharedRun(
        180, 1, 150, 20
    )


def test_what_is_shared_is_as_long_as_the_text():
    assert len(shared(TrainingIndex([[1, 2, 3]]), [2, 3, 9])) == 3


@pytest.mark.slow
def test_metrics_of_ten_million_tokens_take_seconds_and_one_gibibyte():
    random = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, 32_001)
    drawn = random.choice(32_000, size=(39_363, 256), p=frequencies / frequencies.sum())
    blocks, texts = drawn[:-300], drawn[-300:].tolist()
    texts[0] = blocks[30_000].tolist()

    started = time.perf_counter()
    index = TrainingIndex(blocks)
    built = time.perf_counter() - started
    runs = [each.longest for each in index.search(texts)]
    seconds = time.perf_counter() - started
    print(f"{blocks.size:,} tokens: {seconds:.2f} s, of which the index {built:.2f} s")
    assert runs[0] == SharedRun(256, 0, 30_000, 0)
    assert seconds < 10

    tracemalloc.start()
    shared(TrainingIndex(blocks), texts[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"at most {peak / 2**30:.2f} GiB")
    assert peak < 2**30
