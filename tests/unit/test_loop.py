import torch

from hyperfitting.decoding import Ending, continue_texts, make_sampler, token_steps, uniform_noise
from hyperfitting.recipe import Strategy

GREEDY = Strategy(name="greedy", method="greedy")


class Counting:
    """A model of ten tokens that always prefers the next number, then 0, and remembers how often it
    was asked.
    """

    def __init__(self):
        self.asked = 0

    def start(self, context_BT):
        return self._after(context_BT[:, -1])

    def extend(self, ids_B):
        return self._after(ids_B)

    def _after(self, ids_B):
        self.asked += 1
        logits = torch.zeros(len(ids_B), 10)
        logits[torch.arange(len(ids_B)), (ids_B + 1) % 10] = 2.0
        logits[:, 0] += 1.0
        return logits


def test_it_counts_on_from_each_context():
    texts = continue_texts(
        Counting(),
        torch.tensor([[1, 2], [1, 5]]),
        make_sampler(GREEDY),
        new_tokens=3,
        ending=Ending((9,), stop=False),
    )
    assert texts == [[3, 4, 5], [6, 7, 8]]


def test_end_of_text_is_suppressed_by_choosing_the_next_best():
    texts = continue_texts(
        Counting(),
        torch.tensor([[8]]),
        make_sampler(GREEDY),
        new_tokens=3,
        ending=Ending((9,), stop=False),
    )
    assert texts == [[0, 1, 2]]


def test_end_of_text_stops_a_text_and_is_left_out():
    texts = continue_texts(
        Counting(),
        torch.tensor([[7], [2]]),
        make_sampler(GREEDY),
        new_tokens=4,
        ending=Ending((9,), stop=True),
    )
    assert texts == [[8], [3, 4, 5, 6]]


def test_the_loop_ends_once_every_text_has_and_asks_no_more_than_it_needs():
    model = Counting()
    steps = list(
        token_steps(
            model,
            torch.tensor([[7]]),
            make_sampler(GREEDY),
            new_tokens=50,
            ending=Ending((9,), stop=True),
        )
    )
    assert [int(ids[0]) for ids in steps] == [8, 9]
    model = Counting()
    list(
        token_steps(
            model,
            torch.tensor([[1]]),
            make_sampler(GREEDY),
            new_tokens=3,
            ending=Ending((9,), stop=True),
        )
    )
    assert model.asked == 3


def test_uniforms_depend_on_their_own_key_alone():
    together = uniform_noise(["a", "b", "c"], 5)
    assert torch.equal(together[1:2], uniform_noise(["b"], 5))
    assert not torch.equal(together[0], together[1])
    assert torch.equal(together[:, :3], uniform_noise(["a", "b", "c"], 3))
    assert ((together >= 0) & (together < 1)).all()


def test_an_arm_applies_temperature_before_truncation():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    uniform = torch.full((1, 1), 0.999, dtype=torch.float64)
    # At temperature 0.1 the first token alone reaches p = 0.9; at temperature 1 it does not.
    cold = make_sampler(Strategy(name="a", method="sample", temperature=0.1, top_p=0.9), uniform)
    warm = make_sampler(Strategy(name="a", method="sample", top_p=0.9), uniform)
    text = torch.zeros(1, 0, dtype=torch.long)
    assert cold(logits, text).item() == 0
    assert warm(logits, text).item() == 1


def test_the_rules_see_the_text_so_far_and_the_penalty_what_it_is_told():
    """A model that always prefers token 3, then 2: a penalty on what was seen decides."""

    class Stubborn(Counting):
        def _after(self, ids_B):
            return torch.tensor([[0.0, 0.0, 1.9, 2.0, 0, 0, 0, 0, 0, 0]]).expand(len(ids_B), -1)

    def written(strategy):
        choose = make_sampler(strategy, context_tokens=2)
        return continue_texts(
            Stubborn(),
            torch.tensor([[3, 2]]),
            choose,
            new_tokens=3,
            ending=Ending((9,), stop=False),
        )

    assert written(GREEDY) == [[3, 3, 3]]
    on = {"method": "greedy", "repetition_penalty": 1.1}
    assert written(Strategy(name="own", **on)) == [[3, 2, 3]]
    assert written(Strategy(name="all", penalised="all", **on)) == [
        [3, 3, 3]
    ]  # both were seen in the context
    assert written(Strategy(name="n", method="greedy", no_repeat_ngram=2)) == [[3, 3, 0]]


def test_an_arm_says_in_words_what_it_does():
    strategy = Strategy(
        name="x",
        method="sample",
        dry={},
        temperature=0.7,
        blocker={"mode": "word"},
        repetition_penalty=1.2,
    )
    assert strategy.in_words() == (
        "sample, blocker (mode word, tokens 5, context False), repetition_penalty 1.2, penalised "
        "generated, dry (multiplier 0.8, base 1.75, allowed_tokens 2), temperature 0.7"
    )
    assert GREEDY.in_words() == "greedy"


def test_greedy_passes_over_what_rounding_could_turn():
    near = torch.tensor([[1.5, 1.5 + 2**-23]])  # divided by 5, both are 10066330 x 2^-25
    for settings in (
        {"temperature": 5.0},
        {"temperature": 1e-40},
        {"temperature": 5.0, "top_k": 1, "top_p": 0.1},
    ):
        strategy = Strategy(name="warm", method="greedy", **settings)
        assert make_sampler(strategy)(near, torch.zeros(1, 1, dtype=torch.long)).tolist() == [1]
