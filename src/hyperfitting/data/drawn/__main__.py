"""Write drawn pictures to a file of arrays: `python -m hyperfitting.data.drawn pictures.npz`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hyperfitting.data.drawn import draw_pictures
from hyperfitting.data.drawn.canvas import CANVAS_SIDE
from hyperfitting.files import replacing

_SIDES = [side for side in range(8, CANVAS_SIDE + 1) if CANVAS_SIDE % side == 0]


def _main() -> None:
    options = _parser().parse_args()
    pictures = list(draw_pictures(options.number, side=options.side, seed=options.seed))
    with replacing(options.file) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            image=np.stack([picture.colours_HWC for picture in pictures]),
            kind=np.array([picture.kind for picture in pictures]),
            title=np.array([picture.title for picture in pictures]),
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hyperfitting.data.drawn",
        description="Draw pictures from a seed, and write them as the arrays image (N, S, S, 3), "
        "kind and title of an .npz file.",
    )
    parser.add_argument("file", type=_npz, help="the file to write, ending in .npz")
    parser.add_argument("--number", type=_at_least_one, default=128, help="how many (128)")
    parser.add_argument(
        "--side", type=int, choices=_SIDES, default=32, help="pixels of a side (32)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which pictures (0)")
    return parser


def _npz(name: str) -> Path:
    if not name.endswith(".npz"):
        raise argparse.ArgumentTypeError(f"{name!r} does not end in .npz")
    return Path(name)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of pictures: give 1 or more")
    return int(text)


if __name__ == "__main__":
    _main()
