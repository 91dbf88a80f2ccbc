"""The parts of a model by name, as far as a model tells them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import nn

from hyperfitting.errors import ModelError


def text_config(model: nn.Module) -> Any:
    """The config; of a model of texts and images, its part for texts."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def vocabulary_size(model: nn.Module) -> int:
    """Words that the model chooses among."""
    known = getattr(text_config(model), "vocab_size", None)
    if isinstance(known, int):
        return known
    tables = [
        input_embeddings(model),
        *(each for each in model.modules() if isinstance(each, nn.Embedding)),
    ]
    first = next((each for each in tables if each is not None), None)
    if first is None:
        raise ModelError(
            "the size of its vocabulary is not known: set vocab_size in its config.json"
        )
    return len(first.weight)


def input_embeddings(model: nn.Module) -> Any:
    """The token embeddings; None where the model does not say which they are."""
    with suppress(AttributeError, NotImplementedError):
        return model.get_input_embeddings()  # type: ignore[operator]
    return None


def output_head(model: nn.Module) -> Any:
    """The head, which makes logits of hidden states; None where the model does not say which it is."""
    with suppress(AttributeError, NotImplementedError):
        return model.get_output_embeddings()  # type: ignore[operator]
    return None


def has_tied_head(model: nn.Module) -> bool:
    """Whether head and embeddings are one weight."""
    head, embeddings = output_head(model), input_embeddings(model)
    return (
        head is not None
        and embeddings is not None
        and getattr(head, "weight", None) is embeddings.weight
    )


def has_experts(model: nn.Module) -> bool:
    """Whether its layers send each token to some of many experts."""
    counts = ("num_local_experts", "num_experts", "n_routed_experts")
    return any(getattr(text_config(model), name, None) for name in counts)


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The list of the model's layers.

    Raises:
        ModelError: if none of its module lists is as long as its config says.
    """
    count = layer_count(model)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    counted = "layers" if count is None else f"{count} layers"
    raise ModelError(
        f"the {counted} of this architecture were not found: it cannot be trained in part"
    )


def layer_count(model: nn.Module) -> int | None:
    """The number of layers that the config names, if it names one."""
    count = getattr(text_config(model), "num_hidden_layers", None)
    return count if isinstance(count, int) else None


def attention_of(model: nn.Module) -> str:
    """The attention kernel in effect; `none` where the config names none."""
    return str(getattr(model.config, "_attn_implementation", None) or "none")


def set_attention(model: nn.Module, name: str) -> None:
    """Name another kernel, which those models use that look it up; nothing is checked."""
    model.config._attn_implementation = name  # type: ignore[union-attr]
