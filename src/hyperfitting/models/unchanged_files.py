"""What has been read of a local model folder, and found out by trying the model, for as long as its
files stay as they are.

A run loads its models again for every stage. To read a config anew takes as long as to build the
model without weights, and to try a model takes many times as long as to load it.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import transformers
from torch import nn

from hyperfitting.models.adapt import inspect_model, remember_traits
from hyperfitting.models.devices import device_of
from hyperfitting.recipe import ModelSettings
from hyperfitting.traits import ModelTraits
from hyperfitting.weights import ordinary_folder

FileState = tuple[str, int, int, int]
"""A file's path, inode, size and time of last change, which a copy or a rename sets anew too."""

_FOUND: dict[tuple[Any, ...], ModelTraits] = {}


def file_state(path: Path) -> FileState:
    """What differs as soon as a file has been written or replaced."""
    found = path.stat()
    return str(path.resolve()), found.st_ino, found.st_size, found.st_ctime_ns


def folder_config(folder: Path) -> Any:
    """The config of a local model folder without code of its own; each caller gets a copy."""
    return copy.deepcopy(_read_config(folder, file_state(folder / "config.json")))


@lru_cache(maxsize=64)
def _read_config(folder: Path, state: FileState) -> Any:
    del state  # another one is another call
    return transformers.AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )


def inspect_unless_known(model: nn.Module, settings: ModelSettings, tokens: int | None) -> None:
    """Inspect a model that was loaded by these settings, as `inspect_model` does; or remember its
    traits, where this process has inspected the same files in this dtype, on this device, at this
    length.

    Raises:
        ModelError: as `inspect_model`.
    """
    folder = None if settings.architecture else ordinary_folder(settings)
    if folder is None:
        inspect_model(model, tokens)
        return
    files = tuple(file_state(path) for path in sorted(folder.iterdir()) if path.is_file())
    key = (files, settings.dtype, str(device_of(model)), tokens)
    _FOUND[key] = remember_traits(model, _FOUND.get(key) or inspect_model(model, tokens))
