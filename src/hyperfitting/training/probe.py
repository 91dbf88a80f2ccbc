"""Probes: what is measured while training, on validation texts only.

The losses and the type-token ratio are the curves of Carlsson et al. 2025, Figure 2.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hyperfitting.decoding import Ending, continue_texts, make_sampler
from hyperfitting.errors import TrainingFailed
from hyperfitting.metrics.diversity import type_token_ratio
from hyperfitting.models import ModelCodec, Precision, score_texts, stepper
from hyperfitting.recipe import GREEDY, Recipe
from hyperfitting.records import ProbeRow
from hyperfitting.training.checkpoint import State


def probe(
    model: nn.Module,
    codec: ModelCodec,
    ids_NT: NDArray[np.int32],
    recipe: Recipe,
    *,
    precision: Precision,
    state: State,
    epoch: float,
) -> ProbeRow:
    """Measure the model on the validation blocks: scores of all, greedy texts of the first
    `probe.contexts`.

    Raises:
        ModelError: the model computes no numbers before its first update.
        TrainingFailed: it does so after some.
    """
    scores = score_texts(
        model, ids_NT, batch_blocks=recipe.measure.batch_blocks, precision=precision
    )
    if state.update and not scores.loss.isfinite().all():
        raise TrainingFailed(
            f"the validation loss is no number after update {state.update}: lower "
            "train.learning_rate, or set train.clip_norm"
        )
    start, length = recipe.data.context_tokens, recipe.probe.new_tokens
    contexts_BT = torch.as_tensor(ids_NT[: recipe.probe.contexts, :start]).long()
    texts = continue_texts(
        stepper(model, precision),
        contexts_BT,
        make_sampler(GREEDY),
        new_tokens=length,
        ending=Ending(codec.end_ids, stop=False),
    )
    references = ids_NT[: recipe.probe.contexts, start : start + length].tolist()
    return ProbeRow(
        update=state.update,
        epoch=round(epoch, 4),
        train_loss=state.epoch_loss,
        validation_loss=float(scores.loss.mean()),
        entropy=float(scores.entropy.mean()),
        top1_probability=float(scores.top1.mean()),
        top3_probability=float(scores.top3.mean()),
        top5_probability=float(scores.top5.mean()),
        ttr=fmean(map(type_token_ratio, texts)),
        reference_ttr=fmean(map(type_token_ratio, references)),
        sample_context=codec.decode(contexts_BT[0].tolist()),
        sample=codec.decode(texts[0]),
        token_accuracy=state.epoch_token_accuracy,
    )
