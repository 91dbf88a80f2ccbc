"""Select the weights that are trained: all, the last layers, or low-rank adapters through peft;
merge them for saving.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from hyperfitting.errors import ModelError, kind_of, name_the_extra
from hyperfitting.models.adapt.parts import decoder_layers, has_tied_head, output_head
from hyperfitting.recipe import TrainSettings
from hyperfitting.traits import TrainedWeights


@dataclass(frozen=True)
class TrainableModel:
    """A model with the selection of its trained weights. Adapters are injected in place: `model`
    runs and trains.

    `left_out` names the matrices of the adapted layers that have no adapter, if adapters on every
    linear module were requested.
    """

    model: nn.Module
    adapted: Any = None
    left_out: tuple[str, ...] = ()

    @property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Name and parameter of every trained weight; tied weights once."""
        return [
            (name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad
        ]

    @property
    def parameters(self) -> int:
        """Parameters of the model without its adapters; tied weights once."""
        return sum(
            weight.numel()
            for name, weight in self.model.named_parameters()
            if self.adapted is None or ".lora_" not in name
        )

    def table(self) -> list[TrainedWeights]:
        """One row for each kind of trained weight: its name with `*` for the layer, its layers,
        shape and parameters.
        """
        rows: dict[str, TrainedWeights] = {}
        for name, weight in self.trained:
            layer = re.search(r"\.(\d+)\.", name)
            key = _without_layer(name)
            row = rows.get(key) or TrainedWeights(key, (), tuple(weight.shape), 0)
            layers = (*row.layers, int(layer[1])) if layer else row.layers
            count = row.parameters + weight.numel()
            rows[key] = replace(row, layers=layers, parameters=count)
        return list(rows.values())

    def merge(self) -> nn.Module:
        """The plain model for saving, with the adapters added to the weights that they adapt.

        With adapters it is converted to float32 first: in bfloat16 the sum of a weight and a small
        adapter would be rounded to the weight itself.
        """
        if self.adapted is None:
            return self.model
        self.model.float()
        self.adapted.merge_and_unload()  # in place, in the layers of the model
        return self.model


def select_trained(model: nn.Module, settings: TrainSettings) -> TrainableModel:
    """Freeze all weights except those that `train.parameters`, `train.embeddings` and `train.head`
    name.

    The last layers are the "late stage" of Li et al. 2026, sec. 6, which does not say which modules
    had adapters. Embeddings and head are trained directly, never through adapters: an adapter on a
    tied weight cannot be merged into both uses.

    Raises:
        ModelError: the model has fewer layers than requested, a target names no module, or only one
            of two tied weights would be trained.
        MissingExtra: adapters are requested and peft is not installed.
    """
    kind, _, last = settings.parameters.partition(":")
    model.requires_grad_(kind == "all")
    adapted: Any = None
    left_out: tuple[str, ...] = ()
    if kind != "all":
        late = _late_layers(model, settings.parameters, int(last) if last else None)
        late.requires_grad_(kind == "last")
        adapted = None if kind == "last" else _adapt(late, settings)
        if adapted is not None and settings.lora.targets is None:
            left_out = _left_out(model, late)
    embeddings, head = _ends(model, settings, default=kind == "all")
    for module in _embeddings(model):
        module.requires_grad_(embeddings)
    if output_head(model) is not None:
        output_head(model).requires_grad_(head)
    return TrainableModel(model, adapted, left_out)


def _late_layers(model: nn.Module, asked: str, last: int | None) -> nn.ModuleList:
    layers = decoder_layers(model)
    if last is not None and last > len(layers):
        raise ModelError(f"train.parameters = {asked!r}: the model has {len(layers)} layers")
    return layers if last is None else layers[-last:]


def _adapt(late: nn.ModuleList, settings: TrainSettings) -> Any:
    """Adapters on the linear modules of the layers, injected by peft.

    peft gets the layers, not the model: for model types that it knows, it would map names as for an
    older version, and move adapters from shared experts to all experts.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        raise name_the_extra(error) from error
    modules = dict(late.named_modules())
    names = list(_targets(late, settings.lora.targets))
    if not names:
        raise ModelError(
            "train.lora.targets: they name no linear module of the layers that are trained"
        )
    config = peft.LoraConfig(
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,  # type: ignore[arg-type]
        # Full names: a pattern over layer numbers can be off by one, or match nothing.
        target_modules=names,
        fan_in_fan_out=any(isinstance(modules[name], Conv1D) for name in names),
        bias="none",
    )
    try:
        adapted = peft.LoraModel(late, config, "default")
    except ValueError as error:
        shown = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
        raise ModelError(
            f"train.lora.targets: peft cannot adapt one of {shown} ({kind_of(error)})"
        ) from error
    found = sorted(name for name, module in late.named_modules() if hasattr(module, "lora_A"))
    if found != sorted(names):
        missed = ", ".join(sorted(set(names) - set(found))[:3])
        raise ModelError(
            f"peft put adapters on {len(found)} of {len(names)} linear modules, not on {missed}: "
            "name others in train.lora.targets"
        )
    return adapted


def _targets(late: nn.ModuleList, targets: tuple[str, ...] | None) -> Iterator[str]:
    """Names of the linear modules to adapt, relative to the layers."""
    linear, bypassed = {}, set()
    for name, module in late.named_modules():
        if isinstance(module, nn.Linear | Conv1D):
            parent, _, end = name.rpartition(".")
            linear[name] = end
            if _is_bypassed(late.get_submodule(parent), end, module):
                bypassed.add(name)
    for target in targets or ():
        if target not in linear.values():
            known = ", ".join(dict.fromkeys(linear.values()))
            raise ModelError(
                f"train.lora.targets: no linear module is named {target!r}; there are {known}"
            )
        if all(name in bypassed for name, end in linear.items() if end == target):
            raise ModelError(
                f"train.lora.targets: an adapter on {target!r} would do nothing, since the model's "
                "code reads its weight without calling it: leave it out"
            )
    yield from (
        name
        for name, end in linear.items()
        if name not in bypassed and (targets is None or end in targets)
    )


def _is_bypassed(parent: nn.Module, name: str, module: nn.Module) -> bool:
    """Whether an adapter on a linear module would not, or not always, change its output.

    That is so if the parent's code reads the weight without calling the module, as fused kernels of
    state-space models do, or if the module has a linear class but does not compute a product.
    """
    return not _is_a_product(module) or any(
        name in _weights_read(kind) for kind in type(parent).__mro__ if kind is not nn.Module
    )


def _is_a_product(module: nn.Module) -> bool:
    """Whether a linear module returns a tensor of a linear layer's shape; some routers and grouped
    products do not.
    """
    weight: Any = module.weight
    outputs, inputs = weight.shape if isinstance(module, nn.Linear) else weight.shape[::-1]
    with torch.no_grad(), suppress(Exception):  # its code may not accept this shape
        made = module(torch.zeros(1, 1, inputs, dtype=weight.dtype, device=weight.device))
        return isinstance(made, torch.Tensor) and made.shape == (1, 1, outputs)
    return False


@cache
def _weights_read(kind: type[nn.Module]) -> frozenset[str]:
    """Names of the modules whose weights a class's own methods read as tensors, outside its
    initialisation.
    """
    methods = [
        each for name, each in vars(kind).items() if inspect.isfunction(each) and "init" not in name
    ]
    read = re.compile(r"(?<!isinstance\()self\.(\w+)\.weight\b(?!\[|\.(?:dtype|device|shape|size))")
    found: set[str] = set()
    for method in methods:
        with suppress(OSError, TypeError):  # the source is not available
            found |= set(read.findall(inspect.getsource(method)))
    return frozenset(found)


def _left_out(model: nn.Module, late: nn.ModuleList) -> tuple[str, ...]:
    """Matrices of the layers that have no adapter because no linear module holds them; names with
    `*` for the layer.
    """
    inside = {id(weight) for weight in late.parameters()}
    adapted = ("lora_A", "lora_B", "base_layer")
    names = (
        _without_layer(name)
        for name, weight in model.named_parameters()
        if id(weight) in inside
        and weight.dim() > 1
        and not any(part in adapted for part in name.split("."))
    )
    return tuple(dict.fromkeys(names))


def _without_layer(name: str) -> str:
    """A weight's name with `*` for the number of its layer."""
    return re.sub(r"\.\d+\.", ".*.", name, count=1)


def _ends(model: nn.Module, settings: TrainSettings, *, default: bool) -> tuple[bool, bool]:
    """Whether embeddings and head are trained; for a tied pair the setting of one applies to
    both.
    """
    embeddings, head = settings.embeddings, settings.head
    if has_tied_head(model):
        said = {each for each in (embeddings, head) if each is not None}
        if len(said) > 1:
            raise ModelError(
                "embeddings and head of this model are one weight (tied): set train.embeddings or "
                "train.head"
            )
        embeddings = head = said.pop() if said else default
    return default if embeddings is None else embeddings, default if head is None else head


def _embeddings(model: nn.Module) -> list[nn.Module]:
    """Token and position embeddings."""
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]
