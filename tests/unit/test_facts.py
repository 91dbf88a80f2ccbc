"""run.json and data/manifest.json: what they hold, by type, and what a wrong file's error says."""

import json

import pytest
from pydantic import ValidationError

from hyperfitting.data.draw import ids_sha256
from hyperfitting.environment import Environment
from hyperfitting.errors import RunError
from hyperfitting.facts import (
    BlockedCount,
    DataManifest,
    GaveWayCount,
    RunFacts,
    read_facts,
    write_facts,
)
from hyperfitting.recipe import EngineSettings, Strategy, load_recipe
from hyperfitting.records import Verdict
from hyperfitting.runs import Experiment, Run
from hyperfitting.traits import ModelTraits, TrainedWeights
from hyperfitting.weights import Weights


@pytest.mark.parametrize("variant", ["original", "hyperfitted"])
def test_every_run_stores_all_that_its_numbers_rest_on(finished, variant):
    run, recipe = finished.run(variant), finished.recipe
    train, generate, measure = run.facts.train, run.facts.generate, run.facts.measure
    assert isinstance(train.environment, Environment)
    assert {"hyperfitting", "torch", "transformers", "tokenizers", "numpy"} <= set(
        train.environment.versions
    )
    assert train.environment.python.startswith("3.")
    assert (train.device, train.threads, train.processes) == ("cpu", 1, 1)
    seeds = (train.seed, train.order_seed, generate.seed, finished.manifest.seed)
    assert seeds == (recipe.seed,) * 4
    assert (train.precision, train.weights_dtype) == ("fp32", "float32")
    assert (generate.dtype, generate.mode) == ("float32", "fast")
    assert train.beginning_of_text == recipe.model.beginning_of_text == "add"
    assert (train.batch_blocks, train.block_tokens) == (run.recipe.train.batch_blocks, 32)
    assert (generate.batch_contexts, generate.new_tokens) == (5, 24)
    assert train.codec == generate.codec == finished.manifest.codec
    assert train.engine == EngineSettings()
    assert isinstance(train.model, ModelTraits)
    assert (train.attention, train.loss) != ("", "")
    assert generate.strategies == recipe.generate.strategies
    assert all(isinstance(each, Strategy) for each in generate.strategies)
    assert (generate.end_of_text, generate.end_ids) == ("suppress", (0,))
    assert generate.decoding == train.model.decoding
    assert isinstance(run.weights, Weights)
    assert set(map(len, run.weights.sha256.values())) == {64}
    assert generate.weights == run.weights.digest
    assert measure.weights == (run.weights.digest, finished.run("original").weights.digest)


def test_the_facts_say_what_was_trained_and_what_it_came_to(finished):
    original, train = finished.run("original").facts, finished.run("hyperfitted").facts.train
    assert all(isinstance(row, TrainedWeights) for row in train.trained)
    assert sum(row.parameters for row in train.trained) == train.parameters_trained > 0
    assert (train.updates, train.kept_update, train.without_adapters) == (12, 12, ())
    assert (original.train.parameters_trained, original.train.updates) == (0, 0)
    assert train.parameters == original.train.parameters == train.parameters_trained
    assert original.near_zero is None
    assert isinstance(finished.run("hyperfitted").facts.near_zero, Verdict)


def test_the_manifest_pins_sources_and_drawn_ids(finished, corpus):
    manifest = finished.manifest
    assert [each.name for each in manifest.sets] == ["train", "validation", "pieces"]
    assert [source.path for source in manifest.sources] == [str(corpus)]
    assert set(manifest.sources[0].sha256) == {corpus.name}
    hashes = [ids_sha256(finished.blocks(each.name).ids_NT) for each in manifest.sets]
    assert [each.ids_sha256 for each in manifest.sets] == hashes
    assert len(set(hashes)) == 3
    ids_NT = finished.blocks("train").ids_NT
    assert ids_sha256(ids_NT.reshape(32, -1)) != hashes[0] == ids_sha256(ids_NT.astype("int64"))
    assert manifest.set_named("pieces").blocks == 12


@pytest.mark.parametrize("kind", [RunFacts, DataManifest])
def test_facts_come_back_as_they_were(finished, tmp_path, kind):
    facts = finished.manifest if kind is DataManifest else finished.run("hyperfitted").facts
    write_facts(tmp_path / "a.json", facts)
    assert read_facts(tmp_path / "a.json", kind) == facts
    with pytest.raises(ValidationError, match="frozen"):
        facts.seed = 1


def test_counts_of_rules_are_rows(tmp_path):
    blocked = BlockedCount(strategy="b", steps=3, changed_greedy=2, gave_way=1)
    write_facts(tmp_path / "run.json", RunFacts(weights=None, blocked=(blocked,)))
    assert json.loads((tmp_path / "run.json").read_text())["blocked"] == [
        {"strategy": "b", "steps": 3, "changed_greedy": 2, "gave_way": 1}
    ]
    count = GaveWayCount(strategy="g", rule="no_repeat_ngram", steps=65)
    assert count.model_dump() == {"strategy": "g", "rule": "no_repeat_ngram", "steps": 65}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda facts: facts["train"].pop("seed"), "train.seed: Field required"),
        (lambda facts: facts["train"].update(seed="0"), "train.seed: Input should be a valid int"),
        (lambda facts: facts.update(arms=[]), "arms: Extra inputs are not permitted"),
        (
            lambda facts: facts["generate"]["strategies"][1].update(top_p=2),
            "generate.strategies.1.top_p: Input should be less than or equal to 1",
        ),
        (
            lambda facts: facts["weights"].update(sha256=None),
            "weights.sha256: Input should be an object",
        ),
    ],
)
def test_a_foreign_file_is_one_line_that_names_file_and_key(finished, tmp_path, change, problem):
    path = tmp_path / "run.json"
    facts = json.loads(finished.run("hyperfitted").facts_file.read_text())
    change(facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(RunError) as caught:
        _ = Run(tmp_path).facts
    start = f"{path} is damaged, or of another version (written by hyperfitting "
    assert str(caught.value).startswith(start)
    assert f"): {problem}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("held", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_an_unreadable_file_is_one_line(tmp_path, held):
    (tmp_path / "run.json").write_bytes(held)
    with pytest.raises(RunError, match=r"run\.json is damaged, or of another version: ") as caught:
        _ = Run(tmp_path).facts
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_once_and_anew_after_any_process_has_written(finished, tmp_path):
    run, other = Run(tmp_path), Run(tmp_path)
    assert run.facts == RunFacts(weights=None)
    other.update_facts(train=finished.run("original").facts.train)
    first = run.facts
    assert first is run.facts
    assert first.train.updates == 0
    other.update_facts(train=finished.run("hyperfitted").facts.train, near_zero=None)
    assert run.facts.train.updates == 12
    experiment = Experiment(finished.folder)
    assert experiment.recipe is experiment.recipe
    assert experiment.manifest is experiment.manifest
    assert experiment.run("original") is experiment.runs()["original"]
    assert experiment.run("original").recipe is experiment.run("original").recipe
    assert experiment.recipe == load_recipe(experiment.recipe_file)


def test_a_wrong_name_of_a_stage_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="trian"):
        Run(tmp_path).update_facts(trian=None)
    assert not (tmp_path / "run.json").exists()


def test_a_run_that_is_not_trained_has_no_facts_of_a_training(tmp_path):
    with pytest.raises(RunError, match="is not trained yet: run `hyperfit train` first"):
        _ = Run(tmp_path).train_facts
