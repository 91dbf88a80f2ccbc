"""Changes to model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def edit_json(file: Path, **values: Any) -> None:
    """Set keys of a JSON object; None takes a key out."""
    whole = (json.loads(file.read_text()) if file.exists() else {}) | values
    file.write_text(json.dumps({key: value for key, value in whole.items() if value is not None}))


def without_ends(folder: Path) -> Path:
    """The folder, with nothing left that names an end-of-text token."""
    edit_json(folder / "tokenizer_config.json", eos_token=None)
    edit_json(folder / "generation_config.json", eos_token_id=None)
    config = json.loads((folder / "config.json").read_text()) | {"eos_token_id": None}
    (folder / "config.json").write_text(
        json.dumps(config)
    )  # left out, transformers would put in its own
    return folder
