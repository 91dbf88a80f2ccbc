"""An experiment's folder, trained on one process and on many: the same but for rounding. Each test
states its bound, as in `tests/support/trajectories.py`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from hyperfitting.runs import Experiment
from hyperfitting.stages.generate import generate_texts
from tests.support.recipes import tiny_tree, write_recipe
from tests.support.tiny_models import make_model
from tests.support.trajectories import (
    PROCESS_ENVIRONMENT,
    assert_near,
    train_alone,
    train_facts,
    trajectory,
)

# What torchrun gives its processes, in processes forked from one that has imported everything:
# seconds instead of minutes. torchrun's own launcher forks beside threads of its own, and such a
# process can hang; the command itself is tested in `test_training_killed.py`. A job is [processes,
# the update after which the last process is sent Ctrl-C or null, recipes with their folders, copies
# of the first folder]; with "generate" in the update's place a trained folder's contexts are
# continued.
LAUNCH = """
import gc
gc.disable()  # nothing that is imported is ever given back
import errno, json, os, shutil, signal, socket, sys, traceback
from pathlib import Path
import peft
from hyperfitting.errors import HyperfittingError
from hyperfitting.recipe import load_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import generate_texts
from hyperfitting.stages.train import train_run
from hyperfitting.training import checkpoint
from hyperfitting.training.checkpoint import Checkpoints

plain = Checkpoints.maybe_save


def no_space(*_):
    raise OSError(errno.ENOSPC, "no space")


def work(stop_after, trainings):
    def and_stop(self, model, optimizer, meter, state, *, probed):
        if stop_after == "full disk":
            checkpoint.write_text = no_space
        plain(self, model, optimizer, meter, state, probed=probed)
        if stop_after == "full memory " + os.environ["RANK"]:
            raise MemoryError
        is_last = int(os.environ["RANK"]) == int(os.environ["WORLD_SIZE"]) - 1
        if state.update == stop_after and is_last:
            signal.raise_signal(signal.SIGINT)

    Checkpoints.maybe_save = and_stop
    try:
        for recipe, out in trainings:
            if stop_after == "generate":
                generate_texts(Experiment(Path(out)), "hyperfitted", device="cpu")
            else:
                experiment = draw_experiment(load_recipe(recipe), Path(out))
                train_run(experiment, "hyperfitted", device="cpu")
    except HyperfittingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except SystemExit as left:
        return left.code
    except BaseException:
        traceback.print_exc()
        return 99
    return 0


def run(processes, stop_after, trainings, copies):
    print("job", file=sys.stderr, flush=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(processes))
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            code = work(stop_after, trainings)
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    for copy in copies:
        shutil.copytree(trainings[0][1], copy)
    print("codes", json.dumps(codes), flush=True)


gc.freeze()
gc.enable()
for job in json.load(sys.stdin):
    run(*job)
"""


def launch(jobs):
    """Run jobs one after the other; of each its exit codes, and what it said on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH], input=json.dumps(jobs), capture_output=True, text=True,
        timeout=300, env=PROCESS_ENVIRONMENT, check=False,
    )  # fmt: skip
    codes = [
        json.loads(line.removeprefix("codes "))
        for line in done.stdout.splitlines()
        if line.startswith("codes ")
    ]
    assert len(codes) == len(jobs), done.stderr
    return codes, done.stderr.split("job\n")[1:]


CASES = {
    "fp32": ({}, {}),
    "bf16-autocast": ({"precision": "bf16-autocast"}, {}),
    "bf16-stochastic": ({"precision": "bf16-stochastic"}, {}),
    "late-lora": ({"parameters": "late-lora:1"}, {}),
    "checkpointing": ({}, {"activation_checkpointing": True}),
    "three blocks": ({"batch_blocks": 3, "clip_norm": 0.1, "weight_decay": 0.1}, {}),
    "parts of two": ({"batch_blocks": 7, "parameters": "last:1"}, {"micro_batch_blocks": 2}),
    "qwen2": ({"stop": "best-validation"}, {}),
    "gpt2": ({}, {}),
}
TOLD = "three blocks"
"""The case whose training a tracker is told of."""
STOPPED_AFTER, UPDATES = 5, 8
ENDED = "another process of this training has ended"
FAILURES = {
    "full disk": ["no space left on the disk: free some, and the same command goes on"],
    "full memory 0": [ENDED, "the device is out of memory"],
    "full memory 1": [ENDED, "the device is out of memory"],
}


class Many(NamedTuple):
    """Recipes by case, the folder of everything, and each job's exit codes and what it said."""

    recipes: dict[str, Path]
    folder: Path
    codes: dict[str, list[int]]
    said: dict[str, str]


@pytest.fixture(scope="module")
def many(tmp_path_factory, tiny_model, corpus, tiny_tokenizer):
    """Every case on two processes, some on three or four; and two of which one fails."""
    folder, recipes = tmp_path_factory.mktemp("many"), {}
    tree = tiny_tree(tiny_model, corpus) | {"probe": {"contexts": 2, "new_tokens": 4}}
    tree["train"]["epochs"] = 2
    tree["generate"] |= {"batch_contexts": 5}
    sources = {
        kind: {"source": str(make_model(folder / kind, tiny_tokenizer, kind))}
        for kind in ("qwen2", "gpt2")
    }
    for name, (train, engine) in CASES.items():
        changed = {
            "train": tree["train"] | train,
            "engine": engine,
            "model": sources.get(name, tree["model"]),
            "report_to": ["tensorboard"] if name == TOLD else [],
        }
        recipes[name] = write_recipe(tree | changed, folder / f"{name}.json")

    def job(processes, stop_after, trainings, *copies):
        pairs = [(str(recipe), str(folder / out)) for out, recipe in trainings.items()]
        return processes, stop_after, pairs, [str(folder / copy) for copy in copies]

    fp32 = recipes["fp32"]
    on_2 = {f"{name} on 2": recipe for name, recipe in recipes.items()}
    often = write_recipe(tree | {"engine": {"checkpoint_updates": 1}}, folder / "often.json")
    jobs = {
        "on 2": job(2, None, on_2, "generated on 3"),
        "generated on 3": job(3, "generate", {"generated on 3": fp32}),
        "on 4": job(4, None, {"fp32 on 4": fp32}),
        "stopped": job(2, STOPPED_AFTER, {"resumed on 1": fp32}, "resumed on 2", "resumed on 3"),
        "resumed on 2": job(2, None, {"resumed on 2": fp32}),
        "resumed on 3": job(3, None, {"resumed on 3": fp32}),
        **{failure: job(2, failure, {failure: often}) for failure in FAILURES},
    }
    codes, said = launch(list(jobs.values()))
    return Many(
        recipes, folder, dict(zip(jobs, codes, strict=True)), dict(zip(jobs, said, strict=True))
    )


BOUNDS = {
    "bf16-autocast": (1e-2, 0.2),
    "bf16-stochastic": (1e-2, 0.2),
}


def compare(many, name, processes):
    out, job = many.folder / f"{name} on {processes}", f"on {processes}"
    assert many.codes[job] == [0] * processes, many.said[job]
    assert train_facts(out).processes == processes
    one = train_alone(many.recipes[name], many.folder / f"{name} on 1")
    losses, weights = BOUNDS.get(name, (1e-5, 1e-4))
    assert_near(trajectory(out), one, losses=losses, weights=weights)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one(many, name):
    """Float32: losses within 1e-5, weights within 1e-4. In bfloat16 other roundings: 1e-2 and
    0.2.
    """
    compare(many, name, 2)


def test_one_of_two_processes_tells_the_tracker(many):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = many.folder / f"{TOLD} on 2"
    (file,) = (out / "tensorboard" / "hyperfitted").iterdir()
    told = EventAccumulator(str(file)).Reload().Scalars("updates/loss")
    assert [each.step for each in told] == [
        row.update for row in Experiment(out).run("hyperfitted").updates()
    ]


def test_four_processes_train_as_one(many):
    compare(many, "fp32", 4)


def test_three_processes_write_what_one_writes(many):
    assert many.codes["generated on 3"] == [0] * 3, many.said["generated on 3"]
    shared = Experiment(many.folder / "generated on 3").run("hyperfitted")
    one = generate_texts(Experiment(many.folder / "fp32 on 2"), "hyperfitted", device="cpu")
    assert shared.facts.generate.processes == 3
    assert shared.continuations() == one.continuations()
    assert len(one.continuations()) == 24


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_run_stopped_on_two_processes_goes_on_on_any_number(many, processes):
    out, fp32 = many.folder / f"resumed on {processes}", many.recipes["fp32"]
    assert many.codes["stopped"] == [130, 130], many.said["stopped"]
    assert (
        f"stopped after update {STOPPED_AFTER} of {UPDATES}; the same command goes on from there"
        in many.said["stopped"]
    )
    if processes == 1:
        train_alone(fp32, out)
    else:
        assert many.codes[out.name] == [0] * processes, many.said[out.name]
    assert train_facts(out).processes == processes
    resumed = trajectory(out)
    assert len(resumed.losses) == UPDATES
    assert_near(resumed, train_alone(fp32, many.folder / "fp32 on 1"), losses=1e-5, weights=1e-4)


@pytest.mark.parametrize("failure", FAILURES)
def test_one_of_two_processes_that_fails_ends_both_in_plain_words(many, failure):
    said = many.said[failure]
    assert many.codes[failure] == [1, 1], said
    assert [line for line in sorted(said.splitlines()) if not line.startswith("[")] == [
        next(line for line in said.splitlines() if line.startswith(start))
        for start in FAILURES[failure]
    ]
