"""What is trained, by name: everything, the last layers, or low-rank adapters through peft; merged again for saving."""

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
from hyperfitting.records import TrainedWeights


@dataclass(frozen=True)
class TrainableModel:
    """A model of which some weights are trained. Adapters are injected in place: `model` is what runs and trains.

    `left_out` are the matrices of the adapted layers that have no adapter, where every linear module is asked for.
    """

    model: nn.Module
    adapted: Any = None
    left_out: tuple[str, ...] = ()

    @property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Name and weight of everything that is trained; tied weights once."""
        return [
            (name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad
        ]

    def table(self) -> list[TrainedWeights]:
        """Exactly what is trained: a row for all weights of one place in the layers, with its layers and parameters."""
        rows: dict[str, TrainedWeights] = {}
        for name, weight in self.trained:
            layer = re.search(r"\.(\d+)\.", name)
            key = _place(name)
            row = rows.get(key) or TrainedWeights(key, (), tuple(weight.shape), 0)
            layers = (*row.layers, int(layer[1])) if layer else row.layers
            count = row.parameters + weight.numel()
            rows[key] = replace(row, layers=layers, parameters=count)
        return list(rows.values())

    def merge(self) -> nn.Module:
        """The plain model, adapters added into the weights that they adapt: what is saved.

        In float32, whatever was trained: rounded to bfloat16, a sum with a small adapter is the weight that it was.
        """
        if self.adapted is None:
            return self.model
        self.model.float()
        self.adapted.merge_and_unload()  # in place, in the layers of the model
        return self.model


def select_trained(model: nn.Module, settings: TrainSettings) -> TrainableModel:
    """Freeze all but what `train.parameters`, `train.embeddings` and `train.head` name.

    The last layers are B's "late stage" (section 6); B leaves open which modules its adapters sat on. Embeddings and
    head are trained as they are, never through adapters: an adapter on a tied weight cannot be merged into both uses.

    Raises:
        ModelError: more layers are asked for than there are, a target names no module, or tied weights are to part.
        MissingExtra: adapters are asked for and peft is not installed.
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
    """Adapters on the linear modules of the layers, put there by peft.

    It is given the layers and not the model: of a known type of model, it takes names for those of an older version,
    and moves adapters from shared experts to all of them.
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
        target_modules=names,  # whole names: patterns over layer numbers can be off by one, or silently match none
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
    """Names, in the layers, of the linear modules that are adapted."""
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
                f"train.lora.targets: an adapter on {target!r} would do nothing, since the model's code reads its "
                "weight without calling it: leave it out"
            )
    yield from (
        name
        for name, end in linear.items()
        if name not in bypassed and (targets is None or end in targets)
    )


def _is_bypassed(parent: nn.Module, name: str, module: nn.Module) -> bool:
    """Whether the parent's code reads the weight of a linear module beside calling it, as fused kernels of state-space
    models do, or the module is linear only by its class: an adapter would not, or not always, be added to its output.
    """
    return not _is_a_product(module) or any(
        name in _weights_read(kind) for kind in type(parent).__mro__ if kind is not nn.Module
    )


def _is_a_product(module: nn.Module) -> bool:
    """Whether a linear module gives what one gives: routers and grouped products are such modules by class too."""
    weight: Any = module.weight
    outputs, inputs = weight.shape if isinstance(module, nn.Linear) else weight.shape[::-1]
    with torch.no_grad(), suppress(Exception):  # whatever its code does with another shape
        made = module(torch.zeros(1, 1, inputs, dtype=weight.dtype, device=weight.device))
        return isinstance(made, torch.Tensor) and made.shape == (1, 1, outputs)
    return False


@cache
def _weights_read(kind: type[nn.Module]) -> frozenset[str]:
    """Names of the modules whose weights a class's own methods take as tensors, apart from where it makes them."""
    methods = [
        each for name, each in vars(kind).items() if inspect.isfunction(each) and "init" not in name
    ]
    read = re.compile(r"(?<!isinstance\()self\.(\w+)\.weight\b(?!\[|\.(?:dtype|device|shape|size))")
    found: set[str] = set()
    for method in methods:
        with suppress(OSError, TypeError):  # no source at hand
            found |= set(read.findall(inspect.getsource(method)))
    return frozenset(found)


def _left_out(model: nn.Module, late: nn.ModuleList) -> tuple[str, ...]:
    """Matrices of the layers that have no adapter, by their place in the layers: what no linear module holds."""
    inside = {id(weight) for weight in late.parameters()}
    adapted = ("lora_A", "lora_B", "base_layer")
    names = (
        _place(name)
        for name, weight in model.named_parameters()
        if id(weight) in inside
        and weight.dim() > 1
        and not any(part in adapted for part in name.split("."))
    )
    return tuple(dict.fromkeys(names))


def _place(name: str) -> str:
    """A weight's name with a star for the number of its layer."""
    return re.sub(r"\.\d+\.", ".*.", name, count=1)


def _ends(model: nn.Module, settings: TrainSettings, *, default: bool) -> tuple[bool, bool]:
    """Whether embeddings and head are trained; a tied pair is one weight, so what is said of one goes for both."""
    embeddings, head = settings.embeddings, settings.head
    if has_tied_head(model):
        said = {each for each in (embeddings, head) if each is not None}
        if len(said) > 1:
            raise ModelError(
                "embeddings and head of this model are one weight (tied): set train.embeddings or train.head"
            )
        embeddings = head = said.pop() if said else default
    return default if embeddings is None else embeddings, default if head is None else head


def _embeddings(model: nn.Module) -> list[nn.Module]:
    """Token and position embeddings."""
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]
