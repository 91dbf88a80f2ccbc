"""Still lifes on a table, fish in a tank, and flowers."""

from __future__ import annotations

import numpy as np

from hyperfitting.data.drawn.canvas import Canvas, Colour, Dice, colours, darker, lighter, mixed

_WALLS = colours("d8cdbb 9fb4b8 c9a890 6a7a78 b8b08a 4f5866 a8909a e4dccb 7a5a50")
_CLOTHS = colours("7a4f32 a8743f e8e0d0 8a2f2f 3f5f7a 4a6a4a d0b070 5a4a5a")
_GLAZES = colours("3a6a9a c85a3a e8e0d0 4a7a5a 2f2f3a b88a3a 8a4a6a 6aa0a8")
_BLOOMS = colours("e0504a f2c94c f08ab0 ffffff 9a6ad0 f09a4a 5a8ae0")
_FRUIT = {
    "an apple": colours("c83030 7ab040 e0b040"),
    "an orange": colours("f08a20"),
    "a lemon": colours("f4dc50"),
    "a plum": colours("5a2f6a 3f3a7a"),
    "a peach": colours("f0a880"),
}


def draw_still_life(canvas: Canvas, dice: Dice) -> str:
    """Two to four things side by side on a table before a wall."""
    edge = _table(canvas, dice)
    makers = dice.several(
        [_vase, _bottle, _bowl, _cup, _book, _candle, _pear, _fruit, _fruit, _jug], dice.whole(2, 4)
    )
    step = 0.84 / len(makers)
    names = []
    for index, make in enumerate(makers):
        x = 0.08 + step * (index + 0.5) + dice.number(-0.04, 0.04)
        names.append(make(canvas, dice, x, edge + dice.number(0.1, 0.2)))
    for _ in range(dice.pick([0, 0, 1, 2])):
        names.append(_fruit(canvas, dice, dice.number(0.15, 0.85), dice.number(0.88, 0.95)))
    return ", ".join(names)


def _table(canvas: Canvas, dice: Dice) -> float:
    """Paint the wall and the table: where the table's far edge is."""
    wall, cloth, edge = dice.pick(_WALLS), dice.pick(_CLOTHS), dice.number(0.55, 0.68)
    canvas.fill(canvas.blend(lighter(wall, 0.2), darker(wall, 0.3), (canvas.x + canvas.y) / 1.7))
    paper = dice.pick(["plain", "plain", "stripes", "window", "picture"])
    if paper == "stripes":
        canvas.paint(np.asarray(canvas.x * dice.whole(4, 8) % 1 < 0.4), darker(wall, 0.15), 0.6)
    if paper == "window":
        left = dice.pick([0.06, 0.62])
        canvas.paint(canvas.rectangle(left, 0.05, left + 0.32, 0.42), lighter(wall, 0.8))
        pane = dice.pick(colours("9fd0f0 f4b080 2a3a6a b8d8b0"))
        for x in (left + 0.02, left + 0.17):
            canvas.paint(canvas.rectangle(x, 0.08, x + 0.13, 0.39), pane)
    if paper == "picture":
        left = dice.number(0.1, 0.6)
        canvas.paint(canvas.rectangle(left, 0.06, left + 0.28, 0.32), dice.pick(_CLOTHS))
        canvas.paint(canvas.rectangle(left + 0.04, 0.1, left + 0.24, 0.28), dice.pick(_BLOOMS))
    table = canvas.y > edge
    canvas.paint(table, canvas.blend(cloth, darker(cloth, 0.35), (canvas.y - edge) / (1 - edge)))
    if dice.chance(0.3):
        check = np.floor(canvas.x * 8) + np.floor((canvas.y - edge) * 12)
        canvas.paint(table & (check % 2 == 0), lighter(cloth, 0.4), 0.6)
    return edge


def _shadow(canvas: Canvas, x: float, foot: float, half: float) -> None:
    canvas.paint(
        canvas.ellipse(x + half * 0.5, foot, half * 1.3, half * 0.3), (18.0, 16.0, 36.0), 0.35
    )


def _body(canvas: Canvas, outline: list[tuple[float, float]], x: float, colour: Colour) -> None:
    """A thing of revolution: its right outline as (half width, y) from top to foot."""
    right = [(x + half, y) for half, y in outline]
    left = [(x - half, y) for half, y in reversed(outline)]
    widest = max(half for half, _ in outline)
    shades = canvas.blend(
        lighter(colour, 0.3), darker(colour, 0.45), (canvas.x - x + widest * 0.5) / (1.5 * widest)
    )
    canvas.paint(canvas.polygon(*right, *left), shades)


def _vase(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    half, high = dice.number(0.07, 0.11), dice.number(0.2, 0.28)
    top = foot - high
    _shadow(canvas, x, foot, half)
    stems = dice.whole(2, 5)
    bloom, second = dice.several(_BLOOMS, 2)
    for stem in range(stems):
        end = (x + (stem - (stems - 1) / 2) * 0.08, top - dice.number(0.08, 0.24))
        canvas.paint(canvas.stroke((x, top + 0.02), end, 0.02), (72.0, 120.0, 64.0))
        canvas.ball(*end, dice.number(0.045, 0.07), bloom if stem % 2 else second)
        canvas.paint(canvas.ellipse(*end, 0.02), (250.0, 226.0, 120.0))
    waist = dice.number(0.35, 0.6)
    outline = [(half * waist, top), (half * waist, top + high * 0.2), (half, foot - high * 0.45)]
    _body(canvas, [*outline, (half * 0.9, foot - high * 0.2), (half * 0.55, foot)], x,
          dice.pick(_GLAZES))  # fmt: skip
    return "a vase of flowers"


def _bottle(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    half, high = dice.number(0.055, 0.08), dice.number(0.34, 0.46)
    top = foot - high
    _shadow(canvas, x, foot, half)
    glass = dice.pick(colours("2f5a3a 5a3a20 3a5a8a 7a9a8a 4a2030"))
    neck = half * 0.36
    outline = [(neck, top), (neck, top + high * 0.3), (half, top + high * 0.45), (half, foot)]
    _body(canvas, outline, x, glass)
    label = canvas.rectangle(x - half, foot - high * 0.38, x + half, foot - high * 0.15)
    canvas.paint(label, dice.pick(colours("f0e8d0 d8c080 c86a5a ffffff")))
    canvas.paint(canvas.rectangle(x - neck, top - 0.03, x + neck, top), darker(glass, 0.5))
    return "a bottle"


def _jug(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    half, high, glaze = dice.number(0.08, 0.11), dice.number(0.22, 0.3), dice.pick(_GLAZES)
    top, side = foot - high, dice.pick([-1, 1])
    _shadow(canvas, x, foot, half)
    handle = canvas.ellipse(x + side * half, foot - high * 0.55, half * 0.7, high * 0.3)
    hole = canvas.ellipse(x + side * half, foot - high * 0.55, half * 0.4, high * 0.18)
    canvas.paint(handle & ~hole, darker(glaze, 0.25))
    outline = [(half * 0.6, top), (half * 0.55, top + high * 0.2), (half, foot - high * 0.35)]
    _body(canvas, [*outline, (half * 0.7, foot)], x, glaze)
    if dice.chance(0.5):
        band = canvas.rectangle(
            x - half * 0.85, foot - high * 0.5, x + half * 0.85, foot - high * 0.4
        )
        canvas.paint(band, lighter(glaze, 0.6))
    return "a jug"


def _bowl(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    half, high = dice.number(0.15, 0.19), 0.11
    _shadow(canvas, x, foot, half * 0.8)
    name = dice.pick(list(_FRUIT))
    for across, up in ((-0.5, 0.02), (0.5, 0.02), (0.0, 0.03), (-0.25, 0.09), (0.25, 0.09)):
        spot = (x + across * half * 1.15, foot - high - up)
        canvas.ball(*spot, dice.number(0.055, 0.07), dice.pick(_FRUIT[name]))
    rim = foot - high
    _body(canvas, [(half, rim), (half * 0.8, foot - high * 0.4), (half * 0.4, foot)], x,
          dice.pick(_GLAZES))  # fmt: skip
    return f"a bowl, each fruit {name}"


def _cup(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    half, high, glaze = dice.number(0.07, 0.09), dice.number(0.11, 0.15), dice.pick(_GLAZES)
    side = dice.pick([-1, 1])
    _shadow(canvas, x, foot, half)
    ring = canvas.ellipse(x + side * half, foot - high * 0.55, 0.05, 0.045)
    canvas.paint(
        ring & ~canvas.ellipse(x + side * half, foot - high * 0.55, 0.025), darker(glaze, 0.2)
    )
    _body(
        canvas,
        [(half, foot - high), (half * 0.95, foot - high * 0.3), (half * 0.6, foot)],
        x,
        glaze,
    )
    canvas.paint(canvas.ellipse(x, foot - high, half, 0.022), lighter(glaze, 0.4))
    canvas.paint(canvas.ellipse(x, foot - high, half * 0.8, 0.015), (74.0, 44.0, 28.0))
    return "a cup"


def _book(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    for step in range(dice.whole(1, 3)):
        shift, y = dice.number(-0.03, 0.03), foot - step * 0.055
        cover = dice.pick(_GLAZES)
        canvas.paint(canvas.rectangle(x - 0.15 + shift, y - 0.055, x + 0.15 + shift, y), cover)
        pages = canvas.rectangle(x - 0.12 + shift, y - 0.042, x + 0.15 + shift, y - 0.014)
        canvas.paint(pages, (244.0, 236.0, 214.0))
    return "books"


def _candle(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    high, wax = dice.number(0.18, 0.3), dice.pick(colours("f4ecd8 c83a3a e8c060 a8c0d8"))
    _shadow(canvas, x, foot, 0.06)
    canvas.paint(canvas.ellipse(x, foot - 0.01, 0.09, 0.03), (176.0, 140.0, 64.0))
    _body(canvas, [(0.035, foot - high), (0.035, foot - 0.02)], x, wax)
    flame = foot - high - 0.04
    for size, colour, opacity in (
        (0.12, (255.0, 226.0, 140.0), 0.3),
        (0.03, (255.0, 190.0, 60.0), 1.0),
    ):
        canvas.paint(canvas.ellipse(x, flame, size, size * 1.4), colour, opacity)
    canvas.paint(canvas.ellipse(x, flame + 0.01, 0.014, 0.02), (255.0, 250.0, 220.0))
    return "a candle"


def _pear(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    skin = dice.pick(colours("c8c04a 9ab040 d89a40"))
    _shadow(canvas, x, foot, 0.08)
    canvas.paint(canvas.ellipse(x, foot - 0.17, 0.05, 0.07), mixed(skin, darker(skin, 0.4), 0.3))
    canvas.ball(x, foot - 0.085, 0.088, skin)
    canvas.paint(
        canvas.stroke((x, foot - 0.22), (x + 0.02, foot - 0.28), 0.016), (84.0, 60.0, 34.0)
    )
    return "a pear"


def _fruit(canvas: Canvas, dice: Dice, x: float, foot: float) -> str:
    name = dice.pick(list(_FRUIT))
    radius = dice.number(0.065, 0.09)
    _shadow(canvas, x, foot, radius)
    canvas.ball(x, foot - radius, radius, dice.pick(_FRUIT[name]))
    if name == "an apple":
        canvas.paint(
            canvas.stroke((x, foot - radius * 1.8), (x + 0.015, foot - radius * 2.4), 0.016),
            (84.0, 60.0, 34.0),
        )
    return name


def draw_fish_tank(canvas: Canvas, dice: Dice) -> str:
    """Fish between plants over sand."""
    water, (top, deep) = dice.pick(_WATERS)
    canvas.fill(canvas.blend(top, deep, canvas.y))
    for _ in range(dice.pick([0, 2, 3])):  # rays of light
        x = dice.number(0, 1)
        corners = ((x, 0), (x + 0.1, 0), (x + 0.02, 0.9), (x - 0.16, 0.9))
        canvas.paint(canvas.polygon(*corners), lighter(top, 0.4), 0.25)
    sand = dice.curve(5, 0.8, 0.93)
    for _ in range(dice.whole(2, 6)):
        _weed(canvas, dice, dice.number(0.02, 0.98))
    canvas.paint(canvas.below(sand), dice.pick(colours("e0c890 c8a878 a89a80 d8d0b8")))
    count = dice.whole(1, 4)
    for index in range(count):
        size = dice.number(0.13, 0.2) if count < 3 else dice.number(0.08, 0.13)
        _fish(canvas, dice, dice.number(0.2, 0.8), 0.12 + 0.62 * (index + 0.5) / count, size)
    for _ in range(dice.whole(2, 8)):
        x, y, radius = dice.number(0, 1), dice.number(0, 0.7), dice.number(0.012, 0.025)
        canvas.paint(canvas.ellipse(x, y, radius), lighter(top, 0.7), 0.8)
    return f"{('one', 'two', 'three', 'four')[count - 1]} in {water} water"


_WATERS = [
    (name, colours(two))
    for name, two in (
        ("blue", "7fd0e8 1a5a8a"),
        ("dark green", "5ab0c0 0f4a5a"),
        ("deep blue", "4a8ad8 101f5a"),
        ("green", "9ad8b8 1f6a5a"),
        ("violet", "6a7ac8 20204a"),
    )
]


def _weed(canvas: Canvas, dice: Dice, x: float) -> None:
    colour, height, lean = (
        dice.pick(colours("2f7a4a 5a9a3a 8a3a5a c8703a")),
        dice.number(0.2, 0.55),
        dice.number(-0.05, 0.05),
    )
    for joint in range(4):
        way = 0.03 if joint % 2 else -0.03
        start = (x + lean * joint - way, 0.95 - height * joint / 4)
        end = (x + lean * (joint + 1) + way, 0.95 - height * (joint + 1) / 4)
        canvas.paint(canvas.stroke(start, end, 0.045 - 0.007 * joint), colour)


def _fish(canvas: Canvas, dice: Dice, x: float, y: float, size: float) -> None:
    scale, second = dice.several(_BLOOMS, 2)
    way, tall = dice.pick([-1, 1]), dice.number(0.5, 0.8)
    tail = x - way * size * 0.8
    canvas.paint(
        canvas.polygon((tail, y), (tail - way * size * 0.6, y - size * 0.5),
                       (tail - way * size * 0.6, y + size * 0.5)),
        second,
    )  # fmt: skip
    fin = ((x - size * 0.4, y - size * tall * 0.7), (x + size * 0.3, y - size * tall * 0.7))
    canvas.paint(canvas.polygon(*fin, (x - way * size * 0.4, y - size * tall * 1.35)), second)
    body = canvas.ellipse(x, y, size, size * tall)
    canvas.paint(
        body, canvas.blend(lighter(scale, 0.25), darker(scale, 0.25), (canvas.y - y) / size)
    )
    coat = dice.pick(["plain", "stripes", "belly", "spots"])
    if coat == "stripes":
        canvas.paint(body & np.asarray((canvas.x - x) / size * 2 % 1 < 0.4), second)
    if coat == "belly":
        canvas.paint(body & (canvas.y > y + size * tall * 0.3), second)
    if coat == "spots":
        for across in (-0.5, -0.1, 0.25):
            canvas.paint(canvas.ellipse(x + across * size, y - size * 0.1, size * 0.14), second)
    eye = (x + way * size * 0.55, y - size * tall * 0.2)
    canvas.paint(canvas.ellipse(*eye, size * 0.18), (250.0, 250.0, 250.0))
    canvas.paint(canvas.ellipse(*eye, size * 0.1), (20.0, 20.0, 28.0))


def draw_flowers(canvas: Canvas, dice: Dice) -> str:
    """One to three flowers from the front, with leaves, before blurred grass or sky."""
    top, low = dice.several(colours("8fc8e8 4a8a5a 2f5a4a d8e8c0 f4d8b0 6a5a8a 203a3a c8d8f0"), 2)
    canvas.fill(canvas.blend(top, low, canvas.y + dice.number(-0.2, 0.2)))
    count = dice.whole(1, 3)
    centres = [
        (0.12 + 0.76 * (index + dice.number(0.3, 0.7)) / count, dice.number(0.25, 0.5))
        for index in range(count)
    ]
    leaf = dice.pick(colours("3a7a3a 5a9a4a 2f5a3a 7a9a3a"))
    for x, y in centres:
        foot = (x + dice.number(-0.1, 0.1), 1.05)
        canvas.paint(canvas.stroke((x, y), foot, 0.04), leaf)
        for side in (-1, 1):
            start = (x + (foot[0] - x) * 0.6, y + (1.05 - y) * 0.6)
            end = (start[0] + side * dice.number(0.1, 0.2), start[1] - dice.number(0.02, 0.14))
            canvas.paint(canvas.stroke(start, end, 0.08), lighter(leaf, 0.12 if side > 0 else 0.0))
    size = 1 / (0.7 + 0.3 * count)
    kinds = [_flower(canvas, dice, x, y, dice.number(0.2, 0.27) * size) for x, y in centres]
    return " and ".join(kinds)


_CIRCLE = (
    (1.0, 0.0), (0.8660254, 0.5), (0.5, 0.8660254), (0.0, 1.0), (-0.5, 0.8660254),
    (-0.8660254, 0.5), (-1.0, 0.0), (-0.8660254, -0.5), (-0.5, -0.8660254), (0.0, -1.0),
    (0.5, -0.8660254), (0.8660254, -0.5),
)  # fmt: skip


def _flower(canvas: Canvas, dice: Dice, x: float, y: float, size: float) -> str:
    petal, heart = dice.pick(_BLOOMS), dice.pick(colours("f2c02a 7a4a2a 3a2a2a f4e8a0"))
    kind = dice.pick(["a daisy", "a rose", "a tulip", "a poppy"])
    if kind == "a tulip":
        for side in (-1, 1, 0):
            shade = darker(petal, 0.0 if side == 0 else 0.18)
            canvas.paint(canvas.ellipse(x + side * size * 0.45, y, size * 0.45, size * 0.9), shade)
        return kind
    if kind == "a rose":
        for ring in range(5):
            shift = size * 0.1 * (ring % 2 * 2 - 1)
            radius = size * (1 - ring * 0.19)
            shade = darker(petal, 0.28) if ring % 2 else petal
            canvas.paint(canvas.ellipse(x + shift, y + shift * 0.6, radius), shade)
        return kind
    step = 1 if kind == "a daisy" else dice.pick([2, 3])
    radius = size * (0.24 if step == 1 else 0.5)
    for index in range(0, 12, step):
        across, down = _CIRCLE[index]
        spot = (x + across * size * 0.7, y + down * size * 0.7)
        canvas.paint(
            canvas.ellipse(*spot, radius), darker(petal, 0.14 if index % (2 * step) else 0.0)
        )
    canvas.paint(canvas.ellipse(x, y, size * 0.42), heart)
    return kind
