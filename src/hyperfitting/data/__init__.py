"""Texts in, token blocks out: read a source, split by document or group, refuse what leaks."""

from hyperfitting.data.draw import Drawn, draw_data

__all__ = ["Drawn", "draw_data"]
