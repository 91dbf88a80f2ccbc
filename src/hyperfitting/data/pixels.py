"""One image file, array or field -> pixels (door to Pillow). Whatever would lose something is
refused.

Shapes: H rows, W columns, C = 3 channels (red, green, blue).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.decode import optional
from hyperfitting.errors import InputError

_PNG, _BIT_DEPTH = b"\x89PNG\r\n\x1a\n", 24
"""The first bytes of a PNG file, and the place of the number of bits of a channel."""

_RGB = "save it as RGB with 8 bits a channel"
_DAMAGED = "it is damaged, or neither PNG nor JPEG: make or download it again"
_DAMAGED_EXIF = (
    "its EXIF data are damaged, which would say how it lies: turn it upright, and save it without "
    "them"
)


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of a source, as a document is one text: its pixels are uint8 (H, W, 3), red, green
    and blue.
    """

    source: str
    row: int
    pixels_HWC: NDArray[np.uint8]
    group: str
    title: str


class PictureProblem(Exception):
    """Why an image cannot be used, and the remedy, in one line without the image's name."""


class Pixels(NamedTuple):
    """The pixels of an image, uint8 (H, W, C), and what it was before it was converted to them;
    empty if it was RGB.
    """

    pixels_HWC: NDArray[np.uint8]
    converted: str


def decode_picture(data: bytes) -> Pixels:
    """The pixels of a PNG or JPEG file, upright.

    Grayscale, a palette and a channel of opacity that is opaque everywhere are converted, because
    nothing is lost; what was converted is said.

    Raises:
        PictureProblem: the file is empty, damaged, holds more than one picture, has transparent
            pixels, more than 8 bits a channel, or colours other than RGB.
        MissingExtra: Pillow is not installed.
    """
    if not data:
        raise PictureProblem("it is empty (0 bytes): make or download it again")
    if data.startswith(_PNG) and data[_BIT_DEPTH : _BIT_DEPTH + 1] == b"\x10":
        raise PictureProblem(f"it has 16 bits a channel: {_RGB}")
    with _refused_as(_DAMAGED):
        image = optional("PIL.Image").open(io.BytesIO(data), formats=("PNG", "JPEG"))
        image.load()
        if getattr(image, "n_frames", 1) > 1:
            kind = "several photos in one JPEG file, MPO" if image.format == "MPO" else "animated"
            raise PictureProblem(f"it holds {image.n_frames} pictures ({kind}): save one of them")
    with _refused_as(_DAMAGED_EXIF):
        upright = optional("PIL.ImageOps").exif_transpose(image)
        turned = "turned as its EXIF data say" if upright.getexif() != image.getexif() else ""
    with _refused_as(_DAMAGED):
        pixels_HWC, converted = _rgb(upright)
    return Pixels(pixels_HWC, ", ".join(filter(None, (converted, turned))))


@contextmanager
def _refused_as(problem: str) -> Iterator[None]:
    """Turn whatever Pillow raises, and what it only warns of, into this problem: damaged bytes lead
    it to errors of nearly every class.

    Raises:
        PictureProblem: the problem; or the image has too many pixels.
    """
    pillow = optional("PIL.Image")
    too_large = pillow.DecompressionBombError, pillow.DecompressionBombWarning, MemoryError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)  # says nothing of the file
            yield
    except (PictureProblem, InputError):
        raise
    except too_large as error:
        raise PictureProblem("it has more pixels than Pillow reads: make it smaller") from error
    except Exception as error:
        raise PictureProblem(problem) from error


def _rgb(image: Any) -> tuple[NDArray[np.uint8], str]:
    """The pixels of an image of any mode that RGB can hold, and what it was."""
    mode, kind = image.mode, _LOSSLESS.get(image.mode)
    if mode.startswith("I") or mode == "F":
        raise PictureProblem(f"it has more than 8 bits a channel: {_RGB}")
    if kind is None:
        raise PictureProblem(f"its colours are {mode}: {_RGB}")
    if mode.endswith("A") or "transparency" in image.info:
        return _without_alpha(np.asarray(image.convert("RGBA")), kind)
    return np.asarray(image.convert("RGB")), kind


_LOSSLESS = {
    "RGB": "",
    "L": "grayscale",
    "1": "black and white",
    "P": "palette",
    "RGBA": "",
    "LA": "grayscale",
    "PA": "palette",
}
"""The modes of Pillow that RGB can hold, and what is said of them."""


def _without_alpha(pixels_HW4: NDArray[np.uint8], kind: str) -> tuple[NDArray[np.uint8], str]:
    if pixels_HW4[..., 3].min(initial=255) < 255:
        raise PictureProblem(
            "it has transparent pixels, whose colour is not known: put it on a background first"
        )
    return pixels_HW4[..., :3], ", ".join(filter(None, (kind, "opaque alpha")))


def pixels_of_array(value: NDArray[Any]) -> Pixels:
    """The pixels of one image of an array: uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Raises:
        PictureProblem: another shape or dtype, or transparent pixels.
    """
    if value.dtype != np.uint8:
        raise PictureProblem(f"it holds {value.dtype}: store 0 to 255 as uint8")
    if value.ndim == 2 or (value.ndim == 3 and value.shape[2] == 1):
        gray_HW1 = value.reshape(*value.shape[:2], 1)
        return Pixels(np.repeat(gray_HW1, 3, axis=2), "grayscale")
    if value.ndim != 3 or value.shape[2] not in (3, 4):
        first = "; the channels must come last" if 3 in value.shape[:1] else ""
        raise PictureProblem(
            f"its shape is {value.shape}: rows, columns and 3 channels are needed{first}"
        )
    if value.shape[2] == 4:
        return Pixels(*_without_alpha(value, ""))
    return Pixels(value, "")


def square_in_the_middle(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest square, from the middle."""
    rows, columns = pixels_HWC.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    return pixels_HWC[top : top + side, left : left + side]


def resized(pixels_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The image at `side` x `side` pixels, by Pillow's bilinear filter, as transformers' image
    processor does; unchanged if it has that size.
    """
    if pixels_HWC.shape[:2] == (side, side):
        return np.ascontiguousarray(pixels_HWC)
    pillow = optional("PIL.Image")
    image = pillow.fromarray(np.ascontiguousarray(pixels_HWC))
    return np.asarray(image.resize((side, side), pillow.Resampling.BILINEAR))
