"""Each of the seeds decides its own part of an experiment and nothing else."""

import pytest

from hyperfitting.recipe import parse_recipe
from hyperfitting.stages.generate import generate_experiment
from hyperfitting.stages.train import train_experiment


def ids(experiment, variant, strategy):
    texts = experiment.run(variant).continuations()
    return [text.ids for text in texts if text.variant == variant and text.strategy == strategy]


def drawn(experiment):
    names = ("train", "validation", "pieces")
    return [experiment.blocks(name).ids_NT.tolist() for name in names]


def losses(experiment):
    return [row.loss for row in experiment.run("hyperfitted").updates()]


@pytest.fixture
def changed(tree, tmp_path):
    """A function that trains and generates with one seed of the tiny recipe set apart."""

    def run(section, key):
        tree[section][key] = 5
        made = train_experiment(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
        generate_experiment(made, device="cpu")
        return made

    return run


def test_another_order_keeps_the_data_and_the_texts_of_the_original(changed, finished):
    other = changed("train", "order_seed")
    assert drawn(other) == drawn(finished)
    for strategy in ("greedy", "nucleus"):
        assert ids(other, "original", strategy) == ids(finished, "original", strategy)
    assert losses(other) != losses(finished)
    assert ids(other, "hyperfitted", "greedy") != ids(finished, "hyperfitted", "greedy")


def test_another_seed_of_the_samples_changes_the_samples_alone(changed, finished):
    other = changed("generate", "seed")
    assert drawn(other) == drawn(finished)
    assert losses(other) == losses(finished)
    for variant in ("original", "hyperfitted"):
        assert ids(other, variant, "greedy") == ids(finished, variant, "greedy")
        assert ids(other, variant, "nucleus") != ids(finished, variant, "nucleus")


def test_another_seed_of_the_draw_changes_the_draw(changed, finished):
    other = changed("data", "seed")
    assert other.manifest.seed == other.recipe.data.seed != finished.manifest.seed
    assert all(one != two for one, two in zip(drawn(other), drawn(finished), strict=True))
    assert other.run("original").weights == finished.run("original").weights
