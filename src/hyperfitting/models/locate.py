"""Where the files of a model stand, and of which kind they are: a plain folder, a hub name, a GGUF
file, or an adapter with its base.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyperfitting import hub
from hyperfitting.assets import local_path, tried_path
from hyperfitting.errors import ModelError
from hyperfitting.models.gguf_files import GgufFile, gguf_files, gguf_in, read_gguf
from hyperfitting.models.plain_errors import json_problem
from hyperfitting.recipe import ModelSettings

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Location:
    """What transformers takes as a model: a local folder or a hub name, and its options.

    `gguf` is what the GGUF file in `source` holds, if that is one. `base` are the settings of the
    model that an adapter in `source` changes.
    """

    source: str
    options: dict[str, Any] = field(default_factory=dict)
    gguf: GgufFile | None = None
    base: ModelSettings | None = None


def locate(settings: ModelSettings, adapters: tuple[Path, ...] = ()) -> Location:
    """Find the model of the settings; a local one is checked, with all base models below it.

    `adapters` are the folders of those for which it is looked up as a base model.

    Raises:
        ModelError: there is no such folder or file, or it holds no model that can be read.
    """
    path = settings.place("source")
    options = {
        "trust_remote_code": settings.trust_remote_code,
        "local_files_only": path is not None,
    }
    if path is None:
        hub.go_offline_if_unreachable()
        return Location(settings.source, {**options, "revision": settings.revision})
    if not path.exists():
        tried = "" if str(path) == settings.source else f" (tried {path})"
        kind = "file" if path.suffix.lower() == ".gguf" else "model folder"
        raise ModelError(f"{settings.source}: no such {kind}{tried}")
    if _is_adapter(path):  # first: its base may be a GGUF file beside it
        adapters = (*adapters, path.resolve())
        base = _base_of(path, settings, adapters)
        if base.place("source") is not None:
            locate(base, adapters)
        return Location(str(path), options, base=base)
    if (file := gguf_in(path)) is not None:
        return Location(str(file), options, gguf=read_gguf(file))
    if problem := _not_plain(path, settings):
        raise ModelError(f"{settings.source}: {problem}")
    return Location(str(path), options)


def _is_adapter(path: Path) -> bool:
    """Whether a folder holds an adapter and no model beside it.

    Raises:
        ModelError: it holds both.
    """
    if not (path / ADAPTER_CONFIG).is_file():
        return False
    if (path / "config.json").is_file():
        raise ModelError(
            "it holds an adapter (adapter_config.json) beside the weights, and which model is "
            "meant is not clear: merge it into them (peft's merge_and_unload) and save that to a "
            "folder of its own, or move it away"
        )
    return True


def _base_of(path: Path, settings: ModelSettings, adapters: tuple[Path, ...]) -> ModelSettings:
    """The settings of an adapter's base model. A relative path counts from the adapter's folder, or
    from where the recipe's paths count from.
    """
    if problem := json_problem(path / ADAPTER_CONFIG):
        raise ModelError(f"{settings.source}: {problem}")
    held = json.loads((path / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    name = held.get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ModelError(
            f"{settings.source}: its {ADAPTER_CONFIG} names no base model: set "
            "base_model_name_or_path there"
        )
    place = _place_of_base(name, path, settings, adapters)
    source = name if place is None else str(place)
    return settings.model_copy(update={"source": source, "revision": held.get("revision")})


def _place_of_base(
    name: str, path: Path, settings: ModelSettings, adapters: tuple[Path, ...]
) -> Path | None:
    """Where the base model of the adapter in `path` stands here; None of a hub name."""
    folders = (path, settings.folder_of("source"))
    beside = next((each for each in folders if tried_path(name, each).exists()), folders[-1])
    place = local_path(name, beside)
    remedy = f"correct base_model_name_or_path in {ADAPTER_CONFIG}"
    if place is not None and not place.exists():
        raise ModelError(
            f"{settings.source}: its base model {name} is not there (tried {place}): put it back, "
            f"or {remedy}"
        )
    if place is not None and place.resolve() in adapters:
        raise ModelError(f"{settings.source}: its base model {name} leads back to it: {remedy}")
    return place


def _not_plain(path: Path, settings: ModelSettings) -> str:
    """Why a folder does not hold plain weights with their config; the empty string if it does."""
    if not (path / "config.json").is_file():
        return "not a model folder: it has no config.json, no adapter_config.json and no .gguf file"
    if problem := json_problem(path / "config.json"):
        return problem
    if any(path.glob("*.safetensors")) or settings.initialise == "random":
        return ""
    if quantised := gguf_files(path):
        return f"it has no *.safetensors: name the GGUF file in it, {quantised[0]}"
    pickled = any(each.suffix in (".bin", ".pt", ".pth") for each in path.iterdir())
    return (
        "pickled weights can run code and are not read: convert them to safetensors"
        if pickled
        else "it has no *.safetensors"
    )
