"""A tiny model with large random weights of every type in transformers' table of causal language
models.

The weights are redrawn so that queries, scores and logits are far from uniform: with the usual
initialisation (0.02) attention is flat and a wrong position, mask or cache hardly moves a logit, so
that a test of decoding could not fail. `python -m tests.support.causal_models [type ...]
[table.json]` prints what transformers itself makes of each.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.support.causal_overrides import NOT_BUILDABLE, OVERRIDES, SIZES, VARIANTS

__all__ = ["NOT_BUILDABLE", "build", "config", "model_types", "redraw", "save", "variants"]

VOCABULARY = 4096  # as the tokenizer of asset:reference-lm, with its one special token as 0
SEED = 9  # one with which no greedy text is a single token over and over
SMALL_STD = 0.1  # of what is added to biases and norms, so that leaving one out shows
# Left as they are, because what is stable depends on their initial values: decays, time steps,
# mixing coefficients.
_DYNAMICS = re.compile(
    r"A_log|dt_bias|(mixer|mamba)\.dt_|time_decay|time_first|lambda_|recurrent_param|alpha_|\.D$"
)
_TOKENS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "forced_eos_token_id": None}
_LISTS = ("layer_types", "mlp_layer_types", "layers_block_type", "block_types", "indexer_types")


def model_types() -> list[str]:
    """Every model type in the causal table of the installed transformers."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def variants() -> dict[str, tuple[str, dict[str, Any]]]:
    """Further rows: name -> (model type, settings that differ from the ones `build` uses for that
    type).
    """
    return VARIANTS


def config(name: str) -> Any:
    """The small config of a model type or a variant; ValueError for a name that is neither."""
    from transformers import CONFIG_MAPPING

    model_type, changes = VARIANTS.get(name, (name, {}))
    if model_type not in model_types():
        raise ValueError(f"{name}: neither a causal model type of this transformers nor a variant")
    return _small(CONFIG_MAPPING[model_type], {**OVERRIDES.get(model_type, {}), **changes})


def build(name: str) -> Any:
    """The model of a type or a variant: evaluation mode, float32, CPU, the same weights at every
    call.
    """
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = AutoModelForCausalLM.from_config(config(name), dtype=torch.float32)
    redraw(model)
    return model.eval()


def save(name: str, folder: Path) -> Any:
    """Builds the model into `folder` with the config of the type that was asked for, and returns
    it.

    A type that wraps a text model is built as that text model, whose own config
    AutoModelForCausalLM may not know.
    """
    model, asked = build(name), config(name)
    model.save_pretrained(folder)
    if type(asked) is not type(model.config):
        asked.save_pretrained(folder)
    return model


def _small(config_class: Any, overrides: dict[str, Any]) -> Any:
    """A config with small sizes wherever the class has a number by default, its inner configs
    likewise.
    """
    inner = getattr(config_class, "sub_configs", None) or {}
    default = config_class(**{name: overrides[name] for name in inner if name in overrides})
    names = {field.name for field in dataclasses.fields(config_class) if field.init}
    stored = vars(default)  # not getattr, which refuses what may differ between layers
    known = {name: stored.get(name, stored.get(default.attribute_map.get(name))) for name in names}
    settings = {k: v for k, v in SIZES.items() if _is_number(known.get(k))} | _layers(known)
    settings |= {k: v for k, v in _TOKENS.items() if k in names}
    if "kv_lora_rank" in names and "num_key_value_heads" in names:
        settings["num_key_value_heads"] = SIZES[
            "num_attention_heads"
        ]  # latent attention has a key for every head
    settings |= {k: v for k, v in overrides.items() if k not in inner}
    settings |= {
        k: _inner(known[k], overrides.get(k, {})) for k in inner if known.get(k) is not None
    }
    return config_class(**settings)


def _inner(default: Any, changes: dict[str, Any]) -> Any:
    """The small config for a part of a model, of the class of its default."""
    changes = {k: v for k, v in changes.items() if k != "model_type"}
    return _small(type(default), {**OVERRIDES.get(default.model_type, {}), **changes})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _layers(known: dict[str, Any]) -> dict[str, Any]:
    """Lists of layer kinds that hold every kind of the default config once, and their common
    length.
    """
    kinds = {k: list(dict.fromkeys(known[k])) for k in _LISTS if known.get(k)}
    count = max([2, *map(len, kinds.values())])
    lists = {k: v + v[-1:] * (count - len(v)) for k, v in kinds.items()}
    return lists | {
        k: count for k in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if k in known
    }


@torch.no_grad()
def redraw(model: Any) -> None:
    """Draws every weight again: matrices with std 2/sqrt(fan in), embeddings with std 1, the rest
    near its start.

    Half of a norm's weights change their sign. Without that a model with tied embeddings repeats
    its last token for ever: the token's own embedding, still in the residual stream, is the best
    match for itself.
    """
    generator = torch.Generator().manual_seed(SEED)
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, weight in module.named_parameters(recurse=False):
            if (
                id(weight) not in seen
                and weight.requires_grad
                and not _DYNAMICS.search(f"{path}.{name}")
            ):
                _draw(module, weight, generator)
            seen.add(id(weight))
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    for weight in {
        id(matrix.weight): matrix.weight for matrix in ends if matrix is not None
    }.values():
        weight[0] *= 0.01  # token 0 ends a text and is never the likeliest


def _draw(module: Any, weight: Any, generator: torch.Generator) -> None:
    noise = torch.randn(weight.shape, generator=generator)
    if weight.dim() < 2:
        if "Norm" in type(module).__name__ and module._parameters.get("weight") is weight:
            _flip(weight, generator)
        weight.add_(noise * SMALL_STD)
    elif isinstance(module, nn.Embedding):
        weight.copy_(noise)
    else:
        weight.copy_(noise * 2 / _fan_in(module, weight) ** 0.5)


def _flip(weight: Any, generator: torch.Generator) -> None:
    """Changes the sign of half of a norm's factors, `weight` or, where that starts from zero, `1 +
    weight`.
    """
    offset = 0.0 if weight.any() else 1.0
    signs = torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1
    weight.copy_((weight + offset) * signs - offset)


def _fan_in(module: Any, weight: Any) -> int:
    """Inputs to one output: Linear (out, in), experts (E, out, in), GPT-2's Conv1D (in, out),
    Conv1d (out, in, k).
    """
    if type(module).__name__ == "Conv1D":
        return int(weight.shape[0])
    convolution = isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    return int(weight[0].numel()) if convolution else int(weight.shape[-1])


if __name__ == "__main__":
    import sys

    from tests.support.causal_survey import main

    main(sys.argv[1:])
