"""Faces from the front, as paper cut-outs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyperfitting.data.drawn.canvas import Canvas, Colour, Dice, colours, darker, lighter, mixed

_SKINS = colours("f6d6bd eec1a0 dba67e c68a5e a06a44 7c4e32 5c3826")
_HAIRS = colours("20181a 3a261c 6a4426 a0662c d8a850 e8d49a 9a3a22 8a8a90 d8d8dc")
_CLOTHES = colours("b03a3a 2f5f9a 3f7f5a d8a030 6a4a8a 303848 e8e4da c86a8a 3a8a96 8a5a3a")
_BACKS = colours("cfe3ee f2dfb4 d9c7e4 bcdcc4 f3c6bd a8b6c8 6a87a8 86a58a c79a7a 4a5468 e9e6df")


@dataclass(frozen=True)
class Head:
    """Where a head is, its half axes, and its skin and hair."""

    x: float
    y: float
    width: float
    height: float
    skin: Colour
    hair: Colour


def draw_face(canvas: Canvas, dice: Dice) -> str:
    """A head with hair, eyes, brows, nose and mouth on shoulders, perhaps with glasses, a beard, a
    hat or earrings.
    """
    backdrop = _backdrop(canvas, dice)
    width = dice.number(0.21, 0.27)
    head = Head(
        0.5 + dice.number(-0.05, 0.05),
        dice.number(0.46, 0.53),
        width,
        width * dice.number(1.18, 1.4),
        dice.pick(_SKINS),
        dice.pick(_HAIRS),
    )
    style = dice.pick(["long", "long", "short", "short", "curly", "bun", "bald"])
    _hair_behind(canvas, dice, head, style)
    _shoulders(canvas, dice, head)
    _skin(canvas, head)
    _features(canvas, dice, head)
    extras = [name for name, share in _EXTRAS if dice.chance(share)]
    if "a beard" in extras:
        _beard(canvas, dice, head)
    _mouth(canvas, dice, head)
    if "a hat" not in extras:
        _hair_before(canvas, dice, head, style)
    for name in extras:
        if name in _DRAWN_LAST:
            _DRAWN_LAST[name](canvas, dice, head)
    hair = "a bald head" if style == "bald" else f"{style} hair" if style != "bun" else "a bun"
    return f"{' and '.join([hair, *extras])}, before {backdrop}"


_EXTRAS = (("a beard", 0.22), ("glasses", 0.28), ("a hat", 0.2), ("earrings", 0.2))


def _backdrop(canvas: Canvas, dice: Dice) -> str:
    one, other = dice.several(_BACKS, 2)
    kind = dice.pick(["a plain wall", "a glow", "stripes", "two halves", "dots"])
    if kind == "a plain wall":
        canvas.fill(canvas.blend(lighter(one, 0.15), darker(one, 0.12), canvas.y))
    elif kind == "a glow":
        across, down = canvas.x - 0.5, canvas.y - 0.45
        canvas.fill(canvas.blend(lighter(one, 0.3), other, (across * across + down * down) * 2.6))
    elif kind == "stripes":
        canvas.fill(one)
        width = dice.number(0.1, 0.2)
        canvas.paint(np.asarray(canvas.x / width % 1 < 0.5), mixed(one, other, 0.6))
    elif kind == "two halves":
        canvas.fill(one)
        canvas.paint(canvas.y > dice.number(0.45, 0.75), other)
    else:
        canvas.fill(one)
        across, down = canvas.x * 5 % 1 - 0.5, canvas.y * 5 % 1 - 0.5
        canvas.paint(np.asarray(across * across + down * down < 0.06), mixed(one, other, 0.7))
    return kind


def _shoulders(canvas: Canvas, dice: Dice, head: Head) -> None:
    cloth, second = dice.several(_CLOTHES, 2)
    neck = head.width * 0.45
    chin = head.y + head.height
    canvas.paint(
        canvas.rectangle(head.x - neck, chin - 0.12, head.x + neck, chin + 0.2),
        darker(head.skin, 0.18),
    )
    body = canvas.ellipse(head.x, 1.14, dice.number(0.38, 0.5), 1.14 - chin - 0.03)
    canvas.paint(body, cloth)
    pattern = dice.pick(["plain", "stripes", "collar", "jacket"])
    if pattern == "stripes":
        canvas.paint(body & np.asarray(canvas.y * 11 % 1 < 0.45), second)
    if pattern == "collar":
        canvas.paint(canvas.ellipse(head.x, chin + 0.05, neck * 1.6, 0.07) & body, second)
    if pattern == "jacket":
        opening = canvas.polygon((head.x - 0.1, chin), (head.x + 0.1, chin), (head.x, 1.0))
        canvas.paint(opening & body, second)
    throat = canvas.ellipse(head.x, chin + 0.04, neck, 0.06)
    canvas.paint(throat, darker(head.skin, 0.12))


def _skin(canvas: Canvas, head: Head) -> None:
    for side in (-1, 1):
        ear = canvas.ellipse(head.x + side * head.width * 0.98, head.y + 0.02, 0.04, 0.065)
        canvas.paint(ear, darker(head.skin, 0.12))
    face = canvas.ellipse(head.x, head.y, head.width, head.height)
    shades = canvas.blend(
        lighter(head.skin, 0.08), darker(head.skin, 0.16), (canvas.x - head.x + 0.1) * 2.4
    )
    canvas.paint(face, shades)


def _hair_behind(canvas: Canvas, dice: Dice, head: Head, style: str) -> None:
    if style == "long":
        reach = dice.number(0.12, 0.4)
        canvas.paint(
            canvas.ellipse(head.x, head.y + 0.02, head.width * 1.28, head.height * 1.15)
            | canvas.rectangle(
                head.x - head.width * 1.28, head.y, head.x + head.width * 1.28, head.y + reach
            ),
            darker(head.hair, 0.15),
        )
    if style == "curly":
        for step in range(11):
            # Around the head from ear to ear: a fixed half circle, without a sine.
            across, down = _HALF_CIRCLE[step]
            x, y = head.x + across * head.width * 1.12, head.y - down * head.height * 1.05
            canvas.paint(canvas.ellipse(x, y, dice.number(0.075, 0.105)), head.hair)
    if style == "bun":
        canvas.paint(canvas.ellipse(head.x, head.y - head.height * 1.15, 0.1, 0.085), head.hair)


_HALF_CIRCLE = (
    (-1.0, -0.1), (-0.99, 0.15), (-0.92, 0.4), (-0.77, 0.64), (-0.5, 0.87), (0.0, 1.0),
    (0.5, 0.87), (0.77, 0.64), (0.92, 0.4), (0.99, 0.15), (1.0, -0.1),
)  # fmt: skip


def _hair_before(canvas: Canvas, dice: Dice, head: Head, style: str) -> None:
    if style == "bald":
        return
    cap = canvas.ellipse(head.x, head.y - 0.02, head.width * 1.08, head.height * 1.1)
    line = head.y - head.height * dice.number(0.38, 0.62)
    slant, bend = dice.number(-0.5, 0.5), dice.number(-1.6, 1.2)
    across = canvas.x - head.x
    fringe = canvas.y < line + slant * across + bend * across * across
    canvas.paint(cap & fringe, head.hair)
    shine = canvas.ellipse(head.x - head.width * 0.4, head.y - head.height * 0.86, 0.09, 0.03)
    canvas.paint(shine & cap & fringe, lighter(head.hair, 0.3))
    if style == "long":
        for side in (-1, 1):
            strand = canvas.ellipse(head.x + side * head.width * 1.02, head.y, 0.06, 0.25)
            canvas.paint(strand, head.hair)


def _features(canvas: Canvas, dice: Dice, head: Head) -> None:
    """Eyes, brows, nose and cheeks."""
    iris = dice.pick(colours("3a2a1c 5a3a20 2f5f8a 4a7a4a 6a7a80"))
    apart, level = head.width * dice.number(0.4, 0.48), head.y - 0.03
    half, open_ = dice.number(0.045, 0.058), dice.number(0.024, 0.036)
    tilt = dice.number(-0.02, 0.02)
    for side in (-1, 1):
        x = head.x + side * apart
        canvas.paint(canvas.ellipse(x, level, half, open_), (252.0, 250.0, 246.0))
        canvas.paint(canvas.ellipse(x + dice.number(-0.004, 0.004), level, open_ * 0.9), iris)
        brow = ((x - half, level - 0.07 - side * tilt), (x + half, level - 0.07 + side * tilt))
        canvas.paint(canvas.stroke(*brow, 0.022), darker(head.hair, 0.35))
        blush = canvas.ellipse(head.x + side * head.width * 0.6, head.y + 0.1, 0.05, 0.035)
        canvas.paint(blush, (216.0, 84.0, 84.0), 0.22)
    nose = dice.number(0.03, 0.05)
    canvas.paint(
        canvas.polygon(
            (head.x, level + 0.02), (head.x - nose, head.y + 0.1), (head.x + nose, head.y + 0.1)
        ),
        darker(head.skin, 0.22),
    )


def _mouth(canvas: Canvas, dice: Dice, head: Head) -> None:
    lips = mixed(head.skin, dice.pick(colours("b83a48 c85a5a 9a3040")), 0.75)
    y, half = head.y + head.height * 0.58, dice.number(0.06, 0.1)
    mood = dice.pick(["smile", "smile", "laugh", "calm", "sad", "surprise"])
    if mood == "calm":
        canvas.paint(canvas.ellipse(head.x, y, half, 0.018), lips)
    elif mood == "surprise":
        canvas.paint(canvas.ellipse(head.x, y, 0.04, 0.05), darker(lips, 0.35))
    elif mood == "laugh":
        mouth = canvas.ellipse(head.x, y - 0.02, half * 1.15, 0.075) & (canvas.y > y - 0.02)
        canvas.paint(mouth, darker(lips, 0.4))
        canvas.paint(mouth & (canvas.y < y + 0.005), (250.0, 248.0, 242.0))
    else:
        way = 1 if mood == "smile" else -1
        outer = canvas.ellipse(head.x, y - way * 0.02, half, 0.05)
        inner = canvas.ellipse(head.x, y - way * 0.045, half * 1.1, 0.055)
        canvas.paint(outer & ~inner, lips)


def _beard(canvas: Canvas, dice: Dice, head: Head) -> None:
    face = canvas.ellipse(head.x, head.y + 0.015, head.width * 1.03, head.height * 1.05)
    across = canvas.x - head.x
    line = head.y + dice.number(0.06, 0.13) - across * across * 2.5
    moustache = canvas.ellipse(head.x, head.y + head.height * 0.42, 0.11, 0.035)
    canvas.paint((face & (canvas.y > line + 0.07)) | moustache, darker(head.hair, 0.1))


def _glasses(canvas: Canvas, dice: Dice, head: Head) -> None:
    frame = dice.pick(colours("202024 7a3a2a b89040 2f4f7a"))
    level, apart, radius = head.y - 0.03, head.width * 0.45, dice.number(0.075, 0.09)
    for side in (-1, 1):
        x = head.x + side * apart
        ring = canvas.ellipse(x, level, radius) & ~canvas.ellipse(x, level, radius - 0.022)
        canvas.paint(ring, frame)
    canvas.paint(
        canvas.stroke((head.x - apart + radius, level), (head.x + apart - radius, level), 0.02),
        frame,
    )


def _hat(canvas: Canvas, dice: Dice, head: Head) -> None:
    cloth, band = dice.several(_CLOTHES, 2)
    brim, width = head.y - head.height * 0.5, head.width
    kind = dice.pick(["cap", "hat", "woollen"])
    crown = canvas.ellipse(head.x, brim, width * 1.1, head.height * 0.72) & (canvas.y < brim)
    if kind == "hat":
        crown = canvas.rectangle(head.x - width * 0.8, brim - 0.24, head.x + width * 0.8, brim)
    canvas.paint(crown, cloth)
    canvas.paint(crown & (canvas.y > brim - 0.06), band)
    if kind == "hat":
        canvas.paint(canvas.ellipse(head.x, brim, width * 1.6, 0.04), darker(cloth, 0.15))
    if kind == "cap":
        side = dice.pick([-1, 1])
        canvas.paint(canvas.ellipse(head.x + side * width * 0.8, brim, width, 0.045), band)
    if kind == "woollen":
        canvas.paint(canvas.ellipse(head.x, brim - head.height * 0.74, 0.07), band)


def _earrings(canvas: Canvas, dice: Dice, head: Head) -> None:
    metal = dice.pick(colours("f0c850 e8e8f0 50b0b0 d84a5a"))
    for side in (-1, 1):
        spot = canvas.ellipse(head.x + side * head.width * 1.02, head.y + 0.11, 0.024, 0.032)
        canvas.paint(spot, metal)


_DRAWN_LAST = {"glasses": _glasses, "a hat": _hat, "earrings": _earrings}
