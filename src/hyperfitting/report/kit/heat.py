"""How strongly a token is coloured that repeats what stood before it."""

HEAT = ("#ffffff", "#fde9c9", "#fbc98a", "#f59a5a", "#e0603f")
"""Backgrounds of tokens, by step of `heat_step`; those of bars, from light to dark."""


def heat_step(run: int) -> int:
    """0 to 4: how strongly a token is coloured whose longest repeated run is `run` tokens."""
    return sum(run >= bound for bound in (3, 5, 9, 17))
