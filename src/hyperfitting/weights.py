"""Which files are a run's model: saved with the run, or named where they stand; hashed once,
compared before use.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperfitting.assets import PACKAGE, PREFIX
from hyperfitting.errors import RunError
from hyperfitting.files import changed_files, file_hashes
from hyperfitting.recipe import ModelSettings

_DECIDING = (
    *(
        "*.safetensors",
        "*.safetensors.index.json",
        "config.json",
        "generation_config.json",
        "adapter_config.json",
    ),
    *(
        "tokenizer*",
        "vocab*",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "*.model",
        "*.py",
    ),
)
"""Files of a model folder that decide what the model computes, or how its texts become ids."""


@dataclass(frozen=True)
class Weights:
    """What run.json keeps of a run's model: the SHA-256 of every file that decides what it
    computes, by name.

    An original that is not copied has a `source`, as the recipe names it, and where that stands
    `from_run`, the run's folder: experiment and model may be moved together.
    """

    sha256: dict[str, str]
    source: str | None = None
    from_run: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of all files' hashes: equal for models that are equal to the bit."""
        return hashlib.sha256(json.dumps(self.sha256, sort_keys=True).encode()).hexdigest()

    def folder(self, run: Path, named: Path | None = None) -> Path:
        """Where the files of the run in this folder stand; `named` is the place that its recipe
        names.

        Raises:
            RunError: they are gone, or are not what they were; the message names the files and the
                remedy.
        """
        if self.source is None:
            remedy = f"put its own back, or remove {run / 'model'} and train again"
            return self._unchanged(run / "model", str(run / "model"), remedy)
        beside = None if self.from_run is None else run.resolve() / self.from_run
        tried = [place for place in (named, beside) if place]
        places = [place for place in tried if place.is_dir()]
        if not places:
            where = f" (tried {tried[0]})" if tried else ""
            raise RunError(
                f"{self.source}, the model of {run}, is gone{where}: put it back, or choose "
                "another --out"
            )
        same = (place for place in places if hash_model(place) == self.sha256)
        remedy = f"{run} was made with it as it was: put its files back, or choose another --out"
        return next(same, None) or self._unchanged(places[-1], self.source, remedy)

    def _unchanged(self, place: Path, name: str, remedy: str) -> Path:
        if changed := changed_files(self.sha256, hash_model(place)):
            raise RunError(f"{name} has changed since its hashes were taken ({changed}): {remedy}")
        return place


def named_weights(settings: ModelSettings, run: Path) -> Weights | None:
    """Those of a model that needs no copy: an ordinary local folder of plain weights. None: it has
    to be saved.
    """
    place = ordinary_folder(settings)
    if place is None:
        return None
    installed = settings.source.startswith((PREFIX, PACKAGE))
    from_run = None if installed else os.path.relpath(place.resolve(), run.resolve())
    return Weights(hash_model(place), settings.source, from_run)


def ordinary_folder(settings: ModelSettings) -> Path | None:
    """The local folder whose plain safetensors are the model: no adapter, no quantisation, no code,
    not begun anew.
    """
    place = settings.place("source") if settings.initialise == "pretrained" else None
    if place is None or settings.trust_remote_code or (place / "adapter_config.json").exists():
        return None
    plain = any(place.glob("*.safetensors")) and "quantization_config" not in _config(place)
    return place if plain else None


def _config(place: Path) -> dict[str, Any]:
    try:
        found = json.loads((place / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"quantization_config": "unknown"}
    return found if isinstance(found, dict) else {}


def hash_model(folder: Path) -> dict[str, str]:
    """SHA-256, in hex, by name, of the files of a model folder that decide what it computes."""
    files = {path for pattern in _DECIDING for path in folder.glob(pattern) if path.is_file()}
    return file_hashes(folder, sorted(files))
