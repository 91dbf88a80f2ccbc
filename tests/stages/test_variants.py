"""Variants come out as a training of their own would make them, to the bit, and share what they
have in common.
"""

import dataclasses
import shutil
from statistics import fmean

import pytest

from hyperfitting import models
from hyperfitting.cli import main
from hyperfitting.cli.text import check_lines
from hyperfitting.errors import Interrupted, TrainingFailed
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages import train as train_stage
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.train import train_experiment, train_run
from hyperfitting.training import loop
from tests.support.listening import Listener
from tests.support.recipes import tiny_tree

EARLY = {"name": "early-stopped", "set": {"train.stop": "best-validation"}}


@pytest.fixture
def turning(tree):
    return turn(tree)


def turn(tree):
    """Validation loss has not fallen for two probes after update 16, and falls again after update
    18, of 32 updates.
    """
    tree["train"] |= {"epochs": 8, "learning_rate": 1e-2, "patience_probes": 2}
    tree["probe"] |= {"every_updates": 2, "contexts": 1, "new_tokens": 4}
    return tree


def recipe_of(tree, *variants, **train):
    changed = {**tree, "train": tree["train"] | train, "variants": list(variants)}
    return parse_recipe(changed, source="t")


def made(tree, folder, *variants, progress=None, **train):
    return train_experiment(
        recipe_of(tree, *variants, **train), folder, device="cpu", progress=progress or NoProgress()
    )


def weights(run):
    return (run.model_folder / "model.safetensors").read_bytes()


def assert_alike(run, alone):
    """Weights to the bit, rows but for their speed, and how the training ended."""
    assert weights(run) == weights(alone)
    assert run.probes() == alone.probes()
    assert [dataclasses.replace(row, tokens_per_second=0.0) for row in run.updates()] == [
        dataclasses.replace(row, tokens_per_second=0.0) for row in alone.updates()
    ]
    for fact in ("updates", "kept_update", "ended", "parameters_trained"):
        assert getattr(run.facts.train, fact) == getattr(alone.facts.train, fact)
    assert not run.checkpoint_folder.exists()


@pytest.fixture(scope="module")
def alone(tiny_model, corpus, tmp_path_factory):
    """The two trainings, each in an experiment of its own."""
    tree, folder = turn(tiny_tree(tiny_model, corpus)), tmp_path_factory.mktemp("alone")
    stopped = made(tree, folder / "stopped", stop="best-validation").run("hyperfitted")
    ended = made(tree, folder / "ended").run("hyperfitted")
    assert stopped.facts.train.kept_update == 12  # not the best of all, which is 32
    assert stopped.facts.train.updates == 16
    assert min(ended.probes(), key=lambda row: row.validation_loss).update == 32
    return {"early-stopped": stopped, "hyperfitted": ended}


def assert_all_alike(experiment, alone):
    for name, other in alone.items():
        assert_alike(experiment.run(name), other)


@pytest.fixture(scope="module")
def made_together(tiny_model, corpus, tmp_path_factory):
    """The experiment that makes both by one training."""
    updates, folder = Listener(), tmp_path_factory.mktemp("together") / "both"
    experiment = made(turn(tiny_tree(tiny_model, corpus)), folder, EARLY, progress=updates)
    assert updates.made == 32
    return experiment


@pytest.fixture
def together(made_together, tmp_path):
    """The same in a folder of the test's own."""
    return Experiment(shutil.copytree(made_together.folder, tmp_path / "both"))


def test_one_training_makes_the_early_stopped_and_the_hyperfitted_model(made_together, alone):
    assert_all_alike(made_together, alone)


@pytest.mark.parametrize("after", [9, 17, 25])
def test_a_stop_loses_neither(turning, tmp_path, alone, after):
    """Before the early stop, between its last probe and the next, and long after it."""
    stopped, again = Listener(stop_after=after), Listener()
    with pytest.raises(Interrupted, match=f"stopped after update {after} of 32"):
        made(turning, tmp_path / "both", EARLY, progress=stopped)
    experiment = made(turning, tmp_path / "both", EARLY, progress=again)
    assert stopped.made + again.made == 32
    assert_all_alike(experiment, alone)


@pytest.mark.parametrize(("saved", "left"), [(0, 2), (1, 0)])
def test_a_kill_while_the_models_are_saved_loses_neither(
    turning, tmp_path, alone, monkeypatch, saved, left
):
    true_save, calls = models.save_model, []

    def save(*arguments, **options):
        calls.append(arguments)
        if len(calls) == saved + 1:
            raise KeyboardInterrupt
        true_save(*arguments, **options)

    turning["engine"] = {"checkpoint_updates": 10}
    monkeypatch.setattr(models, "save_model", save)
    with pytest.raises(KeyboardInterrupt):
        made(turning, tmp_path / "both", EARLY)
    monkeypatch.undo()
    updates = Listener()
    experiment = made(turning, tmp_path / "both", EARLY, progress=updates)
    assert updates.made == left
    assert_all_alike(experiment, alone)


def test_a_variant_whose_model_is_gone_is_trained_again_by_itself(together, alone):
    before = weights(together.run("hyperfitted"))
    shutil.rmtree(together.run("early-stopped").model_folder)
    updates = Listener()
    train_run(together, "hyperfitted", device="cpu", progress=updates)
    assert updates.made == 16
    assert weights(together.run("hyperfitted")) == before
    assert_all_alike(together, alone)


def test_a_checkpoint_without_a_variant_does_not_make_it(together, alone):
    shutil.rmtree(together.run("hyperfitted").model_folder)
    with pytest.raises(Interrupted):
        train_run(together, "hyperfitted", device="cpu", progress=Listener(stop_after=25))
    shutil.rmtree(together.run("early-stopped").model_folder)
    train_run(together, "hyperfitted", device="cpu")
    assert_all_alike(together, alone)


def test_training_goes_on_for_a_variant_that_stops_later(turning, tmp_path):
    """The hyperfitted model stops at an epoch's end, where only it is probed; the other goes on to
    its own end.
    """
    turning["probe"]["every_updates"] = 5
    first = {"stop": "train-loss", "stop_loss": 4.3}
    updates = Listener()
    experiment = made(turning, tmp_path / "both", EARLY, progress=updates, **first)
    hyperfitted = made(turning, tmp_path / "a", **first).run("hyperfitted")
    stopped = made(turning, tmp_path / "b", stop="best-validation").run("hyperfitted")
    ends = [run.facts.train.updates for run in (hyperfitted, stopped)]
    assert ends[0] < ends[1] == updates.made
    assert ends[0] % 5 != 0
    assert_all_alike(experiment, {"hyperfitted": hyperfitted, "early-stopped": stopped})


def test_a_variant_that_has_ended_is_kept_when_the_training_fails_later(
    turning, tmp_path, alone, monkeypatch
):
    true_rule = loop.diverges

    def diverges(updates, words):
        return "the loss diverges: x" if len(updates) == 25 else true_rule(updates, words)

    monkeypatch.setattr(loop, "diverges", diverges)
    with pytest.raises(TrainingFailed, match="the loss diverges"):
        made(turning, tmp_path / "both", EARLY)
    experiment = Experiment(tmp_path / "both")
    assert_alike(experiment.run("early-stopped"), alone["early-stopped"])
    assert experiment.run("early-stopped").weights is not None
    assert not experiment.run("hyperfitted").trained
    monkeypatch.undo()
    again = Listener()
    experiment = made(turning, tmp_path / "both", EARLY, progress=again)
    assert again.made == 32  # no checkpoint was written
    assert_all_alike(experiment, alone)


def test_no_variant_is_kept_of_a_training_whose_steps_are_lost(turning, tmp_path):
    lost = {"precision": "bf16", "force_plain_bf16": True, "learning_rate": 1e-6}
    with pytest.raises(TrainingFailed, match="of the last intended steps reached the weights"):
        made(turning, tmp_path / "both", EARLY, **lost)
    runs = Experiment(tmp_path / "both").runs()
    assert [name for name, run in runs.items() if run.trained] == ["original"]


def test_token_accuracy_stops_one_variant_and_not_the_other(turning, tmp_path):
    turning["train"] |= {"learning_rate": 1e-2, "epochs": 8}
    known = {
        "name": "memorised",
        "set": {"train.stop": "token-accuracy", "train.stop_token_accuracy": 0.03},
    }
    experiment = made(turning, tmp_path / "both", known)
    run, whole = experiment.run("memorised"), experiment.run("hyperfitted")
    ended = run.facts.train.updates
    assert run.facts.train.ended == "mean token accuracy of the epoch at least 0.03"
    assert ended in range(4, 32, 4)
    means = [
        fmean(row.token_accuracy for row in whole.updates()[i : i + 4]) for i in range(0, 32, 4)
    ]
    assert ended == 4 * (1 + next(i for i, mean in enumerate(means) if mean >= 0.03))
    assert run.probes()[-1].token_accuracy == pytest.approx(means[ended // 4 - 1])


def test_adapters_are_merged_into_each_model(turning, tmp_path):
    lora = {"parameters": "lora", "learning_rate": 0.1}
    experiment = made(turning, tmp_path / "both", EARLY, **lora)
    stopped = made(turning, tmp_path / "a", stop="best-validation", **lora).run("hyperfitted")
    ended = made(turning, tmp_path / "b", **lora).run("hyperfitted")
    assert weights(stopped) != weights(ended)
    assert_all_alike(experiment, {"early-stopped": stopped, "hyperfitted": ended})


def test_a_variant_that_trains_otherwise_is_trained_apart(tree, tmp_path):
    gentle = {"name": "gentle", "set": {"train.learning_rate": 1e-4}}
    order = {"name": "other-order", "set": {"train": {"order_seed": 1}}}
    recipe = recipe_of(tree, EARLY, gentle, order)
    assert recipe.variant_names == (
        "original",
        "early-stopped",
        "gentle",
        "other-order",
        "hyperfitted",
    )
    assert recipe.trained_together("hyperfitted") == ("early-stopped", "hyperfitted")
    assert recipe.trained_together("gentle") == ("gentle",)
    updates = Listener()
    experiment = made(tree, tmp_path / "out", EARLY, gentle, order, progress=updates)
    assert updates.made == 36
    alone = made(tree, tmp_path / "alone", learning_rate=1e-4).run("hyperfitted")
    assert_alike(experiment.run("gentle"), alone)
    losses = {
        name: run.updates()[0].loss for name, run in experiment.runs().items() if run.updates()
    }
    assert losses["gentle"] == losses["hyperfitted"] != losses["other-order"]


def test_the_untouched_model_is_probed_once(tree, tmp_path, monkeypatch):
    true_probe, probed = train_stage.probe, []

    def probe(*arguments, state, **settings):
        probed.append(state.update)
        return true_probe(*arguments, state=state, **settings)

    monkeypatch.setattr(train_stage, "probe", probe)
    gentle = {"name": "gentle", "set": {"train.learning_rate": 1e-4}}
    experiment = made(tree, tmp_path / "out", gentle)
    assert probed == [0, 4, 8, 12, 4, 8, 12]
    for run in experiment.runs().values():
        assert run.probes()[0] == experiment.run("original").probes()[0]


def test_a_variant_in_another_precision_is_probed_itself(tree, tmp_path):
    coarse = {"name": "coarse", "set": {"train.precision": "bf16-stochastic"}}
    experiment = made(tree, tmp_path / "out", coarse)
    first = {name: run.probes()[0].validation_loss for name, run in experiment.runs().items()}
    assert first["original"] == first["hyperfitted"] != first["coarse"]


def test_check_shows_the_variants_and_which_of_them_one_training_makes(tree, tmp_path):
    gentle = {"name": "gentle", "set": {"train.learning_rate": 1e-4}}
    said = check_lines(check_recipe(recipe_of(tree, EARLY, gentle), tmp_path / "out", device="cpu"))
    assert (
        "variant   early-stopped: train.stop = best-validation; one training with hyperfitted\n"
        "variant   gentle: train.learning_rate = 0.0001\n" in said
    )
    assert "data/, original/, early-stopped/, gentle/, hyperfitted/, report/" in said


def test_what_a_variant_trains_is_tried_before_anything_is_written(tree, tmp_path, capsys):
    variant = 'variants=[{ name = "late", set = { "train.parameters" = "last:9" } }]'
    (tmp_path / "r.json").write_text(recipe_of(tree).canonical_json())
    command = ["train", str(tmp_path / "r.json"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*command, "--set", variant]) == 2
    error = "hyperfit: train.parameters = 'last:9': the model has 2 layers\n"
    assert capsys.readouterr().err == error
    assert not (tmp_path / "out").exists()
