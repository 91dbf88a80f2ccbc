"""Patterns that fill a picture, and flags."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hyperfitting.data.drawn.canvas import (
    Canvas,
    Colour,
    Dice,
    Field,
    Mask,
    colours,
    darker,
    mixed,
)

_PALETTES = [
    colours(five)
    for five in (
        "264653 2a9d8f e9c46a f4a261 e76f51",
        "0b132b 3a506b 5bc0be f2f4f3 ff6b6b",
        "f1faee a8dadc 457b9d 1d3557 e63946",
        "fefae0 dda15e bc6c25 606c38 283618",
        "2b2d42 8d99ae edf2f4 ef233c d90429",
        "ffcdb2 ffb4a2 e5989b b5838d 6d6875",
        "03071e 6a040f d00000 f48c06 ffba08",
        "cad2c5 84a98c 52796f 354f52 2f3e46",
        "f72585 7209b7 3a0ca3 4361ee 4cc9f0",
        "fff1e6 ddbea9 cb997e a5a58d 6b705c",
        "e8e8e4 222222 c1121f e0a100 14538a",
        "d8f3dc 95d5b2 52b788 2d6a4f ffd166",
    )
]

_FLAG_COLOURS = colours("c8202a 1f4fa0 f2c51d 1f8a4c ffffff 151515 e87722 5bb5e8 6a2a7a 0a5a5a")

_Palette = list[Colour]


def draw_pattern(canvas: Canvas, dice: Dice) -> str:
    """One of twelve patterns in two to five colours, of any size, place and slant."""
    palette = dice.several(dice.pick(_PALETTES), 5)
    slant, turn = dice.pick([0.0, 0.0, 0.5, -0.5, 1.0, -1.0]), dice.chance(0.5)
    x, y = (canvas.y, canvas.x) if turn else (canvas.x, canvas.y)
    x, y = x + slant * y + dice.number(1, 2), y + dice.number(1, 2)
    name, draw = dice.pick(_PATTERNS)
    canvas.fill(palette[0])
    draw(canvas, dice, palette, x, y)
    return f"{name}{', slanted' if slant else ''}"


def _stripes(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    place, left = x % 1 * dice.number(0.9, 1), 0.0
    widths = [dice.number(0.04, 0.18) for _ in range(dice.whole(2, 5))]
    place = place % sum(widths)
    for width, colour in zip(widths, palette, strict=False):
        canvas.paint(np.asarray((place >= left) & (place < left + width)), colour)
        left += width


def _checks(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count, aspect = dice.whole(3, 8), dice.pick([1.0, 1.0, 0.5, 2.0])
    across, down = np.floor(x * count), np.floor(y * count * aspect)
    canvas.paint((across + down) % 2 == 0, palette[1])
    if dice.chance(0.4):
        canvas.paint((across + 2 * down) % 4 == 1, palette[2])


def _dots(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count, radius = dice.whole(3, 6), dice.number(0.2, 0.42)
    shifted = dice.chance(0.5)
    row = np.floor(y * count)
    place = x * count + (row % 2) * (0.5 if shifted else 0)
    across, down = place % 1 - 0.5, y * count % 1 - 0.5
    near = across * across + down * down
    canvas.paint(near < radius * radius, palette[1])
    canvas.paint((near < radius * radius) & (row % 2 == 1), palette[dice.pick([1, 2])])
    if dice.chance(0.4):
        canvas.paint(near < radius * radius * 0.25, palette[3])


def _plaid(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count = dice.whole(2, 4)
    for colour in palette[1 : dice.whole(2, 4) + 1]:
        start, width = dice.number(0, 0.8), dice.number(0.06, 0.4)
        for place in (x, y):
            canvas.paint(np.asarray((place * count + start) % 1 < width), colour, 0.55)


def _chevrons(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count, steep = dice.whole(2, 4), dice.number(0.4, 1.2)
    fold = abs(x * count % 1 - 0.5) * steep
    band = np.floor((y + fold) * dice.whole(4, 9))
    kinds = dice.whole(2, 4)
    for index in range(kinds):
        canvas.paint(np.asarray(band % kinds == index), palette[index])


def _rings(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    across, down = canvas.x - dice.number(0.1, 0.9), canvas.y - dice.number(0.1, 0.9)
    distance = (
        np.sqrt(across * across + down * down)
        if dice.chance(0.6)
        else np.maximum(abs(across), abs(down))
    )
    ring, kinds = np.floor(distance * dice.number(6, 14)), dice.whole(2, 5)
    for index in range(kinds):
        canvas.paint(ring % kinds == index, palette[index])


def _bricks(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    rows = dice.whole(4, 7)
    row = np.floor(y * rows)
    place = x * rows / dice.number(1.6, 2.4) + (row % 2) / 2
    column = np.floor(place)
    for index in range(3):
        canvas.paint((column * 5 + row * 7) % 3 == index, palette[1 + index % 2 + index // 2])
    joint = (place % 1 < 0.1) | (y * rows % 1 < 0.16)
    canvas.paint(np.asarray(joint), palette[0])


def _scales(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count, kinds = dice.whole(3, 5), dice.whole(2, 4)
    canvas.fill(palette[0])
    for row in range(-2, 4 * count + 2):
        shift, level = (row % 2) / 2, row / (2 * count)
        across = (canvas.x * count + shift) % 1 - 0.5
        down = (canvas.y - level) * count
        inside = across * across + down * down < 0.29
        canvas.paint(np.asarray(inside & (down > -0.02)), palette[row % kinds])
        rim = inside & (across * across + down * down > 0.2) & (down > 0)
        canvas.paint(np.asarray(rim), darker(palette[row % kinds], 0.25))


def _diamonds(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count, aspect = dice.whole(2, 5), dice.pick([1.0, 0.6, 1.5])
    across, down = x * count, y * count * aspect
    distance = abs(across % 1 - 0.5) + abs(down % 1 - 0.5)
    canvas.paint(np.asarray(distance < dice.number(0.38, 0.5)), palette[1])
    canvas.paint(np.asarray(distance < dice.number(0.15, 0.28)), palette[2])
    canvas.paint((distance >= 0.5) & ((np.floor(across) + np.floor(down)) % 2 == 0), palette[3])


def _triangles(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    count = dice.whole(3, 5)
    across, down = x * count, y * count
    upper = across % 1 + down % 1 < 1
    cell = np.floor(across) * 3 + np.floor(down) * 5
    start, second = dice.whole(0, 4), dice.whole(1, 3)
    for index in range(5):
        half = upper & ((cell + start) % 5 == index)
        other = ~upper & ((cell * second + 2) % 5 == index)
        canvas.paint(np.asarray(half | other), palette[index])


def _tiles(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    """Quarter circles whose corners are thrown for each tile (Truchet tiles)."""
    count = dice.whole(3, 4)
    for row in range(count):
        for column in range(count):
            tile = canvas.part(canvas.x * count - column, canvas.y * count - row)
            tile.fill(palette[(row + column) % 2 * 3])
            flip = dice.chance(0.5)
            for corner in (0.0, 1.0):
                across = tile.x - (1 - corner if flip else corner)
                distance = across * across + (tile.y - corner) * (tile.y - corner)
                tile.paint(np.asarray(distance < 0.42), palette[1])
                tile.paint(np.asarray(distance < 0.1), palette[2])


def _ripples(canvas: Canvas, dice: Dice, palette: _Palette, x: Field, y: Field) -> None:
    wave = dice.curve(dice.whole(4, 8), -0.1, 0.1)
    band, kinds = np.floor((y + wave.at(canvas.x)) * dice.whole(5, 10)), dice.whole(2, 5)
    for index in range(kinds):
        canvas.paint(band % kinds == index, palette[index])


_Draw = Callable[[Canvas, Dice, _Palette, Field, Field], None]
_PATTERNS: list[tuple[str, _Draw]] = [
    ("stripes", _stripes),
    ("checks", _checks),
    ("dots", _dots),
    ("plaid", _plaid),
    ("chevrons", _chevrons),
    ("rings", _rings),
    ("bricks", _bricks),
    ("scales", _scales),
    ("diamonds", _diamonds),
    ("triangles", _triangles),
    ("quarter circles", _tiles),
    ("ripples", _ripples),
]


def draw_flag(canvas: Canvas, dice: Dice) -> str:
    """An invented flag, flat or waving on a pole."""
    palette = dice.several(_FLAG_COLOURS, 4)
    waving = dice.chance(0.6)
    flag = _on_pole(canvas, dice) if waving else canvas
    name = dice.pick(_GROUNDS)(flag, dice, palette)
    mark = dice.pick(_MARKS)(flag, dice, palette[3])
    _shade(flag, dice, 0.5 if waving else 0.25)
    return f"{name}{mark}{', waving' if waving else ''}"


def _shade(flag: Canvas, dice: Dice, depth: float) -> None:
    """Light and shadow of the folds of a cloth."""
    fold = dice.curve(dice.whole(4, 6), -0.5, 0.4).at(flag.x + 0.2 * (flag.y - 0.5)) * depth
    shaded = flag.pixels * (1 - np.maximum(-fold, 0))[..., None]
    flag.fill(shaded + (255.0 - shaded) * np.maximum(fold, 0)[..., None])


def _on_pole(canvas: Canvas, dice: Dice) -> Canvas:
    """The part of the canvas that a waving flag takes, before a sky."""
    top, low = dice.several(colours("8ec5ea 3f7fc8 f7c9a0 dfe8ee 5a6a9a f2b0a8 a8c8b8"), 2)
    canvas.fill(canvas.blend(top, low, canvas.y))
    left, upper = dice.number(0.08, 0.16), dice.number(0.08, 0.2)
    pole = canvas.rectangle(left - 0.035, upper - 0.06, left, 1)
    canvas.paint(pole, dice.pick(colours("8a8a90 c8a050 5a3f2a f0f0f0")))
    wave = dice.curve(dice.whole(3, 5), -0.05, 0.05)
    width, height = dice.number(0.7, 0.84), dice.number(0.5, 0.62)
    x = (canvas.x - left) / width
    shift = wave.at(x) * np.clip(x * 2, 0, 1)
    return canvas.part(x, (canvas.y - upper - shift) / height)


def _bands(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    count, upright = dice.pick([2, 3, 3, 5]), dice.chance(0.5)
    place = np.floor((flag.x if upright else flag.y) * count)
    order = palette[:3] if count != 5 else [palette[0], palette[1], palette[2], *palette[1::-1]]
    for index in range(count):
        flag.paint(np.asarray(place == index), order[index])
    return f"{count} {'upright' if upright else 'level'} bands"


def _cross(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    flag.fill(palette[0])
    centre = dice.pick([0.36, 0.5])
    for width, colour in ((0.13, palette[1]), (0.065, palette[dice.pick([1, 2])])):
        flag.paint(
            np.asarray((abs(flag.x - centre) < width * 0.8) | (abs(flag.y - 0.5) < width)), colour
        )
    return "a cross"


def _saltire(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    flag.fill(palette[0])
    if dice.chance(0.5):
        flag.paint(abs(flag.x - 0.5) > abs(flag.y - 0.5), palette[2])
    slanted = np.minimum(abs(flag.x - flag.y), abs(flag.x + flag.y - 1))
    flag.paint(slanted < dice.number(0.09, 0.16), palette[1])
    return "a saltire"


def _quarters(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    flag.fill(palette[0])
    flag.paint((flag.x < 0.5) == (flag.y < 0.5), palette[1])
    return "quarters"


def _canton(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    count = dice.pick([5, 7, 9])
    flag.fill(palette[0])
    flag.paint(np.asarray(np.floor(flag.y * count) % 2 == 1), palette[1])
    canton = flag.rectangle(0, 0, 0.45, (count // 2 + 1) / count)
    flag.paint(canton, palette[2])
    across, down = flag.x * 8 % 1 - 0.5, flag.y * 8 % 1 - 0.5
    flag.paint(canton & (across * across + down * down < 0.08), palette[0])
    return "stripes with a canton"


def _hoist(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    upper = flag.y < dice.pick([0.5, 0.34, 0.66])
    flag.fill(palette[1])
    flag.paint(upper, palette[0])
    reach = dice.number(0.35, 0.6)
    flag.paint(flag.polygon((0, 0), (reach, 0.5), (0, 1)), palette[2])
    return "a triangle at the hoist"


def _diagonal(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    rising = dice.chance(0.5)
    share = flag.x + flag.y - 1 if rising else flag.x - flag.y
    flag.fill(palette[0])
    flag.paint(share > 0, palette[1])
    flag.paint(abs(share) < dice.pick([0.0, 0.08, 0.14]), palette[2])
    return f"a {'rising' if rising else 'falling'} diagonal"


def _rays(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    x, y = flag.x - 0.5, flag.y - dice.pick([0.5, 0.5, 1.0])
    steep = np.minimum(abs(x), abs(y)) / np.maximum(np.maximum(abs(x), abs(y)), 0.001)
    count = dice.pick([2, 3])
    odd = (x * y > 0) ^ (abs(x) > abs(y))
    flag.fill(palette[0])
    flag.paint((np.floor(steep * count) % 2 == 0) ^ odd, palette[1])
    return "rays"


def _bordered(flag: Canvas, dice: Dice, palette: _Palette) -> str:
    flag.fill(palette[0])
    inset = dice.number(0.1, 0.18)
    flag.paint(flag.rectangle(inset, inset, 1 - inset, 1 - inset), palette[1])
    return "a border"


_GROUNDS = [_bands, _cross, _saltire, _quarters, _canton, _hoist, _diagonal, _rays, _bordered]


def _no_mark(flag: Canvas, dice: Dice, colour: Colour) -> str:
    return ""


def _disc(flag: Canvas, dice: Dice, colour: Colour) -> str:
    flag.paint(flag.ellipse(dice.pick([0.5, 0.36]), 0.5, dice.number(0.14, 0.24)), colour)
    return " and a disc"


def _crescent(flag: Canvas, dice: Dice, colour: Colour) -> str:
    x, radius = dice.pick([0.5, 0.33]), dice.number(0.18, 0.26)
    moon = flag.ellipse(x, 0.5, radius) & ~flag.ellipse(x + radius * 0.4, 0.5, radius * 0.8)
    flag.paint(moon, colour)
    return " and a crescent"


def _star(flag: Canvas, dice: Dice, colour: Colour) -> str:
    x, size = dice.pick([0.5, 0.3]), dice.number(0.2, 0.3)
    flag.paint(star_mask(flag, x, 0.5, size), colour)
    return " and a star"


def _lozenge(flag: Canvas, dice: Dice, colour: Colour) -> str:
    half = dice.number(0.22, 0.4)
    shape = abs(flag.x - 0.5) + abs(flag.y - 0.5) < half
    flag.paint(np.asarray(shape), mixed(colour, (255.0, 255.0, 255.0), 0.0))
    return " and a lozenge"


_MARKS = [_no_mark, _no_mark, _disc, _crescent, _star, _lozenge]

_STAR = (
    (0.0, -1.0), (0.2245, -0.309), (0.9511, -0.309), (0.3633, 0.118), (0.5878, 0.809),
    (0.0, 0.382), (-0.5878, 0.809), (-0.3633, 0.118), (-0.9511, -0.309), (-0.2245, -0.309),
)  # fmt: skip


def star_mask(canvas: Canvas, x: float, y: float, size: float) -> Mask:
    """A star with five points, one of them up."""
    return canvas.polygon(*((x + size * across, y + size * down) for across, down in _STAR))
