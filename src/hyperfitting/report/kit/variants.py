"""How a variant is coloured, in pages and in pictures: known ones by their name, others in turn."""

from __future__ import annotations

from collections.abc import Iterable

from hyperfitting.records import CONTROLS, REFERENCE

KNOWN = ("original", "hyperfitted", REFERENCE, *CONTROLS)
"""The variants that every page has in the same colour: their names are classes of the style
sheet.
"""

OTHER_COLOURS = 4
"""Colours for further variants: the classes `other-1` and so on of the style sheet."""


def variant_classes(variants: Iterable[str]) -> dict[str, str]:
    """The class of each variant in the style sheet."""
    names = list(dict.fromkeys(variants))
    others = [name for name in names if name not in KNOWN]
    return {
        name: f"other-{others.index(name) % OTHER_COLOURS + 1}" if name in others else name
        for name in names
    }
