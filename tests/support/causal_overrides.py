"""Sizes of the tiny causal models: one for every name that architectures use, and what single types
need besides.
"""

from __future__ import annotations

from typing import Any

# Used where the config's default is a number, so that what is off by default (None) stays off.
SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("hidden_size", "n_embd", "d_model", "emb_dim", "hidden_size_global", "lru_width"), 32
    ),
    **dict.fromkeys(
        ("embedding_size", "embedding_dim", "input_embedding_size", "output_embedding_size"), 32
    ),
    **dict.fromkeys(("word_embed_proj_dim", "adapter_rank"), 32),
    **dict.fromkeys(
        (
            "decoder_layers",
            "encoder_layers",
            "num_decoder_layers",
            "num_encoder_layers",
            "num_blocks",
        ),
        2,
    ),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(
        ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), 4
    ),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(
        ("num_decoder_attention_heads", "num_encoder_attention_heads", "swa_num_attention_heads"), 4
    ),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads"), 2),
    **dict.fromkeys(
        ("head_dim", "dim_head", "d_head", "kv_channels", "swa_head_dim", "attention_head_size"), 8
    ),
    **dict.fromkeys(
        ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "global_head_dim", "rotary_dim"), 8
    ),
    **dict.fromkeys(
        ("q_lora_rank", "kv_lora_rank", "o_lora_rank", "gated_norm_rank", "laurel_rank"), 16
    ),
    **dict.fromkeys(
        ("intermediate_size", "ffn_dim", "ffn_hidden_size", "decoder_ffn_dim", "encoder_ffn_dim"),
        64,
    ),
    **dict.fromkeys(
        ("n_inner", "d_inner", "dff", "dim_ff", "feed_forward_size", "intermediate_size_mlp"), 64
    ),
    **dict.fromkeys(
        ("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 32
    ),
    **dict.fromkeys(
        ("shared_intermediate_size", "shared_experts_intermediate_size", "dense_intermediate_size"),
        32,
    ),
    "moe_shared_expert_intermediate_size": 32,
    **dict.fromkeys(("vocab_size", "decoder_vocab_size", "vocab_size_per_layer_input"), 4096),
    **dict.fromkeys(
        ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "context_length"), 128
    ),
    **dict.fromkeys(
        ("max_target_positions", "model_max_length", "original_max_position_embeddings"), 128
    ),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(
        ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts"), 2
    ),
    **dict.fromkeys(
        ("n_group", "topk_group", "num_expert_group", "n_shared_experts", "num_shared_experts"), 1
    ),
    **dict.fromkeys(("moe_num_shared_experts", "first_k_dense_replace", "num_dense_layers"), 1),
    **dict.fromkeys(
        ("sliding_window", "sliding_window_size", "window_size", "attention_window_size"), 16
    ),
    **dict.fromkeys(("local_attention", "attention_chunk_size", "index_topk"), 16),
    **dict.fromkeys(("state_size", "mamba_d_state", "ssm_state_size"), 8),
    **dict.fromkeys(("time_step_rank", "mamba_dt_rank"), 4),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size", "block_size"), 16),
    "index_head_dim": 16,
    # With few heads many scores are exactly 0, and which of them win is chance.
    "index_n_heads": 16,
    **dict.fromkeys(("linear_head_dim", "linear_key_head_dim", "linear_value_head_dim"), 8),
    **dict.fromkeys(("linear_num_heads", "linear_num_key_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("image_size", "patch_size"), 16),
}

_SLIDING_AND_FULL = {"layer_types": ["sliding_attention", "full_attention"]}
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8}
_SLIDING_MLA = {
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 4,
    "swa_head_dim": 16,
    "swa_v_head_dim": 8,
}
_SLIDING_MLA |= {"swa_q_lora_rank": 16, "swa_kv_lora_rank": 16, "swa_qk_nope_head_dim": 8}
_INDEXER = {"indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 8}
_INDEXER |= {"indexer_budget": 16, "indexer_compress_ratio": 4}
_GEMMA4_DRAFT = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
_SHARED_BLOCK = {"layers_block_type": ["linear_attention", "hybrid"] * 2, "num_hidden_layers": 4}

# What a type needs besides SIZES: sizes that depend on each other, and layers that its default
# config leaves out.
OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": _MAMBA | {"attn_layer_indices": [1]},
    "blt": {"encoder_hash_byte_group_vocab": 64, "encoder_hash_byte_group_size": [3, 4]},
    "cohere_compass_text": {
        "rope_parameters": {
            "full_attention": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
            }
        }
    },
    "dbrx": {
        "attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 64, "moe_top_k": 2},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "deepseek_v4": {
        "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 8},
        "o_groups": 2,
    },
    "dots1": _SLIDING_AND_FULL
    | {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note_audio_encoder": {
        "adapter_input_size": 32,
        "adapter_out_dim": 32,
        "downsample_hidden_size": 8,
    },
    "dots3_note_text": _SLIDING_MLA,
    "dots3_note_vision_encoder": {"adapter_in_dim": 32, "adapter_out_dim": 32},
    "falcon_h1": _MAMBA | {"mamba_d_ssm": 64},
    "gemma3n_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "hidden_size_per_layer_input": 8,
        "intermediate_size": 64,
    },
    "gemma4_assistant": {
        "backbone_hidden_size": 32,
        "text_config": {"model_type": "gemma4_text"} | _GEMMA4_DRAFT,
    },
    "gemma4_text": {"global_head_dim": 16, "hidden_size_per_layer_input": 8},
    "gemma4_unified_assistant": {"backbone_hidden_size": 32},
    "gemma4_unified_text": {"global_head_dim": 16},
    "got_ocr2_vision": {"output_channels": 8, "mlp_dim": 32, "global_attn_indexes": [0]},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": _MAMBA | {"layer_types": ["linear_attention", "full_attention"]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8, "num_experts": 4, "moe_topk": 2},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "laguna": _SLIDING_AND_FULL,
    "lfm2": {"layer_types": ["conv", "full_attention"], "full_attn_idxs": None},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "llama4_text": {"no_rope_layer_interval": 2},
    "longcat_flash": {"zero_expert_num": 2},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 2},
    "mellum": _SLIDING_AND_FULL,
    "minimax_m3_vl_text": {
        "layer_types": ["full_attention", "minimax_m3_sparse"],
        "mlp_layer_types": ["dense", "sparse"],
        "index_n_heads": 2,
        "index_block_size": 4,
        "index_topk_blocks": 2,
    },
    "ministral": _SLIDING_AND_FULL | {"head_dim": 8},
    "nemotron": {"num_key_value_heads": 2},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 2},
    "phi4_multimodal": {"eos_token_id": [0]},  # takes a plain 0 for none
    "phi4_multimodal_audio": {
        "ext_pw_out_channel": 32,
        "depthwise_separable_out_channel": 32,
        "nemo_conv_channels": 8,
    },
    "qwen4_exp_text": _INDEXER | {"hc_lowrank": 16},
    "reformer": {
        "is_decoder": True,
        "axial_pos_embds": False,
        "attn_layers": ["local", "lsh"],
        "hash_seed": 0,
        "num_buckets": 4,
        "local_attn_chunk_length": 16,
        "lsh_attn_chunk_length": 16,
    },
    "roc_bert": {
        "pronunciation_embed_dim": 8,
        "pronunciation_vocab_size": 16,
        "shape_embed_dim": 8,
        "shape_vocab_size": 16,
    },
    "smollm3": {"no_rope_layers": [1, 0]},
    "xlstm": {"hidden_size": 64, "embedding_dim": 64, "qk_dim_factor": 1.0},
    "xmod": {"default_language": "en_XX"},
    "zamba": _SHARED_BLOCK,
    "zamba2": _SHARED_BLOCK | {"mamba_headdim": 8},
    "zaya": {
        "num_experts_per_tok": 1,
        "layer_types": ["hybrid", "hybrid_sliding"],
        "sliding_window": 16,
    },
}

_DECODER = {"is_decoder": True}
_BERTS = (
    "bert",
    "bert-generation",
    "big_bird",
    "camembert",
    "data2vec-text",
    "electra",
    "ernie",
    "megatron-bert",
)
_BERTS += (
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
    "rembert",
    "roc_bert",
    "roformer",
)
_SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
_LONG_ROTATIONS = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [4.0] * 4,
}

# Name -> (model type, what differs from the type's own small config).
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{kind}, is_decoder=true": (kind, _DECODER) for kind in _BERTS},
    "big_bird, is_decoder=true, original_full": (
        "big_bird",
        _DECODER | {"attention_type": "original_full"},
    ),
    "falcon, multi_query off": ("falcon", {"multi_query": False, "num_kv_heads": 4}),
    "falcon, new_decoder_architecture": (
        "falcon",
        {"new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon, new_decoder_architecture, one norm": (
        "falcon",
        {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
    ),
    "falcon, alibi": ("falcon", {"alibi": True}),
    "falcon, alibi, parallel_attn off, bias": (
        "falcon",
        {
            "alibi": True,
            "multi_query": False,
            "num_kv_heads": 4,
            "parallel_attn": False,
            "bias": True,
        },
    ),
    "falcon, parallel_attn off": ("falcon", {"parallel_attn": False}),
    "gpt_bigcode, multi_query off": ("gpt_bigcode", {"multi_query": False}),
    "mistral, no sliding window": ("mistral", {"sliding_window": None}),
    "mixtral, sliding window": ("mixtral", {"sliding_window": 16}),
    "phi3, sliding window": ("phi3", {"sliding_window": 16}),
    "phi3, rotations of long texts": (
        "phi3",
        {"original_max_position_embeddings": 24, "rope_parameters": _LONG_ROTATIONS},
    ),
    "qwen2, sliding window": ("qwen2", _SLIDING | {"use_sliding_window": True}),
    "qwen3, sliding window": ("qwen3", _SLIDING | {"use_sliding_window": True}),
    "starcoder2, sliding window": ("starcoder2", {"sliding_window": 16}),
    "gemma2, sliding windows only": ("gemma2", {"layer_types": ["sliding_attention"] * 2}),
    "gemma3_text, no sliding window": ("gemma3_text", {"layer_types": ["full_attention"] * 2}),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, dynamic rotations": (
        "llama",
        {
            "max_position_embeddings": 24,
            "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
        },
    ),
    "gpt_neox, parallel residual off": ("gpt_neox", {"use_parallel_residual": False}),
    "llama, tied embeddings": ("llama", {"tie_word_embeddings": True}),
    "doge, is_moe=true": ("doge", {"is_moe": True}),
    "doge, keep_window_size=16": ("doge", {"keep_window_size": 16}),
    "nemotron_h, time_step_min=1e-9": ("nemotron_h", {"time_step_min": 1e-9}),
    "zamba2, time_step_min=1e-9": ("zamba2", {"time_step_min": 1e-9}),
    **{
        f"{kind}, bidirectional": (kind, {"use_bidirectional_attention": True})
        for kind in ("gemma", "gemma3_text")
    },
    "gemma4_text, bidirectional": ("gemma4_text", {"use_bidirectional_attention": "all"}),
    "electra, is_decoder=true, narrow embeddings": ("electra", _DECODER | {"embedding_size": 16}),
    "opt, narrow embeddings": ("opt", {"word_embed_proj_dim": 16}),
    "opt, norm after": ("opt", {"do_layer_norm_before": False}),
    "xlm, causal=true": ("xlm", {"causal": True}),
    "xlnet, attn_type=uni": ("xlnet", {"attn_type": "uni"}),
}

_DECODER_ONLY = (
    "AutoModelForCausalLM hands {} to the class of its decoder, which knows only the decoder's "
    "own config"
)
_ALL_SHARED = (
    "its config demands that every layer reuses another's keys, which {}.kv_sharing_modes refuses"
)

# Model types of which this transformers makes no model from a config, and why.
NOT_BUILDABLE: dict[str, str] = {
    "gemma3n": "its vision part needs the package timm",
    "gemma4_assistant": _ALL_SHARED.format("Gemma4TextConfig"),
    "gemma4_unified_assistant": _ALL_SHARED.format("Gemma4UnifiedTextConfig"),
    "musicgen": _DECODER_ONLY.format("MusicgenConfig"),
    "musicgen_melody": _DECODER_ONLY.format("MusicgenMelodyConfig"),
}
