"""Did the steps reach the weights? `share` is of the intended displacement, `moved` of the
weights.
"""

import copy
import signal

import pytest
import torch

from hyperfitting.errors import Interrupted, TrainingFailed
from hyperfitting.recipe import TrainSettings
from hyperfitting.training import ProcessGroup
from hyperfitting.training import rounding_meter as meter
from hyperfitting.training.loop import clip_gradients
from hyperfitting.training.optimizer import make_optimizer
from hyperfitting.training.rounding_meter import StepMeter
from tests.support.training_loop import train_once

ALONE = ProcessGroup(torch.device("cpu"))


def run(tree, finished, folder, **changes):
    tree = tree | {"train": tree["train"] | changes}
    return train_once(tree, finished.blocks("train").ids_NT, folder)


def last_reading(trained):
    assert all(row.step_share is None and row.moved_share is None for row in trained.rows[:-1])
    return trained.rows[-1].step_share, trained.rows[-1].moved_share


@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast"])
@pytest.mark.parametrize("rate", [1e-6, 3e-3])
def test_float32_weights_take_every_step(tree, finished, tmp_path, precision, rate):
    share, moved = last_reading(
        run(tree, finished, tmp_path, precision=precision, learning_rate=rate)
    )
    assert share == 1.0
    assert moved >= 0.999  # steps up and down may add up to less than half a unit in the last place


@pytest.mark.parametrize("parameters", ["last:1", "late-lora:1"])
def test_float32_weights_take_every_step_where_only_some_are_trained(
    tree, finished, tmp_path, parameters
):
    assert last_reading(run(tree, finished, tmp_path, parameters=parameters)) == (1.0, 1.0)


def test_plain_bfloat16_at_the_papers_rate_is_stopped(tree, finished, tmp_path):
    lost = {"precision": "bf16", "force_plain_bf16": True, "learning_rate": 1e-6}
    with pytest.raises(TrainingFailed) as caught:
        run(tree, finished, tmp_path / "a", **lost)
    said = str(caught.value)
    share = float(said.removeprefix("only ").partition("%")[0])
    assert share < 10
    assert said.startswith(f"only {share}% of the last intended steps reached the weights (")
    assert "learning rate of 1e-06 they are too small for bf16 weights" in said
    assert said.endswith('set train.precision to "bf16-autocast", "bf16-stochastic" or "fp32"')
    assert "\n" not in said
    share, moved = last_reading(run(tree, finished, tmp_path / "b", **lost, least_step_share=0.0))
    assert share < 0.1
    assert moved < 0.1


def test_stochastic_rounding_at_the_papers_rate_keeps_the_mean_of_the_steps(
    tree, finished, tmp_path
):
    """The share's standard error is about (unit in the last place / (step x weights))^0.5.

    2^-13 / (12 updates x 1e-6 x 30,000 weights) gives 0.02; the layer norms' larger units add half
    as much. Bound: 0.1.
    """
    stochastic = {"precision": "bf16-stochastic", "learning_rate": 1e-6}
    share, moved = last_reading(run(tree, finished, tmp_path, **stochastic))
    assert abs(share - 1) < 0.1
    assert 0.01 < moved < 0.5


SETTINGS = TrainSettings(learning_rate=1e-3, epochs=1)


class Toy:
    """Four weights of 2,500, gradients by seed, and everything that the loop does with a meter."""

    def __init__(self, precision="fp32", seed=0, **changes):
        noise = torch.Generator().manual_seed(9)
        dtype = torch.bfloat16 if precision.startswith("bf16-s") else torch.float32
        self.weights = [
            torch.nn.Parameter(torch.randn(50, 50, generator=noise).to(dtype)) for _ in range(4)
        ]
        self.settings = TrainSettings(**{"learning_rate": 1e-3, "epochs": 1} | changes)
        self.optimizer = make_optimizer(self.weights, self.settings, precision, seed=0)
        self.meter = StepMeter(self.weights, self.optimizer, self.settings, seed=seed, ranks=ALONE)

    def update(self, number, *, last=False, step=True):
        noise = torch.Generator().manual_seed(number)
        for weight in self.weights:
            if weight.requires_grad:
                weight.grad = torch.randn(weight.shape, generator=noise).to(weight.dtype)
        clip_gradients(self.weights, self.settings.clip_norm)
        self.meter.before()
        if step:
            self.optimizer.step()
        self.optimizer.zero_grad()
        return self.meter.after(number + 1, last=last)


def test_decay_and_clipping_are_part_of_the_intended_step():
    toy = Toy(
        weight_decay=20.0, clip_norm=1e-3, epsilon=1e-4
    )  # with this epsilon a clipped gradient moves less
    before = [weight.detach().clone() for weight in toy.weights]
    readings = [toy.update(number, last=number == 9) for number in range(10)]
    assert readings[:-1] == [(None, None)] * 9
    assert readings[-1] == (1.0, 1.0)
    shrunk = torch.cat(
        [(weight / start).detach() for weight, start in zip(toy.weights, before, strict=True)]
    )
    assert float(shrunk.median()) == pytest.approx(
        (1 - 0.02) ** 10, rel=0.01
    )  # decay is most of the step


def test_a_schedule_is_part_of_the_intended_step():
    toy = Toy()
    for number in range(5):
        toy.optimizer.param_groups[0]["lr"] = 10.0**-number
        reading = toy.update(number, last=number == 4)
    assert reading == (1.0, 1.0)


def test_steps_that_do_not_arrive_are_seen():
    toy = Toy()
    assert toy.update(0, step=False, last=True) == (0.0, 0.0)
    assert toy.meter.problem("fp32").startswith(
        "only 0.0% of the last intended steps reached the weights (0.0% of "
    )


def test_a_window_ends_after_a_hundred_updates_and_the_next_begins_anew(monkeypatch):
    assert meter.WINDOW_UPDATES == 100
    monkeypatch.setattr(meter, "WINDOW_UPDATES", 3)
    toy = Toy()
    readings = [toy.update(number, step=number < 3) for number in range(6)]
    assert [reading.step_share for reading in readings] == [None, None, 1.0, None, None, 0.0]
    assert toy.meter.problem("fp32")


def test_the_rest_of_a_training_is_read_and_not_judged(monkeypatch):
    """The last steps of a rate that falls to zero are too small for any dtype."""
    monkeypatch.setattr(meter, "WINDOW_UPDATES", 3)
    toy = Toy()
    for number in range(3):
        toy.update(number)
    assert toy.update(3, step=False, last=True) == (0.0, 0.0)
    assert toy.meter.problem("fp32") == ""


def test_a_training_that_ends_early_is_judged_by_what_there_is():
    toy = Toy()
    assert toy.update(0, step=False) == (None, None)
    assert toy.meter.problem("fp32") == ""
    assert toy.meter.close(1) == (0.0, 0.0)
    assert toy.meter.problem("fp32").startswith("only 0.0% of the last intended steps")
    assert toy.meter.close(1) == (0.0, 0.0)


def test_a_weight_that_no_gradient_reaches_changes_no_reading(monkeypatch):
    monkeypatch.setattr(meter, "WINDOW_UPDATES", 3)
    toy = Toy()
    toy.weights[0].requires_grad_(False)
    readings = [toy.update(number) for number in range(6)]
    assert [readings[2], readings[5]] == [(1.0, 1.0)] * 2


def test_weights_are_sampled_in_proportion_to_the_size_of_their_tensors():
    small, large = (
        [torch.nn.Parameter(torch.zeros(size)) for _ in range(80)] for size in (10, 20_000)
    )
    optimizer = make_optimizer([*small, *large], SETTINGS, "fp32", seed=0)
    for weights in ([*small, *large], [*small[:10], *large[:30]]):
        sampled = StepMeter(weights, optimizer, SETTINGS, seed=0, ranks=ALONE)
        taken = [
            len(places)
            for weight, places in zip(sampled._weights, sampled._places, strict=True)
            if len(weight) > 10
        ]
        assert sum(taken) >= 0.99 * meter.SAMPLE
        assert sum(map(len, sampled._places)) <= 1.01 * meter.SAMPLE
        assert max(taken) <= 2 * min(taken)


def test_what_is_over_the_least_share_is_no_problem():
    toy = Toy(least_step_share=0.4)
    toy.update(0)
    toy.update(0, step=False, last=True)
    share = toy.meter._reading.step_share
    assert 0.4 < share < 0.6
    assert toy.meter.problem("fp32") == ""
    assert toy.update(1) == (None, None)
    assert toy.meter.problem("fp32") == ""


@pytest.mark.parametrize("precision", ["fp32", "bf16-stochastic"])
@pytest.mark.parametrize("cut", [1, 3, 4, 5])
def test_a_window_cut_by_a_checkpoint_reads_as_an_uncut_one(monkeypatch, precision, cut):
    monkeypatch.setattr(meter, "WINDOW_UPDATES", 4)
    whole = Toy(precision)
    expected = [whole.update(number) for number in range(8)]
    toy = Toy(precision)
    readings = [toy.update(number) for number in range(cut)]
    kept = copy.deepcopy(
        (toy.meter.state_dict(), toy.optimizer.state_dict(), [each.data for each in toy.weights])
    )
    resumed = Toy(precision)
    resumed.optimizer.load_state_dict(kept[1])
    for weight, data in zip(resumed.weights, kept[2], strict=True):
        weight.data = data
    resumed.meter.load_state_dict(kept[0])
    assert readings + [resumed.update(number) for number in range(cut, 8)] == expected
    assert (expected[3].step_share, expected[7].step_share) != (None, None)


def test_a_window_of_another_sample_is_dropped():
    toy = Toy()
    toy.update(0)
    held = toy.meter.state_dict()
    other = Toy()
    other.meter.load_state_dict(
        {key: each[:5] if each.dim() else each for key, each in held.items()}
    )
    assert other.meter.state_dict() == {}
    assert other.update(0, last=True) == (1.0, 1.0)


def test_an_interrupted_training_reads_as_an_uninterrupted_one(tree, finished, tmp_path):
    tree["train"] |= {"precision": "bf16-stochastic", "learning_rate": 1e-3}
    ids = finished.blocks("train").ids_NT
    expected = last_reading(train_once(tree, ids, tmp_path / "a"))

    def stop(update):
        if update == 4:
            signal.raise_signal(signal.SIGINT)
        return 1.0, 0.5

    with pytest.raises(
        Interrupted, match="stopped after update 4 of 12; the same command goes on from there"
    ):
        train_once(tree, ids, tmp_path / "b", probe=stop)
    resumed = train_once(tree, ids, tmp_path / "b", probe=stop)
    assert [row.update for row in resumed.rows] == list(range(5, 13))
    assert last_reading(resumed) == expected


def test_frozen_weights_are_not_sampled(tree, finished, tmp_path):
    trained = run(tree, finished, tmp_path, parameters="late-lora:1", epochs=1)
    weights = [weight for _, weight in trained.selection.trained]
    optimizer = make_optimizer(weights, TrainSettings(learning_rate=1e-3, epochs=1), "fp32", seed=0)
    watch = StepMeter(
        weights, optimizer, TrainSettings(learning_rate=1e-3, epochs=1), seed=0, ranks=ALONE
    )
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    watch.before()
    held = watch.state_dict()
    assert len(held["start"]) == sum(weight.numel() for weight in weights)
    assert (held["intended"] != 0).all()


def test_the_sample_of_a_large_model_is_bounded(monkeypatch):
    monkeypatch.setattr(meter, "SAMPLE", 1_000)
    toy = Toy()
    assert toy.update(0, last=True) == (1.0, 1.0)
    toy.update(1)
    assert len(toy.meter.state_dict()["start"]) == 1_000
