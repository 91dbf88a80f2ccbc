"""Config, tokenizer and weights of a GGUF file as transformers reads them.

The weights are dequantised. What the reader of transformers does not take from a file, or would
take wrongly, is refused or completed here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import nn

from hyperfitting.errors import ModelError
from hyperfitting.models.gguf_files import GgufFile, read_gguf
from hyperfitting.models.gguf_positions import set_positions


@contextmanager
def _alone(file: Path) -> Iterator[dict[str, str]]:
    """A folder with nothing but the file, as transformers takes it: what stands beside a file, such
    as a tokenizer.json or an adapter, would be read in its place.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / file.name).symlink_to(file.resolve())
        yield {"pretrained_model_name_or_path": folder, "gguf_file": file.name}


def gguf_tokenizer(file: GgufFile) -> Any:
    """The tokenizer in the file, without the tokens that the reader of transformers adds to it.

    Raises:
        ModelError: it is of a kind that the reader does not know, or is not whole.
    """
    _refuse_other_tokenizers(file)
    return deepcopy(_tokenizer_once(file.path, file.path.stat().st_mtime_ns))


def _refuse_other_tokenizers(file: GgufFile) -> None:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_TOKENIZER_TYPES

    kind = file.settings.get("tokenizer.ggml.model")
    if kind not in GGUF_TOKENIZER_TYPES:
        raise ModelError(
            f"the tokenizer in the GGUF file is of the kind {kind!r}, which transformers does not "
            "read from it: take the model as safetensors"
        )
    needed = {"gpt2": {"merges"}, "t5": {"scores"}}.get(str(kind), {"merges", "scores"})
    if not any(f"tokenizer.ggml.{each}" in file.lists for each in needed):
        names = " or ".join(f"tokenizer.ggml.{each}" for each in sorted(needed))
        raise ModelError(f"the tokenizer in the GGUF file lacks {names}: take another file")
    for name in ("bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id"):
        number = file.settings.get(f"tokenizer.ggml.{name}", 0)
        if not 0 <= number < file.tokens:
            raise ModelError(
                f"the GGUF file: tokenizer.ggml.{name} = {number}, and its tokens are 0 to "
                f"{file.tokens - 1}: take another file"
            )


def gguf_ends(file: GgufFile) -> dict[str, int | None]:
    """The ids that end a text or a turn, by the setting that names each.

    Raises:
        ModelError: the file names none.
    """
    if all(each is None for each in file.end_ids.values()):
        raise ModelError(
            "the GGUF file names no token that ends a text (tokenizer.ggml.eos_token_id): take "
            "another file"
        )
    return file.end_ids


@cache
def _tokenizer_once(path: Path, *state: int) -> Any:
    """transformers builds some with the defaults of its own GPT-2, which have no embedding here."""
    with _alone(path) as place:
        read = transformers.PreTrainedTokenizerFast.from_pretrained(**place)
    size = read_gguf(path).tokens
    added = {token for token, number in read.get_vocab().items() if number >= size}
    rules = json.loads(read.backend_tokenizer.to_str())
    rules["added_tokens"] = [each for each in rules["added_tokens"] if each["id"] < size]
    if isinstance(vocabulary := rules["model"]["vocab"], dict):
        rules["model"]["vocab"] = {
            token: number for token, number in vocabulary.items() if number < size
        }
    if read_gguf(path).settings.get("tokenizer.ggml.add_space_prefix") is False:
        _begin_without_space(rules)
    special = {name: token for name, token in read.special_tokens_map.items() if token not in added}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(rules)),
        chat_template=read.chat_template,
        **special,
    )


def _begin_without_space(rules: dict[str, Any]) -> None:
    """Take out what puts a space before a text, and drops one in decoding: transformers builds the
    tokenizers of Llama 2's kind so, whatever the file says.
    """
    for part, kind in (("normalizer", "Prepend"), ("decoder", "Strip")):
        steps = rules[part] or {}
        key = "normalizers" if part == "normalizer" else "decoders"
        if key in steps:
            steps[key] = [each for each in steps[key] if each["type"] != kind]
    if (rules["pre_tokenizer"] or {}).get("type") == "Metaspace":
        rules["pre_tokenizer"]["prepend_scheme"] = "never"


def gguf_config(file: GgufFile) -> Any:
    """The config of the model, with what the reader of transformers leaves out.

    Raises:
        ModelError: the reader does not know the architecture, or the file scales its positions in a
            way that the reader does not read.
    """
    return deepcopy(_config_once(file.path, file.path.stat().st_mtime_ns))


@cache
def _config_once(path: Path, *state: int) -> Any:
    file = read_gguf(path)
    _refuse_the_name_mistral(file)
    with _alone(path) as place:
        config = transformers.AutoConfig.from_pretrained(**place)
    for name, value in _left_out(file, config).items():
        if value is not None and hasattr(config, name):
            setattr(config, name, value)
    set_positions(file, config)
    return config


def _refuse_the_name_mistral(file: GgufFile) -> None:
    """transformers builds its Mistral for a Llama of exactly this name, and then finds no weights
    for it.
    """
    if file.architecture == "llama" and file.settings.get("general.name") == "mistral":
        raise ModelError(
            'the GGUF file has the name "mistral" (general.name), which transformers takes for an '
            "architecture that it does not read: give it another one with "
            "`gguf-new-metadata --general-name Mistral FILE NEW_FILE`"
        )


def _left_out(file: GgufFile, config: Any) -> dict[str, Any]:
    """Values of a config that the reader leaves at the default of the config's class."""
    of, heads, width = file.of_model, config.num_attention_heads, config.hidden_size
    head_width = of("attention.key_length")
    # llama.cpp scales attention otherwise in Gemma's 27B models, which it knows by their layers.
    largest = {"gemma2": 46, "gemma3": 62}.get(file.architecture) == of("block_count")
    return {
        "head_dim": head_width,
        "query_pre_attn_scalar": width // heads if largest else head_width,
        "attn_logit_softcapping": of("attn_logit_softcapping"),
        "final_logit_softcapping": of("final_logit_softcapping"),
        "n_positions": of("context_length"),
        "n_inner": of("feed_forward_length"),
    }


def load_gguf(file: GgufFile, dtype: torch.dtype) -> nn.Module:
    """The model with its weights dequantised to plain ones of `dtype`, on the CPU.

    transformers marks it as quantised, and then refuses to save it.

    Raises:
        ModelError: the file lacks weights of the model, or holds others than the reader takes.
    """
    # The reader shows a progress bar that cannot be switched off.
    with redirect_stderr(io.StringIO()), _alone(file.path) as place:
        loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
            **place,
            config=gguf_config(file),
            dtype=dtype,
            output_loading_info=True,
        )
    if absent := sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])):
        raise ModelError(f"weights are missing or of another shape: {absent[0]}")
    taken = sum(weight.numel() for weight in loaded.parameters()) + len(file.rope_factors)
    if file.values != taken:
        raise ModelError(
            f"the GGUF file holds {file.values:,} numbers in its tensors, and transformers takes "
            f"{taken:,} of them: it does not read this kind of {file.architecture} whole"
        )
    return loaded  # type: ignore[no-any-return]
