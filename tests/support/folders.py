"""What is in a folder, and changes to those of models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def file_names(folder: Path) -> list[str]:
    """All files below a folder, by their path in it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def contents(folder: Path) -> dict[Path, bytes]:
    """What all files below a folder hold."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit_json(file: Path, **values: Any) -> None:
    """Set keys of a JSON object; None takes a key out."""
    whole = (json.loads(file.read_text()) if file.exists() else {}) | values
    file.write_text(json.dumps({key: value for key, value in whole.items() if value is not None}))


def change_config(**values: Any) -> Callable[[Path], None]:
    """A change to a model's config.json."""
    return lambda folder: edit_json(folder / "config.json", **values)


def rewrite_weights(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a file of weights in place."""
    from safetensors.torch import load_file, save_file

    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def without_ends(folder: Path) -> Path:
    """The folder, with nothing left that names an end-of-text token."""
    edit_json(folder / "tokenizer_config.json", eos_token=None)
    edit_json(folder / "generation_config.json", eos_token_id=None)
    config = json.loads((folder / "config.json").read_text()) | {"eos_token_id": None}
    (folder / "config.json").write_text(
        json.dumps(config)
    )  # left out, transformers would put in its own
    return folder
