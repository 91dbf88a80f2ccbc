"""Texts in, token blocks out: read a source, split by document or group, refuse what leaks.

decode.py   bytes -> text
folders.py  which files of a folder are read
formats.py  text -> rows
rows.py     fields of a row, and what is wrong with it
sources.py  rows -> documents; the hub
draw.py     documents -> sets of token blocks
leaks.py    what two sets share
"""

from hyperfitting.data.draw import DatasetSplits, draw_data
from hyperfitting.data.folders import refuse_name
from hyperfitting.data.rows import Mistakes, RowError
from hyperfitting.data.sources import read_texts, refuse_changed

__all__ = [
    "DatasetSplits",
    "Mistakes",
    "RowError",
    "draw_data",
    "read_texts",
    "refuse_changed",
    "refuse_name",
]
