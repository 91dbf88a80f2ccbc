"""Pictures that this program draws from a seed: any number, in nine kinds, the same to the bit on
every machine. They are free of rights (CC0) and need no download.

__main__.py  writes them to a file
canvas.py    shapes, colours and dice
outdoors.py  landscapes, seascapes, cities
faces.py     faces
patterns.py  patterns and flags
indoors.py   still lifes, fish tanks, flowers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.drawn.canvas import Canvas, Dice
from hyperfitting.data.drawn.faces import draw_face
from hyperfitting.data.drawn.indoors import draw_fish_tank, draw_flowers, draw_still_life
from hyperfitting.data.drawn.outdoors import draw_city, draw_landscape, draw_seascape
from hyperfitting.data.drawn.patterns import draw_flag, draw_pattern

_KINDS: dict[str, Callable[[Canvas, Dice], str]] = {
    "landscape": draw_landscape,
    "face": draw_face,
    "pattern": draw_pattern,
    "seascape": draw_seascape,
    "still life": draw_still_life,
    "flag": draw_flag,
    "city": draw_city,
    "flowers": draw_flowers,
    "fish": draw_fish_tank,
}

PICTURE_KINDS = tuple(_KINDS)
"""What the pictures show. They take turns."""


@dataclass(frozen=True, eq=False)
class DrawnPicture:
    """One picture: its colours (side, side, 3) in uint8, what it shows, and in words."""

    colours_HWC: NDArray[np.uint8]
    kind: str
    title: str


def draw_pictures(number: int, *, side: int = 32, seed: int = 0) -> Iterator[DrawnPicture]:
    """Pictures of a seed, one of each kind in turn.

    The first pictures of a longer series are those of a shorter one, and a picture of another side
    is the same picture. No two are alike: a picture whose coarse version of 8 x 8 pixels has been
    drawn before is passed over.

    Raises:
        ValueError: the side does not divide 128.
    """
    seen: set[bytes] = set()
    attempts = count()
    while len(seen) < number:
        kind = PICTURE_KINDS[len(seen) % len(PICTURE_KINDS)]
        canvas = Canvas.blank()
        title = _KINDS[kind](canvas, Dice("drawn pictures", seed, next(attempts)))
        coarse = (canvas.reduced(8) // 32).tobytes()
        picture = DrawnPicture(canvas.reduced(side), kind, f"{kind}: {title}")
        if coarse not in seen:
            seen.add(coarse)
            yield picture
