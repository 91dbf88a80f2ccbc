"""The model as it is trained: loaded in the precision's dtype, frozen but for the selection, dealt out; and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hyperfitting import models
from hyperfitting.models import Precision, Selection
from hyperfitting.recipe import ModelSettings, Recipe
from hyperfitting.training.loss import add_loss
from hyperfitting.training.ranks import Ranks, gather, shard

_CPU = torch.device("cpu")


def prepare(recipe: Recipe, ranks: Ranks, precision: Precision) -> Selection:
    """Load and select on one process; on many, the main one loads and deals out, and the others begin empty.

    Raises:
        ModelError: the model cannot be loaded, or not trained so.
    """
    if ranks.device.type == "cpu":
        models.keep_freed_memory()
    settings = training_settings(recipe, precision)
    if ranks.world == 1:
        selection = _select(models.load_model(settings, ranks.device, seed=recipe.seed), recipe)
    else:
        full = ranks.on_main(lambda: _select(models.load_model(settings, _CPU, seed=recipe.seed), recipe))
        selection = _select(models.build_empty(settings), recipe)
    equip(selection.model, recipe, ranks.device)
    if ranks.world > 1:
        shard(selection.model, full.model if full else None, ranks, precision)
    models.assert_dtype(selection.model, models.weights_dtype(precision))
    return selection


def consolidate(selection: Selection, recipe: Recipe, ranks: Ranks, precision: Precision) -> nn.Module | None:
    """The whole model with adapters merged, on the main process; None on the others."""
    if ranks.world == 1:
        return selection.merge()
    weights = gather(selection.model)
    if not ranks.is_main:
        return None
    whole = _select(models.load_model(training_settings(recipe, precision), _CPU, seed=recipe.seed), recipe)
    whole.model.load_state_dict(weights)
    return whole.merge()


def equip(model: nn.Module, recipe: Recipe, device: torch.device) -> None:
    """Add the loss, choose the attention kernel, round once, and compile or checkpoint the layers if asked to."""
    add_loss(model)
    models.prefer_attention(model, recipe.engine.attention, device, recipe.data.block_tokens)
    models.round_once(model)
    for layer in models.decoder_layers(model):
        if recipe.engine.compile:
            layer.forward = _compiled(layer.forward)
        if recipe.engine.activation_checkpointing:
            # Not transformers' own switch: that works in training mode only, where dropout is on.
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def _compiled(forward: Callable[..., Any]) -> Callable[..., Any]:
    """One layer's forward, compiled where gradients are taken. All layers share what the first one compiles.

    Probes and their growing caches, which would compile anew at every length, run as written.
    """
    compiled = torch.compile(forward)

    def either(*args: Any, **kwargs: Any) -> Any:
        return (compiled if torch.is_grad_enabled() else forward)(*args, **kwargs)

    return either


def _select(model: nn.Module, recipe: Recipe) -> Selection:
    torch.manual_seed(recipe.seed)  # adapters begin at random
    return models.select_trained(model, recipe.train)


def training_settings(recipe: Recipe, precision: Precision) -> ModelSettings:
    """The recipe's model in the dtype that this precision trains."""
    dtype = "bfloat16" if models.weights_dtype(precision) == torch.bfloat16 else "float32"
    return recipe.model.model_copy(update={"dtype": dtype})
