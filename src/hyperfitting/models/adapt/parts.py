"""The parts of a model: config, embeddings, head, layers and attention."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import nn

from hyperfitting.errors import ModelError


def text_config(model: nn.Module) -> Any:
    """The config; for a model of texts and images, the text part of it."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def vocabulary_size(model: nn.Module) -> int:
    """The number of tokens that the model chooses among.

    Raises:
        ModelError: neither the config nor an embedding tells it.
    """
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
    """The module of the token embeddings; None if the model does not name it."""
    with suppress(AttributeError, NotImplementedError):
        return model.get_input_embeddings()  # type: ignore[operator]
    return None


def output_head(model: nn.Module) -> Any:
    """The module of the head, which computes logits from hidden states; None if the model does not
    name it.
    """
    with suppress(AttributeError, NotImplementedError):
        return model.get_output_embeddings()  # type: ignore[operator]
    return None


def has_tied_head(model: nn.Module) -> bool:
    """Whether head and embeddings share one weight."""
    head, embeddings = output_head(model), input_embeddings(model)
    return (
        head is not None
        and embeddings is not None
        and getattr(head, "weight", None) is embeddings.weight
    )


def has_experts(model: nn.Module) -> bool:
    """Whether the model is a mixture of experts, by its config."""
    counts = ("num_local_experts", "num_experts", "n_routed_experts")
    return any(getattr(text_config(model), name, None) for name in counts)


def decoder_layers(model: nn.Module) -> nn.ModuleList:
    """The list of the model's layers.

    Raises:
        ModelError: no module list has the length that the config names.
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
    """The number of layers in the config; None if the config has none."""
    count = getattr(text_config(model), "num_hidden_layers", None)
    return count if isinstance(count, int) else None


def attention_of(model: nn.Module) -> str:
    """The name of the attention kernel in use; `none` if the config names none."""
    return str(getattr(model.config, "_attn_implementation", None) or "none")


def set_attention(model: nn.Module, name: str) -> None:
    """Write another kernel's name into the config, unchecked; models that look it up there use
    it.
    """
    model.config._attn_implementation = name  # type: ignore[union-attr]
