"""Our models behind lm-evaluation-harness equal its own, on its own task files."""

from __future__ import annotations

import warnings

import pytest
import torch

from hyperfitting import models
from hyperfitting.downstream.harness import HarnessModel
from hyperfitting.recipe import ModelSettings
from tests.support.benchmarks import evaluated_by_harness, harness_task, mmlu_rows
from tests.support.tiny_models import make_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("file", ["default", "continuation"])
def test_their_model_and_ours_give_the_same_likelihoods(tmp_path, tiny_tokenizer, file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that it imports
        from lm_eval.models.huggingface import HFLM
    place = make_model(tmp_path / "wide", tiny_tokenizer, max_position_embeddings=1024)
    settings = ModelSettings(source=str(place), beginning_of_text="none")
    ours = HarnessModel(
        models.load_model(settings, torch.device("cpu")), models.load_codec(settings)
    )
    theirs = HFLM(
        pretrained=str(place), dtype="float32", device="cpu", batch_size=3, add_bos_token=False
    )
    rows = mmlu_rows(8, subjects=("anatomy",))
    task = f"mmlu/{file}/mmlu_anatomy.yaml"
    one, other = (evaluated_by_harness(harness_task(task, rows), model) for model in (ours, theirs))
    for (mine, _), (its, _) in zip(one, other, strict=True):
        assert mine == pytest.approx(its, rel=1e-4)
