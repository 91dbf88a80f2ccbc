"""Save a model as an ordinary Hugging Face folder, and compare the files with the model in memory.

The result of save_pretrained is checked, because some errors would otherwise be noticed only when
the trained weights are gone: an adapter left in the model, weights that are tied in memory only, a
tokenizer that loads with other rules.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
import transformers
from safetensors import SafetensorError, safe_open
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers.core_model_loading import revert_weight_conversion

from hyperfitting.errors import InputError, ModelError, kind_of
from hyperfitting.models.adapt.parts import positions_of
from hyperfitting.models.codec import TextCodec
from hyperfitting.models.image_codec import ImageCodec
from hyperfitting.models.loading import (
    ModelCodec,
    build_empty,
    load_codec,
    load_model,
    load_text_codec,
)
from hyperfitting.palette import PALETTE_FILE, write_palette
from hyperfitting.recipe import ModelSettings

_PIPELINE_TOKENS = 256
"""New tokens of transformers' pipeline by default."""
_SAMPLES = ("It was late, and the rain had\nnot stopped.", "the", " Ein naïver  Versuch: 日本語 🙂")
"""Texts that the saved tokenizer must encode to the same ids."""


def save_model(
    model: nn.Module, codec: ModelCodec, folder: Path, *, card: str, max_shard_size: str = "50GB"
) -> None:
    """Write safetensors in the weights' dtype, configs, tokenizer and model card, and compare them
    with the model.

    The saved tokenizer begins texts as the codec does, and generation_config.json asks for greedy
    decoding up to the codec's end-of-text ids. The generation settings of the source model are
    dropped, also in `model`. With an image model its image processor is saved, and
    generation_config.json asks for the whole image.

    Raises:
        ModelError: the files differ from the model; names the first difference. `folder` is then
            unusable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(card, encoding="utf-8")
    config: Any = model.config
    if getattr(model, "_tied_weights_keys", None) and not _shared(model):
        config.tie_word_embeddings = (
            False  # the two weights differ, and other programs tie them if the config says so
        )
    _save_weights(model, _generation_config(config, codec), folder, max_shard_size)
    parts = (model, getattr(codec, "tokenizer", None))
    code = any(getattr(each, "_auto_class", None) is not None for each in parts)
    dtype: Any = "bfloat16" if next(model.parameters()).dtype == torch.bfloat16 else "float32"
    begin: Any = "add" if codec.start_ids else "none"
    saved = ModelSettings(
        source=str(folder), dtype=dtype, trust_remote_code=code, beginning_of_text=begin
    )
    _compare_model(model, folder, saved)
    if isinstance(codec, ImageCodec):
        _save_image_processor(codec, folder, saved)
    else:
        _save_tokenizer(codec, folder, saved, positions_of(config))
    mode = (folder / "README.md").stat().st_mode
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(mode)  # safetensors makes its files readable for the owner only


def _save_weights(model: Any, settings: Any, folder: Path, max_shard_size: str) -> None:
    """Write weights and configs; the generation config also for models whose class cannot
    generate.
    """
    settings.save_pretrained(folder)
    model.generation_config = settings
    try:
        model.save_pretrained(folder, max_shard_size=max_shard_size)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError) as error:
        _refuse(f"the model cannot be saved ({kind_of(error)})", error)


def _refuse(what: str, cause: Exception | None = None) -> NoReturn:
    raise ModelError(f"{what}: nothing was saved, and the checkpoints are kept") from cause


def _generation_config(config: Any, codec: ModelCodec) -> Any:
    """Greedy decoding; a length limit only for models with too few positions for the usual 256 new
    tokens, and for images.
    """
    if isinstance(codec, ImageCodec):
        start, tokens = codec.start_ids[0], codec.side * codec.side + 1
        return transformers.GenerationConfig(do_sample=False, bos_token_id=start, max_length=tokens)
    ends, positions = list(codec.end_ids), positions_of(config)
    pad = codec.tokenizer.pad_token_id
    short = positions is not None and positions < 2 * _PIPELINE_TOKENS
    return transformers.GenerationConfig(
        do_sample=False,
        bos_token_id=next(iter(codec.start_ids), codec.tokenizer.bos_token_id),
        eos_token_id=ends if len(ends) > 1 else ends[0],
        pad_token_id=ends[0] if pad is None or pad >= codec.rows else pad,
        **({"max_length": positions} if short else {}),
    )


def _compare_model(model: nn.Module, folder: Path, saved: ModelSettings) -> None:
    """Compare the files with the model: names, shapes, dtypes, values, and the architecture that
    the config builds.

    Some architectures are saved under other names than in memory (one tensor for all experts
    becomes one each). Then the files must equal the tensors as transformers converts them, and must
    load to the tensors in memory.
    """
    held = {name: each for name, each in model.state_dict().items() if isinstance(each, Tensor)}
    try:
        wrong = next(_different_in_files(held, folder), None)
        written = held if wrong is None else revert_weight_conversion(model, held)
        if written is not held:
            wrong = next(_different_in_files(written, folder), None)
            wrong = wrong or _different_when_loaded(held, saved, otherwise="folder")
    except SafetensorError as error:
        _refuse(f"a saved file of weights is damaged ({kind_of(error)})", error)
    wrong = wrong or _different_when_built(model, held, saved)
    if wrong is not None:
        _refuse(f"the saved {wrong} is not the model's")


def _different_in_files(tensors_by_name: dict[str, Tensor], folder: Path) -> Iterator[str]:
    """Names whose stored tensor differs; reads one tensor at a time. Tied weights may be stored
    once.
    """
    stored, index = set(), folder / "model.safetensors.index.json"
    file_by_name = (
        json.loads(index.read_text(encoding="utf-8"))["weight_map"] if index.exists() else {}
    )
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118, it is no dictionary
                stored.add(name)
                held = tensors_by_name.get(name)
                misplaced = file_by_name.get(name, "model.safetensors") != file.name
                if held is None or misplaced or not _same(tensors.get_tensor(name), held):
                    yield name
    yield from file_by_name.keys() - stored
    saved = {_memory_of(tensors_by_name[name]) for name in stored & tensors_by_name.keys()}
    yield from (
        name
        for name, held in tensors_by_name.items()
        if name not in stored and _memory_of(held) not in saved
    )


def _different_when_loaded(
    tensors_by_name: dict[str, Tensor], saved: ModelSettings, *, otherwise: str
) -> str | None:
    """The first name whose tensor differs after loading; `otherwise` if the folder cannot be
    loaded.
    """
    try:
        loaded = load_model(saved, torch.device("cpu")).state_dict()
    except InputError:
        return otherwise
    return next(
        (
            name
            for name in dict.fromkeys([*tensors_by_name, *loaded])
            if name not in loaded
            or name not in tensors_by_name
            or not _same(loaded[name], tensors_by_name[name])
        ),
        None,
    )


def _different_when_built(
    model: nn.Module, tensors_by_name: dict[str, Tensor], saved: ModelSettings
) -> str | None:
    """The first difference of the architecture that the saved config builds: class, name, shape,
    tie or value.
    """
    try:
        built = build_empty(saved)
    except InputError as error:
        _refuse(f"the saved config builds no model ({error})", error)
    if type(built).__name__ != type(model).__name__:
        return f"config ({type(built).__name__})"
    shapes = {
        name: each.shape for name, each in built.state_dict().items() if isinstance(each, Tensor)
    }
    for name in dict.fromkeys([*tensors_by_name, *shapes]):
        if name not in tensors_by_name or shapes.get(name) != tensors_by_name[name].shape:
            return name
    ties, values, held_values = _shared(built), _values(built), _values(model)
    apart = next((name for name, first in _shared(model).items() if ties.get(name) != first), None)
    changed = (key for key in [*held_values, *values] if values.get(key) != held_values.get(key))
    return apart or next((f"config ({key} = {values.get(key)})" for key in changed), None)


def _values(model: Any) -> dict[str, Any]:
    """The config values that describe the architecture, as they are after writing and reading."""
    beside = {"architectures", "auto_map", "dtype", "transformers_version"}
    written = json.dumps(
        {key: each for key, each in model.config.to_dict().items() if key not in beside},
        default=str,
    )
    read: dict[str, Any] = json.loads(written, parse_constant=str)  # NaN does not equal itself
    return {key: each for key, each in read.items() if not key.startswith("_")}


def _shared(model: nn.Module) -> dict[str, str]:
    """For each further name of a tied weight, its first name."""
    first: dict[int, str] = {}
    names = model.named_parameters(remove_duplicate=False)
    return {
        name: first[id(each)] for name, each in names if first.setdefault(id(each), name) != name
    }


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal to the bit, NaN and the sign of zero included."""
    return (
        one.dtype == other.dtype
        and one.shape == other.shape
        and torch.equal(_bytes(one), _bytes(other))
    )


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def _memory_of(tensor: Tensor) -> tuple[Any, ...]:
    """A key that is equal for two names of one tensor."""
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _save_tokenizer(
    codec: TextCodec, folder: Path, saved: ModelSettings, positions: int | None
) -> None:
    """Save the tokenizer so that a plain `from_pretrained` gives the codec's ids without further
    options.

    Tokenizer classes treat these settings differently when they are loaded, so each form is tried
    until one works.
    """
    tokenizer = copy.deepcopy(codec.tokenizer)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.post_processor = _beginning(codec)
    if positions is not None:
        tokenizer.model_max_length = positions
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    written = json.loads(file.read_text(encoding="utf-8")) | {"clean_up_tokenization_spaces": False}
    for form in _forms(begins=bool(codec.start_ids), has_backend=backend is not None):
        config = {key: value for key, value in (written | form).items() if value is not None}
        file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if _loads_alike(codec, saved):
            return
    _refuse(
        f"the saved tokenizer ({type(tokenizer).__name__}) gives other ids than this one "
        f'with model.beginning_of_text = "{saved.beginning_of_text}"'
    )


def _forms(*, begins: bool, has_backend: bool) -> Iterator[dict[str, Any]]:
    """Settings of a tokenizer that may make it begin texts or not; None takes one away."""
    flags = {"add_bos_token": begins, "add_eos_token": False}
    yield flags
    if has_backend:
        yield flags | {"tokenizer_class": "PreTrainedTokenizerFast", "auto_map": None}
    yield {"special_tokens_pattern": "bos" if begins else "none"}
    yield {}


def _save_image_processor(codec: ImageCodec, folder: Path, saved: ModelSettings) -> None:
    """Save the colours as transformers' image processor keeps them, and compare what it reads."""
    write_palette(folder / PALETTE_FILE, codec.palette, codec.side)
    if load_codec(saved).fingerprint != codec.fingerprint:
        _refuse("the saved image processor has other colours than this one")


def _beginning(codec: TextCodec) -> Any:
    """A post-processor that adds the codec's beginning-of-text token, if it has one, and nothing
    else.
    """
    if not codec.start_ids:
        return TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])
    token = {"id": "bos", "ids": list(codec.start_ids), "tokens": [codec.tokenizer.bos_token]}
    return TemplateProcessing(single="bos $A", pair="bos $A $B:1", special_tokens=[token])


def _loads_alike(codec: TextCodec, saved: ModelSettings) -> bool:
    try:
        loaded = load_text_codec(saved)
        alike = all(loaded.tokenizer(text)["input_ids"] == codec.encode(text) for text in _SAMPLES)
    except Exception:  # a tokenizer's own code can fail on settings that it does not know
        return False
    return alike and loaded.fingerprint == codec.fingerprint and loaded.end_ids == codec.end_ids
