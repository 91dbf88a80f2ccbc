"""Pictures under a sky: landscapes, seascapes and cities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyperfitting.data.drawn.canvas import (
    Canvas,
    Colour,
    Curve,
    Dice,
    colours,
    darker,
    lighter,
    mixed,
)


@dataclass(frozen=True)
class Sky:
    """A time of day or a weather: the sky's colours from top to horizon, its light, and how dark
    everything below is.
    """

    name: str
    top: Colour
    horizon: Colour
    light: Colour
    shadow: float
    stars: bool = False


_SKIES = [
    Sky(name, top, horizon, light, shadow, stars)
    for name, three, shadow, stars in (
        ("at noon", "3f86d8 bfe0f5 fff6c8", 0.0, False),
        ("in the morning", "7fb2dd fbe3c0 fff0a8", 0.05, False),
        ("at dawn", "5a6aa8 f7b6a0 ffd9a0", 0.15, False),
        ("at dusk", "432c6e f47a4b ffcf5e", 0.3, False),
        ("in a red evening", "7a2340 f2a541 fff0b0", 0.3, False),
        ("at night", "0b1030 2c3a6b e8ecf5", 0.6, True),
        ("under stars", "05060f 1b2050 f4f0d8", 0.7, True),
        ("under clouds", "8b96a3 cfd4d6 f2f2ea", 0.12, False),
        ("before a storm", "39424f 8c8f7a d8d2a0", 0.3, False),
        ("in green light", "0f4a4a 7fd0a8 e6ffd0", 0.25, True),
    )
    for top, horizon, light in [colours(three)]
]

_LAND = [
    ("green", colours("7fb069 4f8a4a 2f6b3a")),
    ("wheat", colours("e0c060 b89a3a 7d7a30")),
    ("desert", colours("e8b878 cf8a4a a85a30")),
    ("snow", colours("eef3f8 cddbe8 a8bdd4")),
    ("autumn", colours("d99a3a b5602a 7a3a24")),
    ("heath", colours("a58ab5 7a6a8a 4f5a4a")),
    ("rock", colours("b0a89c 857c74 5a544f")),
]


def draw_landscape(canvas: Canvas, dice: Dice) -> str:
    """Hills or mountains under a sky, with a lake, a road, fields, trees or a house."""
    sky, (land, grounds) = dice.pick(_SKIES), dice.pick(_LAND)
    horizon = dice.number(0.38, 0.66)
    _sky(canvas, dice, sky, horizon)
    grounds = [darker(each, sky.shadow) for each in grounds]
    back = dice.pick(["mountains", "hills", "plain"])
    if back == "mountains":
        _mountains(canvas, dice, mixed(grounds[2], sky.horizon, 0.45), horizon)
    if back == "hills":
        far = dice.curve(dice.whole(3, 6), horizon - 0.12, horizon + 0.06)
        canvas.paint(canvas.below(far), mixed(grounds[0], sky.horizon, 0.45))
    near = dice.curve(dice.whole(3, 5), horizon, horizon + (0.02 if back == "plain" else 0.14))
    shades = canvas.blend(grounds[0], grounds[1], (canvas.y - horizon) / (1 - horizon))
    canvas.paint(canvas.below(near), shades)
    front = dice.pick([_lake, _road, _fields, _meadow])(canvas, dice, sky, grounds, horizon + 0.12)
    _things(canvas, dice, sky, grounds, near)
    return f"{back} with {front}, {land}, {sky.name}"


def draw_seascape(canvas: Canvas, dice: Dice) -> str:
    """A sea with boats, an island, a lighthouse or a beach."""
    sky, horizon = dice.pick(_SKIES), dice.number(0.35, 0.6)
    light_x = _sky(canvas, dice, sky, horizon)
    deep = darker(dice.pick(colours("1f6f9f 1d8a8a 2a5aa0 3f7f77 4a6a8f")), sky.shadow)
    shore = mixed(deep, sky.horizon, 0.45)
    water = canvas.y > horizon
    canvas.paint(water, canvas.blend(shore, deep, (canvas.y - horizon) / (1 - horizon)))
    _waves(canvas, dice, lighter(shore, 0.3), horizon)
    _glitter(canvas, dice, sky, light_x, horizon)
    extra = dice.pick(["an island", "a lighthouse", "a beach", "open water"])
    if extra == "an island":
        _island(canvas, dice, sky, horizon)
    if extra == "a lighthouse":
        _lighthouse(canvas, dice, sky, horizon)
    if extra == "a beach":
        edge = dice.curve(4, 0.78, 0.94)
        canvas.paint(canvas.below(edge), lighter(shore, 0.6))
        sand = darker(dice.pick(colours("ecd39a d9b878 e8dcc0")), sky.shadow)
        canvas.paint(canvas.below(Curve(tuple(each + 0.04 for each in edge.heights))), sand)
    boats = dice.whole(0 if extra != "open water" else 1, 2)
    for _ in range(boats):
        _boat(canvas, dice, sky, dice.number(0.15, 0.85), dice.number(horizon + 0.06, 0.76))
    return f"sea with {extra} and {('no boat', 'a boat', 'two boats')[boats]}, {sky.name}"


def draw_city(canvas: Canvas, dice: Dice) -> str:
    """Rows of houses with windows under a sky."""
    sky = dice.pick(_SKIES)
    _sky(canvas, dice, sky, 0.85)
    walls = dice.several(colours("8f6f6a 6f7f95 b89a7a 5a5f78 a8897f 7a8a80 c0b0a0 9f5f55"), 3)
    style = dice.pick(["towers", "gables", "a mixed street"])
    for layer in range(2):
        base = mixed(darker(walls[layer], sky.shadow), sky.horizon, 0.5 - 0.5 * layer)
        left = dice.number(-0.1, 0.0)
        while left < 1:
            width = dice.number(0.12, 0.26)
            top = dice.number(0.2, 0.62) + 0.16 * layer
            shade = mixed(base, darker(walls[2], sky.shadow), dice.number(0, 0.5))
            gable = style == "gables" or (style != "towers" and dice.chance(0.5))
            _house_front(canvas, dice, (left, top, width), shade, lit=sky.shadow > 0.2, gable=gable)
            left += width + dice.number(0, 0.03)
    street = darker(dice.pick(colours("6a6a70 857f78 4a4a55")), sky.shadow)
    canvas.paint(canvas.y > 0.93, street)
    return f"{style}, {sky.name}"


def _sky(canvas: Canvas, dice: Dice, sky: Sky, horizon: float) -> float:
    """Paint the sky with its light and clouds: where the light stands, from left to right."""
    canvas.fill(canvas.blend(sky.top, sky.horizon, canvas.y / horizon))
    if sky.stars:
        for _ in range(dice.whole(12, 30)):
            spot = canvas.ellipse(dice.number(0, 1), dice.number(0, horizon), 0.012)
            canvas.paint(spot, sky.light, dice.number(0.5, 1))
    x, y, radius = dice.number(0.12, 0.88), dice.number(0.1, horizon * 0.8), dice.number(0.05, 0.1)
    if dice.chance(0.75):
        for glow in (2.2, 1.6):
            canvas.paint(canvas.ellipse(x, y, radius * glow), sky.light, 0.16)
        disc = canvas.ellipse(x, y, radius)
        if sky.stars and dice.chance(0.5):  # a crescent
            disc &= ~canvas.ellipse(x + radius * 0.6, y - radius * 0.2, radius * 0.9)
        canvas.paint(disc, sky.light)
    for _ in range(dice.pick([0, 0, 1, 2, 3])):
        _cloud(canvas, dice, mixed(sky.horizon, sky.light, 0.6), horizon)
    return x


def _cloud(canvas: Canvas, dice: Dice, colour: Colour, horizon: float) -> None:
    x, y, size = dice.number(0, 1), dice.number(0.05, horizon * 0.7), dice.number(0.05, 0.1)
    mask = np.full(canvas.x.shape, False)
    for step in range(dice.whole(3, 5)):
        radius = size * dice.number(0.6, 1.1)
        mask |= canvas.ellipse(x + step * size * 0.9, y - radius * 0.4, radius, radius * 0.8)
    canvas.paint(mask & (canvas.y < y), colour, 0.85)


def _mountains(canvas: Canvas, dice: Dice, colour: Colour, horizon: float) -> None:
    for _ in range(dice.whole(2, 4)):
        x, width = dice.number(0, 1), dice.number(0.2, 0.42)
        top, foot = dice.number(max(0.1, horizon - 0.4), horizon - 0.16), horizon + 0.14
        shade = mixed(colour, darker(colour, 0.5), dice.number(0, 0.6))
        canvas.paint(canvas.polygon((x - width, foot), (x, top), (x + width, foot)), shade)
        right = canvas.polygon((x, top), (x + width, foot), (x + width * 0.2, foot))
        canvas.paint(right, darker(shade, 0.3))
        if top < horizon - 0.22:
            share = dice.number(0.2, 0.36)
            snow_y, half = top + (foot - top) * share, width * share
            corners = ((x - half, snow_y), (x, top), (x + half, snow_y), (x, snow_y - 0.03))
            canvas.paint(canvas.polygon(*corners), lighter(shade, 0.8))


def _lake(canvas: Canvas, dice: Dice, sky: Sky, grounds: list[Colour], top: float) -> str:
    x, width = dice.number(0.25, 0.75), dice.number(0.3, 0.55)
    y, height = dice.number(top + 0.08, 0.84), dice.number(0.07, 0.14)
    lake = canvas.ellipse(x, y, width, height)
    canvas.paint(lake, canvas.blend(sky.horizon, sky.top, (canvas.y - y + height) / (2 * height)))
    for _ in range(3):
        left, line = x + dice.number(-0.8, 0.3) * width, y + dice.number(-0.7, 0.7) * height
        canvas.paint(lake & canvas.rectangle(left, line, left + 0.2, line + 0.02), sky.light, 0.4)
    return "a lake"


def _road(canvas: Canvas, dice: Dice, sky: Sky, grounds: list[Colour], top: float) -> str:
    far, near, bend = dice.number(0.3, 0.7), dice.number(0.1, 0.9), dice.number(-0.15, 0.15)
    share = np.clip((canvas.y - top) / (1 - top), 0, 1)
    middle = far + (near - far) * share * share + bend * share * (1 - share) * 4
    half = 0.015 + dice.number(0.1, 0.2) * share
    road = (canvas.y > top) & (abs(canvas.x - middle) < half)
    colour = darker(dice.pick(colours("d8c8a8 8a8a90 b09070")), sky.shadow)
    canvas.paint(np.asarray(road), colour)
    return "a road"


def _fields(canvas: Canvas, dice: Dice, sky: Sky, grounds: list[Colour], top: float) -> str:
    centre, rows = dice.number(0.2, 0.8), dice.whole(8, 18)
    slant = (canvas.x - centre) / np.maximum(canvas.y - top + 0.25, 0.05)
    dark = np.floor(slant * rows) % 2 == 0
    second = darker(dice.pick(colours("8fb050 e0c060 b87a50 a890c0 6a9a5a")), sky.shadow)
    canvas.paint((canvas.y > top) & dark, mixed(grounds[1], second, 0.7))
    return "fields"


def _meadow(canvas: Canvas, dice: Dice, sky: Sky, grounds: list[Colour], top: float) -> str:
    bloom = dice.several(colours("f4e04a f07a9a ffffff e0503a b080e0 f0a040"), 2)
    for _ in range(dice.whole(10, 26)):
        y = dice.number(top + 0.06, 0.98)
        size = 0.008 + 0.02 * (y - top)
        spot = canvas.ellipse(dice.number(0, 1), y, size)
        canvas.paint(spot, darker(dice.pick(bloom), sky.shadow))
    return "a meadow"


def _things(canvas: Canvas, dice: Dice, sky: Sky, grounds: list[Colour], near: Curve) -> None:
    """Trees and houses on the near ground, those further up first."""
    round_trees = dice.chance(0.5)
    leaf = darker(dice.pick(colours("2f6b3a 4a8a3a 8a9a3a b5602a d8a0b0 3a6a5a")), sky.shadow)
    places = sorted(
        (dice.number(0, 0.18), dice.number(0.03, 0.97)) for _ in range(dice.whole(0, 6))
    )
    for down, x in places:
        foot = float(near.at(np.array([[x]]))[0, 0]) + 0.03 + down
        _tree(canvas, dice, (x, foot), 0.13 + down * 0.9, leaf, is_round=round_trees)
    if dice.chance(0.4):
        x = dice.number(0.15, 0.85)
        foot = float(near.at(np.array([[x]]))[0, 0]) + dice.number(0.08, 0.16)
        _cottage(canvas, dice, sky, x, foot)


def _tree(
    canvas: Canvas, dice: Dice, foot: tuple[float, float], height: float, leaf: Colour, *,
    is_round: bool,
) -> None:  # fmt: skip
    x, y = foot
    height *= dice.number(0.85, 1.25)
    trunk = canvas.rectangle(x - height * 0.07, y - height * 0.45, x + height * 0.07, y)
    canvas.paint(trunk, darker((110.0, 78.0, 50.0), 0.2))
    if is_round:
        canvas.ball(x, y - height * 0.65, height * 0.36, leaf)
        return
    for top, foot_y, half in ((1.0, 0.5, 0.22), (0.75, 0.2, 0.3)):
        corners = (
            (x - half * height, y - foot_y * height),
            (x, y - top * height),
            (x + half * height, y - foot_y * height),
        )
        canvas.paint(canvas.polygon(*corners), leaf)
        canvas.paint(canvas.polygon(*corners) & (canvas.x > x), darker(leaf, 0.25))


def _cottage(canvas: Canvas, dice: Dice, sky: Sky, x: float, foot: float) -> None:
    half, high = dice.number(0.08, 0.13), dice.number(0.09, 0.13)
    wall = darker(dice.pick(colours("f0e6d2 d8a878 c86a5a e8d8a0 a8b8c8")), sky.shadow * 0.7)
    roof = darker(dice.pick(colours("a03a30 5a4a4a 7a5a3a 3a4a6a")), sky.shadow * 0.7)
    canvas.paint(canvas.rectangle(x - half, foot - high, x + half, foot), wall)
    eaves, ridge = foot - high, foot - high - dice.number(0.07, 0.11)
    canvas.paint(
        canvas.polygon((x - half - 0.03, eaves), (x, ridge), (x + half + 0.03, eaves)), roof
    )
    canvas.paint(canvas.rectangle(x - 0.02, foot - high * 0.6, x + 0.025, foot), darker(wall, 0.6))
    pane = (255.0, 225.0, 120.0) if sky.shadow > 0.2 else darker(wall, 0.45)
    side = half * dice.pick([-0.6, 0.6])
    canvas.paint(
        canvas.rectangle(x + side - 0.02, foot - high * 0.8, x + side + 0.02, foot - high * 0.4),
        pane,
    )


def _waves(canvas: Canvas, dice: Dice, colour: Colour, horizon: float) -> None:
    for _ in range(dice.whole(8, 20)):
        y = dice.number(horizon + 0.03, 0.98)
        half = 0.02 + 0.14 * (y - horizon) / (1 - horizon)
        x = dice.number(0, 1)
        canvas.paint(canvas.ellipse(x, y, half, 0.008 + half * 0.06), colour, 0.55)


def _glitter(canvas: Canvas, dice: Dice, sky: Sky, x: float, horizon: float) -> None:
    for step in range(dice.pick([0, 6, 9])):
        y = horizon + 0.02 + step * 0.045
        half = dice.number(0.03, 0.09)
        shift = dice.number(-0.03, 0.03)
        canvas.paint(canvas.ellipse(x + shift, y, half, 0.011), sky.light, 0.7)


def _island(canvas: Canvas, dice: Dice, sky: Sky, horizon: float) -> None:
    x, width, high = dice.number(0.2, 0.8), dice.number(0.16, 0.32), dice.number(0.06, 0.2)
    colour = darker(dice.pick(colours("4f8a4a 7a6a5a a88a5a 5a7a6a")), sky.shadow)
    canvas.paint(
        canvas.ellipse(x, horizon + 0.01, width, high) & (canvas.y < horizon + 0.01), colour
    )
    if dice.chance(0.5):  # a palm
        top, lean = horizon - high - dice.number(0.1, 0.16), dice.number(-0.06, 0.06)
        canvas.paint(
            canvas.stroke((x, horizon - high * 0.8), (x + lean, top), 0.025),
            darker((120.0, 86.0, 56.0), sky.shadow),
        )
        for side_x, side_y in ((-0.1, 0.03), (0.1, 0.03), (-0.06, -0.04), (0.07, -0.04)):
            leaf = canvas.stroke((x + lean, top), (x + lean + side_x, top + side_y), 0.025)
            canvas.paint(leaf, darker((60.0, 130.0, 70.0), sky.shadow))


def _lighthouse(canvas: Canvas, dice: Dice, sky: Sky, horizon: float) -> None:
    x, top, foot = dice.pick([0.2, 0.78]) + dice.number(-0.08, 0.08), horizon - 0.26, horizon + 0.16
    canvas.paint(canvas.ellipse(x, foot + 0.03, 0.22, 0.08), darker((96.0, 90.0, 86.0), sky.shadow))
    tower = canvas.polygon((x - 0.05, top), (x + 0.05, top), (x + 0.075, foot), (x - 0.075, foot))
    canvas.paint(tower, darker((245.0, 240.0, 230.0), sky.shadow * 0.6))
    bands = np.floor((canvas.y - top) / 0.07) % 2 == 1
    stripe = darker(dice.pick(colours("c8322e 2a4a8a 3a3a3a")), sky.shadow * 0.6)
    canvas.paint(tower & bands, stripe)
    canvas.paint(canvas.rectangle(x - 0.035, top - 0.06, x + 0.035, top), (255.0, 232.0, 140.0))
    canvas.paint(
        canvas.polygon((x - 0.055, top - 0.06), (x, top - 0.12), (x + 0.055, top - 0.06)), stripe
    )


def _boat(canvas: Canvas, dice: Dice, sky: Sky, x: float, y: float) -> None:
    size = 0.09 + 0.25 * max(0.0, y - 0.45)
    hull = darker(dice.pick(colours("8a3a2a e8e0d0 2a3a5a c89a3a 3a6a5a")), sky.shadow * 0.7)
    corners = ((x - size, y), (x + size, y), (x + size * 0.7, y + size * 0.4))
    canvas.paint(canvas.polygon(*corners, (x - size * 0.7, y + size * 0.4)), hull)
    sail = darker(dice.pick(colours("ffffff f4d8a0 d84a3a f0b040 a8d0e8")), sky.shadow * 0.5)
    mast = x - size * 0.1
    canvas.paint(canvas.rectangle(mast - 0.012, y - size * 1.9, mast + 0.012, y), darker(hull, 0.5))
    canvas.paint(
        canvas.polygon((mast, y - size * 1.9), (mast + size, y - 0.03), (mast, y - 0.03)), sail
    )
    canvas.paint(
        canvas.polygon(
            (mast - 0.02, y - size * 1.6), (mast - size * 0.8, y - 0.03), (mast - 0.02, y - 0.03)
        ),
        darker(sail, 0.15),
    )


def _house_front(
    canvas: Canvas, dice: Dice, place: tuple[float, float, float], wall: Colour, *, lit: bool,
    gable: bool,
) -> None:  # fmt: skip
    left, top, width = place
    canvas.paint(canvas.rectangle(left, top, left + width, 1), wall)
    canvas.paint(canvas.rectangle(left + width * 0.82, top, left + width, 1), darker(wall, 0.2))
    if gable:
        corners = ((left, top), (left + width / 2, top - 0.1), (left + width, top))
        roof = mixed(wall, dice.pick(colours("8a3a30 4a4a55 6a5a4a")), 0.6)
        canvas.paint(canvas.polygon(*corners), roof)
    columns, step = dice.pick([2, 2, 3]), dice.number(0.09, 0.12)
    across = (canvas.x - left) / width * columns
    down = (canvas.y - top - 0.04) / step
    pane = (across % 1 > 0.28) & (across % 1 < 0.72) & (down % 1 < 0.55) & (down > 0)
    windows = canvas.rectangle(left, top, left + width, 0.92) & pane
    canvas.paint(windows, darker(wall, 0.5))
    if lit:
        for row in range(int((0.92 - top) / step) + 1):
            for column in range(columns):
                if dice.chance(0.45):
                    here = (np.floor(across) == column) & (np.floor(down) == row)
                    canvas.paint(windows & here, (255.0, 216.0, 112.0))
