"""Write drawn pictures to a file: `python -m hyperfitting.data.drawn pictures.npz` as arrays,
`pictures.png` as a sheet to look at.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.drawn import draw_pictures
from hyperfitting.data.drawn.canvas import CANVAS_SIDE
from hyperfitting.files import replacing
from hyperfitting.png import png_bytes

_COLUMNS = 12
_SIDES = [side for side in range(8, CANVAS_SIDE + 1) if CANVAS_SIDE % side == 0]


def _main() -> None:
    parser = _parser()
    options = parser.parse_args()
    try:
        _write(options)
    except OSError as error:
        parser.error(
            f"{options.file} cannot be written ({error.strerror or type(error).__name__}): name "
            "another file"
        )


def _write(options: argparse.Namespace) -> None:
    """Draw the pictures, and write them to the file."""
    pictures = list(draw_pictures(options.number, side=options.side, seed=options.seed))
    images_NHWC = np.stack([picture.colours_HWC for picture in pictures])
    with replacing(options.file) as partial, partial.open("wb") as file:
        if options.file.suffix == ".png":
            file.write(png_bytes(_sheet(images_NHWC), enlarged=max(1, 96 // options.side)))
        else:
            np.savez_compressed(
                file,
                image=images_NHWC,
                kind=np.array([picture.kind for picture in pictures]),
                title=np.array([picture.title for picture in pictures]),
            )


def _sheet(images_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures in rows of twelve, with a white line between."""
    count, side = images_NHWC.shape[:2]
    rows, columns = -(-count // _COLUMNS), min(count, _COLUMNS)
    sheet = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1, 3), 255, dtype=np.uint8)
    for number, image_HWC in enumerate(images_NHWC):
        top, left = number // _COLUMNS * (side + 1), number % _COLUMNS * (side + 1)
        sheet[top : top + side, left : left + side] = image_HWC
    return sheet


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hyperfitting.data.drawn",
        description="Draw pictures from a seed, and write them as the arrays image (N, S, S, 3), "
        "kind and title of an .npz file, or on one sheet as a .png file.",
    )
    parser.add_argument("file", type=_file, help="the file to write, .npz or .png")
    parser.add_argument("--number", type=_at_least_one, default=128, help="how many (128)")
    parser.add_argument(
        "--side", type=int, choices=_SIDES, default=32, help="pixels of a side (32)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which pictures (0)")
    return parser


def _file(name: str) -> Path:
    if not name.endswith((".npz", ".png")):
        raise argparse.ArgumentTypeError(f"{name!r} ends neither in .npz nor in .png")
    if os.path.isdir(name):
        raise argparse.ArgumentTypeError(f"{name!r} is a folder: name a file in it")
    for each in Path(name).parents:
        if os.path.exists(each) and not os.path.isdir(each):
            raise argparse.ArgumentTypeError(
                f"{str(each)!r} is a file, and a folder is needed there: name another file"
            )
    return Path(name)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pictures: give 1 or more")
    return int(text)


if __name__ == "__main__":
    _main()
