"""Load a model or a tokenizer at a named dtype, tell in one line why it cannot be loaded, save it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.utils import cached_file

from hyperfitting import hub
from hyperfitting.assets import local_path
from hyperfitting.errors import InputError, ModelError, causes
from hyperfitting.models.codec import TextCodec, make_codec
from hyperfitting.recipe import ModelSettings

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
_IF_THERE = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load_codec(settings: ModelSettings) -> TextCodec:
    """The tokenizer of a model, without its weights.

    Raises:
        ModelError: if there is none, it lacks the tokens that the policy needs, or has ids that the model has not.
    """
    with _plain_errors(settings):
        place = _place(settings)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place["source"], **place["options"])
        return make_codec(
            tokenizer,
            load_config(settings),
            cached_file(place["source"], "generation_config.json", **_IF_THERE, **place["options"]),
            beginning_of_text=settings.beginning_of_text,
        )


def load_config(settings: ModelSettings) -> Any:
    """The model's config.json as transformers reads it.

    Raises:
        ModelError: if there is none.
    """
    with _plain_errors(settings):
        if settings.architecture is not None:
            return transformers.AutoConfig.from_pretrained(_architecture_folder(settings.architecture))
        place = _place(settings)
        return transformers.AutoConfig.from_pretrained(place["source"], **place["options"])


def _architecture_folder(name: str) -> Path:
    path = local_path(name)
    if path is None or not (path / "config.json").is_file():
        raise ModelError(f"model.architecture = {name!r}: no folder with a config.json")
    return path


def check_length(
    settings: ModelSettings,
    tokens: int,
    *,
    texts: str = "the recipe's texts",
    remedy: str = "lower data.block_tokens, or data.context_tokens and generate.new_tokens",
) -> None:
    """Refuse texts longer than the model was built for: beyond its positions nothing it says means anything.

    Raises:
        ModelError: names both lengths.
    """
    positions = positions_of(load_config(settings))
    if positions is not None and tokens > positions:
        raise ModelError(
            f"{settings.source}: {texts} have {tokens} tokens, the model has {positions} positions: {remedy}"
        )


def positions_of(config: Any) -> int | None:
    """Tokens that a model of this config was built for; None where it counts no positions."""
    configs, names = (config, config.get_text_config()), ("max_position_embeddings", "n_positions")
    found = (getattr(each, name, None) for each in configs for name in names)
    return next((each for each in found if isinstance(each, int) and each > 0), None)


def build_empty(settings: ModelSettings) -> nn.Module:
    """The architecture at the named dtype without a byte of weights (on the meta device), in evaluation mode.

    Raises:
        ModelError: if there is no config.
    """
    with _plain_errors(settings), torch.device("meta"):
        return _from_config(settings, _DTYPES[settings.dtype])  # type: ignore[no-any-return]


def count_parameters(settings: ModelSettings) -> int:
    """Parameters of the architecture, counted without loading or allocating a weight."""
    return sum(each.numel() for each in build_empty(settings).parameters())


def load_model(settings: ModelSettings, device: torch.device, *, seed: int = 0) -> nn.Module:
    """The causal language model, in the dtype that the settings name, in evaluation mode.

    Raises:
        ModelError: if it is missing, gated, pickled, damaged, or lacks weights.
    """
    dtype = _DTYPES[settings.dtype]
    with _plain_errors(settings):
        if settings.initialise == "random":
            torch.manual_seed(seed)
            model = _from_config(settings, dtype)
        else:
            place = _place(settings)
            model, report = _model_class(load_config(settings)).from_pretrained(
                place["source"], dtype=dtype, use_safetensors=True, output_loading_info=True, **place["options"]
            )
            if report["missing_keys"] or report["mismatched_keys"]:
                absent = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
                raise ModelError(f"{settings.source}: weights are missing or of another shape: {absent[0]}")
    assert_dtype(model, dtype)
    return model.to(device).eval()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Reader:
    """A model that reads what others wrote, from their text: itself, its tokenizer, and how many tokens it can take."""

    model: nn.Module
    codec: TextCodec
    positions: int | None


def load_reader(source: str, device: torch.device) -> Reader:
    """A hub name or a folder as reader, in float32; beginning-of-text stands first where its tokenizer has one.

    Raises:
        ModelError: as `load_model`.
    """
    settings = ModelSettings(source=source, beginning_of_text="none")
    codec = load_codec(settings)
    if codec.tokenizer.bos_token_id is not None:
        codec = load_codec(settings.model_copy(update={"beginning_of_text": "add"}))
    return Reader(load_model(settings, device), codec, positions_of(load_config(settings)))


def assert_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Refuse a model with a weight of another dtype than the one named: it would train or decode otherwise than said.

    Raises:
        ModelError: names the first such weight.
    """
    for name, weight in model.named_parameters():
        if weight.dtype != dtype:
            raise ModelError(f"{name} is {weight.dtype}, and {dtype} was asked for")


def _from_config(settings: ModelSettings, dtype: torch.dtype) -> Any:
    config = load_config(settings)
    options = {"trust_remote_code": True} if settings.trust_remote_code else {}
    make = getattr(_model_class(config), "from_config", None) or _model_class(config)._from_config
    return make(config, dtype=dtype, **options).eval()


def _model_class(config: Any) -> Any:
    """The causal model of a config. ImageGPT is one, and transformers' automatic class does not know it."""
    imagegpt = config.model_type == "imagegpt"
    return transformers.ImageGPTForCausalImageModeling if imagegpt else transformers.AutoModelForCausalLM


def _place(settings: ModelSettings) -> dict[str, Any]:
    """Where from_pretrained looks: a folder that was checked here, or a hub name."""
    path = local_path(settings.source)
    options = {"trust_remote_code": settings.trust_remote_code, "local_files_only": path is not None}
    if path is None:
        hub.settle()
        return {"source": settings.source, "options": {**options, "revision": settings.revision}}
    if not path.is_dir():
        raise ModelError(
            f"{settings.source}: no such model folder"
            if not path.exists()
            else f"{settings.source} is a file, not a model folder"
        )
    if not (path / "config.json").is_file():
        raise ModelError(f"{settings.source}: not a model folder: it has no config.json")
    if not any(path.glob("*.safetensors")) and settings.initialise == "pretrained":
        pickled = [*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")]
        remedy = (
            "pickled weights can run code and are not read: convert them to safetensors"
            if pickled
            else "it has no *.safetensors"
        )
        raise ModelError(f"{settings.source}: {remedy}")
    return {"source": str(path), "options": options}


@contextmanager
def _plain_errors(settings: ModelSettings) -> Iterator[None]:
    """Whatever goes wrong inside transformers, in one line that names the model and the remedy."""
    name = settings.source
    try:
        yield
    except ModelError as error:
        if name in str(error):
            raise
        raise ModelError(f"{name}: {error}") from error
    except InputError:
        raise
    except Exception as error:
        raise ModelError(f"{name}: {_explain(error, name)}") from error


def _explain(error: Exception, name: str) -> str:
    text = " ".join(str(error).split())
    kinds = " ".join(type(each).__name__ for each in causes(error))
    if "GatedRepo" in kinds or "gated repo" in text:
        return "the repository is gated: accept its terms on the hub and log in with `hf auth login`"
    if "RepositoryNotFound" in kinds or "RevisionNotFound" in kinds:
        return "no such folder here, and no such repository or revision on the hub"
    if "OfflineMode" in kinds or "LocalEntryNotFound" in kinds or "Connect" in kinds or "couldn't connect" in text:
        return "no such folder here, and the hub cannot be reached: check the name, or download the model first"
    if "SafetensorError" in kinds:
        return f"the weight file is damaged ({text[:80]}): download it again"
    if "JSON" in text or "JSON" in kinds:
        return f"a file of the model or its tokenizer is damaged ({text[:120]}): download it again"
    if "trust_remote_code" in text:
        return "the model comes with its own Python code: read it, then set model.trust_remote_code = true"
    if "does not appear to have a file named" in text and "safetensors" in text:
        return "it has no safetensors weights; pickled weights can run code and are not read"
    return text[:200] or type(error).__name__
