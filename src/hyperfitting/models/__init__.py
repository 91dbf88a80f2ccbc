"""The door to transformers and peft: load, choose what is trained, decode, score, save."""

from hyperfitting.models.attention import attention_of, prefer_attention
from hyperfitting.models.codec import TextCodec
from hyperfitting.models.devices import (
    Precision,
    autocast,
    describe_device,
    device_of,
    keep_freed_memory,
    memory_bytes,
    resolve_device,
    resolve_precision,
    thread_count,
    weights_dtype,
)
from hyperfitting.models.heads import keep_head_exact
from hyperfitting.models.loading import (
    Reader,
    assert_dtype,
    build_empty,
    check_length,
    count_parameters,
    load_codec,
    load_config,
    load_model,
    load_reader,
)
from hyperfitting.models.rounding import round_once
from hyperfitting.models.running import CachedModel, last_hidden_states, rank_choices, score_texts
from hyperfitting.models.saving import save_model
from hyperfitting.models.selection import (
    Selection,
    decoder_layers,
    has_experts,
    select_trained,
    vocabulary_size,
)

__all__ = [
    "CachedModel",
    "Precision",
    "Reader",
    "Selection",
    "TextCodec",
    "assert_dtype",
    "attention_of",
    "autocast",
    "build_empty",
    "check_length",
    "count_parameters",
    "decoder_layers",
    "describe_device",
    "device_of",
    "has_experts",
    "keep_freed_memory",
    "keep_head_exact",
    "last_hidden_states",
    "load_codec",
    "load_config",
    "load_model",
    "load_reader",
    "memory_bytes",
    "prefer_attention",
    "rank_choices",
    "resolve_device",
    "resolve_precision",
    "round_once",
    "save_model",
    "score_texts",
    "select_trained",
    "thread_count",
    "vocabulary_size",
    "weights_dtype",
]
