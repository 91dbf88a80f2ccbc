"""What is trained, by name: everything, the last layers, or low-rank adapters through peft; merged again for saving."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from hyperfitting.errors import ModelError, name_the_extra
from hyperfitting.models.adapt.parts import decoder_layers, has_tied_head, output_head
from hyperfitting.recipe import TrainSettings


@dataclass(frozen=True)
class Selection:
    """A model of which some weights are trained. Adapters are injected in place: `model` is what runs and trains."""

    model: nn.Module
    adapted: Any = None

    @property
    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Name and weight of everything that is trained; tied weights once."""
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def table(self) -> list[dict[str, Any]]:
        """Exactly what is trained: a row for all weights of one place in the layers, with its layers and parameters."""
        rows: dict[str, dict[str, Any]] = {}
        for name, weight in self.trained:
            layer = re.search(r"\.(\d+)\.", name)
            key = re.sub(r"\.\d+\.", ".*.", name, count=1)
            row = rows.setdefault(key, {"weights": key, "layers": [], "shape": list(weight.shape), "parameters": 0})
            row["layers"] += [int(layer[1])] if layer else []
            row["parameters"] += weight.numel()
        return list(rows.values())

    def merge(self) -> nn.Module:
        """The plain model, adapters added into the weights that they adapt: what is saved.

        In float32, whatever was trained: rounded to bfloat16, a sum with a small adapter is the weight that it was.
        """
        if self.adapted is None:
            return self.model
        self.model.float()
        merged: nn.Module = self.adapted.merge_and_unload()
        return merged


def select_trained(model: nn.Module, settings: TrainSettings) -> Selection:
    """Freeze all but what `train.parameters`, `train.embeddings` and `train.head` name.

    The last layers are B's "late stage" (section 6); B leaves open which modules its adapters sat on. Embeddings and
    head are trained as they are, never through adapters: an adapter on a tied weight cannot be merged into both uses.

    Raises:
        ModelError: more layers are asked for than there are, a target names no module, or tied weights are to part.
        MissingExtra: adapters are asked for and peft is not installed.
    """
    kind, _, last = settings.parameters.partition(":")
    model.requires_grad_(kind == "all")
    adapted = None
    if kind != "all":
        late = _late_layers(model, settings.parameters, int(last) if last else None)
        late.requires_grad_(kind == "last")
        adapted = None if kind == "last" else _adapt(model, late, settings)
    embeddings, head = _ends(model, settings, default=kind == "all")
    for module in _embeddings(model):
        module.requires_grad_(embeddings)
    if output_head(model) is not None:
        output_head(model).requires_grad_(head)
    return Selection(model, adapted)


def _late_layers(model: nn.Module, asked: str, last: int | None) -> nn.ModuleList:
    layers = decoder_layers(model)
    if last is not None and last > len(layers):
        raise ModelError(f"train.parameters = {asked!r}: the model has {len(layers)} layers")
    return layers if last is None else layers[-last:]


def _adapt(model: nn.Module, late: nn.ModuleList, settings: TrainSettings) -> Any:
    try:
        import peft
    except ModuleNotFoundError as error:
        raise name_the_extra(error) from error
    names = list(_targets(model, late, settings.lora.targets))
    if not names:
        raise ModelError("train.lora.targets: they name no linear module of the layers that are trained")
    modules = dict(model.named_modules())
    config = peft.LoraConfig(
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,  # type: ignore[arg-type]
        target_modules=names,  # whole names: patterns over layer numbers can be off by one, or silently match none
        fan_in_fan_out=any(isinstance(modules[name], Conv1D) for name in names),
        bias="none",
    )
    try:
        adapted = peft.LoraModel(model, config, "default")
    except ValueError as error:
        raise ModelError(f"train.lora.targets: peft cannot adapt {', '.join(names[:3])} ...: {error}") from error
    found = sorted(name for name, module in model.named_modules() if hasattr(module, "lora_A"))
    if found != sorted(names):
        missed = ", ".join(sorted(set(names) - set(found))[:3])
        raise ModelError(
            f"peft put adapters on {len(found)} of {len(names)} linear modules, not on {missed}: "
            "name others in train.lora.targets"
        )
    return adapted


def _targets(model: nn.Module, late: nn.ModuleList, targets: tuple[str, ...] | None) -> Iterator[str]:
    """Names, from the model's root, of the linear modules of the layers that are adapted."""
    inside = {id(module) for module in late.modules() if isinstance(module, nn.Linear | Conv1D)}
    linear = [name for name, module in model.named_modules() if id(module) in inside]
    ends = Counter(name.rpartition(".")[2] for name in linear)
    for target in targets or ():
        if target not in ends:
            raise ModelError(f"train.lora.targets: no linear module is named {target!r}; there are {', '.join(ends)}")
    yield from (name for name in linear if targets is None or name.rpartition(".")[2] in targets)


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
