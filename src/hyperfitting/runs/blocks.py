"""Drawn blocks of token ids as .npz files."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hyperfitting.errors import RunError
from hyperfitting.files import replacing
from hyperfitting.records import Origin, TokenBlocks


def write_blocks(path: Path, blocks: TokenBlocks) -> None:
    """Write drawn blocks and their origins as a compressed .npz file, whole or not at all."""
    columns = {
        field.name: [getattr(origin, field.name) for origin in blocks.origins]
        for field in dataclasses.fields(Origin)
    }
    with replacing(path) as partial, partial.open("wb") as file:
        arrays: dict[str, Any] = {key: np.array(values) for key, values in columns.items()}
        np.savez_compressed(file, ids_NT=blocks.ids_NT, **arrays)


def read_blocks(path: Path, name: str, codec: str) -> TokenBlocks:
    """Read what `write_blocks` wrote. `name` and `codec` are kept elsewhere.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = [arrays[field.name].tolist() for field in dataclasses.fields(Origin)]
            return TokenBlocks(name, codec, arrays["ids_NT"], tuple(map(Origin, *columns)))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the data were not drawn to the end") from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged: draw the data again, into another --out") from error
