"""An experiment takes the models of another that was trained alike: no second training."""

import json
import shutil

import pytest

from hyperfitting import pipeline
from hyperfitting.cli import main
from hyperfitting.errors import DataError, RunError
from hyperfitting.files import exclusive_lock
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.take_models import refuse_other_training
from hyperfitting.traits import ModelSource
from hyperfitting.weights import Weights, hash_model
from tests.support.recipes import tiny_tree, write_recipe

MORE = {"name": "top-p", "method": "sample", "top_p": 0.9}


@pytest.fixture
def tree(tiny_model, corpus):
    """The recipe of the finished experiment with one strategy more."""
    tree = tiny_tree(tiny_model, corpus)
    tree["name"] = "more"
    tree["report"] = {"examples": 0}
    tree["generate"]["strategies"] = [*tree["generate"]["strategies"], MORE]
    return tree


def made(tree, folder, source):
    recipe = parse_recipe(tree, source="test")
    return pipeline.run(recipe, folder, device="cpu", models_of=source)


def test_other_strategies_need_no_second_training(tree, finished, tmp_path, light):
    experiment = made(tree, tmp_path / "out", str(finished.folder))
    for variant, run in experiment.runs().items():
        held = finished.run(variant)
        assert run.facts.models_of == held.name != run.name
        assert run.facts.train == held.train_facts
        assert run.weights.sha256 == held.weights.sha256
        assert run.updates() == held.updates()
        assert run.probes() == held.probes()
        assert run.verdict == held.verdict
        texts = {(each.strategy, each.domain, each.context): each for each in run.continuations()}
        assert {strategy for strategy, _, _ in texts} >= {"greedy", "top-p"}
        for each in held.continuations():
            assert texts[each.strategy, each.domain, each.context].ids == each.ids
    assert experiment.state() == "reported"
    hyperfitted = experiment.run("hyperfitted")
    before = hyperfitted.facts
    again = made(tree, tmp_path / "out", finished.folder)
    assert again.run("hyperfitted").facts == before


def test_longer_contexts_need_no_second_training(tree, finished, tmp_path):
    tree["data"]["context_tokens"] += 4
    run = made(tree, tmp_path / "out", finished.folder).run("hyperfitted")
    assert run.facts.models_of == finished.run("hyperfitted").name
    longer = {len(each.context_ids) for each in run.continuations()}
    assert longer == {finished.recipe.data.context_tokens + 4}


@pytest.mark.parametrize("change", [{"stop": "auto", "stop_loss": 1.0}, {"train_format": "chat"}])
def test_contexts_that_the_training_read_must_be_equal(tree, finished, tmp_path, change):
    source = Experiment(shutil.copytree(finished.folder, tmp_path / "source"))
    kept = json.loads(source.recipe_file.read_text())
    for each in (kept, tree):
        each["data" if "train_format" in change else "train"] |= change
    source.recipe_file.write_text(json.dumps(kept))
    tree["data"]["context_tokens"] += 4
    with pytest.raises(RunError, match=r"trained otherwise \(data.context_tokens 8 -> 12\)"):
        refuse_other_training(parse_recipe(tree, source="test"), source)


def test_the_command_line_takes_them(tree, finished, tmp_path, capsys):
    recipe = write_recipe(tree, tmp_path / "more.json")
    arguments = ["train", str(recipe), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--device", "cpu", "--models-of", str(finished.folder)]) == 0
    said = capsys.readouterr()
    assert f"hyperfitted: its model is taken from {finished.folder}" in said.err
    assert f"model    {tmp_path / 'out' / 'hyperfitted' / 'model'}" in said.out


def test_another_training_is_refused(tree, finished, tmp_path):
    tree["train"]["epochs"] += 1
    with pytest.raises(RunError, match=r"were trained otherwise \(train.epochs \d+ -> \d+\)"):
        made(tree, tmp_path / "out", finished.folder)
    assert not (tmp_path / "out").exists()


def test_other_training_texts_are_refused(tree, finished, tmp_path):
    tree["seed"] = 5
    with pytest.raises(RunError, match=r"were trained otherwise \(seed 0 -> 5\)"):
        made(tree, tmp_path / "out", finished.folder)
    source = Experiment(shutil.copytree(finished.folder, tmp_path / "source"))
    manifest = json.loads(source.manifest_file.read_text())
    manifest["sets"][0]["ids_sha256"] = "0" * 64
    source.manifest_file.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="were trained on other texts than this recipe draws"):
        made({**tree, "seed": 0}, tmp_path / "out", source.folder)
    assert not (tmp_path / "out").exists()


def test_an_untrained_experiment_and_a_folder_without_one_are_refused(tree, finished, tmp_path):
    source = Experiment(shutil.copytree(finished.folder, tmp_path / "source"))
    shutil.rmtree(source.run("hyperfitted").model_folder)
    with pytest.raises(RunError, match="hyperfitted is not trained"):
        made(tree, tmp_path / "out", source.folder)
    with pytest.raises(RunError, match="holds no experiment"):
        made(tree, tmp_path / "out", tmp_path / "nothing")
    assert not (tmp_path / "out").exists()


def test_a_model_that_was_changed_is_refused(tree, finished, tmp_path):
    source = Experiment(shutil.copytree(finished.folder, tmp_path / "source"))
    config = source.run("hyperfitted").model_folder / "config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(RunError, match="has changed since its hashes were taken"):
        made(tree, tmp_path / "out", source.folder)
    assert not (tmp_path / "out").exists()


def test_a_training_of_its_own_is_not_replaced(tree, finished, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished.folder, folder)
    source = Experiment(shutil.copytree(finished.folder, tmp_path / "source"))
    shutil.rmtree(folder / "hyperfitted" / "model")
    recipe = finished.recipe
    with pytest.raises(RunError, match="a training has begun there"):
        pipeline.run(recipe, folder, device="cpu", models_of=source.folder)
    assert (folder / "hyperfitted" / "updates.jsonl").is_file()


def test_an_original_of_another_source_is_refused(tree, finished, tmp_path):
    """The GGUF file, say, that the original was made from was replaced by one of its name."""
    source = Experiment(shutil.copytree(finished.folder, tmp_path / "source"))
    run = source.run("original")
    made_from = ModelSource(kind="GGUF", sha256={"a.gguf": "0" * 64}, tensor_types={})
    facts = run.train_facts.model_copy(update={"source": made_from})
    shutil.copytree(tree["model"]["source"], run.model_folder)  # as of an original that was saved
    run.update_facts(train=facts, weights=Weights(hash_model(run.model_folder)))
    with pytest.raises(RunError, match="was another model there: train anew"):
        made(tree, tmp_path / "out", source.folder)
    assert not (tmp_path / "out").exists()


def test_a_second_process_that_takes_models_is_refused(tree, finished, tmp_path):
    draw_experiment(parse_recipe(tree, source="test"), tmp_path / "out", device="cpu")
    with (
        exclusive_lock(tmp_path / "out", "models"),
        pytest.raises(RunError, match="models: another process is at work there"),
    ):
        made(tree, tmp_path / "out", finished.folder)
    assert not (tmp_path / "out" / "hyperfitted").exists()
