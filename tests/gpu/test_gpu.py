"""What an accelerator must not change. `make gpu-test`; skipped, with the reason, where there is
none.
"""

import gc

import pytest
import torch
from transformers import LlamaConfig

from hyperfitting import pipeline, training
from hyperfitting.errors import Interrupted
from hyperfitting.recipe import parse_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.train import train_run
from tests.support.listening import Listener

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast", "bf16-stochastic"])
def test_the_pipeline_runs_on_the_gpu_and_learns_as_on_the_cpu(tree, tmp_path, finished, precision):
    tree["train"]["precision"] = precision
    experiment = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "gpu", device="cuda")
    run, same = experiment.run("hyperfitted"), finished.run("hyperfitted")
    assert run.facts.train.device == torch.cuda.get_device_name()
    tolerance = 1e-3 if precision == "fp32" else 5e-2
    ours, theirs = ([row.loss for row in each.updates()] for each in (run, same))
    assert ours == pytest.approx(theirs, abs=tolerance)


def test_fp32_greedy_texts_agree_with_the_cpu(tree, tmp_path, finished):
    experiment = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "gpu", device="cuda")
    pairs = zip(
        experiment.run("original").continuations(),
        finished.run("original").continuations(),
        strict=True,
    )
    equal = [ours.ids == theirs.ids for ours, theirs in pairs if ours.strategy == "greedy"]
    # A tie to the last bit may fall either way; more than one in ten would be a fault.
    assert sum(equal) >= 0.9 * len(equal)


@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast", "bf16-stochastic"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_plan_is_within_a_tenth_of_what_the_allocator_counts(
    tree, tmp_path, precision, checkpointing
):
    """68 million weights, 8 x 256 tokens: beside them the rounding of allocations and the
    workspaces are small.
    """
    shape = {
        "vocab_size": 16384,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 6,
    }
    LlamaConfig(**shape, num_attention_heads=12, tie_word_embeddings=False).save_pretrained(
        tmp_path / "shape"
    )
    tree |= {"model": {"source": str(tmp_path / "shape"), "initialise": "random"}}
    tree["data"] |= {"block_tokens": 256}
    tree["train"] |= {"batch_blocks": 8, "precision": precision}
    recipe = parse_recipe(
        tree | {"engine": {"activation_checkpointing": checkpointing}}, source="t"
    )
    gc.collect()
    torch.cuda.empty_cache()
    peak, _ = training.dry_run(recipe, precision, torch.device("cuda"))
    planned = training.memory_of(recipe, precision, recipe.engine, device="cuda").peak
    print(
        f"\n{precision}, checkpointing {checkpointing}: planned {planned / 2**20:.0f} MiB, "
        f"allocated {peak / 2**20:.0f}"
    )
    assert peak == pytest.approx(planned, rel=0.1)


@pytest.mark.parametrize("precision", ["bf16-autocast", "bf16-stochastic"])
def test_a_stopped_training_ends_as_an_uninterrupted_one(tree, tmp_path, precision):
    tree["train"]["precision"] = precision
    recipe = parse_recipe(tree | {"engine": {"checkpoint_updates": 3}}, source="t")
    whole, cut = (
        draw_experiment(recipe, tmp_path / name, device="cuda") for name in ("whole", "cut")
    )
    train_run(whole, "hyperfitted", device="cuda")
    with pytest.raises(Interrupted):
        train_run(cut, "hyperfitted", device="cuda", progress=Listener(stop_after=5))
    train_run(cut, "hyperfitted", device="cuda")
    ours, theirs = (
        [row.loss for row in each.run("hyperfitted").updates()] for each in (cut, whole)
    )
    assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_layers_learn_as_others_do(tree, tmp_path, finished):
    experiment = draw_experiment(
        parse_recipe(tree | {"engine": {"compile": True}}, source="t"), tmp_path / "compiled"
    )
    run = train_run(experiment, "hyperfitted", device="cuda")
    ours, theirs = (
        [row.loss for row in each.updates()] for each in (run, finished.run("hyperfitted"))
    )
    assert ours == pytest.approx(theirs, abs=1e-3)
