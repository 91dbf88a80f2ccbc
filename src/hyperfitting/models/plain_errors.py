"""Errors of transformers as one line that names the file and the remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hyperfitting.errors import InputError, ModelError, causes, kind_of
from hyperfitting.recipe import ModelSettings

_REPAIR = "download it again"


@contextmanager
def translate_model_errors(settings: ModelSettings, doing: str) -> Iterator[None]:
    """Context manager: any error while transformers is `doing` something becomes a ModelError that
    names the model.
    """
    source = settings.source
    try:
        yield
    except ModelError as error:
        if source in str(error):
            raise
        raise ModelError(f"{source}: {error}") from error
    except InputError:
        raise
    except Exception as error:
        raise ModelError(f"{source}: {explain(error, settings, doing)}") from error


def explain(error: Exception, settings: ModelSettings, doing: str) -> str:
    """The message for a library's error: by its kind, else by a damaged file, else by what was
    being done.
    """
    if found := next((each for each in causes(error) if isinstance(each, PermissionError)), None):
        return f"{found.filename or 'a file of it'} may not be read: change its permissions"
    text, kinds = (
        " ".join(str(error).split()),
        " ".join(type(each).__name__ for each in causes(error)),
    )
    folder, tried = settings.place("source"), settings.tried("source")
    words = (
        _of_the_hub(text, kinds, tried)
        or _of_a_damaged_file(folder)
        or _of_the_tokenizer(text)
        or _of_the_config(error, text, folder)
        or _of_a_package(error, text)
        or _of_the_weights(error, text, kinds)
    )
    if words or "trust_remote_code" not in text:
        return words or f"transformers cannot {doing} ({kind_of(error)})"
    return (
        "the model comes with its own Python code: read it, then set model.trust_remote_code = true"
    )


def _of_the_hub(text: str, kinds: str, tried: Path) -> str:
    if "GatedRepo" in kinds or "gated repo" in text:
        return (
            "the repository is gated: accept its terms on the hub and log in with `hf auth login`"
        )
    if "RepositoryNotFound" in kinds or "RevisionNotFound" in kinds:
        return f"no such folder here (tried {tried}), and no such repository or revision on the hub"
    if (
        "OfflineMode" in kinds
        or "LocalEntryNotFound" in kinds
        or "Connect" in kinds
        or "couldn't connect" in text
    ):
        return (
            "no such folder here, and the hub cannot be reached: check the name, or download the "
            f"model first (tried {tried})"
        )
    if "HFValidationError" in kinds:
        return (
            f"no such folder here (tried {tried}), and no name that a repository on the hub can "
            "have (owner/name)"
        )
    return ""


def _of_a_damaged_file(folder: Path | None) -> str:
    """The problem of the first *.json file of a folder that is not a JSON object."""
    files = sorted(folder.glob("*.json")) if folder is not None else []
    return next(filter(None, map(json_problem, files)), "")


def _of_a_package(error: Exception, text: str) -> str:
    found = re.search(r"pip install ([A-Za-z][\w\[\]-]*)", text)
    package = (
        found[1]
        if found
        else getattr(error, "name", None)
        if isinstance(error, ImportError)
        else None
    )
    return (
        f"it needs the Python package {package}, which is not installed: pip install {package}"
        if package
        else ""
    )


def _of_the_tokenizer(text: str) -> str:
    if "backend tokenizer" in text or "Can't load tokenizer" in text:
        return (
            "it has no tokenizer: put the model's own there (tokenizer.json and "
            "tokenizer_config.json, which tokenizer.save_pretrained writes)"
        )
    return ""


def _of_the_weights(error: Exception, text: str, kinds: str) -> str:
    if "SafetensorError" in kinds:
        return f"the weight file is damaged: {_REPAIR}"
    if "JSON" in text or "JSON" in kinds:
        return f"a file of the model or its tokenizer is damaged: {_REPAIR}"
    if isinstance(error, FileNotFoundError) and "safetensors" in text:
        return (
            f"a weight file is missing that its index names, {Path(text.split()[-1]).name}: "
            f"{_REPAIR}"
        )
    if "does not appear to have a file named" in text and "safetensors" in text:
        return "it has no safetensors weights; pickled weights can run code and are not read"
    if "no file named" in text and "safetensors" in text:
        return (
            "it has neither a model.safetensors nor a model.safetensors.index.json that names its "
            "weight files"
        )
    return ""


def _of_the_config(error: Exception, text: str, folder: Path | None) -> str:
    if found := re.search(r"GGUF model with architecture (\S+) is not supported", text):
        return f"transformers does not read GGUF files of the architecture {found[1]!r}"
    if found := re.search(r"model type `([^`]*)`", text):
        return (
            f"transformers does not know models of the type {found[1]!r} (config.json): update "
            "transformers"
        )
    if "model_type" in text and "Unrecognized model" in text:
        return "its config.json does not say what model it is: set model_type there"
    if found := re.search(r"field '(\w+)'", text):
        return f"its config.json: {found[1]} is of another type than it must be"
    if "is not a multiple of the number of attention heads" in text:
        return "its config.json: hidden_size is no multiple of num_attention_heads"
    named = re.findall(r"'([^']*)'", text) if isinstance(error, KeyError | AttributeError) else []
    key = _key_of(_config_of(folder), named[-1]) if named else None
    return f"its config.json: {key} = {named[-1]!r} is not known" if key else ""


def _config_of(folder: Path | None) -> Any:
    if folder is None or not (folder / "config.json").is_file():
        return {}
    return json.loads((folder / "config.json").read_text(encoding="utf-8", errors="replace"))


def _key_of(tree: Any, value: str) -> str | None:
    """The dotted key under which a config holds a string."""
    for key, each in tree.items() if isinstance(tree, dict) else ():
        inner = key if each == value else _key_of(each, value)
        if inner:
            return key if inner is key else f"{key}.{inner}"
    return None


def json_problem(path: Path) -> str:
    """Why a file such as config.json cannot be read; the empty string if it is a JSON object."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return f"{path.name} is damaged (not UTF-8): {_REPAIR}"
    except json.JSONDecodeError as error:
        return f"{path.name} is damaged (line {error.lineno} is not JSON): {_REPAIR}"
    except (ValueError, RecursionError):
        return f"{path.name} is damaged (not JSON): {_REPAIR}"
    return (
        "" if isinstance(held, dict) else f"{path.name} is damaged (not a JSON object): {_REPAIR}"
    )
