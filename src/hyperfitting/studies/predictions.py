"""What a run's model found most probable on the true texts: kept, since its weights are not."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperfitting.errors import RunError
from hyperfitting.files import replacing
from hyperfitting.runs import Experiment, Run


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of N texts of T tokens, at each of S = T - 1 predicted positions: the id of the most probable
    token, (N, S) int32, and its probability, (N, S) float32.
    """

    top1_NS: NDArray[np.int32]
    probability_NS: NDArray[np.float32]


def predictions_file(run: Run) -> Path:
    """Where the predictions of a run stand, if its study asks for them."""
    return run.folder / "predictions.npz"


def has_predictions(experiment: Experiment) -> bool:
    """Whether the predictions of all its runs are kept."""
    return all(predictions_file(run).is_file() for run in experiment.runs().values())


def write_predictions(run: Run, sets: Mapping[str, Predictions]) -> None:
    """Write the predictions on each set of the data, whole or not at all."""
    arrays: dict[str, Any] = {f"{name}/top1": each.top1_NS for name, each in sets.items()}
    arrays |= {f"{name}/probability": each.probability_NS for name, each in sets.items()}
    with replacing(predictions_file(run)) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_predictions(run: Run) -> dict[str, Predictions]:
    """Read what `write_predictions` wrote.

    Raises:
        RunError: there are none, or the file is damaged.
    """
    path = predictions_file(run)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [key.removesuffix("/top1") for key in arrays if key.endswith("/top1")]
            return {
                name: Predictions(arrays[f"{name}/top1"], arrays[f"{name}/probability"])
                for name in names
            }
    except FileNotFoundError as error:
        raise RunError(
            f"{path} is missing: the study that made it did not set predictions = true"
        ) from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged: remove {run.folder.parent} to make it again") from error
