"""The colours that an image model writes in: pixels to colour ids and back, and the file that keeps
them.

The file is the `preprocessor_config.json` of transformers' ImageGPT image processor, so that a
folder that holds it loads there too.

Shapes: K colours, C = 3 channels (red, green, blue), H rows, W columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperfitting.errors import ModelError
from hyperfitting.files import write_text

PALETTE_FILE = "preprocessor_config.json"
"""The file of a model folder that keeps its colours."""

LEAST_COLOURS = 2
"""With one colour all images would be alike."""

_READS = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 1 / 255,
}
"""How images are read here, in the words of the file; 2 is Pillow's number of the bilinear
filter.
"""

_PIXELS = 2**14  # compared with all colours at a time


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours of an image model: float32 (K, C) in [-1, 1], as its image processor keeps them.

    A pixel's token is the number of the nearest colour. The number K, which is no colour, is the
    start token.
    """

    colours_KC: NDArray[np.float32]

    def __len__(self) -> int:
        """The number of colours, and the id of the start token."""
        return len(self.colours_KC)

    @cached_property
    def levels(self) -> NDArray[np.uint8]:
        """The colours to show: (K, C), 0 to 255."""
        levels_KC = (self.colours_KC.astype(np.float64) + 1) * 127.5
        return np.clip(np.rint(levels_KC), 0, 255).astype(np.uint8)

    def nearest(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The number of the nearest colour of each pixel (H, W), by Euclidean distance.

        The arithmetic is that of transformers' image processor, which decides between two colours
        that are equally near.
        """
        levels_NC = (pixels_HWC.reshape(-1, 3) * (1 / 255)).astype(np.float32)
        levels_NC = (levels_NC - np.float32(0.5)) / np.float32(0.5)
        parts = range(0, len(levels_NC), _PIXELS)
        found = [self._nearest(levels_NC[start : start + _PIXELS]) for start in parts]
        ids_N = np.concatenate(found) if found else np.zeros(0, np.int32)
        return ids_N.reshape(pixels_HWC.shape[:-1])

    def _nearest(self, levels_NC: NDArray[np.float32]) -> NDArray[np.int32]:
        colours_KC = self.colours_KC.astype(np.float64)
        size_N1 = np.square(levels_NC).sum(1)[:, None]
        distance_NK = size_N1 - 2 * (levels_NC @ colours_KC.T) + np.square(colours_KC).sum(1)
        nearest_N: NDArray[np.int32] = distance_NK.argmin(1).astype(np.int32)
        return nearest_N

    def pixels(self, ids_HW: NDArray[Any]) -> NDArray[np.uint8]:
        """The pixels of colour ids: (H, W, C), 0 to 255."""
        pixels_HWC: NDArray[np.uint8] = self.levels[np.asarray(ids_HW)]
        return pixels_HWC

    def fingerprint(self, side: int) -> str:
        """SHA-256, in hex, of what turns images of `side` x `side` pixels into ids."""
        colours = np.ascontiguousarray(self.colours_KC, dtype="<f4")
        return sha256(f"image {side} {colours.shape}".encode() + colours.tobytes()).hexdigest()


def write_palette(path: Path, palette: Palette, side: int) -> None:
    """Write the file of transformers' ImageGPT image processor for images of `side` x `side`."""
    held = {
        "image_processor_type": "ImageGPTImageProcessor",
        "clusters": palette.colours_KC.tolist(),
        "do_color_quantize": True,
        **_READS,
        "size": {"height": side, "width": side},
    }
    write_text(path, json.dumps(held) + "\n")


def read_palette(path: Path, *, side: int | None = None) -> Palette:
    """The colours in the file of an ImageGPT image processor, of any version; None as `side`: of a
    model of any size.

    Raises:
        ModelError: the file cannot be read, holds no colours in [-1, 1], or makes other ids of an
            image than are made here.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        clusters = held.get("clusters") if isinstance(held, dict) else None
        if clusters is None:
            raise ModelError(f"{path.name}: it holds no clusters of colours: {_REMEDY}")
        # Not float32 yet, in which numpy would only warn of a number that is too large.
        colours_KC = np.asarray(clusters, dtype=np.float64)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{path.name} is damaged: {_REMEDY}") from error
    if colours_KC.ndim != 2 or colours_KC.shape[1] != 3 or not len(colours_KC):
        raise ModelError(f"{path.name}: its clusters are no list of red, green, blue: {_REMEDY}")
    if not (np.abs(colours_KC) <= 1.001).all():
        raise ModelError(f"{path.name}: its clusters are not in -1 to 1: {_REMEDY}")
    _refuse_other_ids(held, side, path.name)
    return Palette(colours_KC.astype(np.float32))


def _refuse_other_ids(held: dict[str, Any], side: int | None, name: str) -> None:
    """Refuse a file whose image processor reads an image otherwise than it is read here.

    Raises:
        ModelError: names the setting.
    """
    for key, value in _READS.items():
        if held.get(key) is not None and held[key] != value:
            raise ModelError(
                f"{name}: {key} = {held[key]}, and images are read here with {value}: {_REMEDY}, "
                f"or set it to {value}"
            )
    size = held.get("size")
    sides = [size.get("height"), size.get("width")] if isinstance(size, dict) else [size, size]
    if side is not None and size is not None and sides != [side, side]:
        raise ModelError(
            f"{name}: size = {size}, and the model continues images of {side} x {side} pixels: "
            f"{_REMEDY}, or set it to {side}"
        )


_REMEDY = "take the one that came with the model"
