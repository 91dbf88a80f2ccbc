import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.diversity import (
    distinct_ngram_share,
    distinct_ngram_share_without_each,
    ngrams,
    repeated_ngram_share,
    type_token_ratio,
)

IDS = st.lists(st.integers(0, 9), min_size=1, max_size=60)


def test_type_token_ratio_by_hand():
    assert type_token_ratio([1, 2, 1, 3]) == 3 / 4
    assert type_token_ratio([7, 7, 7, 1, 2], window_tokens=2) == 1.0
    assert type_token_ratio([1, 2, 7, 7], window_tokens=4) == 3 / 4


def test_type_token_ratio_refuses_what_it_cannot_measure():
    with pytest.raises(ValueError, match="empty continuation"):
        type_token_ratio([])
    with pytest.raises(ValueError, match="3 tokens are fewer than the window of 4"):
        type_token_ratio([1, 2, 3], window_tokens=4)


def test_repeated_ngram_share_by_hand():
    # 1 2 1 2 1: bigrams 12 21 12 21, two of four are new
    assert repeated_ngram_share([1, 2, 1, 2, 1], order=2) == 0.5
    assert repeated_ngram_share([1, 2, 3, 4], order=2) == 0.0
    assert repeated_ngram_share([5] * 10, order=4) == 1 - 1 / 7
    with pytest.raises(ValueError, match="2 tokens hold no 3-gram"):
        repeated_ngram_share([1, 2], order=3)


def test_distinct_ngram_share_pools_over_texts():
    assert distinct_ngram_share([[1, 2], [1, 2]], order=1) == 0.5
    assert distinct_ngram_share([[1, 2], [1, 2]], order=2) == 0.5
    assert distinct_ngram_share([[1, 2], [3]], order=2) == 1.0  # no bigram crosses a text
    with pytest.raises(ValueError, match="no text holds a 5-gram"):
        distinct_ngram_share([[1, 2]], order=5)


@given(st.lists(IDS, min_size=2, max_size=8), st.integers(1, 3))
def test_leaving_groups_out_equals_doing_it_one_by_one(texts, order):
    texts = [ids + [0] * order for ids in texts]
    groups = [str(i % 3 if len(texts) > 2 else i) for i in range(len(texts))]
    slow = [
        distinct_ngram_share([ids for ids, group in zip(texts, groups, strict=True) if group != name], order=order)
        for name in sorted(set(groups))
    ]
    assert distinct_ngram_share_without_each(texts, groups, order=order) == pytest.approx(slow)


def test_a_single_group_cannot_be_left_out():
    with pytest.raises(ValueError, match="a single group cannot be left out"):
        distinct_ngram_share_without_each([[1, 2]], ["a"], order=1)


@given(IDS, st.integers(1, 5))
def test_shares_stay_in_range_and_count_every_ngram(ids, order):
    assert 0 < type_token_ratio(ids) <= 1
    assert len(ngrams(ids, order)) == max(0, len(ids) - order + 1)
    if len(ids) >= order:
        assert 0 <= repeated_ngram_share(ids, order=order) < 1
        assert distinct_ngram_share([ids], order=order) == pytest.approx(1 - repeated_ngram_share(ids, order=order))
