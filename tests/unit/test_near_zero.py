"""Whether a training came near zero loss: one function on the recipe and the probes."""

import pytest

from hyperfitting.recipe import parse_recipe
from hyperfitting.training import near_zero
from tests.support.probes import probe_row


def probes(*losses):
    """One probe an epoch of four updates; the first before training."""
    return [probe_row(4 * i, i, loss) for i, loss in enumerate(losses)]


def verdict(tree, *losses, kept=None, **train):
    if "updates" in train:
        del tree["train"]["epochs"]
    tree["train"] |= train
    rows = probes(None, *losses)
    return near_zero(
        parse_recipe(tree, source="t"), rows, rows[-1].update if kept is None else kept
    )


@pytest.mark.parametrize(("loss", "near"), [(0.29999, True), (0.3, False), (6.19, False)])
def test_without_a_stop_loss_near_zero_is_below_three_tenths(tree, loss, near):
    assert verdict(tree, 5.0, loss).near_zero is near


@pytest.mark.parametrize(("loss", "near"), [(0.049, True), (0.05, False), (0.107, False)])
@pytest.mark.parametrize("stop", ["end", "train-loss"])
def test_with_a_stop_loss_it_decides(tree, loss, near, stop):
    assert verdict(tree, 5.0, loss, stop=stop, stop_loss=0.05).near_zero is near


def test_a_high_stop_loss_is_taken_at_its_word(tree):
    assert verdict(tree, 1.9, stop="train-loss", stop_loss=2.0).near_zero


def test_the_line_says_what_was_reached_and_what_to_raise(tree):
    assert str(verdict(tree, 6.2, 6.1873, learning_rate=1e-6, epochs=6)) == (
        "The mean training loss of the last epoch is 6.19 nats per token, not below 0.3: this "
        "model has not been hyperfitted. Raise train.learning_rate (1e-06) or train.epochs (6)."
    )
    assert str(verdict(tree, 0.1)) == ""


def test_the_advice_names_the_settings_that_are_set(tree):
    assert "Raise train.learning_rate (0.003) or train.updates (12)." in str(
        verdict(tree, 3.0, updates=12)
    )
    assert ", train.minutes (5) or train.updates (12)." in str(verdict(tree, 3.0, minutes=5.0))


def test_of_a_training_that_kept_its_best_validation_the_kept_weights_count(tree):
    found = verdict(tree, 2.0, 0.1, kept=4, stop="best-validation")
    assert found.train_loss == 2.0
    assert 'Set train.stop to "train-loss" or "end"' in str(found)


def test_no_update_is_no_hyperfitting(tree):
    assert str(verdict(tree, kept=0, epochs=0)) == (
        "No update was made: this model has not been hyperfitted. Raise train.epochs."
    )
