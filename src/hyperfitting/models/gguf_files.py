"""GGUF files: what one holds, and its config and weights as transformers reads them (door to gguf).

A file is read in one piece with its tokenizer. The weights are dequantised. What the reader of
transformers does not take from a file, or would take wrongly, is refused or completed here.
"""

from __future__ import annotations

import importlib
import io
import json
from collections import Counter
from contextlib import redirect_stderr
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from torch import nn

from hyperfitting.errors import ModelError, name_the_extra

_BEGINNING = b"GGUF"
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")
"""Settings of a file's tokenizer that name a token which ends a text or a turn."""
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LLAMA3_POSITIONS = 8192


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file holds beside its weights.

    `tensor_types` counts the tensors of each type of quantisation, `values` all numbers in them.
    `tokens` is the size of its tokenizer's vocabulary. `settings` are the file's metadata without
    its lists. `rope_factors` are those of the tensor `rope_freqs.weight`, by which Llama 3.1 and
    later divide the frequencies of positions.
    """

    path: Path
    tensor_types: dict[str, int]
    values: int
    tokens: int
    settings: dict[str, Any]
    rope_factors: tuple[float, ...]

    @property
    def architecture(self) -> str:
        """The architecture by llama.cpp's name, such as `llama`."""
        return str(self.settings.get("general.architecture"))

    def of_model(self, name: str) -> Any:
        """A setting of the model, such as `context_length`; None if the file has none."""
        return self.settings.get(f"{self.architecture}.{name}")

    @property
    def end_ids(self) -> dict[str, int | None]:
        """The ids that end a text or a turn, by the setting that names each."""
        names = (f"tokenizer.ggml.{name}" for name in _ENDS)
        return {name: self.settings.get(name) for name in names}


def tokenizer_in_words(file: GgufFile) -> str:
    """The kind of the file's tokenizer, and how it splits texts into words, as llama.cpp names
    them; with a warning where transformers does not know the latter.
    """
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    kind, split = (
        str(file.settings.get(f"tokenizer.ggml.{name}", "")) for name in ("model", "pre")
    )
    known = kind != "gpt2" or split in ("", "default", "gpt-2", *GGUF_PRE_TOKENIZER_SPLITS)
    return f"{kind} {split}".strip() + ("" if known else " (not known: split as GPT-2's)")


def gguf_in(path: Path) -> Path | None:
    """The GGUF file that a local path means: the file itself, or the only one of a folder without a
    config.json.

    Raises:
        ModelError: the folder holds several.
    """
    if path.is_file():
        return path
    files = [] if (path / "config.json").is_file() else sorted(path.glob("*.gguf"))
    if len(files) > 1:
        names = ", ".join(each.name for each in files)
        raise ModelError(f"it holds several GGUF files ({names}): name one of them in model.source")
    return files[0] if files else None


def read_gguf(path: Path) -> GgufFile:
    """What the file holds. It is read once in a process, unless it changes.

    Raises:
        ModelError: it is no GGUF file, damaged, or one part of several; or it holds no tokenizer,
            or a quantisation that cannot be read.
        MissingExtra: the package gguf is not installed.
    """
    state = path.stat()
    return _read_once(path.resolve(), state.st_size, state.st_mtime_ns)


@cache
def _read_once(path: Path, *state: int) -> GgufFile:
    reader = _reader(path)
    lists = {name for name, field in reader.fields.items() if len(field.types) > 1}
    settings = {
        name: field.contents() for name, field in reader.fields.items() if name not in lists
    }
    if settings.get("split.count", 1) > 1:
        raise ModelError("it is one of several GGUF files of a model: join them with llama.cpp")
    if "tokenizer.ggml.tokens" not in lists:
        raise ModelError("the GGUF file holds no tokenizer: take one that has it")
    _refuse_unknown_types(reader.tensors)
    factors = (each.data for each in reader.tensors if each.name == _FACTORS)
    return GgufFile(
        path=path,
        tensor_types=dict(Counter(each.tensor_type.name for each in reader.tensors).most_common()),
        values=sum(int(each.n_elements) for each in reader.tensors),
        tokens=len(reader.fields["tokenizer.ggml.tokens"].data),
        settings=settings,
        rope_factors=tuple(map(float, next(factors, ()))),
    )


def _reader(path: Path) -> Any:
    """The file as the package gguf reads it."""
    with path.open("rb") as file:
        if file.read(len(_BEGINNING)) != _BEGINNING:
            raise ModelError("it is a file, and no GGUF file: name a folder, or another file")
    try:
        importlib.import_module("accelerate")  # transformers loads the weights through it
        from gguf import GGUFReader
    except ModuleNotFoundError as error:
        raise name_the_extra(error) from error
    try:
        return GGUFReader(path)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError, MemoryError) as error:
        raise ModelError("the GGUF file is damaged or truncated: download it again") from error


_FACTORS = "rope_freqs.weight"


def _refuse_unknown_types(tensors: list[Any]) -> None:
    """Dequantise a row of each type, to find those that the reader lacks."""
    from gguf import dequantize

    first = {each.tensor_type: each for each in reversed(tensors)}
    for kind, tensor in first.items():
        try:
            dequantize(tensor.data[:1], kind)
        except NotImplementedError as error:
            raise ModelError(
                f"the tensor {tensor.name} is quantised as {kind.name}, which the package gguf "
                "cannot read: take a file in another quantisation, or update gguf"
            ) from error


def gguf_tokenizer(file: GgufFile) -> Any:
    """The tokenizer in the file, without the tokens that the reader of transformers adds to it."""
    return deepcopy(_tokenizer_once(file.path, file.path.stat().st_mtime_ns))


@cache
def _tokenizer_once(path: Path, *state: int) -> Any:
    """transformers builds some with the defaults of its own GPT-2, which have no embedding here."""
    read = transformers.PreTrainedTokenizerFast.from_pretrained(path.parent, gguf_file=path.name)
    size = read_gguf(path).tokens
    added = {token for token, number in read.get_vocab().items() if number >= size}
    rules = json.loads(read.backend_tokenizer.to_str())
    rules["added_tokens"] = [each for each in rules["added_tokens"] if each["id"] < size]
    if isinstance(vocabulary := rules["model"]["vocab"], dict):
        rules["model"]["vocab"] = {
            token: number for token, number in vocabulary.items() if number < size
        }
    special = {name: token for name, token in read.special_tokens_map.items() if token not in added}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(rules)),
        chat_template=read.chat_template,
        **special,
    )


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
    config = transformers.AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    for name, value in _left_out(file, config).items():
        if value is not None and hasattr(config, name):
            setattr(config, name, value)
    _scale_positions(file, config)
    return config


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


def _scale_positions(file: GgufFile, config: Any) -> None:
    """Set the scaling of positions of Llama 3.1 and later; refuse any other that the reader drops.

    The file holds a factor for each frequency. They are those of `rope_type = "llama3"` if that
    gives the same ones.
    """
    kind = file.of_model("rope.scaling.type")
    is_read = (getattr(config, "rope_parameters", None) or {}).get("rope_type") != "default"
    if kind not in (None, "none") and not is_read:
        raise ModelError(
            f"the GGUF file scales its positions ({file.architecture}.rope.scaling.type = "
            f"{kind!r}), which transformers does not read from it: take the model as safetensors"
        )
    if not file.rope_factors:
        return
    base = config.rope_parameters["rope_theta"]
    config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": base,
        "factor": max(file.rope_factors),
        "original_max_position_embeddings": _LLAMA3_POSITIONS,
        **_LLAMA3,
    }
    frequencies, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config)
    plain = base ** -(torch.arange(0, 2 * len(frequencies), 2) / (2 * len(frequencies)))
    factors = torch.tensor(file.rope_factors)
    if factors.shape != plain.shape or not torch.allclose(plain / factors, frequencies, rtol=1e-4):
        raise ModelError(
            f"the GGUF file scales its positions ({_FACTORS}) in a way that is not Llama 3's: take "
            "the model as safetensors"
        )


def load_gguf(file: GgufFile, dtype: torch.dtype) -> nn.Module:
    """The model with its weights dequantised to plain ones of `dtype`, on the CPU.

    transformers marks it as quantised, and then refuses to save it.

    Raises:
        ModelError: the file lacks weights of the model, or holds others than the reader takes.
    """
    with redirect_stderr(io.StringIO()):  # a progress bar that cannot be switched off
        loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
            file.path.parent,
            gguf_file=file.path.name,
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
