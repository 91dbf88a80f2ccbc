"""No text passes a model twice in one measuring, and what passed is counted."""

import shutil
from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from hyperfitting.models import load_scoring_model
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.measure import measure_experiment
from hyperfitting.writing import load_run
from tests.support.listening import Listener
from tests.support.tiny_models import make_model

TRIAL_TOKENS = 8  # how a head takes chunks is tried on the first tokens of a text


@contextmanager
def texts_read():
    """How often each model's embeddings were asked for each text, by the embeddings and the ids."""
    read, held = Counter(), []

    def count(module, inputs):
        if isinstance(module, torch.nn.Embedding) and inputs[0].shape[-1] > TRIAL_TOKENS:
            held.append(module)  # so that no other has its number
            read.update((id(module), tuple(row)) for row in inputs[0].tolist())

    hook = register_module_forward_pre_hook(count)
    try:
        yield read
    finally:
        hook.remove()


@pytest.fixture
def unmeasured(tree, finished, tiny_tokenizer, tmp_path):
    """A copy of the finished experiment, to be measured with other settings."""

    def make(**settings):
        experiment = Experiment(shutil.copytree(finished.folder, tmp_path / "out"))
        recipe = parse_recipe(tree | {"measure": settings}, source="t")
        experiment.recipe_file.write_text(recipe.canonical_json())
        for run in experiment.runs().values():
            run.metrics_file.unlink()
        return experiment

    return make


def test_no_text_passes_a_model_twice(unmeasured, tiny_tokenizer, tmp_path):
    other = str(make_model(tmp_path / "other", tiny_tokenizer, "llama"))
    experiment = unmeasured(scorer=other, mauve=other, force_mauve=True)
    progress = Listener()
    with texts_read() as inspected:  # a model is inspected when it is loaded, on ids of our choice
        load_scoring_model(other, torch.device("cpu"))
        for run in experiment.runs().values():
            load_run(run, torch.device("cpu"))
    with texts_read() as read:
        measure_experiment(experiment, device="cpu", progress=progress)
    trials = {ids for _, ids in inspected}
    read = {(module, ids): times for (module, ids), times in read.items() if ids not in trials}
    assert set(read.values()) == {1}
    assert len({module for module, _ in read}) == 3  # original, hyperfitted, and one third model
    scored = Counter()
    for run in experiment.runs().values():
        scored.update(run.facts.measure.tokens_scored)
    assert set(scored) == {"original", "hyperfitted", "scorer"}
    # 16 blocks and 4 of 32 tokens and 12 true texts of as many, once for each model
    assert scored["hyperfitted"] == 32 * 32
    written = {
        (*text.context_ids, *text.ids)
        for run in experiment.runs().values()
        for text in run.continuations()
        if text.strategy is not None
    }
    controls = 2 * 12
    assert scored["original"] == 32 * (32 + controls + len(written))
    assert progress.lines[-1] == f"measured: {scored.total():,} tokens scored by 3 models"
    assert progress.made == progress.total > 0


def test_values_do_not_depend_on_what_was_read_together(unmeasured, finished):
    experiment = unmeasured(bootstrap_draws=200, batch_blocks=5)
    measure_experiment(experiment, device="cpu")
    for variant, run in experiment.runs().items():
        for row, before in zip(run.metrics(), finished.run(variant).metrics(), strict=True):
            assert row.value == pytest.approx(before.value, rel=1e-5), row.name


def test_a_resumed_measuring_counts_what_it_reads_itself(unmeasured):
    experiment = unmeasured()
    measure_experiment(experiment, device="cpu")
    first = experiment.run("original").facts.measure
    experiment.run("hyperfitted").metrics_file.unlink()
    progress = Listener()
    measure_experiment(experiment, device="cpu", progress=progress)
    assert experiment.run("original").facts.measure == first
    again = experiment.run("hyperfitted").facts.measure.tokens_scored
    assert again["hyperfitted"] == 32 * 32
    assert again["original"] >= 32 * 32  # the true texts anew, and what this run wrote
    assert progress.lines[-1] == f"measured: {sum(again.values()):,} tokens scored by 2 models"


def test_measuring_in_bfloat16_changes_values_a_little_and_is_recorded(unmeasured, finished):
    experiment = unmeasured(bootstrap_draws=200, dtype="bfloat16")
    measure_experiment(experiment, device="cpu")
    run, before = experiment.run("hyperfitted"), finished.run("hyperfitted")
    assert run.facts.measure.dtype == "bfloat16"
    assert before.facts.measure.dtype == "float32"
    values = {(row.domain, row.strategy, row.name): row.value for row in run.metrics()}
    changed = {
        row.name: abs(values[row.domain, row.strategy, row.name] - row.value)
        for row in before.metrics()
        if row.position is None
    }
    assert 0 < changed["validation_loss"] < 0.05
    assert changed["ttr"] == changed["longest_overlap_tokens"] == 0
