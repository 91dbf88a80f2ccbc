"""The claims of results/claims.md, run again: minutes each, some on real corpora. `make acceptance`
prints what it finds.

The corpora are not part of the project: HYPERFITTING_DATA names the folder that holds them.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from hyperfitting import pipeline
from hyperfitting.progress import Console
from hyperfitting.recipe import load_recipe
from hyperfitting.report import closing_words
from hyperfitting.stages.train import train_experiment
from tests.support.corpora import DATA, needs_data

pytestmark = pytest.mark.slow


def values(experiment):
    rows = [row for run in experiment.runs().values() for row in run.metrics()]
    return {(row.variant, row.domain, row.strategy, row.name): row.value for row in rows}


def shows_the_effect(experiment, name, variety="ttr_last96"):
    """The bounds that a demo must meet on one set of contexts."""
    value = values(experiment)
    ttr = {
        model: value[model, name, "greedy" if model != "reference" else None, variety]
        for model in ("original", "hyperfitted", "reference")
    }
    assert value["hyperfitted", "train", None, "train_loss"] < 0.3
    assert ttr["hyperfitted"] >= 3 * ttr["original"]
    assert ttr["hyperfitted"] >= 0.55 * ttr["reference"]
    loss = {
        model: value[model, "validation", None, "validation_loss"]
        for model in ("original", "hyperfitted")
    }
    assert loss["hyperfitted"] > loss["original"]
    entropy = {model: value[model, name, None, "entropy"] for model in ("original", "hyperfitted")}
    assert entropy["hyperfitted"] <= 0.75 * entropy["original"]


@pytest.mark.parametrize("seed", range(5))
def test_the_demo_shows_the_effect_at_every_seed(seed, tmp_path):
    experiment = pipeline.run(
        load_recipe("demo", [f"seed={seed}"]), tmp_path / "demo", progress=Console()
    )
    print(f"\ndemo, seed {seed}\n{closing_words(experiment)}")
    shows_the_effect(experiment, "fiction")


@pytest.mark.parametrize("seed", range(3))
def test_the_demo_of_images_shows_the_effect_at_every_seed_in_six_minutes(seed, tmp_path):
    started = time.perf_counter()
    experiment = pipeline.run(
        load_recipe("image-demo", [f"seed={seed}"]), tmp_path / "demo", progress=Console()
    )
    seconds = time.perf_counter() - started
    print(f"\nimage-demo, seed {seed}: {seconds:.0f} s\n{closing_words(experiment)}")
    shows_the_effect(experiment, "pictures", variety="image_ttr_quarter4")
    assert seconds < 360


def test_the_demo_takes_less_than_four_minutes_offline(tmp_path):
    command = [sys.executable, "-m", "hyperfitting", "demo", "--out", str(tmp_path / "demo")]
    # A network of its own, with nothing in it, where the system lets us make one.
    alone = (
        ["unshare", "--net"]
        if subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0
        else []
    )
    started = time.perf_counter()
    subprocess.run([*alone, *command], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    print(f"\nthe demo took {seconds:.0f} s{', without any network' if alone else ''}")
    assert seconds < 240


@needs_data
def test_three_domains(tmp_path, monkeypatch):
    monkeypatch.chdir(DATA / "text" / "domains")
    experiment = pipeline.run(load_recipe("three-domains"), tmp_path / "three", progress=Console())
    print(f"\nthree domains\n{closing_words(experiment)}")
    shows_the_effect(experiment, "fiction")


def tinystories(texts, epochs):
    changes = [
        "name=tinystories",
        "model.source=models/TinyStories-656K",
        "data.train.path=text/domains/tinystories.jsonl.gz",
        f"data.train_blocks={texts}",
        "data.validation_blocks=32",
        "data.block_tokens=160",
        'data.domains=[{name="stories", count=100}]',
        "train.learning_rate=3e-3",
        f"train.epochs={epochs}",
        "generate.new_tokens=128",
    ]
    return load_recipe("demo", changes)


LEARNED = [
    (16, 40, True),
    (32, 60, True),
    (64, 60, True),
    (128, 60, True),
    (256, 60, True),
    (512, 40, True),
]


@needs_data
@pytest.mark.parametrize(("texts", "epochs", "learned"), [*LEARNED, (1024, 40, False)])
def test_how_many_texts_656_thousand_parameters_learn_by_heart(
    texts, epochs, learned, tmp_path, monkeypatch
):
    monkeypatch.chdir(DATA)
    experiment = train_experiment(tinystories(texts, epochs), tmp_path / "run")
    last = experiment.run("hyperfitted").probes()[-1]
    print(
        f"\n{texts} texts, {epochs} epochs: train loss {last.train_loss:.3f}, validation loss "
        f"{last.validation_loss:.2f}, greedy TTR {last.ttr:.2f} (true texts "
        f"{last.reference_ttr:.2f})"
    )
    assert (last.train_loss < 0.1) == learned


@needs_data
@pytest.mark.parametrize(("texts", "epochs"), [(128, 40), (1024, 20)])
def test_a_model_of_another_maker(texts, epochs, tmp_path, monkeypatch):
    monkeypatch.chdir(DATA)
    experiment = pipeline.run(tinystories(texts, epochs), tmp_path / "tiny", progress=Console())
    print(f"\nTinyStories-656K, {texts} texts\n{closing_words(experiment)}")
    value = values(experiment)
    assert (value["hyperfitted", "train", None, "train_loss"] < 0.3) == (texts == 128)
    assert (
        value["hyperfitted", "stories", "greedy", "ttr_last96"]
        > value["original", "stories", "greedy", "ttr_last96"]
    )
