"""What an accelerator must not change. `make gpu-test`; skipped, with the reason, where there is none."""

import pytest
import torch

from hyperfitting import pipeline
from hyperfitting.recipes import parse_recipe

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast"])
def test_the_pipeline_runs_on_the_gpu_and_learns_as_on_the_cpu(tree, tmp_path, finished, precision):
    tree["train"]["precision"] = precision
    experiment = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "gpu", device="cuda")
    run, same = experiment.run("hyperfitted"), finished.run("hyperfitted")
    assert run.facts()["train"]["device"] == torch.cuda.get_device_name()
    tolerance = 1e-3 if precision == "fp32" else 5e-2
    ours, theirs = ([row.loss for row in each.updates()] for each in (run, same))
    assert ours == pytest.approx(theirs, abs=tolerance)


def test_fp32_greedy_texts_agree_with_the_cpu(tree, tmp_path, finished):
    experiment = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "gpu", device="cuda")
    pairs = zip(experiment.run("original").continuations(), finished.run("original").continuations(), strict=True)
    equal = [ours.ids == theirs.ids for ours, theirs in pairs if ours.arm == "greedy"]
    # A tie to the last bit may fall either way; more than one in ten would be a fault.
    assert sum(equal) >= 0.9 * len(equal)
