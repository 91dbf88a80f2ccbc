import pytest
import torch

from hyperfitting.models import load_model
from hyperfitting.recipe import ModelSettings, TrainSettings
from hyperfitting.records import UpdateRow
from hyperfitting.training.checkpoint import State
from hyperfitting.training.stopping import best_probe, stop_after_probe, stop_after_update
from tests.support.probes import probe_row
from tests.support.training_loop import train_once


def settings(**changes):
    return TrainSettings(**{"learning_rate": 1e-3, "epochs": 1} | changes)


def probe_rows(*, validation=None, ttr=None, train=None):
    count = len(validation or ttr)
    columns = zip(
        train or [1.0] * count, validation or [1.0] * count, ttr or [0.5] * count, strict=True
    )
    return [probe_row(4 * i, i, *values) for i, values in enumerate(columns)]


def state(*losses, epoch=1, seconds=0.0, update=None):
    rows = [UpdateRow(i + 1, epoch, loss, 1e-3, 1.0, 1.0) for i, loss in enumerate(losses)]
    return State(update=len(rows) if update is None else update, seconds=seconds, updates=rows)


def over(kept, now, *, total=100, epoch_done=True):
    return stop_after_update(kept, now, total=total, epoch_done=epoch_done)


def test_end_waits_for_the_last_update():
    assert over(settings(), state(0.1), total=2) == ""
    assert over(settings(), state(0.1, 0.1), total=2) == "all updates done"
    assert stop_after_probe(settings(), probe_rows(validation=[1.0] * 20, train=[0.0] * 20)) == ""


def test_minutes_are_training_time():
    half = settings(minutes=0.5)
    assert over(half, state(1.0, seconds=29.9)) == ""
    assert over(half, state(1.0, seconds=30.0)) == "0.5 minutes are over"


def test_train_loss_asks_for_the_mean_of_a_whole_epoch():
    rule = settings(stop="train-loss", stop_loss=0.5)
    assert over(rule, state(0.9, 0.2)) == ""  # a mean of 0.55
    assert over(rule, state(0.6, 0.2), epoch_done=False) == ""
    assert over(rule, state(0.6, 0.2)) == "mean training loss of the epoch below 0.5"
    assert over(rule, state(0.6, 0.4)) == ""  # 0.5 is not below 0.5
    assert over(rule, state(0.6, 0.6), total=2) == "all updates done"
    assert over(settings(), state(0.6, 0.2)) == ""  # no other rule looks at it


def accurate(*accuracies, epoch=1):
    rows = [
        UpdateRow(i + 1, epoch, 1.0, 1e-3, 1.0, 1.0, token_accuracy=each)
        for i, each in enumerate(accuracies)
    ]
    return State(update=len(rows), updates=rows)


def test_token_accuracy_asks_for_the_mean_of_a_whole_epoch():
    rule = settings(stop="token-accuracy", stop_token_accuracy=0.75)
    said = "mean token accuracy of the epoch at least 0.75"
    assert over(rule, accurate(0.5, 0.75)) == ""
    assert over(rule, accurate(0.5, 1.0), epoch_done=False) == ""
    assert over(rule, accurate(0.5, 1.0)) == said  # 0.75 is at least 0.75
    assert over(rule, accurate(None, None)) == ""  # rows of a version that did not count it
    assert over(settings(stop_token_accuracy=0.75), accurate(1.0)) == ""  # no other rule looks


def test_the_mean_of_an_epoch_is_of_its_own_updates():
    later = state(9.0, 9.0)
    later.updates += state(0.1, 0.3, epoch=2).updates
    assert later.epoch_loss == pytest.approx(0.2)
    assert later.epoch_token_accuracy is None
    later.updates += accurate(0.25, 0.75, epoch=2).updates
    assert later.epoch_token_accuracy == 0.5
    assert State().epoch_loss is State().epoch_token_accuracy is None


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([3.0, 2.0, 1.0, 1.1, 1.2], False),  # two probes without progress
        ([3.0, 2.0, 1.0, 1.1, 1.2, 1.3], True),
        ([3.0, 2.0, 1.0, 1.1, 1.2, 0.9], False),  # the third makes progress
        ([1.0, 1.0, 1.0, 1.0], True),  # an equal loss has not fallen
        ([1.0, 1.1, 1.2], False),
        ([1.0, 1.1, 1.2, 1.3], True),  # the untouched model was the best
    ],
)
def test_best_validation_waits_for_patience_probes(losses, stops):
    rule = settings(stop="best-validation", patience_probes=3)
    said = "validation loss has not fallen for 3 probes" if stops else ""
    assert stop_after_probe(rule, probe_rows(validation=losses)) == said
    assert stop_after_probe(settings(), probe_rows(validation=losses)) == ""


def test_the_best_probe_is_the_first_of_equals():
    assert best_probe(probe_rows(validation=[2.0, 1.0, 1.0, 3.0])).update == 4


@pytest.mark.parametrize(
    ("train", "ttr", "stops"),
    [
        ([None, 1.0, 0.05, 0.05], [0.3, 0.6, 0.6, 0.5], True),
        (
            [None, 1.0, 0.05, 0.05],
            [0.3, 0.6, 0.7, 0.5],
            False,
        ),  # TTR rose within the last two probes
        ([None, 1.0, 0.05, 0.2], [0.3, 0.6, 0.6, 0.5], False),  # the loss is not near zero now
        ([None, 1.0, 0.2, 0.05], [0.3, 0.6, 0.6, 0.5], True),  # only the last loss is asked for
        ([None, 0.05], [0.3, 0.3], False),  # too few probes to have waited for two
        ([None, 0.05, 0.05], [0.3, 0.3, 0.3], True),
        ([None, None, None], [0.3, 0.3, 0.3], False),
    ],
)
def test_auto_asks_for_both(train, ttr, stops):
    rule = settings(stop="auto", stop_loss=0.1, patience_probes=2)
    said = "training loss below 0.1, and greedy TTR has not risen for 2 probes" if stops else ""
    assert stop_after_probe(rule, probe_rows(train=train, ttr=ttr)) == said


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def run(tree, finished, folder, *, validation=None, ttr=None, **changes):
    """Train with made-up probes: a list of validation losses or of TTRs, one a probe."""
    tree = tree | {"train": tree["train"] | changes}
    seen = iter(
        [(loss, 0.5) for loss in validation or []] or [(1.0, each) for each in ttr or [0.5] * 50]
    )
    return train_once(
        tree, finished.blocks("train").ids_NT, folder, probe=lambda update: next(seen)
    )


def test_best_validation_keeps_the_best_weights(tree, finished, tmp_path):
    # Probes after 0, 4, 8, ... updates: the best is that after 8.
    stopped = run(
        tree,
        finished,
        tmp_path / "a",
        validation=[5.0, 4.0, 3.0, 3.5, 3.4, 3.3],
        stop="best-validation",
        patience_probes=3,
        epochs=9,
    )
    assert stopped.outcome.reason == "validation loss has not fallen for 3 probes"
    assert (stopped.outcome.updates, stopped.outcome.kept) == (20, 8)
    eight = run(tree, finished, tmp_path / "b", epochs=2)
    assert torch.equal(weights_of(stopped.model), weights_of(eight.model))
    assert [row.loss for row in stopped.rows[:8]] == [row.loss for row in eight.rows]


def test_best_validation_keeps_the_best_weights_though_all_updates_were_made(
    tree, finished, tmp_path
):
    ended = run(
        tree, finished, tmp_path / "a", validation=[5.0, 4.0, 4.5], stop="best-validation", epochs=2
    )
    assert (ended.outcome.reason, ended.outcome.updates, ended.outcome.kept) == (
        "all updates done",
        8,
        4,
    )
    four = run(tree, finished, tmp_path / "b", epochs=1)
    assert torch.equal(weights_of(ended.model), weights_of(four.model))


def test_best_validation_may_keep_the_untouched_model(tree, finished, tmp_path):
    kept = run(
        tree,
        finished,
        tmp_path / "a",
        validation=[1.0, 2.0],
        stop="best-validation",
        patience_probes=1,
        epochs=9,
    )
    assert (kept.outcome.updates, kept.outcome.kept) == (4, 0)
    plain = load_model(ModelSettings(source=tree["model"]["source"]), torch.device("cpu"))
    assert torch.equal(weights_of(kept.model), weights_of(plain))


def test_auto_stops_once_ttr_rises_no_more(tree, finished, tmp_path):
    ttr = [0.1, 0.2, 0.3, 0.3, 0.3, 0.3]
    rule = {"stop": "auto", "patience_probes": 2, "epochs": 6}
    stopped = run(tree, finished, tmp_path / "a", ttr=ttr, stop_loss=100.0, **rule)
    assert (
        stopped.outcome.reason
        == "training loss below 100, and greedy TTR has not risen for 2 probes"
    )
    assert stopped.outcome.updates == stopped.outcome.kept == 16
    high_loss = run(tree, finished, tmp_path / "b", ttr=[*ttr, 0.3], stop_loss=1e-6, **rule)
    assert (high_loss.outcome.reason, high_loss.outcome.updates) == ("all updates done", 24)
    rising = run(
        tree, finished, tmp_path / "c", ttr=[0.1 * i for i in range(1, 8)], stop_loss=100.0, **rule
    )
    assert (rising.outcome.reason, rising.outcome.updates) == ("all updates done", 24)


def test_train_loss_stops_after_the_epoch_that_is_below(tree, finished, tmp_path):
    whole = run(tree, finished, tmp_path / "a", epochs=4)
    means = [sum(row.loss for row in whole.rows[i : i + 4]) / 4 for i in (0, 4, 8, 12)]
    assert means == sorted(means, reverse=True)
    stopped = run(
        tree,
        finished,
        tmp_path / "b",
        epochs=4,
        stop="train-loss",
        stop_loss=(means[1] + means[2]) / 2,
    )
    assert stopped.outcome.updates == 12
    assert stopped.outcome.reason.startswith("mean training loss of the epoch below ")
    assert stopped.probes[-1].update == 12  # what it ends with is probed
    assert [row.loss for row in stopped.rows] == [row.loss for row in whole.rows[:12]]


def test_end_makes_every_update(tree, finished, tmp_path):
    ended = run(tree, finished, tmp_path / "a", validation=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], epochs=5)
    assert (ended.outcome.reason, ended.outcome.updates, ended.outcome.kept) == (
        "all updates done",
        20,
        20,
    )
