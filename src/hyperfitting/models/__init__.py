"""The door to transformers and peft: load a model, select what is trained, decode, score, save."""

from hyperfitting.models.adapt import (
    inspect_model,
    remember_traits,
    stepper,
    traits_of,
)
from hyperfitting.models.adapt.compare import refuse_full_memory
from hyperfitting.models.adapt.decoding import NO_CACHE
from hyperfitting.models.adapt.head import (
    give_head,
    has_plain_head,
    head_is_one_product,
    keep_head_exact,
)
from hyperfitting.models.adapt.parts import (
    attention_of,
    decoder_layers,
    has_experts,
    input_embeddings,
    output_head,
    set_attention,
    vocabulary_size,
)
from hyperfitting.models.adapt.patches import cast_norm_outputs, castable_norms, prefer_attention
from hyperfitting.models.chat import fill_template
from hyperfitting.models.codec import TextCodec
from hyperfitting.models.description import source_of, tokenizer_traits
from hyperfitting.models.devices import (
    Precision,
    autocast,
    describe_device,
    device_of,
    keep_freed_memory,
    memory_bytes,
    resolve_device,
    resolve_precision,
    return_freed_memory,
    weights_dtype,
)
from hyperfitting.models.loading import (
    ScoringModel,
    assert_dtype,
    build_empty,
    check_length,
    count_parameters,
    load_codec,
    load_config,
    load_model,
    load_scoring_model,
    positions_of,
)
from hyperfitting.models.saving import save_model
from hyperfitting.models.scoring import (
    ScoredContinuation,
    ScoredText,
    accepts_chunks_of,
    last_hidden_states,
    score_continuations,
    score_rows,
    score_texts,
    stack_scores,
)
from hyperfitting.models.stepping import Stepper, plain_logits
from hyperfitting.models.trainable import TrainableModel, select_trained

__all__ = [
    "NO_CACHE",
    "Precision",
    "ScoredContinuation",
    "ScoredText",
    "ScoringModel",
    "Stepper",
    "TextCodec",
    "TrainableModel",
    "accepts_chunks_of",
    "assert_dtype",
    "attention_of",
    "autocast",
    "build_empty",
    "cast_norm_outputs",
    "castable_norms",
    "check_length",
    "count_parameters",
    "decoder_layers",
    "describe_device",
    "device_of",
    "fill_template",
    "give_head",
    "has_experts",
    "has_plain_head",
    "head_is_one_product",
    "input_embeddings",
    "inspect_model",
    "keep_freed_memory",
    "keep_head_exact",
    "last_hidden_states",
    "load_codec",
    "load_config",
    "load_model",
    "load_scoring_model",
    "memory_bytes",
    "output_head",
    "plain_logits",
    "positions_of",
    "prefer_attention",
    "refuse_full_memory",
    "remember_traits",
    "resolve_device",
    "resolve_precision",
    "return_freed_memory",
    "save_model",
    "score_continuations",
    "score_rows",
    "score_texts",
    "select_trained",
    "set_attention",
    "source_of",
    "stack_scores",
    "stepper",
    "tokenizer_traits",
    "traits_of",
    "vocabulary_size",
    "weights_dtype",
]
