import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.decoding import rules

LOGITS = torch.randn(6, 200, generator=torch.Generator().manual_seed(0)) * 3
NO_IDS = torch.zeros(6, 1, dtype=torch.long)


@pytest.mark.parametrize("value", [0.1, 0.7, 1.0, 3.0])
def test_temperature_equals_transformers(value):
    assert torch.equal(
        rules.temperature(LOGITS, value),
        transformers.TemperatureLogitsWarper(value)(NO_IDS, LOGITS),
    )


@pytest.mark.parametrize("k", [1, 5, 50, 200, 1000])
def test_top_k_equals_transformers(k):
    assert torch.equal(rules.top_k(LOGITS, k), transformers.TopKLogitsWarper(k)(NO_IDS, LOGITS))


@pytest.mark.parametrize("p", [0.01, 0.3, 0.9, 0.999])
def test_top_p_equals_transformers(p):
    assert torch.equal(rules.top_p(LOGITS, p), transformers.TopPLogitsWarper(p)(NO_IDS, LOGITS))


def test_top_p_of_one_changes_nothing():
    assert rules.top_p(LOGITS, 1.0) is LOGITS


def test_top_p_keeps_the_token_that_reaches_p():
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    assert rules.top_p(logits, 0.6).isfinite().tolist() == [[True, True, False]]
    assert rules.top_p(logits, 0.1).isfinite().tolist() == [[True, False, False]]


@pytest.mark.parametrize("p", [0.0, 0.02, 0.3, 1.0])
def test_min_p_equals_transformers(p):
    assert torch.equal(rules.min_p(LOGITS, p), transformers.MinPLogitsWarper(p)(NO_IDS, LOGITS))


TEXT = torch.randint(
    0, 12, (6, 40), generator=torch.Generator().manual_seed(1)
)  # few tokens: much comes twice


@pytest.mark.parametrize("penalty", [0.8, 1.0, 1.3])
@pytest.mark.parametrize("prompt", [0, 30])
def test_repetition_penalty_equals_transformers(penalty, prompt):
    theirs = transformers.RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=prompt)(
        TEXT, LOGITS.clone()
    )
    assert torch.equal(rules.repetition_penalty(LOGITS, TEXT[:, prompt:], penalty), theirs)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 40, 41, 50])
def test_no_repeat_ngram_equals_transformers(order):
    theirs = transformers.NoRepeatNGramLogitsProcessor(order)(TEXT, LOGITS.clone())
    assert torch.equal(rules.no_repeat_ngram(LOGITS, TEXT, order), theirs)


def dry_by_hand(logits, text, multiplier, base, allowed):
    """The rule in a plain loop, for one text."""
    longest = {}
    for end in range(len(text) - 1):
        run = 0
        while run <= end and text[end - run] == text[len(text) - 1 - run]:
            run += 1
        longest[text[end + 1]] = max(run, longest.get(text[end + 1], 0))
    changed = list(logits)
    for token, run in longest.items():
        if run >= allowed:
            changed[token] -= multiplier * base ** (run - allowed)
    return changed


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 4))
def test_dry_equals_a_plain_loop(text, allowed):
    logits = LOGITS[:1, :5]
    made = rules.dry(
        logits, torch.tensor([text]), multiplier=0.8, base=1.75, allowed_tokens=allowed
    )
    assert made[0].tolist() == pytest.approx(
        dry_by_hand(logits[0].tolist(), text, 0.8, 1.75, allowed), rel=1e-5
    )


def test_dry_treats_each_text_alone():
    together = rules.dry(LOGITS, TEXT, multiplier=0.8, base=1.75, allowed_tokens=2)
    for row in range(6):
        alone = rules.dry(LOGITS[[row]], TEXT[[row]], multiplier=0.8, base=1.75, allowed_tokens=2)
        assert torch.equal(together[[row]], alone)
    assert not torch.equal(together, LOGITS)


def test_forbid_leaves_its_input_alone():
    blocked = rules.forbid(LOGITS, [3, 5])
    assert blocked[:, [3, 5]].eq(-torch.inf).all()
    assert LOGITS[:, [3, 5]].isfinite().all()
    others = [i for i in range(200) if i not in (3, 5)]
    assert torch.equal(blocked[:, others], LOGITS[:, others])


def test_greedy_takes_the_lowest_id_of_a_tie():
    assert rules.greedy(torch.tensor([[1.0, 2.0, 2.0]])).tolist() == [1]


@given(st.floats(0, 1, exclude_max=True))
def test_sample_inverts_the_cumulative_distribution(uniform):
    logits = torch.tensor([[0.5, 0.0, 0.3, 0.2]]).log()
    token = rules.sample(logits, torch.tensor([uniform], dtype=torch.float64)).item()
    assert (
        token == (0 if uniform < 0.5 else 2 if uniform < 0.8 else 3)
        or abs(uniform - 0.8) < 1e-6
        or abs(uniform - 0.5) < 1e-6
    )


def test_sample_follows_the_probabilities():
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log().expand(20_000, -1)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = rules.sample(logits, uniform).bincount() / 20_000
    assert torch.allclose(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.02)
