import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfitting.decoding import CitationBlocker, CitationIndex
from hyperfitting.recipe import BlockerSettings
from hyperfitting.records import WordBoundaries

BLOCKS = np.array([[1, 2, 3, 4, 5, 6], [9, 2, 3, 4, 7, 8], [1, 2, 3, 4, 5, 9]], dtype=np.int32)


def found(blocks, last):
    text, token, block = CitationIndex(np.array(blocks), len(last[0])).continuations(np.array(last))
    return sorted(zip(text.tolist(), token.tolist(), block.tolist(), strict=True))


def by_hand(blocks, last):
    order = len(last[0])
    return sorted(
        (text, block[start + order], number)
        for text, run in enumerate(last)
        for number, block in enumerate(blocks)
        for start in range(len(block) - order)
        if list(block[start : start + order]) == list(run)
    )


def test_every_continuation_is_found_and_none_crosses_a_border():
    assert found(BLOCKS, [[2, 3, 4], [3, 4, 5], [4, 5, 6], [6, 9, 2]]) == [
        (0, 5, 0),
        (0, 5, 2),
        (0, 7, 1),
        (1, 6, 0),
        (1, 9, 2),
    ]


small = st.integers(0, 2)


@given(
    st.integers(1, 4),
    st.lists(st.lists(small, min_size=6, max_size=6), min_size=1, max_size=6),
    st.data(),
)
def test_continuations_equal_brute_force(order, blocks, data):
    last = data.draw(
        st.lists(st.lists(small, min_size=order, max_size=order), min_size=1, max_size=4)
    )
    assert found(blocks, last) == by_hand(blocks, last)


@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_blocks_too_short_to_be_cited_forbid_nothing(tokens):
    assert found(np.zeros((3, tokens), dtype=np.int32), [[0, 0, 0]]) == []


def blocker(context_tokens=0, word_boundaries=None, **changes):
    chosen = BlockerSettings(**{"tokens": 3, **changes})
    return CitationBlocker(
        CitationIndex(BLOCKS, 3),
        chosen,
        context_tokens=context_tokens,
        word_boundaries=word_boundaries,
    )


def test_it_forbids_all_that_follows_and_nothing_else():
    block = blocker()
    logits = torch.arange(10.0).expand(2, -1)
    made = block(logits, torch.tensor([[0, 2, 3, 4], [0, 1, 1, 1]]))
    assert made[0].isinf().nonzero().flatten().tolist() == [5, 7]
    assert torch.equal(made[1], logits[1])
    (each,) = block.record
    assert (each.text, each.step, each.forbidden, each.blocks) == (0, 4, (5, 7), (0, 1, 2))
    assert not each.changed_greedy
    assert not each.gave_way


def test_whether_the_context_counts_is_a_setting():
    logits, text = torch.zeros(1, 10), torch.tensor([[1, 2, 3, 4]])
    assert blocker(context_tokens=2)(logits, text).isfinite().all()
    assert not blocker(context_tokens=2, context=True)(logits, text).isfinite().all()
    assert not blocker(context_tokens=1)(logits, text).isfinite().all()


def test_in_word_mode_a_word_under_way_may_end():
    inside = np.ones(10, dtype=np.bool_)
    begins = inside.copy()
    begins[5] = False  # token 5 begins with a space, 7 goes on the word that 4 is within
    made = blocker(mode="word", word_boundaries=WordBoundaries(begins, inside))(
        torch.zeros(1, 10), torch.tensor([[2, 3, 4]])
    )
    assert made[0].isinf().nonzero().flatten().tolist() == [5]
    ends = inside.copy()
    ends[4] = False  # token 4 ends with a space: whatever follows begins a word
    made = blocker(mode="word", word_boundaries=WordBoundaries(begins, ends))(
        torch.zeros(1, 10), torch.tensor([[2, 3, 4]])
    )
    assert made[0].isinf().nonzero().flatten().tolist() == [5, 7]
    with pytest.raises(ValueError, match="word boundaries"):
        blocker(mode="word")


def test_where_nothing_would_be_left_it_gives_way_and_counts():
    block = blocker()
    logits = torch.full((1, 10), -torch.inf)
    logits[0, [5, 7]] = 0.0
    assert torch.equal(block(logits, torch.tensor([[2, 3, 4]])), logits)
    assert block.record[0].gave_way
    assert block.record[0].changed_greedy


@settings(deadline=None)
@given(
    st.lists(st.lists(small, min_size=4, max_size=9), min_size=1, max_size=5).filter(
        lambda t: len(set(map(len, t))) == 1
    )
)
def test_a_text_is_treated_alike_alone_and_in_a_batch(texts):
    blocks = np.array([[0, 1, 2, 0, 1, 1], [2, 2, 1, 0, 0, 1]])
    index = CitationIndex(blocks, 2)

    def make():
        return CitationBlocker(
            index, BlockerSettings(tokens=2), context_tokens=1, word_boundaries=None
        )

    together = make()(torch.zeros(len(texts), 3), torch.tensor(texts))
    for row, text in enumerate(texts):
        assert torch.equal(together[[row]], make()(torch.zeros(1, 3), torch.tensor([text])))
