"""What stops a training leaves the last good state and says one line; the same command goes on to
the same bits.
"""

import dataclasses
import errno
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException
from torch.distributed.checkpoint.api import CheckpointException

from hyperfitting import cli
from hyperfitting.errors import (
    DiskFull,
    InputError,
    Interrupted,
    OutOfMemory,
    ProcessLost,
    RunError,
    TrainingFailed,
)
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import UpdateRow
from hyperfitting.runs import Experiment
from hyperfitting.stages import train as train_stage
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.train import train_run
from hyperfitting.training import loop
from hyperfitting.training.checkpoint import Checkpoints, State
from hyperfitting.training.distributed import ProcessGroup
from hyperfitting.training.optimizer import make_optimizer
from hyperfitting.training.plain_failures import diverges, translate_torch_errors
from hyperfitting.training.rounding_meter import StepMeter
from tests.support.listening import Listener
from tests.support.recipes import tiny_tree, write_recipe
from tests.support.source import ROOT
from tests.support.tiny_models import make_model

NO_SPACE = (
    "hyperfit: no space left on the disk: free some, and the same command goes on from the last "
    "checkpoint"
)
NO_MEMORY = "hyperfit: the device is out of memory: "


def train(experiment, **listening):
    """Train the hyperfitted run; what was said."""
    listener = Listener(**listening)
    train_run(experiment, "hyperfitted", device="cpu", progress=listener)
    return listener.lines


def stop(tree, folder, *, after, **engine):
    """An experiment stopped by Ctrl-C after so many of its updates."""
    experiment = draw_experiment(parse_recipe(tree | {"engine": engine}, source="t"), folder)
    with pytest.raises(
        Interrupted,
        match=f"stopped after update {after} of 12; the same command goes on from there",
    ):
        train(experiment, stop_after=after)
    return experiment


def checkpoints(experiment):
    return sorted(path.name for path in experiment.run("hyperfitted").checkpoint_folder.iterdir())


def weights(experiment):
    return (experiment.run("hyperfitted").model_folder / "model.safetensors").read_bytes()


def assert_equal(experiment, other):
    """Weights to the bit, and the rows but for their speed."""
    run, reference = experiment.run("hyperfitted"), other.run("hyperfitted")
    assert weights(experiment) == weights(other)
    assert [dataclasses.replace(row, tokens_per_second=0.0) for row in run.updates()] == [
        dataclasses.replace(row, tokens_per_second=0.0) for row in reference.updates()
    ]
    assert run.probes() == reference.probes()
    assert not run.checkpoint_folder.exists()


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory, tiny_model, corpus):
    folder = tmp_path_factory.mktemp("crashes") / "out"
    return stop(tiny_tree(tiny_model, corpus), folder, after=9, checkpoint_updates=3)


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """An experiment of the test's own, with checkpoints of its updates 6 and 9 of 12."""
    shutil.copytree(stopped_once.folder, tmp_path / "out")
    return Experiment(tmp_path / "out")


def test_killed_trainings_end_as_the_uninterrupted_one():
    command = [sys.executable, "-m", "tests.support.torture", "--runs", "3", "--updates", "15"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "(held open)" in lines[1]
    assert lines[-1] == "3 of 3"


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)


@pytest.mark.parametrize(
    ("file", "damage", "problem"),
    [
        ("tensors/__0_0.distcp", truncate, "tensors/__0_0.distcp is not what was written"),
        ("tensors/__0_0.distcp", flip, "tensors/__0_0.distcp is not what was written"),
        ("rank-0.pt", Path.unlink, "rank-0.pt is not what was written"),
        ("state.json", flip, "state.json is not what was written"),
        ("hashes.json", Path.unlink, "hashes.json is not there or not whole"),
        ("hashes.json", truncate, "hashes.json is not there or not whole"),
        ("hashes.json", lambda path: path.write_text("{}"), "rank-0.pt is not what was written"),
        (
            "hashes.json",
            lambda path: path.write_text("[1]"),
            "hashes.json is not there or not whole",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_is_used(
    stopped, finished, file, damage, problem
):
    newest = stopped.run("hyperfitted").checkpoint_folder / "update-00000009"
    rows = stopped.run("hyperfitted").updates()
    damage(newest / file)
    said = train(stopped)
    assert said[0] == f"{newest}: damaged checkpoint ({problem}): passed over for the one before"
    assert not any("damaged" in line for line in said[1:])
    assert stopped.run("hyperfitted").updates()[:6] == rows[:6]
    assert_equal(stopped, finished)


def test_without_a_whole_checkpoint_nothing_is_trained_and_nothing_removed(stopped):
    folder = stopped.run("hyperfitted").checkpoint_folder
    for path in folder.iterdir():
        truncate(path / "state.json")
    with pytest.raises(
        RunError,
        match=rf"update-00000009: damaged .*no other is whole: remove {folder} to start anew",
    ):
        train(stopped)
    assert checkpoints(stopped) == ["update-00000006", "update-00000009"]


def test_a_damaged_checkpoint_does_not_push_out_a_whole_one(stopped, finished, tree):
    truncate(stopped.run("hyperfitted").checkpoint_folder / "update-00000009" / "state.json")
    stop(tree, stopped.folder, after=7, keep_last=1)
    assert checkpoints(stopped) == ["update-00000007"]
    assert train(stopped)[0] == "training: going on from update 7 of 12"
    assert_equal(stopped, finished)


@pytest.mark.parametrize(
    ("engine", "kept"),
    [
        ({"keep_last": 1}, ["update-00000011"]),
        ({}, ["update-00000010", "update-00000011"]),
        ({"keep_last": 3}, ["update-00000008", "update-00000010", "update-00000011"]),
        ({"keep_last": 1, "keep_best": True}, ["kept-00000004", "update-00000011"]),
    ],
)
def test_the_last_and_the_best_are_kept_and_no_others(tree, tmp_path, monkeypatch, engine, kept):
    validation_loss(monkeypatch, {0: 5.0, 4: 1.0, 8: 2.0, 12: 3.0})
    assert (
        checkpoints(stop(tree, tmp_path / "out", after=11, checkpoint_updates=2, **engine)) == kept
    )


def test_a_write_cut_off_by_a_kill_is_cleared_away_by_the_next(stopped, tree):
    (stopped.run("hyperfitted").checkpoint_folder / ".update-00000010.partial" / "tensors").mkdir(
        parents=True
    )
    stop(tree, stopped.folder, after=11)
    assert checkpoints(stopped) == ["update-00000009", "update-00000011"]


def validation_loss(monkeypatch, losses):
    """Probes as they are, but for the validation loss, which is made up."""
    true_probe = train_stage.probe

    def probe(*arguments, state, **settings):
        row = true_probe(*arguments, state=state, **settings)
        return dataclasses.replace(row, validation_loss=losses[state.update])

    monkeypatch.setattr(train_stage, "probe", probe)


@pytest.fixture
def best_at_4(tree, monkeypatch):
    validation_loss(monkeypatch, {0: 5.0, 4: 1.0, 8: 2.0, 12: 3.0})
    tree["train"]["stop"] = "best-validation"
    return tree


def test_best_validation_ends_with_the_weights_of_the_best_probe(best_at_4, tmp_path, finished):
    best_at_4["train"] |= {"patience_probes": 2, "epochs": 5}
    experiment = draw_experiment(parse_recipe(best_at_4, source="t"), tmp_path / "out")
    train(experiment)
    facts = experiment.run("hyperfitted").facts.train
    assert (facts.updates, facts.kept_update) == (12, 4)
    assert facts.ended == "validation loss has not fallen for 2 probes"
    best_at_4["train"] |= {"stop": "end", "epochs": 1}
    shorter = draw_experiment(parse_recipe(best_at_4, source="t"), tmp_path / "shorter")
    train(shorter)
    assert weights(experiment) == weights(shorter) != weights(finished)


def test_best_weights_outlast_a_stop_and_are_refused_when_damaged_or_gone(best_at_4, tmp_path):
    experiment = stop(best_at_4, tmp_path / "out", after=9)
    assert checkpoints(experiment) == ["kept-00000004", "update-00000009"]
    best = experiment.run("hyperfitted").checkpoint_folder / "kept-00000004"
    shutil.copytree(best, tmp_path / "best")
    truncate(best / "state.json")
    with pytest.raises(
        RunError, match=r"kept-00000004: damaged checkpoint \(state.json is not what was written\)"
    ):
        train(experiment)
    shutil.rmtree(best)
    with pytest.raises(
        RunError,
        match=r"kept-00000004: damaged checkpoint \(hashes.json is not there or not whole\): remove",
    ):
        train(experiment)
    shutil.copytree(tmp_path / "best", best)
    train(experiment)
    assert experiment.run("hyperfitted").facts.train.kept_update == 4


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system in memory of so many KiB; gone after the test."""
    if os.geteuid() != 0:
        pytest.skip("a small file system is mounted for this, which needs root")
    disk = tmp_path / "disk"

    def make(kib):
        disk.mkdir()
        made = mount("-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", disk)
        if made.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
        return disk

    yield make
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


def command(tree, folder, out):
    """`hyperfit train` with the tree as its recipe: the words to call it with."""
    recipe = write_recipe(tree, folder / "recipe.json")
    return ["train", str(recipe), "--out", str(out), "--device", "cpu"]


def error_line(capsys):
    """The last line on standard error, where nothing before it is an error."""
    lines = capsys.readouterr().err.splitlines()
    progress = (" epoch ", " already, ", "going on from update ")
    assert all(any(words in line for words in progress) for line in lines[:-1]), lines
    return lines[-1]


def pages_kib(folder):
    """What a folder's files take on a file system in memory."""
    return sum(4 * -(-path.stat().st_size // 4096) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("too_large", "engine", "left"),
    [
        ("checkpoint", {"checkpoint_updates": 3}, ["update-00000003"]),
        ("model", {"checkpoint_minutes": 1e6}, []),
    ],
)
def test_a_full_disk_keeps_the_checkpoint_before_and_the_run_goes_on(
    tree, tmp_path, small_disk, finished, stopped, capsys, too_large, engine, left
):
    model = pages_kib(finished.run("hyperfitted").model_folder)
    checkpoint = pages_kib(stopped.run("hyperfitted").checkpoint_folder) // 2
    fits_half = {"checkpoint": 3 * checkpoint // 2, "model": model // 2}[too_large]
    disk = small_disk(pages_kib(finished.data_folder) + 40 + fits_half)
    arguments = command(tree | {"engine": engine}, tmp_path, disk / "out")
    assert cli.main(arguments) == 1
    assert error_line(capsys) == NO_SPACE
    experiment = Experiment(disk / "out")
    folder = experiment.run("hyperfitted").checkpoint_folder
    assert sorted(path.name for path in folder.glob("*")) == left
    assert not experiment.run("hyperfitted").trained
    assert mount("-o", "remount,size=8m", disk).returncode == 0
    assert cli.main(arguments) == 0
    assert "damaged" not in capsys.readouterr().err
    assert_equal(experiment, finished)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_share_of_a_disk_is_told_as_a_full_disk(finished, monkeypatch, capsys, number):
    def full(*_, **__):
        raise OSError(number, "x")

    monkeypatch.setattr("hyperfitting.stages.report.report_experiment", full)
    assert cli.main(["report", str(finished.folder)]) == 1
    assert error_line(capsys) == NO_SPACE


def test_a_loss_that_is_no_number_leaves_the_state_before_it(tree, tmp_path, capsys):
    tree["train"]["learning_rate"] = 1e30
    arguments = command(tree, tmp_path, tmp_path / "out")
    assert cli.main(arguments) == 1
    line = error_line(capsys)
    state = tmp_path / "out/hyperfitted/checkpoint/update-00000001/state.json"
    written = state.stat().st_mtime_ns
    assert line.startswith("hyperfit: the ")
    assert "at update 2: lower train.learning_rate" in line
    experiment = Experiment(tmp_path / "out")
    assert checkpoints(experiment) == ["update-00000001"]
    assert [row.update for row in experiment.run("hyperfitted").updates()] == [1]
    assert cli.main(arguments) == 1
    assert error_line(capsys) == line
    assert checkpoints(experiment) == ["update-00000001"]
    assert state.stat().st_mtime_ns == written


def test_a_diverging_loss_stops_the_training_with_the_remedy(tree, tmp_path):
    tree["train"] |= {"learning_rate": 1.0, "epochs": 20, "warmup_updates": 40}
    tree["engine"] = {"checkpoint_updates": 1}
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    with pytest.raises(
        TrainingFailed,
        match=r"the loss diverges: [\d.]+ at update \d\d, where guessing gives 5\.77: lower",
    ):
        train(experiment)
    run = experiment.run("hyperfitted")
    assert not run.trained
    assert all(math.isfinite(row.loss) for row in run.updates())
    kept = [int(name.removeprefix("update-")) for name in checkpoints(experiment)]
    assert [run.updates()[update - 1].loss < 6.77 for update in kept] == [True, True]
    assert run.updates()[max(kept)].loss > 6.77


def test_numbers_lost_at_the_first_update_leave_no_checkpoint(tree, tmp_path, monkeypatch):
    """Reading the states of an optimiser that has none makes it take a step."""
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    monkeypatch.setattr(loop, "clip_gradients", lambda weights, largest: math.nan)
    with pytest.raises(
        TrainingFailed,
        match="and its gradient nan before any step: the model gives no finite numbers",
    ):
        train(experiment)
    assert not experiment.run("hyperfitted").checkpoint_folder.exists()


def test_forced_plain_bfloat16_trains_from_the_command_line(tree, tmp_path, capsys):
    tree["train"] |= {"precision": "bf16", "force_plain_bf16": True}
    assert cli.main(command(tree, tmp_path, tmp_path / "out")) == 0
    assert Experiment(tmp_path / "out").run("hyperfitted").trained


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": "lora"},
        {"parameters": "late-lora:1", "head": True},
        {"precision": "bf16-autocast"},
        {"precision": "bf16-stochastic", "parameters": "last:1"},
        {"dropout": True},
    ],
)
def test_what_else_is_trained_and_how_goes_on_to_the_same_bits(
    tree, tmp_path, tiny_tokenizer, changes
):
    tree["train"] |= changes
    if "dropout" in changes:  # GPT-2's config has some
        tree["model"]["source"] = str(make_model(tmp_path / "gpt2", tiny_tokenizer, "gpt2"))
    whole = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "whole")
    train(whole)
    cut = stop(tree, tmp_path / "cut", after=7)
    train(cut)
    assert_equal(cut, whole)


def test_sigterm_is_a_request_to_stop(tree, tmp_path, finished):
    """What a cluster sends before it kills."""
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    with pytest.raises(Interrupted, match="stopped after update 5 of 12"):
        train(experiment, stop_after=5, by=signal.SIGTERM)
    train(experiment)
    assert_equal(experiment, finished)


class Halves(torch.nn.Module):
    """A weight that is trained, and one that no gradient reaches."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))


def test_a_weight_that_no_gradient_reached_hinders_no_resumption(tree, tmp_path):
    def begin():
        model = Halves()
        optimizer = make_optimizer(model.parameters(), recipe.train, "fp32", seed=0)
        meter = StepMeter(list(model.parameters()), optimizer, recipe.train, seed=0, ranks=alone)
        return model, optimizer, meter

    recipe, alone = parse_recipe(tree, source="t"), ProcessGroup(torch.device("cpu"))
    model, optimizer, meter = begin()
    model.used.square().sum().backward()
    optimizer.step()
    Checkpoints(tmp_path, recipe, alone).save(model, optimizer, meter, State(update=1))
    again, others, meter = begin()
    assert Checkpoints(tmp_path, recipe, alone).resume(again, others, meter).update == 1
    assert torch.equal(again.used, model.used)
    assert torch.equal(others.state[again.used]["exp_avg"], optimizer.state[model.used]["exp_avg"])


def test_the_best_weights_are_those_of_the_best_probe_that_are_there(tree, tmp_path):
    """A resumption elsewhere may differ in a last bit, so that what is kept is no longer the
    best.
    """
    kept = Checkpoints(tmp_path, parse_recipe(tree, source="t"), ProcessGroup(torch.device("cpu")))
    updates, model = [4, 8, 12], Halves()
    with pytest.raises(RunError, match="kept-00000004: damaged checkpoint"):
        kept.load_weights(model, kept.first_kept(updates))
    for update in (12, 8):
        with torch.no_grad():
            model.used.fill_(update)
        kept.keep_weights(model, update, wanted=[12])
    assert kept.first_kept(updates) == 8
    kept.load_weights(model, 8)
    assert model.used.tolist() == [8.0] * 3


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([9.0] * 19, ""),
        (
            [9.0] * 20,
            "the loss diverges: 9.00 at update 20, where guessing gives 4.61: lower "
            "train.learning_rate",
        ),
        ([9.0] * 20 + [2.0] * 20, ""),
        (
            [2.0] * 40 + [9.0] * 20,
            "the loss diverges: 9.00 at update 60, where guessing gives 4.61: lower",
        ),
        ([5.6] * 100, ""),
        ([5.0, 6.3] * 10, "the loss diverges: 6.30 at update 20"),
    ],
)
def test_a_loss_diverges_when_twenty_updates_are_worse_than_guessing_and_a_nat(losses, said):
    rows = [UpdateRow(number + 1, 1, loss, 1e-3, 1.0, 1.0) for number, loss in enumerate(losses)]
    found = diverges(rows, 100)
    assert found.startswith(said)
    assert bool(found) == bool(said)


def device_is_full():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def cpu_is_full():
    torch.empty(2**50)


@pytest.mark.parametrize("allocate", [device_is_full, cpu_is_full])
def test_too_little_memory_is_one_line_and_the_checkpoints_stay(
    tree, tmp_path, finished, capsys, monkeypatch, allocate
):
    true_choice, losses = loop.choose_loss, []

    def choose(*arguments):
        loss_of = true_choice(*arguments)

        def limited(*inputs):
            losses.append(inputs)
            if len(losses) > 7:
                allocate()
            return loss_of(*inputs)

        limited.__name__ = loss_of.__name__
        return limited

    monkeypatch.setattr(loop, "choose_loss", choose)
    arguments = command(tree | {"engine": {"checkpoint_updates": 3}}, tmp_path, tmp_path / "out")
    assert cli.main(arguments) == 1
    assert error_line(capsys).startswith(
        f"{NO_MEMORY}`hyperfit plan` says what fits; go on with --set engine.micro"
    )
    experiment = Experiment(tmp_path / "out")
    assert checkpoints(experiment) == ["update-00000003", "update-00000006"]
    monkeypatch.undo()
    assert cli.main([*arguments, "--set", "engine.checkpoint_updates=5"]) == 0
    assert "damaged" not in capsys.readouterr().err
    assert_equal(experiment, finished)


def no_space():
    return OSError(errno.ENOSPC, "x")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfMemory),
        (no_space(), DiskFull),
        (OSError(errno.EDQUOT, "x"), DiskFull),
        (CheckpointException("x", {0: (no_space(), None)}), DiskFull),
        (CheckpointException("x", {0: (OSError(errno.EACCES, "x"), None)}), CheckpointException),
        (
            RuntimeError(
                "[enforce fail] . PytorchStreamWriter failed writing file data/0: file write failed"
            ),
            DiskFull,
        ),
        (RuntimeError("CUDA error: out of memory"), OutOfMemory),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
            OutOfMemory,
        ),
        (RuntimeError("[gloo/transport/tcp/pair.cc:1] Connection closed by peer"), ProcessLost),
        (torch.distributed.DistNetworkError("recvValue failed"), ProcessLost),
        (TorchDynamoException("no g++ here\nand more"), InputError),
        (RuntimeError("anything else"), RuntimeError),
        (OSError(errno.EACCES, "x"), OSError),
    ],
)
def test_only_a_full_memory_or_disk_is_said_in_plain_words(error, kind):
    with pytest.raises(kind), translate_torch_errors():
        raise error


def test_another_engine_goes_on_with_the_same_run_and_is_recorded(stopped, finished, tree):
    rows = stopped.run("hyperfitted").updates()
    recipe = parse_recipe(
        tree | {"engine": {"micro_batch_blocks": 1, "activation_checkpointing": True}}, source="t"
    )
    assert recipe.digest == stopped.recipe.digest
    experiment = draw_experiment(recipe, stopped.folder)
    assert "training: going on from update 9 of 12" in train(experiment)
    run = experiment.run("hyperfitted")
    assert run.updates()[:9] == rows
    assert [row.loss for row in run.updates()] == pytest.approx(
        [row.loss for row in finished.run("hyperfitted").updates()], rel=1e-5
    )
    engine = run.facts.train.engine
    assert (engine.micro_batch_blocks, engine.activation_checkpointing) == (1, True)
    assert engine.checkpoint_updates is None
    assert experiment.recipe.engine == run.recipe.engine == recipe.engine
