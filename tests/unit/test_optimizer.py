"""AdamW over bfloat16 weights and states, rounded stochastically, against torch's over float32."""

import io

import pytest
import torch

from hyperfitting.recipe import TrainSettings
from hyperfitting.training.optimizer import StochasticAdamW, make_optimizer, round_stochastically

MANY = 2_000  # weights that share one gradient, each rounded by noise of its own


def settings(**changes):
    return TrainSettings(**{"learning_rate": 1e-4, "epochs": 1} | changes)


def bf16_weights(values):
    return torch.nn.Parameter(torch.as_tensor(values).bfloat16())


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def run(weight, gradients, precision, *, seed=0, **changes):
    optimizer = make_optimizer([weight], settings(**changes), precision, seed=seed)
    for gradient in gradients:
        weight.grad = torch.as_tensor(gradient).expand_as(weight).to(weight.dtype).clone()
        optimizer.step()
    return optimizer


def standard_error(sample, dim=0):
    return sample.std(dim) / sample.shape[dim] ** 0.5


def test_fp32_is_torchs_own_adamw_with_the_settings():
    optimizer = make_optimizer(
        [torch.nn.Parameter(torch.ones(2))],
        settings(weight_decay=0.1, betas=(0.8, 0.9), epsilon=1e-6),
        "fp32",
        seed=0,
    )
    assert type(optimizer) is torch.optim.AdamW
    group = optimizer.param_groups[0]
    assert [group[key] for key in ("lr", "weight_decay", "betas", "eps")] == [
        1e-4,
        0.1,
        (0.8, 0.9),
        1e-6,
    ]


def test_a_hundred_small_steps_are_lost_to_rounding_to_nearest_and_kept_in_the_mean():
    steps = [1.0] * 100  # Adam's step is then the learning rate: 100 x 1e-4 from 1.0 is 0.99
    exact, nearest = torch.nn.Parameter(torch.ones(MANY)), bf16_weights(torch.ones(MANY))
    run(exact, steps, "fp32")
    run(nearest, steps, "bf16")
    assert torch.allclose(exact, torch.tensor(0.99), atol=1e-5)
    assert (nearest == 1).all()
    ours = bf16_weights(torch.ones(MANY))
    run(ours, steps, "bf16-stochastic")
    sample = ours.detach().float()
    assert sample.std() < 0.01  # a walk of 2.56 jumps of 2^-8 in the mean
    assert abs(sample.mean() - 0.99) < 5 * standard_error(sample) < 1e-3


def test_the_mean_over_the_noise_is_the_float32_trajectory_with_weight_decay():
    """20 steps of random gradients on eight weights; 5 standard errors, of 2e-4 to 2e-3."""
    start, gradients = (
        torch.linspace(-2, 2, 8),
        torch.randn(20, 8, generator=noise(1)).bfloat16().float(),
    )
    changes = {"learning_rate": 1e-2, "weight_decay": 0.5}
    exact = torch.nn.Parameter(start.bfloat16().float())
    run(exact, gradients, "fp32", **changes)
    ours = bf16_weights(start.expand(4 * MANY, 8))
    run(ours, gradients, "bf16-stochastic", **changes)
    sample = ours.detach().float()
    assert ((sample.mean(0) - exact).abs() < 5 * standard_error(sample)).all()
    assert (standard_error(sample) < 1e-3).all()
    undecayed = torch.nn.Parameter(start.bfloat16().float())
    run(undecayed, gradients, "fp32", learning_rate=1e-2)
    assert (exact - undecayed).abs().max() > 0.1  # the decay is no small thing here


def test_the_second_moment_decays_at_beta2_0_999():
    """It is multiplied by 0.999 where the gradient is zero, which rounding to nearest undoes each
    time.
    """
    steps = [1.0] + [0.0] * 300
    nearest, ours = bf16_weights(torch.ones(MANY)), bf16_weights(torch.ones(MANY))
    of_nearest = run(nearest, steps, "bf16").state[nearest]["exp_avg_sq"]
    sample = run(ours, steps, "bf16-stochastic").state[ours]["exp_avg_sq"].float()
    assert (of_nearest == of_nearest[0]).all()
    assert abs(float(of_nearest[0]) / 1e-3 - 1) < 2**-8
    expected = 1e-3 * 0.999**300
    assert abs(sample.mean() - expected) < 5 * standard_error(sample) < 0.01 * expected


def test_rounding_is_unbiased():
    exact = torch.randn(50, generator=noise(2)) * torch.logspace(-6, 6, 50)
    sample = round_stochastically(exact.expand(MANY, 50).contiguous(), noise()).double()
    assert ((sample.mean(0) - exact).abs() <= 5 * standard_error(sample)).all()
    down = (exact.view(torch.int32) & -65536).view(torch.float32)  # toward zero
    up = ((exact.view(torch.int32) & -65536) + 65536).view(torch.float32)
    assert ((sample == down) | (sample == up)).all()  # a neighbour, never farther
    assert (sample.std(0) > 0).all()


def test_rounding_keeps_what_bfloat16_holds_and_the_sign():
    held = torch.tensor(
        [0.0, -0.0, 1.0, -1.0, 0.5, -3.0, 2**-126, 3e38, float("inf"), -float("inf")]
    ).bfloat16()
    for seed in range(20):
        rounded = round_stochastically(held.float(), noise(seed))
        assert rounded.dtype == torch.bfloat16
        assert torch.equal(
            rounded.view(torch.int16), held.view(torch.int16)
        )  # to the bit: -0 stays -0
    tiny = torch.tensor([1e-30, -1e-30, 1e-3, -1e-3]).repeat(100, 1)
    assert (round_stochastically(tiny, noise()).sign() == tiny.sign()).all()


def test_rounding_keeps_the_shape():
    assert round_stochastically(torch.zeros(2, 0, 3), noise()).shape == (2, 0, 3)
    assert round_stochastically(torch.zeros(2, 5, 3), noise()).shape == (2, 5, 3)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    gradients = torch.randn(5, MANY, generator=noise(3))
    weights = [bf16_weights(torch.ones(MANY)) for _ in range(3)]
    for weight, seed in zip(weights, (7, 7, 8), strict=True):
        run(weight, gradients, "bf16-stochastic", seed=seed)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_two_weights_and_two_updates_are_rounded_by_different_noise():
    pair = [bf16_weights(torch.ones(MANY)) for _ in range(2)]
    optimizer, seen = make_optimizer(pair, settings(), "bf16-stochastic", seed=0), []
    for _ in range(2):
        for weight in pair:
            weight.grad = torch.ones_like(weight)
            weight.data.fill_(1.0)
        optimizer.step()
        seen += [weight.detach().clone() for weight in pair]
    assert not any(torch.equal(seen[i], seen[j]) for i in range(4) for j in range(i))


def test_states_are_bfloat16_and_a_weight_without_gradient_is_left_alone():
    used, unused = bf16_weights(torch.ones(3, 2)), bf16_weights(torch.ones(4))
    optimizer = make_optimizer(
        [used, unused], settings(weight_decay=0.5), "bf16-stochastic", seed=0
    )
    used.grad = torch.ones_like(used)
    optimizer.step()
    assert {optimizer.state[used][key].dtype for key in ("exp_avg", "exp_avg_sq")} == {
        torch.bfloat16
    }
    assert used.dtype == torch.bfloat16
    assert (unused == 1).all()
    assert unused not in optimizer.state


def test_large_weights_are_updated_in_chunks(monkeypatch):
    monkeypatch.setattr("hyperfitting.training.optimizer._CHUNK", 7)
    start = torch.linspace(-1, 1, 60).view(4, 15).bfloat16().float()
    exact, ours = torch.nn.Parameter(start.clone()), bf16_weights(start)
    run(exact, [1.0, -2.0], "fp32", learning_rate=0.1)
    run(ours, [1.0, -2.0], "bf16-stochastic", learning_rate=0.1)
    assert torch.allclose(ours.float(), exact, atol=0.02)
    assert ours.shape == (4, 15)


@pytest.mark.parametrize("through_a_file", [False, True])
def test_a_resumed_optimiser_rounds_as_an_uninterrupted_one(through_a_file):
    gradients = torch.randn(6, MANY, generator=noise(4))
    whole = bf16_weights(torch.ones(MANY))
    run(whole, gradients, "bf16-stochastic", seed=5)
    half = bf16_weights(torch.ones(MANY))
    kept = run(half, gradients[:3], "bf16-stochastic", seed=5).state_dict()
    if through_a_file:
        torch.save(kept, file := io.BytesIO())
        file.seek(0)
        kept = torch.load(file)
    resumed = torch.nn.Parameter(half.detach().clone())
    optimizer = make_optimizer([resumed], settings(), "bf16-stochastic", seed=5)
    optimizer.load_state_dict(kept)
    assert isinstance(optimizer, StochasticAdamW)
    assert optimizer.state[resumed]["exp_avg_sq"].dtype == torch.bfloat16
    for gradient in gradients[3:]:
        resumed.grad = gradient.bfloat16()
        optimizer.step()
    assert torch.equal(resumed, whole)
