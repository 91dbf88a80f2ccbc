"""Scores against float64 definitions and by hand. Shapes as in the module."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfitting.metrics.specs import metric
from hyperfitting.metrics.specs.tokens import (
    above,
    above_among_changed,
    of_one_text,
    sums_and_counts,
)
from hyperfitting.metrics.token_scores import (
    choice_agreement,
    rank_under,
    split_loss,
    target_scores,
)
from tests.support.scores import token_scores


def perplexity(loss_NS):
    """As the table of metrics makes it of the summed losses and tokens of all texts."""
    sums, counts = sums_and_counts(loss_NS)
    return metric("perplexity_contexts").transform(sum(sums) / sum(counts))


def test_a_uniform_distribution():
    scores = token_scores(torch.zeros(1, 3, 10), torch.tensor([[1, 2, 3]]))
    assert scores.loss.shape == (1, 2)
    assert torch.allclose(scores.loss, torch.full((1, 2), math.log(10)))
    assert torch.allclose(scores.entropy, torch.full((1, 2), math.log(10)))
    assert torch.allclose(scores.top1, torch.full((1, 2), 0.1))
    assert torch.allclose(scores.top3, torch.full((1, 2), 0.3))
    assert torch.allclose(scores.top5, torch.full((1, 2), 0.5))
    assert scores.rank.tolist() == [[1, 1]]
    assert scores.top1_id.tolist() == [[0, 0]]


def test_a_certain_distribution_has_no_entropy_and_no_nan():
    logits = torch.full((1, 2, 4), -1e9)
    logits[0, 0, 2] = 0
    scores = token_scores(logits, torch.tensor([[0, 2]]))
    assert scores.entropy.tolist() == [[0.0]]
    assert scores.loss.tolist() == [[0.0]]
    assert scores.top1.tolist() == [[1.0]]


def test_an_impossible_token_is_ranked_behind_the_possible_ones():
    logits = torch.tensor([[[0.0, -torch.inf, 1.0], [0.0, 0.0, 0.0]]])
    scores = token_scores(logits, torch.tensor([[0, 1]]))
    assert scores.loss.item() == math.inf
    assert not scores.entropy.isnan().any()
    assert (scores.rank.item(), scores.top1_id.item()) == (3, 2)


def test_two_tokens_by_hand_and_half_precision_logits():
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]], dtype=torch.bfloat16)
    scores = token_scores(logits, torch.tensor([[0, 0]]))
    assert scores.loss.dtype == torch.float32
    assert abs(scores.loss.item() - math.log(4)) < 1e-2  # the logits are rounded to 8 bits
    assert abs(scores.top1.item() - 0.75) < 1e-2
    assert abs(scores.entropy.item() - (0.75 * math.log(4 / 3) + 0.25 * math.log(4))) < 1e-2
    assert scores.rank.item() == 2
    assert scores.top1_id.item() == 1


def test_a_vocabulary_below_five_tokens_sums_to_one():
    scores = token_scores(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))
    assert scores.top5.item() == 1.0


def test_the_worked_example_of_the_documents():
    """Probabilities 1/2, 1/4, 1/4, and the true token one of the latter."""
    scores = token_scores(
        torch.tensor([[[2.0, 1.0, 1.0]] * 2]) * math.log(2), torch.tensor([[0, 2]])
    )
    assert scores.entropy.item() == pytest.approx(1.04, abs=5e-3)
    assert scores.loss.item() == pytest.approx(1.39, abs=5e-3)
    assert scores.rank.item() == 2  # the other one of 1/4 ties, and does not count


def reference(logits_V, target):
    """The definitions, in float64, for one position."""
    logits_V = np.asarray(logits_V, dtype=np.float64)
    log_p_V = logits_V - logits_V.max() - math.log(math.fsum(np.exp(logits_V - logits_V.max())))
    p_V = np.sort(np.exp(log_p_V))[::-1]
    return {
        "loss": -log_p_V[target],
        "entropy": -math.fsum(np.exp(each) * each for each in log_p_V),
        "top1": p_V[0],
        "top3": math.fsum(p_V[:3]),
        "top5": math.fsum(p_V[:5]),
        "rank": 1 + sum(each > logits_V[target] for each in logits_V),
        "top1_id": int(logits_V.argmax()),
    }


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 40),
    st.integers(1, 6),
    st.sampled_from([0.1, 3.0, 30.0]),
    st.integers(0, 2**32 - 1),
)
def test_every_score_equals_its_definition(words, positions, scale, seed):
    random = torch.Generator().manual_seed(seed)
    logits_PV = scale * torch.randn(positions, words, generator=random)
    target_P = torch.randint(words, (positions,), generator=random)
    scores = target_scores(logits_PV, target_P)
    for position in range(positions):
        for name, exact in reference(logits_PV[position], int(target_P[position])).items():
            assert getattr(scores, name)[position].item() == pytest.approx(
                exact, rel=1e-5, abs=1e-5
            ), name


def test_perplexity_equals_its_definition_in_float64():
    random = torch.Generator().manual_seed(0)
    logits_BTV, ids_BT = (
        5 * torch.randn(3, 9, 20, generator=random),
        torch.randint(20, (3, 9), generator=random),
    )
    context, continuation = split_loss(token_scores(logits_BTV, ids_BT).loss, context_tokens=4)
    exact = [
        [
            reference(logits_BTV[text, token - 1], int(ids_BT[text, token]))["loss"]
            for token in range(1, 9)
        ]
        for text in range(3)
    ]
    assert perplexity(context) == pytest.approx(
        math.exp(np.mean([row[:3] for row in exact])), rel=1e-6
    )
    assert perplexity(continuation) == pytest.approx(
        math.exp(np.mean([row[3:] for row in exact])), rel=1e-6
    )


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.data())
def test_ranks_count_what_is_strictly_larger(logits, data):
    token = data.draw(st.integers(0, len(logits) - 1))
    rank = rank_under(torch.tensor([logits]).float(), torch.tensor([token]))
    assert rank.dtype == torch.int64
    assert rank.item() == sorted(logits, reverse=True).index(logits[token]) + 1
    assert rank_under(torch.tensor(logits).float(), torch.tensor(logits).argmax()).item() == 1


def test_agreement_by_hand():
    one = torch.tensor([[1, 2, 3, 4], [5, 5, 5, 5]])
    other = torch.tensor([[1, 2, 0, 0], [5, 5, 5, 0]])
    assert choice_agreement(one, other).tolist() == [0.5, 0.75]
    assert choice_agreement(other, one).tolist() == [0.5, 0.75]
    assert choice_agreement(one, one).tolist() == [1.0, 1.0]
    assert choice_agreement(one, other).dtype == torch.float64


def test_agreement_of_texts_of_other_shapes_is_refused():
    with pytest.raises(
        ValueError, match=r"shapes \(2, 3\) and \(2, 1\) have no positions in common"
    ):
        choice_agreement(torch.zeros(2, 3), torch.zeros(2, 1))  # which would broadcast
    with pytest.raises(ValueError, match="no positions"):
        choice_agreement(torch.zeros(2, 0), torch.zeros(2, 0))


def test_shares_of_ranks_by_hand():
    rank_S = torch.tensor([1, 1, 2, 10, 11, 100, 101])
    assert of_one_text(above(1))(rank_S) == (5.0, 7.0)
    assert of_one_text(above(10))(rank_S) == (3.0, 7.0)
    assert of_one_text(above(100))(rank_S) == (1.0, 7.0)
    assert of_one_text(above_among_changed(10))(rank_S) == (3.0, 5.0)


def test_a_model_that_changed_nothing_has_no_share_of_the_changed():
    same_S = torch.ones(5, dtype=torch.int64)
    assert of_one_text(above(1))(same_S) == (0.0, 5.0)
    assert of_one_text(above_among_changed(10))(same_S) is None


@given(st.lists(st.lists(st.integers(1, 300), min_size=7, max_size=7), min_size=1, max_size=5))
def test_the_bands_of_ranks_make_up_the_whole(texts):
    rank_NS = torch.tensor(texts)
    first, to_10, above_10, above_100 = (
        sums_and_counts(part)[0]
        for part in (
            rank_NS == 1,
            (rank_NS > 1) & (rank_NS <= 10),
            above(10)(rank_NS),
            above(100)(rank_NS),
        )
    )
    assert [sum(bands) for bands in zip(first, to_10, above_10, strict=True)] == [7.0] * len(texts)
    assert all(deep <= more for deep, more in zip(above_100, above_10, strict=True))
    assert sums_and_counts(above_among_changed(10)(rank_NS))[1] == [7 - each for each in first]


def test_losses_are_split_behind_the_context_by_hand():
    """Four tokens a b | c d: b is predicted in the context, c and d are the continuation."""
    context, continuation = split_loss(
        torch.tensor([[1.0, 2.0, 3.0], [0.0, 4.0, 4.0]]), context_tokens=2
    )
    assert sums_and_counts(context) == ([1.0, 0.0], [1.0, 1.0])
    assert sums_and_counts(continuation) == ([5.0, 8.0], [2.0, 2.0])


@pytest.mark.parametrize("context_tokens", [-1, 0, 1, 4, 5])
def test_a_part_without_a_predicted_token_is_refused(context_tokens):
    with pytest.raises(ValueError, match=f"texts of 4 tokens have no .* at {context_tokens}"):
        split_loss(torch.zeros(2, 3), context_tokens=context_tokens)


def test_the_worked_example_of_ranks():
    """Logits of the tokens a b c d under two models; d is true."""
    one, other = (torch.tensor([[logits] * 2]).float() for logits in ([3, 1, 2, 2], [1, 4, 2, 0]))
    first, second = (token_scores(logits, torch.tensor([[0, 3]])) for logits in (one, other))
    assert (first.rank.item(), second.rank.item()) == (2, 4)
    assert choice_agreement(first.top1_id, second.top1_id).tolist() == [0.0]
    assert rank_under(one[:, :-1], second.top1_id).item() == 4
    context, continuation = split_loss(torch.tensor([[1.0, 2.0, 3.0]]), context_tokens=2)
    assert perplexity(context) == pytest.approx(2.72, abs=5e-3)
    assert perplexity(continuation) == pytest.approx(12.18, abs=5e-3)


@pytest.mark.parametrize("words", [3, 255, 256, 1_280, 1_536, 2_000])
def test_largest_values_and_greedy_choices_are_those_of_a_search_among_all(words):
    """Among logits of few different values, so that the largest is often met again."""
    random = torch.Generator().manual_seed(words)
    logits_PV = torch.randint(0, 9, (40, words), generator=random).float()
    logits_PV[:20, -1] = 9  # the largest value in what fills no group of 256
    logits_PV[torch.rand(40, words, generator=random) < 0.01] = -torch.inf
    logits_PV[:, 0] = 4
    scores = target_scores(logits_PV, torch.zeros(40, dtype=torch.long))
    p_PV = logits_PV.softmax(-1)
    top_P5 = p_PV.topk(min(5, words), -1).values
    assert torch.allclose(scores.top1, top_P5[:, 0])
    assert torch.allclose(scores.top5, top_P5.sum(-1))
    assert torch.equal(scores.top1_id, logits_PV.argmax(-1))
    assert torch.allclose(scores.entropy, torch.special.entr(p_PV).sum(-1), atol=1e-5)
    assert torch.equal(scores.rank, 1 + (logits_PV > logits_PV[:, :1]).sum(-1))
