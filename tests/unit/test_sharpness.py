import math

import torch

from hyperfitting.metrics.sharpness import token_scores


def test_a_uniform_distribution():
    scores = token_scores(torch.zeros(1, 3, 10), torch.tensor([[1, 2, 3]]))
    assert scores.loss.shape == (1, 2)
    assert torch.allclose(scores.loss, torch.full((1, 2), math.log(10)))
    assert torch.allclose(scores.entropy, torch.full((1, 2), math.log(10)))
    assert torch.allclose(scores.top1, torch.full((1, 2), 0.1))
    assert torch.allclose(scores.top3, torch.full((1, 2), 0.3))
    assert torch.allclose(scores.top5, torch.full((1, 2), 0.5))


def test_a_certain_distribution_has_no_entropy_and_no_nan():
    logits = torch.full((1, 2, 4), -1e9)
    logits[0, 0, 2] = 0
    scores = token_scores(logits, torch.tensor([[0, 2]]))
    assert scores.entropy.tolist() == [[0.0]]
    assert scores.loss.tolist() == [[0.0]]
    assert scores.top1.tolist() == [[1.0]]


def test_two_tokens_by_hand_and_half_precision_logits():
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]], dtype=torch.bfloat16)
    scores = token_scores(logits, torch.tensor([[0, 0]]))
    assert scores.loss.dtype == torch.float32
    assert scores.loss.item() == torch.tensor(math.log(4)).item() or abs(scores.loss.item() - math.log(4)) < 1e-2
    assert abs(scores.top1.item() - 0.75) < 1e-2
    assert abs(scores.entropy.item() - (0.75 * math.log(4 / 3) + 0.25 * math.log(4))) < 1e-2


def test_a_vocabulary_below_five_tokens_sums_to_one():
    scores = token_scores(torch.zeros(1, 2, 2), torch.tensor([[0, 1]]))
    assert scores.top5.item() == 1.0
