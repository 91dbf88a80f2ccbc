"""The parts of a model: config, embeddings, head, layers and attention."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from torch import Tensor, nn

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


def positions_of(config: Any) -> int | None:
    """The number of tokens that a model of this config was built for; None if the config names no
    limit.
    """
    configs, names = (config, config.get_text_config()), ("max_position_embeddings", "n_positions")
    found = (getattr(each, name, None) for each in configs for name in names)
    return next((each for each in found if isinstance(each, int) and each > 0), None)


def is_image_model(config: Any) -> bool:
    """Whether a model of this config continues images: ImageGPT, by its type."""
    return getattr(config, "model_type", None) == "imagegpt"


def predicting_ids(model: nn.Module, ids_BT: Tensor) -> Tensor:
    """The tokens that a model must read to predict all but the first of them: (B, T), or (B, T - 1)
    of an image model that has no position for the last one.

    Other models read the last token too, though nothing is predicted from it.
    """
    config: Any = getattr(model, "config", None)
    whole = is_image_model(config) and ids_BT.shape[1] == (positions_of(config) or 0) + 1
    return ids_BT[:, :-1] if whole else ids_BT


def predicted_tokens(model: nn.Module) -> int:
    """The number of tokens that can be predicted: an image model's start token, its last, cannot.

    Raises:
        ModelError: as `vocabulary_size`.
    """
    return vocabulary_size(model) - is_image_model(model.config)


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
