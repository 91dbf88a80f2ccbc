"""A rule that leaves no token gives way for that text at that step; what is chosen is always
possible.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfitting.decoding import (
    Ending,
    GivingWay,
    continue_texts,
    make_sampler,
    rules,
    strategy_rules,
)
from hyperfitting.errors import ModelError
from hyperfitting.recipe import Strategy

NONE = -math.inf
WORDS = 6


class Constant:
    """A model that always says the same."""

    def __init__(self, *logits):
        self.logits = torch.tensor([logits])

    def start(self, context_BT):
        return self.logits.expand(len(context_BT), -1)

    def extend(self, ids_B):
        return self.logits.expand(len(ids_B), -1)


def written(strategy, *logits, new_tokens=4, ends=(), stop=False, uniform=0.5):
    """The continuation of the context [0] by one strategy, and what gave way."""
    record = []
    uniform_noise = (
        torch.full((1, new_tokens), uniform, dtype=torch.float64)
        if strategy.method == "sample"
        else None
    )
    choose = make_sampler(strategy, uniform_noise, context_tokens=1, record=record)
    (text,) = continue_texts(
        Constant(*logits),
        torch.tensor([[0]]),
        choose,
        new_tokens=new_tokens,
        ending=Ending(ends, stop=stop),
        record=record,
    )
    return text, record


def strategy(**settings):
    return Strategy.model_validate({"name": "a", "method": "greedy", **settings})


def test_no_repeat_gives_way_once_every_token_was_written():
    text, record = written(strategy(no_repeat_ngram=1), 3.0, 2.0, 1.0)
    assert text == [1, 2, 0, 0]  # the context holds 0; from the third step on all three are there
    assert record == [GivingWay(0, 2, "no_repeat_ngram"), GivingWay(0, 3, "no_repeat_ngram")]


def test_only_the_text_that_has_no_token_left_is_let_off():
    apply = strategy_rules(strategy(no_repeat_ngram=1), context_tokens=2, record=(record := []))
    logits = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    made = apply(logits, torch.tensor([[0, 1], [1, 1]]))
    assert made.tolist() == [[1.0, 2.0], [1.0, NONE]]
    assert record == [GivingWay(0, 0, "no_repeat_ngram")]


def test_two_rules_that_forbid_everything_only_together():
    text, record = written(strategy(no_repeat_ngram=1), 1.0, 5.0, new_tokens=2, ends=(1,))
    assert text == [0, 0]  # 1 is end-of-text, and stays forbidden; 0 stands in the context
    assert record == [GivingWay(0, step, "no_repeat_ngram") for step in (0, 1)]


def test_end_of_text_gives_way_in_a_model_that_has_nothing_else_and_the_text_keeps_its_length():
    text, record = written(strategy(), 1.0, 2.0, ends=(0, 1))
    assert text == [1, 1, 1, 1]
    assert {each.rule for each in record} == {"end_of_text"}
    assert len(record) == 4


def test_end_of_text_still_stops_a_text_where_it_may():
    assert written(strategy(), 1.0, 2.0, ends=(0, 1), stop=True) == ([], [])


@pytest.mark.parametrize("penalty", [1e-45, 1e38])
def test_a_repetition_penalty_that_overflows_gives_way(penalty):
    text, record = written(
        strategy(repetition_penalty=penalty, penalised="all"), 20.0 if penalty < 1 else -20.0
    )
    assert text == [0, 0, 0, 0]
    assert {each.rule for each in record} == {"repetition_penalty"}


def test_a_dry_penalty_that_forbids_the_only_token_gives_way():
    text, record = written(
        strategy(dry={"multiplier": 1e300, "base": 1e300, "allowed_tokens": 1}), 1.0
    )
    assert text == [0, 0, 0, 0]
    assert {each.rule for each in record} == {"dry"}


@pytest.mark.parametrize("value", [1e-40, 5e-324, 1e-30])
@pytest.mark.parametrize(
    "logits", [[1.0, 3.0, 2.0, NONE], [-9.0, -1.0, -2.0, NONE], [-1.0, 0.0, NONE, -1.0]]
)
@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_sampling_is_greedy_where_the_division_by_temperature_overflows(value, logits, uniform):
    assert written(strategy(method="sample", temperature=value), *logits, uniform=uniform) == (
        [1, 1, 1, 1],
        [],
    )


def test_equally_probable_tokens_stay_so_where_temperature_overflows():
    assert rules.temperature(torch.tensor([[5.0, 5.0, 1.0]]), 1e-40).softmax(-1).tolist() == [
        [0.5, 0.5, 0.0]
    ]


def test_a_temperature_too_high_for_float32_makes_all_possible_tokens_equally_probable():
    shares = rules.temperature(torch.tensor([[5.0, NONE, 1.0]]), 1e300).softmax(-1)
    assert shares.tolist() == [[0.5, 0.0, 0.5]]


def test_the_smallest_nucleus_is_the_most_probable_token():
    assert rules.top_p(torch.tensor([[1.0, 3.0, 2.0]]), 1e-60).isfinite().tolist() == [
        [False, True, False]
    ]


@pytest.mark.parametrize("uniform", [0.0, 0.3, 1 - 2**-53, 1.0])
def test_sampling_never_takes_an_impossible_token(uniform):
    for logits in (
        [NONE, 1.0, NONE],
        [NONE, 1.0, 2.0, NONE, NONE],
        [-800.0, 5.0, -800.0],
        [1.0, NONE],
    ):
        (token,) = rules.sample(
            torch.tensor([logits]), torch.tensor([uniform], dtype=torch.float64)
        ).tolist()
        assert torch.tensor(logits).double().softmax(-1)[token] > 0


@pytest.mark.parametrize("logits", [[math.nan, 1.0], [math.inf, 1.0], [NONE, NONE]])
@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_logits_that_are_no_numbers_are_an_error_and_no_token(logits, method):
    with pytest.raises(
        ModelError, match="logits are NaN or infinite, so that no token can be chosen"
    ) as error:
        written(strategy(method=method), *logits)
    assert "\n" not in str(error.value)
    with pytest.raises(ModelError):
        rules.greedy(torch.tensor([logits]))
    with pytest.raises(ModelError):
        rules.sample(torch.tensor([logits]), torch.tensor([0.5]))


def test_not_even_suppressed_end_of_text_hides_logits_that_are_no_numbers():
    with pytest.raises(ModelError, match="NaN or infinite"):
        written(strategy(), 1.0, math.nan, ends=(1,))


extremes = st.sampled_from([1e-320, 1e-40, 1e-6, 0.5, 1.0, 2.0, 1e30, 1e300])
chances = st.sampled_from([1e-320, 1e-60, 0.1, 0.9, 1.0])
rule_sets = st.fixed_dictionaries(
    {"method": st.sampled_from(["greedy", "sample"])},
    optional={
        "repetition_penalty": extremes,
        "penalised": st.sampled_from(["generated", "all"]),
        "no_repeat_ngram": st.integers(1, 3),
        "dry": st.fixed_dictionaries(
            {"multiplier": extremes, "base": extremes, "allowed_tokens": st.integers(1, 2)}
        ),
        "temperature": extremes,
        "top_k": st.integers(1, WORDS + 2),
        "top_p": chances,
        "min_p": st.sampled_from([0.0, 1e-300, 0.5, 1.0]),
    },
)
rows = st.lists(
    st.one_of(st.just(NONE), st.floats(-1e6, 1e6, width=32), st.sampled_from([3e38, -3e38, 0.0])),
    min_size=WORDS,
    max_size=WORDS,
).filter(lambda row: max(row) > NONE)


def allowed(settings, logits, text, let_off):
    """The tokens that the rules leave which did not give way, one rule after the other."""
    for name in settings.model_fields_set - {"name", "method", "penalised"}:
        if name in let_off:
            settings = settings.model_copy(update={name: None})
    return strategy_rules(settings, context_tokens=1)(logits, text)[0] > NONE


@settings(max_examples=300)
@given(
    rule_sets,
    rows,
    st.lists(st.integers(0, WORDS - 1), max_size=2),
    st.floats(0, 1, exclude_max=True),
)
def test_whatever_the_rules_a_valid_token_is_chosen_that_all_rules_allow_but_those_that_gave_way(
    chosen, row, ends, uniform
):
    ways = strategy(**chosen)
    text, record = written(ways, *row, new_tokens=8, ends=tuple(ends), uniform=uniform)
    assert len(text) == 8
    for step, token in enumerate(text):
        let_off = {each.rule for each in record if each.step == step}
        logits = torch.tensor([row])
        if "end_of_text" not in let_off:
            logits = rules.forbid(logits, ends)
        assert row[token] > NONE
        assert allowed(ways, logits, torch.tensor([[0, *text[:step]]]), let_off)[token]
        assert "end_of_text" in let_off or token not in ends


@given(rows)
def test_rules_that_are_off_change_nothing(row):
    logits = torch.tensor([row])
    assert (
        strategy_rules(strategy(), context_tokens=0)(logits, torch.zeros(1, 0, dtype=torch.long))
        is logits
    )
