"""A canvas of 128 x 128 colours, shapes on it, and the dice that compose a picture.

Pictures are the same to the bit on every machine: the dice use `random.Random.random` only, whose
numbers Python promises; shapes and colours use +, -, x, / and comparisons of float64 only, which
IEEE 754 rounds alike everywhere (no sine, no power, no sums of floats); and pixels are averaged as
whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hyperfitting.seeds import derive_seed

CANVAS_SIDE = 128

Colour = tuple[float, float, float]
"""Red, green and blue, 0 to 255."""

Corner = tuple[float, float]
Field = NDArray[np.float64]
Mask = NDArray[np.bool_]

_Option = TypeVar("_Option")


class Dice:
    """Whatever is random in a picture. Equal parts give equal throws."""

    def __init__(self, *parts: str | int) -> None:
        self._random = Random(derive_seed(*parts))

    def number(self, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        return low + (high - low) * self._random.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both among them."""
        return low + int(self._random.random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """True in a `share` of the throws."""
        return self._random.random() < share

    def pick(self, options: Sequence[_Option]) -> _Option:
        """One of the options."""
        return options[self.whole(0, len(options) - 1)]

    def several(self, options: Sequence[_Option], count: int) -> list[_Option]:
        """`count` different options, in random order."""
        left = list(options)
        return [left.pop(self.whole(0, len(left) - 1)) for _ in range(count)]

    def curve(self, points: int, low: float, high: float, *, smooth: bool = True) -> Curve:
        """A curve through `points` random heights at equal distances from x = 0 to x = 1."""
        return Curve(tuple(self.number(low, high) for _ in range(points)), smooth)


@dataclass(frozen=True)
class Curve:
    """Heights from left to right, joined smoothly or by straight lines."""

    heights: tuple[float, ...]
    smooth: bool = True

    def at(self, x: Field) -> Field:
        """The height at each x, that of an end beyond the ends."""
        heights = np.asarray(self.heights)
        place = np.clip(x, 0, 1) * (len(heights) - 1)
        left = np.minimum(place.astype(np.int64), len(heights) - 2)
        share = place - left
        if self.smooth:
            share = share * share * (3 - 2 * share)
        return np.asarray(heights[left] + (heights[left + 1] - heights[left]) * share)


class Canvas:
    """Colours to be painted over, in coordinates from 0 to 1: x to the right, y down.

    Masks are made in these coordinates. A part of a canvas has coordinates of its own and paints
    into the whole.
    """

    def __init__(self, pixels: Field, x: Field, y: Field, inside: Mask) -> None:
        self.pixels, self.x, self.y, self.inside = pixels, x, y, inside

    @classmethod
    def blank(cls) -> Canvas:
        """A white canvas."""
        centres = (np.arange(CANVAS_SIDE) + 0.5) / CANVAS_SIDE
        x, y = np.meshgrid(centres, centres)
        return cls(np.full((*x.shape, 3), 255.0), x, y, np.full(x.shape, True))

    def part(self, x: Field, y: Field) -> Canvas:
        """The part of the canvas where the given coordinates lie between 0 and 1."""
        inside = self.inside & (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
        return Canvas(self.pixels, x, y, inside)

    def paint(self, where: Mask, colour: Colour | Field, opacity: float = 1.0) -> None:
        """Lay a colour, or a field of colours (128, 128, 3), over a mask."""
        where = where & self.inside
        new = np.broadcast_to(np.asarray(colour, dtype=np.float64), self.pixels.shape)[where]
        old = self.pixels[where]
        self.pixels[where] = old + (new - old) * opacity

    def fill(self, colour: Colour | Field) -> None:
        """Paint everything."""
        self.paint(self.inside, colour)

    def blend(self, start: Colour, end: Colour, share: Field) -> Field:
        """A field of colours: `start` where `share` is 0 or less, `end` where it is 1 or more."""
        share = np.clip(share, 0, 1)[..., None]
        first, last = np.asarray(start), np.asarray(end)
        return np.asarray(first + (last - first) * share)

    def rectangle(self, left: float, top: float, right: float, bottom: float) -> Mask:
        """What lies between two corners."""
        return np.asarray((self.x >= left) & (self.x < right) & (self.y >= top) & (self.y < bottom))

    def ellipse(self, x: float, y: float, width: float, height: float | None = None) -> Mask:
        """An ellipse around a point, by its half axes; a circle without a height."""
        across = (self.x - x) / width
        down = (self.y - y) / (width if height is None else height)
        return np.asarray(across * across + down * down < 1)

    def polygon(self, *corners: Corner) -> Mask:
        """What a line through the corners encloses."""
        found = np.full(self.x.shape, False)
        for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
            if y0 != y1:
                crosses = (y0 > self.y) != (y1 > self.y)
                found ^= crosses & (self.x < (x1 - x0) * (self.y - y0) / (y1 - y0) + x0)
        return found

    def stroke(self, start: Corner, end: Corner, width: float) -> Mask:
        """A line with round ends."""
        (x0, y0), (x1, y1) = start, end
        across, down = x1 - x0, y1 - y0
        length = across * across + down * down
        along = ((self.x - x0) * across + (self.y - y0) * down) / length if length else 0 * self.x
        along = np.clip(along, 0, 1)
        aside, below = self.x - x0 - along * across, self.y - y0 - along * down
        return np.asarray(aside * aside + below * below < width * width / 4)

    def below(self, curve: Curve) -> Mask:
        """What lies below a curve."""
        return np.asarray(self.y > curve.at(self.x))

    def ball(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """A ball with the light from above left."""
        across, down = self.x - x + radius * 0.35, self.y - y + radius * 0.4
        share = (across * across + down * down) / (radius * radius * 1.9)
        shades = self.blend(lighter(colour, 0.35), darker(colour, 0.45), share)
        self.paint(self.ellipse(x, y, radius), shades)

    def reduced(self, side: int) -> NDArray[np.uint8]:
        """The picture (side, side, 3), each pixel the mean of a square.

        Raises:
            ValueError: the side does not divide 128.
        """
        if side < 1 or CANVAS_SIDE % side:
            raise ValueError(f"a side of {side} does not divide {CANVAS_SIDE}")
        step = CANVAS_SIDE // side
        levels = (np.clip(self.pixels, 0, 255) + 0.5).astype(np.int64)
        sums = levels.reshape(side, step, side, step, 3).sum(axis=(1, 3))
        means: NDArray[np.uint8] = ((sums + step * step // 2) // (step * step)).astype(np.uint8)
        return means


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: `one` at 0, `other` at 1."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def lighter(colour: Colour, share: float) -> Colour:
    """The colour nearer to white."""
    return mixed(colour, (255.0, 255.0, 255.0), share)


def darker(colour: Colour, share: float) -> Colour:
    """The colour nearer to a dark blue, as shadows are."""
    return mixed(colour, (18.0, 16.0, 36.0), share)


def colours(names: str) -> list[Colour]:
    """Colours by their six hexadecimal digits, between spaces."""
    return [
        (float(int(name[:2], 16)), float(int(name[2:4], 16)), float(int(name[4:], 16)))
        for name in names.split()
    ]
