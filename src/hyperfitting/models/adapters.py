"""Adapters of PEFT as a source: merged into plain weights of their base, and compared before that
is used (door to peft, with `trainable`).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from hyperfitting.errors import ModelError, kind_of, name_the_extra
from hyperfitting.models.adapt.compare import logits_match, plain_forward, texts_to_try
from hyperfitting.models.adapt.parts import has_tied_head, input_embeddings, output_head
from hyperfitting.models.locate import ADAPTER_CONFIG

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
"""Begins the name of a base model's module in an adapter's file."""


def adapter_names(folder: Path) -> set[str]:
    """The names of the weights in an adapter's file.

    Raises:
        ModelError: it has no safetensors file, or a damaged one.
    """
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        raise ModelError(
            f"the adapter has no {ADAPTER_WEIGHTS}; pickled weights can run code and are not read"
        )
    try:
        with safe_open(file, "pt") as tensors:
            return set(tensors.keys())
    except SafetensorError as error:
        raise ModelError(f"{ADAPTER_WEIGHTS} is damaged: download it again") from error


def unties(model: nn.Module, folder: Path) -> bool:
    """Whether an adapter gives tied embeddings and head of this base model two different values.

    peft changes both alike where the adapter says so, and where it trains single tokens of the
    embeddings.
    """
    if not has_tied_head(model) or _settings(folder).get("ensure_weight_tying"):
        return False
    embeddings, head = _places(model)
    return any(
        name.startswith(head) or (name.startswith(embeddings) and ".token_adapter." not in name)
        for name in adapter_names(folder)
    )


def _settings(folder: Path) -> Any:
    return json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))


def _places(model: nn.Module) -> list[str]:
    """How the names of an adapter's weights for the embeddings and for the head begin."""
    names = {module: name for name, module in model.named_modules()}
    return [f"{_PREFIX}{names[end]}." for end in (input_embeddings(model), output_head(model))]


def merge_adapter(model: Any, folder: Path, base: str) -> nn.Module:
    """The base model with the adapter in `folder` added to its weights, which are changed in place.

    A head that is tied to the embeddings gets weights of its own before, since peft would add both
    changes to the one weight; it is tied again unless the adapter gives the two different values.
    The logits of the merged model are compared with those of the base model, as it was, that
    carries the adapter. `base` names the base model in messages.

    Raises:
        ModelError: the adapter belongs to another base model, is of a kind that cannot be merged,
            or changes the logits when it is merged.
        MissingExtra: peft is not installed.
    """
    tied, separate = has_tied_head(model), unties(model, folder)
    head = output_head(model)
    with warnings.catch_warnings():  # of missing weights, which are an error here
        warnings.simplefilter("ignore")
        adapted = _with_adapter(model, folder, base)
        ids_BT, _ = texts_to_try(model)
        before_BTV = plain_forward(model, ids_BT)
        if tied:
            head.weight = nn.Parameter(head.weight.detach().clone())
        merged = _merged(adapted)
    if tied:
        merged.config.tie_word_embeddings = not separate
        merged.tie_weights()
    if not logits_match(plain_forward(merged, ids_BT), before_BTV, merged, large=False):
        raise ModelError(
            "the adapter changes the logits when it is merged: save the whole model instead"
        )
    return merged  # type: ignore[no-any-return]


def _merged(adapted: Any) -> Any:
    try:
        return adapted.merge_and_unload(safe_merge=True).eval()
    except (AttributeError, ValueError, NotImplementedError) as error:
        raise ModelError(
            f"an adapter of this kind cannot be merged ({kind_of(error)}): save the whole model"
        ) from error


def _with_adapter(model: nn.Module, folder: Path, base: str) -> Any:
    """The base model carrying the adapter, each of whose weights has found its place."""
    try:
        import peft
    except ModuleNotFoundError as error:
        raise name_the_extra(error) from error
    _refuse_config(folder)
    other = f"it is an adapter of another model than {base}, which its adapter_config.json names"
    try:
        adapted = peft.PeftModel.from_pretrained(model, str(folder), torch_device="cpu").eval()
        placed = set(peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
    except TypeError as error:
        raise _unread(kind_of(error)) from error
    except (ValueError, RuntimeError, KeyError) as error:
        raise ModelError(f"{other} ({kind_of(error)}): name its own") from error
    held, known = adapter_names(folder), set(adapted.state_dict())  # it may hold embeddings too
    if without := sorted((placed - held) | (held - placed - known)):
        raise ModelError(
            f"{other}: {len(without)} weights have no counterpart, {without[0]} first: name its own"
        )
    return adapted


def _refuse_config(folder: Path) -> None:
    """Refuse what no base model could carry, whose errors would be taken for those of another."""
    import peft

    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unread(kind_of(error)) from error
    rank = getattr(config, "r", 1)
    if type(rank) is not int or rank < 1:
        raise _unread(f"r = {rank!r} is no rank")
    ranks = _ranks(folder)
    others = any(getattr(config, each, None) for each in ("rank_pattern", "target_parameters"))
    if ranks and rank not in ranks and not others:
        raise _unread(f"r = {rank}, and its weights are of rank {min(ranks)}")


def _ranks(folder: Path) -> set[int]:
    """The ranks of the LoRA matrices in an adapter's file."""
    with safe_open(folder / ADAPTER_WEIGHTS, "pt") as tensors:
        names = [name for name in tensors.keys() if name.endswith(".lora_A.weight")]  # noqa: SIM118
        return {tensors.get_slice(name).get_shape()[0] for name in names}


def _unread(why: str) -> ModelError:
    return ModelError(
        f"its {ADAPTER_CONFIG} cannot be used ({why}): put back the one that its weights were "
        "saved with, or update peft"
    )
