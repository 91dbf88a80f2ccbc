"""The positions of a model in a GGUF file, most of whose settings the reader of transformers drops.

Linear scaling and that of Llama 3.1 and later are set, and what differs otherwise is refused.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import transformers

from hyperfitting.errors import ModelError
from hyperfitting.models.gguf_files import FACTORS, GgufFile

_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LLAMA3_POSITIONS = 8192


def set_positions(file: GgufFile, config: Any) -> None:
    """Scale the positions of a config as the file says.

    Raises:
        ModelError: the file scales them in a way that is not read here, or the reader of
            transformers left out another of its settings of positions.
    """
    held = getattr(config, "rope_parameters", None)
    if not held:
        return
    rope = held.get("full_attention", held)  # Gemma 3 has others for its layers with a window
    _scale_linearly(file, rope)
    if file.rope_factors:
        _scale_as_llama3(file, config)
    local = held.get("sliding_attention", {}).get("rope_theta")
    _refuse_other(file, "rope.freq_base", rope.get("rope_theta"))
    _refuse_other(file, "rope.freq_base_swa", local)
    _refuse_other(file, "rope.dimension_count", _rotated(config, rope))


def _scale_linearly(file: GgufFile, rope: dict[str, Any]) -> None:
    """llama.cpp takes a factor without a type as linear; its older files name it otherwise."""
    kind = file.of_model("rope.scaling.type")
    factor = file.of_model("rope.scaling.factor") or file.of_model("rope.scale_linear") or 1.0
    if kind in (None, "linear") and factor != 1.0:
        rope.update(rope_type="linear", factor=float(factor))
    elif kind not in (None, "linear", "none") and rope.get("rope_type") != kind:
        raise _unread(file, f"rope.scaling.type = {kind!r}")


def _unread(file: GgufFile, setting: str) -> ModelError:
    return ModelError(
        f"the GGUF file sets {file.architecture}.{setting}, which transformers does not read from "
        "it: take the model as safetensors"
    )


def _rotated(config: Any, rope: dict[str, Any]) -> int:
    """How many numbers of a head are turned by its position."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(width * rope.get("partial_rotary_factor", 1.0))


def _refuse_other(file: GgufFile, name: str, read: float | None) -> None:
    """Refuse a setting of the file that differs from what the config came to."""
    said = file.of_model(name)
    if said is not None and (read is None or not math.isclose(said, read, rel_tol=1e-5)):
        raise _unread(file, f"{name} = {said:g}")


def _scale_as_llama3(file: GgufFile, config: Any) -> None:
    """Set `rope_type = "llama3"` where that gives the factors for each frequency in the file."""
    rope = config.rope_parameters
    if rope.get("rope_type") != "default":
        raise _unlike_llama3()
    base = rope["rope_theta"]
    rope.update(
        rope_type="llama3",
        factor=max(file.rope_factors),
        original_max_position_embeddings=_LLAMA3_POSITIONS,
        **_LLAMA3,
    )
    frequencies, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config)
    plain = base ** -(torch.arange(0, 2 * len(frequencies), 2) / (2 * len(frequencies)))
    factors = torch.tensor(file.rope_factors)
    if factors.shape != plain.shape or not torch.allclose(plain / factors, frequencies, rtol=1e-4):
        raise _unlike_llama3()


def _unlike_llama3() -> ModelError:
    return ModelError(
        f"the GGUF file scales its positions ({FACTORS}) in a way that is not Llama 3's: take "
        "the model as safetensors"
    )
