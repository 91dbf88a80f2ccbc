"""Each stage in a folder of its own: which files it leaves, what they hold, what it skips, how it
goes on.
"""

import json
import re
import shutil
import threading

import pytest
import torch

from hyperfitting import models, pipeline
from hyperfitting.cli import main
from hyperfitting.cli.text import check_lines
from hyperfitting.errors import Interrupted, ModelError, RecipeError, RunError, TrainingFailed
from hyperfitting.recipe import GREEDY, PAPER_NUCLEUS, parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages import generate, measure
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import generate_texts
from hyperfitting.stages.measure import measure_experiment
from hyperfitting.stages.model_card import model_card
from hyperfitting.stages.report import report_experiment
from hyperfitting.stages.train import pretrain, train_run
from hyperfitting.training.loop import Outcome
from hyperfitting.traits import ModelSource
from hyperfitting.writing import write
from tests.support.folders import edit_json, file_names
from tests.support.listening import Listener

pytestmark = pytest.mark.pictures


def test_a_run_leaves_these_files_and_no_others(finished):
    model = [
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    run = ["continuations.jsonl", "metrics.jsonl", "probes.jsonl", "recipe.json", "run.json"]
    run += ["pooled_metrics.jsonl", "text_metrics.jsonl", "updates.jsonl"]
    expected = [f"{role}/{name}" for role in ("original", "hyperfitted") for name in run]
    expected += [f"hyperfitted/model/{name}" for name in [*model, "tokenizer_config.json"]]
    expected += [
        "data/contexts-pieces.npz",
        "data/manifest.json",
        "data/train.npz",
        "data/validation.npz",
        "recipe.json",
    ]
    pictures = ["curves.png", "example-1.png", "key.png"]
    pages = ["index.html", "report.md", "summary.json", "table.csv", "texts.html"]
    expected += [f"report/{name}" for name in [*pictures, *pages]]
    assert file_names(finished.folder) == sorted(expected)


def test_every_update_and_every_epoch_has_its_row(finished):
    run = finished.run("hyperfitted")
    assert [row.update for row in run.updates()] == list(range(1, 13))
    assert [row.epoch for row in run.updates()] == [1] * 4 + [2] * 4 + [3] * 4
    assert {row.learning_rate for row in run.updates()} == {3e-3}
    assert [row.epoch for row in run.probes()] == [0, 1, 2, 3]
    assert run.probes()[0].train_loss is None
    assert run.probes()[-1].train_loss == pytest.approx(
        sum(row.loss for row in run.updates()[-4:]) / 4
    )
    assert run.updates()[-1].loss < run.updates()[0].loss
    original = finished.run("original")
    assert original.updates() == []
    assert [row.update for row in original.probes()] == [0]
    assert original.probes()[0].validation_loss == pytest.approx(run.probes()[0].validation_loss)


def test_a_trained_model_differs_from_the_original_in_every_weight(finished, tiny_model):
    from safetensors.torch import load_file

    before = load_file(tiny_model / "model.safetensors")
    trained = load_file(finished.run("hyperfitted").model_folder / "model.safetensors")
    assert before.keys() == trained.keys()
    assert not any(before[name].equal(trained[name]) for name in before)


def test_continuations_are_whole_and_readable_without_a_tokenizer(finished):
    texts = [text for run in finished.runs().values() for text in run.continuations()]
    kinds = {(text.variant, text.strategy) for text in texts}
    assert kinds == {
        ("original", "greedy"),
        ("original", "nucleus"),
        ("hyperfitted", "greedy"),
        ("hyperfitted", "nucleus"),
        ("reference", None),
    }
    assert len(texts) == 5 * 12
    for text in texts:
        assert len(text.context_ids) == 8
        assert len(text.ids) == len(text.pieces) == 24
        assert 0 not in text.ids
        assert text.ended == "length"


def test_the_reference_is_the_true_continuation(finished, corpus):
    rows = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    true = [t for t in finished.run("original").continuations() if t.variant == "reference"]
    assert len(true) == 12
    for text in true:
        assert rows[text.row - 1].startswith("".join(text.context_pieces) + text.text)


def test_the_early_stopped_control_is_a_run_like_the_others(tree, tmp_path):
    tree |= {"variants": [{"name": "early-stopped", "set": {"train.stop": "best-validation"}}]}
    recipe = parse_recipe(tree, source="t")
    assert recipe.variant_names == ("original", "early-stopped", "hyperfitted")
    experiment = pipeline.run(recipe, tmp_path / "out", device="cpu")
    stopped, hyperfitted = experiment.run("early-stopped"), experiment.run("hyperfitted")
    assert [row.loss for row in stopped.updates()] == [row.loss for row in hyperfitted.updates()]
    best = min(stopped.probes(), key=lambda row: row.validation_loss)
    assert stopped.facts.train.kept_update == best.update
    loss = {
        run.variant: row.value
        for run in experiment.runs().values()
        for row in run.metrics()
        if row.name == "validation_loss"
    }
    assert loss["early-stopped"] == pytest.approx(best.validation_loss, abs=1e-4)
    assert loss["early-stopped"] <= min(loss.values())
    assert ">early-stopped, greedy<" in (experiment.report_folder / "index.html").read_text()


def test_the_early_stopped_control_of_an_early_stopped_training_is_refused(tree):
    tree |= {"variants": [{"name": "early-stopped", "set": {"train.stop": "best-validation"}}]}
    tree["train"]["stop"] = "best-validation"
    with pytest.raises(RecipeError, match="the same run twice"):
        parse_recipe(tree, source="t")


def test_a_recipe_names_the_threads_of_every_stage(tree, tmp_path, monkeypatch):
    seen = []
    for stage, name in ((generate, "_continue_contexts"), (measure, "_measure")):
        true = getattr(stage, name)
        monkeypatch.setattr(
            stage,
            name,
            lambda *a, _true=true, **k: seen.append(torch.get_num_threads()) or _true(*a, **k),
        )
    recipe = parse_recipe(tree | {"engine": {"threads": 1}}, source="test")
    with models.threads(2):
        experiment = pipeline.run(recipe, tmp_path / "out", device="cpu")
        assert torch.get_num_threads() == 2
    assert {run.facts.train.threads for run in experiment.runs().values()} == {1}
    assert seen == [1] * 3


def test_what_is_done_is_skipped(finished):
    before = {
        path: path.stat().st_mtime_ns
        for path in finished.folder.rglob("*")
        if "report" not in path.parts
    }
    pipeline.run(finished.recipe, finished.folder, device="cpu")
    after = {
        path: path.stat().st_mtime_ns
        for path in finished.folder.rglob("*")
        if "report" not in path.parts
    }
    assert {p: t for p, t in after.items() if p.is_file()} == {
        p: t for p, t in before.items() if p.is_file()
    }


def test_a_stage_without_the_one_before_says_which(tree, tmp_path):
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    with pytest.raises(RunError, match="is not trained yet"):
        generate_texts(experiment, "original", device="cpu")
    with pytest.raises(RunError, match="is not trained yet"):
        measure_experiment(experiment, device="cpu")
    with pytest.raises(RunError, match="the original run is not measured yet"):
        report_experiment(experiment)


@pytest.mark.parametrize("verb", ["generate", "measure", "write"])
def test_a_run_whose_folder_got_another_tokenizer_is_refused(verb, finished, tmp_path, capsys):
    folder = tmp_path / "out"
    shutil.copytree(finished.folder, folder)
    run = Experiment(folder).run("hyperfitted")
    file = run.model_folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    one, other = list(vocabulary)[-2:]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    file.write_text(json.dumps(tokenizer))
    if verb == "generate":
        run.continuations_file.unlink()
    else:
        run.metrics_file.unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    target = [str(run.folder), "a"] if verb == "write" else [str(folder)]
    assert main([verb, *target]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert (
        f"{run.model_folder} has changed since its hashes were taken (changed: tokenizer.json): "
        "put its own" in line
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_bad_input_leaves_nothing_behind(tree, tmp_path):
    tree["data"]["train_blocks"] = 1000
    with pytest.raises(Exception, match="needs 1000 documents"):
        pipeline.run(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    tree["data"]["train_blocks"] = 16
    tree["data"]["block_tokens"] = 200
    with pytest.raises(ModelError, match="texts have 200 tokens, the model has 128 positions"):
        pipeline.run(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="signals reach the main thread",
)
def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bits(tree, tmp_path, finished):
    recipe = parse_recipe(tree, source="t")
    experiment = draw_experiment(recipe, tmp_path / "out")
    with pytest.raises(
        Interrupted, match="stopped after update 6 of 12; the same command goes on from there"
    ):
        train_run(experiment, "hyperfitted", device="cpu", progress=Listener(stop_after=6))
    run = experiment.run("hyperfitted")
    assert not run.trained
    with run.updates_file.open("a") as file:
        file.write(
            '{"update": 7, "epoch": 2, "loss": 9.0, "learning_rate": 1.0, "tokens_per_second": 1.0}\n{"upd'
        )
    train_run(experiment, "hyperfitted", device="cpu")
    uninterrupted = finished.run("hyperfitted")
    weights = "model.safetensors"
    assert (run.model_folder / weights).read_bytes() == (
        uninterrupted.model_folder / weights
    ).read_bytes()
    assert [(row.update, row.loss) for row in run.updates()] == [
        (row.update, row.loss) for row in uninterrupted.updates()
    ]
    assert run.probes() == uninterrupted.probes()
    assert not run.checkpoint_folder.exists()


def test_a_damaged_checkpoint_is_named(tree, tmp_path):
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    experiment.begin_run("hyperfitted")
    run = experiment.run("hyperfitted")
    (run.checkpoint_folder / "update-00000004").mkdir(parents=True)
    with pytest.raises(
        RunError,
        match=r"update-00000004: damaged .*no other is whole: remove .*checkpoint to start",
    ):
        train_run(experiment, "hyperfitted", device="cpu")


def test_a_diverging_loss_stops_with_the_remedy(tree, tmp_path):
    tree["train"] |= {"learning_rate": 1e30}
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    with pytest.raises(
        TrainingFailed,
        match=r"the (loss|gradient) is (nan|inf) at update \d+: lower train.learning_rate",
    ):
        train_run(experiment, "hyperfitted", device="cpu")
    assert not experiment.run("hyperfitted").trained


@pytest.mark.parametrize(
    ("settings", "updates", "reason"),
    [
        ({"epochs": None, "updates": 5}, 5, "all updates done"),
        (
            {"epochs": 50, "stop": "train-loss", "stop_loss": 5.4},
            None,
            "mean training loss of the epoch below 5.4",
        ),
        ({"epochs": 50, "minutes": 1e-4}, None, "0.0001 minutes are over"),
    ],
)
def test_training_ends_when_it_is_told_to(tree, tmp_path, settings, updates, reason):
    tree["train"] |= settings
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    run = train_run(experiment, "hyperfitted", device="cpu")
    facts = run.facts.train
    assert facts.ended == reason
    assert facts.updates == (updates or len(run.updates()))
    assert facts.updates < 200
    assert run.probes()[-1].update == facts.updates
    if "stop_loss" in settings:
        assert run.probes()[-1].train_loss < 5.4 <= run.probes()[-2].train_loss


def test_warm_up_and_decay_shape_the_learning_rate(tree, tmp_path):
    tree["train"] |= {
        "warmup_updates": 2,
        "decay_share": 0.5,
        "final_learning_rate_share": 0.0,
        "clip_norm": 1.0,
    }
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out")
    rates = [
        row.learning_rate / 3e-3
        for row in train_run(experiment, "hyperfitted", device="cpu").updates()
    ]
    assert rates[:7] == pytest.approx([0.5, 1, 1, 1, 1, 1, 1])
    assert rates[7:] == pytest.approx([5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_the_model_card_tells_the_run(finished):
    card = (finished.run("hyperfitted").model_folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers")
    assert finished.recipe.digest in card
    assert "12 updates of 4 x 32 tokens on 16 texts" in card
    assert "base_model" not in card  # a folder here means nothing to a hub
    assert "A hyperfitted model is meant for greedy decoding" in card
    original = finished.run("original")
    untouched = model_card(
        original.recipe, original.probes(), Outcome(0, "no updates asked for", 0.0, 0, "loss")
    )
    assert "untouched and saved as float32" in untouched
    assert "hyperfitted model" not in untouched
    assert "before" not in untouched


def test_the_model_card_names_a_base_on_the_hub_and_no_base_for_random_weights(tree, finished):
    run = finished.run("hyperfitted")
    outcome = Outcome(12, "all updates done", 1.0, 12, "loss")
    tree["model"]["source"] = "owner/model"
    assert "\nbase_model: owner/model\n---" in model_card(
        parse_recipe(tree, source="t"), run.probes(), outcome
    )
    tree["model"]["initialise"] = "random"
    tree["data"]["blocks"] = "packed"
    card = model_card(parse_recipe(tree, source="t"), run.probes(), outcome)
    assert "base_model" not in card
    assert "The architecture of `owner/model`, from random weights, after 12 updates" in card
    assert "16 blocks of text" in card
    assert "to be hyperfitted" in card


def test_the_model_card_names_an_adapters_base_and_how_a_gguf_file_was_quantised(finished):
    run = finished.run("hyperfitted")
    outcome = Outcome(12, "all updates done", 1.0, 12, "loss")
    source = ModelSource("adapter", {}, {"Q8_0": 15, "F32": 5}, base="base.gguf")
    card = model_card(run.recipe, run.probes(), outcome, source=source)
    assert ", an adapter merged into `base.gguf` (dequantised from GGUF: tensors Q8_0 15, " in card
    model = run.recipe.model.model_copy(update={"initialise": "random"})
    random = run.recipe.model_copy(update={"model": model})
    assert "GGUF" not in model_card(random, run.probes(), outcome, source=source)


def test_write_continues_a_prompt_and_stops_at_end_of_text(finished):
    pieces = list(write(finished.folder, "the river", strategy=GREEDY, new_tokens=10, device="cpu"))
    assert "".join(pieces)
    sampled = [
        "".join(write(finished.folder, "the", strategy=PAPER_NUCLEUS, new_tokens=10, seed=1))
        for _ in range(2)
    ]
    assert sampled[0] == sampled[1]
    with pytest.raises(ModelError, match="the model has 128 positions"):
        list(write(finished.folder, "the", strategy=GREEDY, new_tokens=500))


def test_pretraining_starts_from_random_weights_and_learns(tree, tmp_path):
    tree["model"]["initialise"] = "random"
    tree["data"] |= {"blocks": "packed", "domains": [], "train_blocks": 24}
    run = pretrain(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    assert run.variant == "pretrained"
    assert run.updates()[-1].loss < run.updates()[0].loss
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "data",
        "pretrained",
        "recipe.json",
    ]
    with pytest.raises(RecipeError, match="pretraining begins from random weights"):
        pretrain(
            parse_recipe(tree | {"model": {"source": tree["model"]["source"]}}, source="t"),
            tmp_path / "b",
        )


def test_check_says_what_would_happen_and_writes_nothing(tree, tmp_path):
    text = check_lines(check_recipe(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu"))
    assert "12 updates of 4 x 32 tokens, learning rate 0.003, fp32 on cpu" in text
    assert "set       pieces: 12 x 32 tokens from 12 groups" in text
    assert "trained   28,832 parameters:\n          model.embed_tokens.weight" in text
    layers = re.findall(r"^ +model\.layers\.0-\d+\.\S+ +[\d,]+  \d+(?: x \d+)?$", text, re.M)
    assert len(layers) > 4
    assert max(map(len, layers)) <= 80  # the width of a terminal
    assert "memory    " in text
    assert "at the height of an update" in text
    assert re.search(r"time      about \d+ s training, \d+ s writing, \d+ s measuring, ", text)
    assert re.search(r"disk      [\d.]+ MiB of models and checkpoints while it trains, ", text)
    assert list(tmp_path.iterdir()) == []


def test_an_update_that_does_not_fit_is_not_timed(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "memory_bytes", lambda place: 200_000)
    found = check_recipe(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    assert found.inspection is not None
    assert found.stage_seconds == {}
    assert "time      " not in check_lines(found)


def test_check_shows_what_ends_a_text_and_what_the_tokenizer_would_cut(tree, tmp_path):
    source = shutil.copytree(tree["model"]["source"], tmp_path / "model")
    cut = {"direction": "Right", "max_length": 12, "strategy": "LongestFirst", "stride": 0}
    edit_json(source / "tokenizer.json", truncation=cut)
    edit_json(source / "generation_config.json", eos_token_id=[0, 66])
    tree["model"]["source"] = str(source)
    recipe = parse_recipe(tree, source="t")
    said = check_lines(check_recipe(recipe, tmp_path / "out", device="cpu")).splitlines()
    assert "text      beginning-of-text: add; end-of-text ids: 0 '<|end|>', 66 'b'" in said
    assert (
        "          truncation to 12 tokens, which the tokenizer asks for, is switched off" in said
    )
    pipeline.run(recipe, tmp_path / "out", device="cpu")
    assert json.loads((tmp_path / "out" / "original" / "run.json").read_text())["generate"][
        "end_ids"
    ] == [0, 66]
