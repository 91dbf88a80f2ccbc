"""Load a model or a tokenizer at a named dtype; what cannot be loaded is refused in one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.initialization import no_init_weights
from transformers.utils import cached_file

from hyperfitting.errors import ModelError
from hyperfitting.models.adapt.parts import is_image_model, positions_of
from hyperfitting.models.adapters import merge_adapter, unties
from hyperfitting.models.codec import TextCodec, configured_ends, make_codec
from hyperfitting.models.gguf_models import gguf_config, gguf_ends, gguf_tokenizer, load_gguf
from hyperfitting.models.image_codec import ImageCodec, make_image_codec, side_of
from hyperfitting.models.locate import Location, locate
from hyperfitting.models.plain_errors import translate_model_errors
from hyperfitting.models.unchanged_files import folder_config, inspect_unless_known
from hyperfitting.palette import PALETTE_FILE, Palette, read_palette
from hyperfitting.recipe import Dtype, ModelSettings

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
_IF_THERE = {
    "_raise_exceptions_for_missing_entries": False,
    "_raise_exceptions_for_connection_errors": False,
}
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


ModelCodec = TextCodec | ImageCodec
"""What a model reads and writes through: a tokenizer, or the colours of an image model."""


def load_codec(settings: ModelSettings, palette: Palette | None = None) -> ModelCodec:
    """The tokenizer of a model, or the colours of an image model, without its weights.

    `palette` are the colours of an image model that has none of its own, because they were fitted
    for it.

    Raises:
        ModelError: there is none, it lacks a token that the policy needs, or it has ids that the
            model does not have.
    """
    with translate_model_errors(settings, "read its tokenizer"):
        config = load_config(settings)  # first: the tokenizer reads it too, and would be blamed
        if is_image_model(config):
            own = load_palette(settings) or palette
            if own is None:
                raise ModelError(
                    f"no {PALETTE_FILE} with the clusters of its colours: take it from the model, "
                    'or set model.initialise = "random", which fits them to the training images'
                )
            return make_image_codec(own, config)
        location = _of_tokenizer(settings)
        return make_codec(
            _tokenizer(location),
            config,
            ends=_configured_ends(location),
            beginning_of_text=settings.beginning_of_text,
        )


def load_text_codec(settings: ModelSettings) -> TextCodec:
    """The tokenizer of a model of texts.

    Raises:
        ModelError: as `load_codec`; or the model continues images.
    """
    codec = load_codec(settings)
    if isinstance(codec, ImageCodec):
        raise ModelError(
            f"{settings.source}: it continues images, and texts are read here: name a language "
            "model"
        )
    return codec


def load_palette(settings: ModelSettings) -> Palette | None:
    """The colours that came with an image model; None if it has no image processor.

    Raises:
        ModelError: its image processor is damaged, or makes other ids of an image than are made
            here; or the hub cannot be reached.
    """
    with translate_model_errors(settings, "read its image processor"):
        location = locate(settings)
        file = cached_file(location.source, PALETTE_FILE, **_IF_THERE, **location.options)
        if file is not None:
            return read_palette(Path(file), side=image_side(settings))
        # It also seems absent where the hub cannot be reached; every model has this file.
        cached_file(location.source, "config.json", **location.options)
        return None if location.base is None else load_palette(location.base)


def image_side(settings: ModelSettings) -> int | None:
    """Rows, and columns, of the images that a model continues; None of a model of texts.

    Raises:
        ModelError: its config cannot be read, its positions make no square, or it has too few
            colours.
    """
    with translate_model_errors(settings, "read its config.json"):
        config = load_config(settings)
        return side_of(config) if is_image_model(config) else None


def colour_count(settings: ModelSettings) -> int:
    """The number of colours that an image model chooses among."""
    return int(load_config(settings).vocab_size) - 1


def _of_tokenizer(settings: ModelSettings) -> Location:
    """Where the tokenizer is: an adapter has its own, or that of its base model."""
    location = locate(settings)
    if location.base is None or (Path(location.source) / "tokenizer_config.json").is_file():
        return location
    return _of_tokenizer(location.base)


def _tokenizer(location: Location) -> Any:
    if location.gguf is not None:
        return gguf_tokenizer(location.gguf)
    return transformers.AutoTokenizer.from_pretrained(location.source, **location.options)


def _configured_ends(location: Location) -> dict[str, Any]:
    """What the files of a model name as end-of-text, by place."""
    if location.gguf is not None:
        return gguf_ends(location.gguf)
    files = (
        cached_file(location.source, name, **_IF_THERE, **location.options)
        for name in ("config.json", "generation_config.json")
    )
    return configured_ends(*files)


def load_config(settings: ModelSettings) -> Any:
    """The model's config.json as transformers reads it.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    with translate_model_errors(settings, "read its config.json"):
        if settings.architecture is not None:
            return folder_config(_architecture_folder(settings))
        location = locate(settings)
        if location.gguf is not None:
            return gguf_config(location.gguf)
        if location.base is not None:
            config = load_config(location.base)
            if unties(build_empty(location.base), Path(location.source)):
                config.tie_word_embeddings = False
            return config
        if location.options["local_files_only"] and not settings.trust_remote_code:
            return folder_config(Path(location.source))
        return transformers.AutoConfig.from_pretrained(location.source, **location.options)


def _architecture_folder(settings: ModelSettings) -> Path:
    path = settings.place("architecture")
    if path is None or not (path / "config.json").is_file():
        raise ModelError(
            f"model.architecture = {settings.architecture!r}: no folder with a config.json "
            f"(tried {path or settings.tried('architecture')})"
        )
    return path


def check_length(
    settings: ModelSettings,
    tokens: int,
    *,
    texts: str = "the recipe's texts",
    remedy: str = "lower data.block_tokens, or data.context_tokens and generate.new_tokens",
) -> None:
    """Refuse texts of more `tokens` than the model has positions: its output beyond them is
    meaningless.

    Raises:
        ModelError: names both lengths and the `remedy`.
    """
    positions = positions_of(load_config(settings))
    if positions is not None and tokens > positions:
        raise ModelError(
            f"{settings.source}: {texts} have {tokens} tokens, the model has {positions} "
            f"positions: {remedy}"
        )


def build_empty(settings: ModelSettings) -> nn.Module:
    """The architecture at the named dtype without memory for weights (meta device), in evaluation
    mode.

    Raises:
        ModelError: there is no config, or transformers cannot build it.
    """
    with (
        translate_model_errors(settings, "build what its config.json describes"),
        torch.device("meta"),
    ):
        return _from_config(settings, _DTYPES[settings.dtype])  # type: ignore[no-any-return]


def count_parameters(settings: ModelSettings) -> int:
    """Parameters of the architecture, counted without loading or allocating a weight."""
    return sum(each.numel() for each in build_empty(settings).parameters())


def load_model(
    settings: ModelSettings, device: torch.device, *, seed: int = 0, tokens: int | None = None
) -> nn.Module:
    """The causal language model on `device`, in the dtype of the settings, in evaluation mode.

    `seed` initialises random weights; `tokens` is the length of the longest text on which the model
    is tried (`inspect_model`).

    Raises:
        ModelError: the model is missing, gated, pickled, quantised or damaged; its weights are not
            those that its config describes; a weight is NaN or infinite; or the model does not
            continue texts.
    """
    dtype = _DTYPES[settings.dtype]
    with translate_model_errors(settings, "load its weights"):
        if settings.initialise == "random":
            torch.manual_seed(seed)
            model = _from_config(settings, dtype)
        else:
            model = _load_weights(settings, dtype)
        assert_dtype(model, dtype)
        _refuse_unless_plain(
            model.config
        )  # a part of a larger model can load here and yet not load again after it is saved
        _refuse_weights_without_values(model)
        model = model.to(device).eval()
        inspect_unless_known(model, settings, tokens)
    return model  # type: ignore[no-any-return]


def _load_weights(settings: ModelSettings, dtype: torch.dtype) -> Any:
    """The model of a folder, a hub name, a GGUF file, or an adapter with its base."""
    location = locate(settings)
    if location.gguf is not None:
        return _plain_copy(load_gguf(location.gguf, dtype), load_config(settings), dtype)
    if location.base is None:
        return _from_files(location, load_config(settings), dtype)
    with translate_model_errors(location.base, "load its weights"):
        base = _load_weights(location.base, torch.float32)
    merged = merge_adapter(base, Path(location.source), location.base.source)
    return _plain_copy(merged, load_config(settings), dtype)


def _plain_copy(model: nn.Module, config: Any, dtype: torch.dtype) -> Any:
    """A new model of this config with the weights of another, and nothing else of it."""
    with no_init_weights():
        plain = _model_class(config).from_config(config, dtype=dtype)
    plain.tie_weights()
    plain.load_state_dict(model.state_dict())
    return plain.eval()


def _from_files(location: Location, config: Any, dtype: torch.dtype) -> Any:
    _refuse_unless_plain(config)
    model, report = _model_class(config).from_pretrained(
        location.source,
        dtype=dtype,
        use_safetensors=True,
        output_loading_info=True,
        **location.options,
    )
    if report["missing_keys"] or report["mismatched_keys"]:
        absent = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise ModelError(f"weights are missing or of another shape: {absent[0]}")
    if unknown := sorted(each for each in report["unexpected_keys"] if not _HARMLESS.search(each)):
        raise ModelError(
            f"its config.json knows nothing of {len(unknown)} of its weights, {unknown[0]} first, "
            "and they would be dropped: give it the config.json that the weights were saved with"
        )
    parted = set(model.get_expanded_tied_weights_keys(all_submodels=True)) - set(
        model.all_tied_weights_keys
    )
    if parted:
        raise ModelError(
            f"its config.json ties {min(parted)} to another weight, and the files hold two "
            "different ones: set tie_word_embeddings = false in config.json"
        )
    return model


_HARMLESS = re.compile(r"rotary_emb\.inv_freq$|\.masked_bias$|\.attn\.bias$|position_ids$")
"""Buffers that older versions of transformers saved and that newer ones compute."""


def _refuse_unless_plain(config: Any) -> None:
    """Refuse quantised weights, and architectures for which transformers has no causal language
    model.
    """
    quantised = getattr(config, "quantization_config", None)
    if quantised is not None:
        held = quantised if isinstance(quantised, dict) else quantised.to_dict()
        raise ModelError(
            "its weights are quantised "
            f"({held.get('quant_method', 'in a way that is not named')}), and plain ones are "
            "needed: take the model that they were made from"
        )
    known = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING or is_image_model(config)
    if not known and "AutoModelForCausalLM" not in (getattr(config, "auto_map", None) or {}):
        raise ModelError(
            f"transformers has no causal language model of the type {config.model_type!r}"
        )


def _refuse_weights_without_values(model: nn.Module) -> None:
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
        if weight.is_floating_point() and not weight.isfinite().all():
            wrong = "NaN" if weight.isnan().any() else "infinite"
            raise ModelError(
                f"the weight {name} holds values that are {wrong}: the file is damaged, download "
                "it again"
            )


@dataclass(frozen=True)
class ScoringModel:
    """A model that scores texts of other models: the model, its tokenizer, and its limit of tokens
    (None: no limit).
    """

    model: nn.Module
    codec: TextCodec
    positions: int | None


def load_scoring_model(
    source: str, device: torch.device, *, dtype: Dtype = "float32"
) -> ScoringModel:
    """A scoring model from a hub name or a folder; texts begin with beginning-of-text if it has
    one.

    Raises:
        ModelError: as `load_model`.
    """
    settings = ModelSettings(source=source, dtype=dtype, beginning_of_text="none")
    codec = load_text_codec(settings)
    if codec.tokenizer.bos_token_id is not None:
        codec = load_text_codec(settings.model_copy(update={"beginning_of_text": "add"}))
    return ScoringModel(load_model(settings, device), codec, positions_of(load_config(settings)))


def assert_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Refuse a model that has a weight of another dtype.

    Raises:
        ModelError: names the first such weight.
    """
    for name, weight in model.named_parameters():
        if weight.dtype != dtype:
            raise ModelError(f"{name} is {weight.dtype}, and {dtype} was asked for")


def _from_config(settings: ModelSettings, dtype: torch.dtype) -> Any:
    config = load_config(settings)
    _refuse_unless_plain(config)
    options = {"trust_remote_code": True} if settings.trust_remote_code else {}
    make = getattr(_model_class(config), "from_config", None) or _model_class(config)._from_config
    return make(config, dtype=dtype, **options).eval()


def _model_class(config: Any) -> Any:
    """The causal model class of a config; transformers' automatic class lacks ImageGPT."""
    return (
        transformers.ImageGPTForCausalImageModeling
        if is_image_model(config)
        else transformers.AutoModelForCausalLM
    )
