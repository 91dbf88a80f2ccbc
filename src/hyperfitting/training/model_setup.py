"""The model as it is trained: loaded in the precision's dtype, frozen but for the selection, dealt
out; and back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hyperfitting import models
from hyperfitting.errors import InputError, ModelError, kind_of
from hyperfitting.models import Precision, TrainableModel
from hyperfitting.recipe import EngineSettings, ModelSettings, Recipe
from hyperfitting.training.distributed import ProcessGroup, gather, shard
from hyperfitting.training.loss import LossOf, add_loss, choose_loss
from hyperfitting.traits import ModelTraits

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrainingSetup:
    """A model that is ready to be trained as its recipe says, in one precision, on the devices of a
    process group.
    """

    recipe: Recipe
    selection: TrainableModel
    precision: Precision
    ranks: ProcessGroup


def prepare(recipe: Recipe, ranks: ProcessGroup, precision: Precision) -> TrainingSetup:
    """Load and select on one process; on many, the main one loads and deals out, and the others
    begin empty.

    Raises:
        ModelError: the model cannot be loaded, or not trained so.
    """
    if ranks.device.type == "cpu":
        models.keep_freed_memory()
    settings = training_settings(recipe, precision)
    if ranks.world == 1:
        selection = _select(
            models.load_model(
                settings, ranks.device, seed=recipe.seed, tokens=recipe.data.block_tokens
            ),
            recipe,
        )
        equip(selection.model, recipe, ranks.device)
        if not recipe.leaves_model_untouched:
            try_gradients(selection, recipe, precision, ranks.device)
    else:
        selection = _dealt_out(recipe, settings, ranks, precision)
    models.assert_dtype(selection.model, models.weights_dtype(precision))
    return TrainingSetup(recipe, selection, precision, ranks)


def _dealt_out(
    recipe: Recipe, settings: ModelSettings, ranks: ProcessGroup, precision: Precision
) -> TrainableModel:
    """What the main process finds out about its whole model decides for the parts on all of
    them.
    """
    tokens = recipe.data.block_tokens
    full = ranks.on_main(
        lambda: _select(models.load_model(settings, _CPU, seed=recipe.seed, tokens=tokens), recipe)
    )
    selection = _select(models.build_empty(settings), recipe)
    chosen = ranks.from_main(None if full is None else _choose(full.model, recipe, ranks.device))
    traits = ranks.from_main(None if full is None else models.traits_of(full.model))
    models.remember_traits(selection.model, traits)
    equip(selection.model, recipe, ranks.device, chosen)
    shard(selection.model, full.model if full else None, ranks, precision)
    return selection


def consolidate(setup: TrainingSetup, *, needed_again: bool = False) -> nn.Module | None:
    """The whole model with adapters merged, on the main process; None on the others.

    Adapters of one process's model are merged in place, unless it is `needed_again`: then in a
    copy.
    """
    selection, ranks = setup.selection, setup.ranks
    if ranks.world == 1 and (selection.adapted is None or not needed_again):
        return selection.merge()
    weights = gather(selection.model)
    if not ranks.is_main:
        return None
    settings = training_settings(setup.recipe, setup.precision)
    whole = _select(models.load_model(settings, _CPU, seed=setup.recipe.seed), setup.recipe)
    whole.model.load_state_dict(weights)
    return whole.merge()


def inspect(
    recipe: Recipe, precision: Precision, device: torch.device
) -> tuple[ModelTraits, Adaptation, str]:
    """What is found out about the recipe's model when it is loaded, what of ours it trains with,
    and its loss's name.

    Raises:
        ModelError: as `prepare`.
    """
    settings = training_settings(recipe, precision)
    model = models.load_model(settings, device, seed=recipe.seed, tokens=recipe.text_tokens)
    selection, traits = _select(model, recipe), models.traits_of(model)
    chosen = equip(selection.model, recipe, device)
    return traits, chosen, try_gradients(selection, recipe, precision, device).__name__


def try_gradients(
    selection: TrainableModel, recipe: Recipe, precision: Precision, device: torch.device
) -> LossOf:
    """The loss that the model trains with, once it has given gradients for one block of its text.

    Raises:
        ModelError: it gives none, or none that are finite numbers.
    """
    model, kind = selection.model, type(selection.model).__name__
    ids_BT = torch.randint(
        1,
        models.predicted_tokens(model),
        (1, recipe.data.block_tokens),
        generator=torch.Generator().manual_seed(0),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            loss_of = choose_loss(model, precision, device)
            with models.autocast(precision, device), _as_written(recipe.engine):
                loss_of(ids_BT.to(device), torch.ones(1, device=device)).loss.backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # code that trains in another way, or not at all
        models.refuse_full_memory(error)
        raise ModelError(
            f"{recipe.model.source}: {kind} cannot be trained ({kind_of(error)})"
        ) from error
    if all(weight.grad is None for _, weight in selection.trained):
        raise ModelError(
            f"{recipe.model.source}: {kind} cannot be trained: its loss does not depend on its "
            "weights"
        )
    model.zero_grad(set_to_none=True)
    return loss_of


@dataclass(frozen=True)
class Adaptation:
    """What of ours stands in a model while it trains: its attention kernel, and the modules that
    round once.
    """

    attention: str
    rounded: tuple[str, ...]


def equip(
    model: nn.Module, recipe: Recipe, device: torch.device, chosen: Adaptation | None = None
) -> Adaptation:
    """Add the loss, choose the attention kernel, round once, and compile or checkpoint the layers
    if asked to.

    `chosen` is what another process has found out with the weights at hand; None: it is found out
    here.
    """
    chosen = chosen or _choose(model, recipe, device)
    add_loss(model)
    models.set_attention(model, chosen.attention)
    models.cast_norm_outputs(model, chosen.rounded)
    engine = recipe.engine
    changes = engine.compile or engine.activation_checkpointing
    for layer in models.decoder_layers(model) if changes else ():
        if engine.compile:
            layer.forward = _compiled(layer.forward)
        if engine.activation_checkpointing:
            # Not transformers' own switch: that works in training mode only, where dropout is on.
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    return chosen


@contextmanager
def deterministic_kernels(wanted: bool) -> Iterator[None]:
    """Let torch choose deterministic kernels only, while a training runs that wants them.

    Raises:
        InputError: an operation of the training has none.
    """
    before = torch.are_deterministic_algorithms_enabled()
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    except RuntimeError as error:
        if not wanted or "deterministic" not in str(error):
            raise
        raise InputError(
            f"engine.deterministic: an operation of this training has no deterministic kernel "
            f"({kind_of(error)}): set it to false"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before)


def _choose(model: nn.Module, recipe: Recipe, device: torch.device) -> Adaptation:
    models.prefer_attention(model, recipe.engine.attention, device, recipe.data.block_tokens)
    return Adaptation(models.attention_of(model), tuple(models.castable_norms(model)))


def _compiled(forward: Callable[..., Any]) -> Callable[..., Any]:
    """One layer's forward, compiled where gradients are taken. All layers share what the first one
    compiles.

    Probes and their growing caches, which would compile anew at every length, run as written.
    """
    compiled = torch.compile(forward)

    def either(*args: Any, **kwargs: Any) -> Any:
        return (compiled if torch.is_grad_enabled() else forward)(*args, **kwargs)

    return either


def _as_written(engine: EngineSettings) -> AbstractContextManager[object]:
    """Compiled layers run as they are written: what one block compiles fits no update, and from its
    second shape on torch compiles for every shape, which takes longer and gives slower code.
    """
    return torch.compiler.set_stance("force_eager") if engine.compile else nullcontext()


def _select(model: nn.Module, recipe: Recipe) -> TrainableModel:
    torch.manual_seed(recipe.seed)  # adapters begin at random
    return models.select_trained(model, recipe.train)


def training_settings(recipe: Recipe, precision: Precision) -> ModelSettings:
    """The recipe's model in the dtype that this precision trains."""
    dtype = "bfloat16" if models.weights_dtype(precision) == torch.bfloat16 else "float32"
    return recipe.model.model_copy(update={"dtype": dtype})
