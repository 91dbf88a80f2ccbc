import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.metrics.diversity import (
    distinct_ngram_share,
    distinct_ngram_share_without_each,
    moving_average_type_token_ratio,
    ngrams,
    repeated_ngram_share,
    type_token_ratio,
    type_token_ratio_by_position,
)
from hyperfitting.metrics.words import words

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
    with pytest.raises(ValueError, match="a window of 0 tokens holds none"):
        type_token_ratio([1, 2, 3], window_tokens=0)


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
        distinct_ngram_share(
            [ids for ids, group in zip(texts, groups, strict=True) if group != name], order=order
        )
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
        assert distinct_ngram_share([ids], order=order) == pytest.approx(
            1 - repeated_ngram_share(ids, order=order)
        )


def test_words_are_lower_cased_runs_with_inner_apostrophes():
    assert words("Don't — DON’T stop, 2_000 well-kept 'quotes' of the dogs' o'clock.") == (
        [
            "don't",
            "don't",
            "stop",
            "2_000",
            "well",
            "kept",
            "quotes",
            "of",
            "the",
            "dogs",
            "o'clock",
        ]
    )
    assert words("Straße ÉTÉ İstanbul 東京") == ["straße", "été", "i̇stanbul", "東", "京"]
    assert words(" ... '' ") == []


def test_words_count_as_tokens_do():
    text = words("The dog saw the dog")
    assert type_token_ratio(text) == 3 / 5
    assert repeated_ngram_share(text, order=2) == 1 - 3 / 4
    assert distinct_ngram_share([text, text], order=1) == 3 / 10
    assert distinct_ngram_share_without_each([text, ["a", "b"]], ["x", "y"], order=1) == [
        1.0,
        3 / 5,
    ]
    assert ngrams(text, 2)[0] == ("the", "dog")


def test_moving_average_by_hand():
    # windows of 3 over 1 1 2 3 1: 112 123 231, that is 2, 3 and 3 distinct
    assert moving_average_type_token_ratio([1, 1, 2, 3, 1], window_tokens=3) == pytest.approx(8 / 9)
    assert moving_average_type_token_ratio([5] * 9, window_tokens=4) == 1 / 4
    assert moving_average_type_token_ratio(["a", "b", "a"], window_tokens=3) == pytest.approx(2 / 3)


def test_by_position_by_hand():
    # windows of 2 that end after 2, 4 and 6 tokens of 1 1 2 3 3 3 1
    ids = [1, 1, 2, 3, 3, 3, 1]
    assert type_token_ratio_by_position(ids, window_tokens=2, every_tokens=2) == [
        (2, 0.5),
        (4, 1.0),
        (6, 0.5),
    ]
    assert type_token_ratio_by_position(ids, window_tokens=7, every_tokens=100) == [(7, 3 / 7)]


@given(IDS, st.integers(1, 60), st.integers(1, 10))
def test_moving_windows_equal_counting_each_anew(ids, window, every):
    window = min(window, len(ids))
    ratios = [len(set(ids[end - window : end])) / window for end in range(window, len(ids) + 1)]
    slow = sum(ratios) / len(ratios)
    assert moving_average_type_token_ratio(ids, window_tokens=window) == pytest.approx(slow)
    assert type_token_ratio_by_position(ids, window_tokens=window, every_tokens=every) == [
        (end, ratios[end - window]) for end in range(window, len(ids) + 1, every)
    ]


def test_the_moving_average_of_one_whole_window_is_the_ratio():
    ids = [3, 1, 3, 2]
    assert moving_average_type_token_ratio(ids, window_tokens=4) == type_token_ratio(ids)


@pytest.mark.parametrize(
    ("ids", "window", "complaint"),
    [
        ([], 1, "an empty continuation has no type-token ratio"),
        ([1, 2], 3, "2 tokens are fewer than the window of 3"),
        ([1, 2], 0, "a window of 0 tokens holds none"),
    ],
)
def test_moving_windows_refuse_what_they_cannot_measure(ids, window, complaint):
    with pytest.raises(ValueError, match=complaint):
        moving_average_type_token_ratio(ids, window_tokens=window)
    with pytest.raises(ValueError, match=complaint):
        type_token_ratio_by_position(ids, window_tokens=window, every_tokens=1)


def test_a_step_of_nothing_is_refused():
    with pytest.raises(ValueError, match="a step of 0 tokens leads nowhere"):
        type_token_ratio_by_position([1, 2], window_tokens=1, every_tokens=0)
