"""Random models of the shapes that users bring, two layers deep."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def tiny_config(kind: str, vocabulary: int) -> Any:
    """A config of one of the shapes that users bring, two layers deep."""
    import transformers as t

    common = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    rotary = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    }
    gpt = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
    return {
        "llama": lambda: t.LlamaConfig(
            **common, **rotary, num_key_value_heads=2, tie_word_embeddings=True
        ),
        "qwen2": lambda: t.Qwen2Config(**common, **rotary, num_key_value_heads=2),
        "mistral": lambda: t.MistralConfig(
            **common, **rotary, num_key_value_heads=2, sliding_window=None
        ),
        "gpt2": lambda: t.GPT2Config(**common, **gpt),
        "gpt_neox": lambda: t.GPTNeoXConfig(**common, **rotary),
    }[kind]()


def make_model(
    folder: Path, tokenizer: Any, kind: str = "llama", *, dtype: str = "float32", **changes: Any
) -> Path:
    """A random model of one shape with the tiny tokenizer, saved as an ordinary folder; `changes`
    to its config.
    """
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = tiny_config(kind, len(tokenizer))
    config.update(changes)
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
