"""Texts or images in, token blocks out: read sources, split them by document or group, refuse what
leaks.

decode.py           bytes -> text
folders.py          the files of a folder that are read
rows.py             the fields of a row, and errors of rows
formats.py          text -> rows
sources.py          rows -> documents; hub data sets
splits.py           documents or groups -> training, validation, contexts
passages.py         one long text -> stretches and passages; stretches.py assigns them
contamination.py    held-out texts that share words with training texts
repeats.py          texts that nearly repeat another one
lost_characters.py  characters that a tokenizer loses
requests.py         the sets of a recipe, before they are drawn
draw.py             requests -> sets of token blocks
refusals.py         the message for a set that cannot be filled
pixels.py           one image -> pixels
image_sources.py    files, arrays and data sets -> images
near_images.py      images that repeat another one
fit_palette.py      the colours of a new image model
image_draw.py       requests -> sets of token blocks, one an image
drawn/              pictures that are drawn from a seed, to train on and to look at
"""

from hyperfitting.data.draw import DatasetSplits, draw_data
from hyperfitting.data.folders import refuse_name
from hyperfitting.data.image_draw import ImageSplits, draw_images
from hyperfitting.data.rows import Mistakes, RowError
from hyperfitting.data.sources import read_texts, refuse_changed

__all__ = [
    "DatasetSplits",
    "ImageSplits",
    "Mistakes",
    "RowError",
    "draw_data",
    "draw_images",
    "read_texts",
    "refuse_changed",
    "refuse_name",
]
