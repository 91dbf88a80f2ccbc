"""Texts in, token blocks out: read a source, split by document or group, refuse what leaks."""

from hyperfitting.data.draw import Drawn, draw_data
from hyperfitting.data.sources import read_texts, refuse_changed

__all__ = ["Drawn", "draw_data", "read_texts", "refuse_changed"]
