"""GGUF files of tiny models, written as llama.cpp's converter writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

Q = gguf.GGMLQuantizationType
TEMPLATE = (
    "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
"""A chat template whose delimiters are special tokens."""


def tiny_shapes() -> dict[str, Any]:
    """A config by llama.cpp's name of its architecture, two layers deep; rows of 32 numbers, which
    is a block of most quantisations.
    """
    import transformers as t

    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
    }
    wide = {"head_dim": 32}
    gemma = {**shape, **wide, "query_pre_attn_scalar": 32, "sliding_window": 16}
    return {
        "llama": t.LlamaConfig(**shape, tie_word_embeddings=True, rope_theta=5e4),
        "mistral": t.MistralConfig(**shape, sliding_window=None),
        "qwen2": t.Qwen2Config(**shape),
        "qwen3": t.Qwen3Config(**shape, **wide),
        "gemma2": t.Gemma2Config(**gemma),
        "gemma3": t.Gemma3TextConfig(**gemma),
        "gpt2": t.GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=128),
    }


def tiny_gguf_model(name: str, vocabulary: int, **changes: Any) -> Any:
    """A random model of one of the shapes with some changes, whose attention is not flat."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    held = tiny_shapes()[name].to_dict()
    layers = {} if "num_hidden_layers" not in changes else {"layer_types": None}
    config = type(tiny_shapes()[name]).from_dict({**held, **layers, **changes})
    config.update({"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0})
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return model


def write_gguf(
    path: Path,
    model: Any,
    tokenizer: Any,
    name: str,
    kind: Any = Q.F32,
    change: Callable[[Any], None] = lambda writer: None,
    leave_out: str | None = None,
    template: str = TEMPLATE,
) -> Path:
    """Write the model and its tokenizer to one file, the matrices quantised as `kind`.

    `change` may add settings and tensors, `leave_out` names a tensor that is not written.
    """
    architecture = "llama" if name == "mistral" else name
    writer = gguf.GGUFWriter(path, architecture)
    add_settings(writer, model.config, architecture)
    add_tokenizer(writer, tokenizer, template)
    change(writer)
    layers = model.config.num_hidden_layers
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    names = gguf.get_tensor_name_map(arch, layers)
    tied = getattr(model.config, "tie_word_embeddings", False)
    for key, weight in model.state_dict().items():
        stem, _, end = key.rpartition(".")
        if (tied and stem == "lm_head") or end not in ("weight", "bias"):
            continue
        gguf_name = f"{names.get_name(stem)}.{end}"
        if gguf_name != leave_out:
            add_weight(
                writer, gguf_name, stored(weight, gguf_name, model.config, architecture), kind
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_settings(writer: Any, config: Any, architecture: str) -> None:
    text = config
    writer.add_block_count(text.num_hidden_layers)
    writer.add_context_length(text.max_position_embeddings)
    writer.add_embedding_length(text.hidden_size)
    writer.add_head_count(text.num_attention_heads)
    if architecture == "gpt2":
        writer.add_feed_forward_length(4 * text.hidden_size)
        writer.add_layer_norm_eps(text.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(text.intermediate_size)
    writer.add_head_count_kv(text.num_key_value_heads)
    writer.add_layer_norm_rms_eps(text.rms_norm_eps)
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    if architecture == "llama":
        writer.add_rope_dimension_count(width)
    if architecture in ("qwen3", "gemma2", "gemma3"):
        writer.add_key_length(width)
        writer.add_value_length(width)
    if architecture.startswith("gemma"):
        writer.add_sliding_window(text.sliding_window)
    else:
        writer.add_rope_freq_base(text.rope_parameters["rope_theta"])
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(text.attn_logit_softcapping)
        writer.add_final_logit_softcapping(text.final_logit_softcapping)


def add_tokenizer(writer: Any, tokenizer: Any, template: str) -> None:
    """A byte-level tokenizer as llama.cpp stores it."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = set(tokenizer.all_special_tokens)
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.CONTROL if t in special else kinds.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(each) for each in model["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)


def stored(weight: torch.Tensor, name: str, config: Any, architecture: str) -> Any:
    """A weight as llama.cpp holds it: rotated halves interleaved, Gemma's norms plus one, GPT-2's
    matrices turned.
    """
    values = weight.detach().float().numpy()
    if architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
        heads = config.num_attention_heads
        if ".attn_k." in name:
            heads = config.num_key_value_heads
        rest = values.shape[1:]
        return values.reshape(heads, 2, -1, *rest).swapaxes(1, 2).reshape(values.shape)
    if architecture.startswith("gemma") and name.endswith("norm.weight"):
        return values + 1
    turned = ("attn_qkv.weight", "ffn_down.weight", "ffn_up.weight", "attn_output.weight")
    return values.T if architecture == "gpt2" and name.endswith(turned) else values


def add_weight(writer: Any, name: str, values: Any, kind: Any) -> None:
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim < 2 or kind == Q.F32:
        writer.add_tensor(name, values)
        return
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
