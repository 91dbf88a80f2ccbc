"""Texts and models -> rows of the table of metrics. What needs no model needs no torch.

text_metrics.py    what is measured of each text
pooled_metrics.py  what is measured of all texts of an arm together
images.py          continued images: what is measured of them beside texts, and their controls
reading.py         models that read each text once: needs torch
model_metrics.py   what a model is on true texts, and what it says of others' texts: needs torch
aggregate.py       all of them -> rows, each with its interval
texts.py           everything that is measured of texts, in one call
experiment.py      the runs of an experiment: needs torch
external_texts.py  anybody's texts, from files
"""

from hyperfitting.measuring.aggregate import Intervals
from hyperfitting.measuring.external_texts import (
    ExternalTextsRequest,
    measure_external_texts,
    origin_of,
)
from hyperfitting.measuring.images import ImageBaselines, control_images, image_baselines
from hyperfitting.measuring.text_metrics import blocked_inputs
from hyperfitting.measuring.texts import (
    MeasuredTexts,
    MetricOptions,
    TextBaselines,
    control_texts,
    measure_texts,
    text_signatures,
)

__all__ = [
    "ExternalTextsRequest",
    "ImageBaselines",
    "Intervals",
    "MeasuredTexts",
    "MetricOptions",
    "TextBaselines",
    "blocked_inputs",
    "control_images",
    "control_texts",
    "image_baselines",
    "measure_external_texts",
    "measure_texts",
    "origin_of",
    "text_signatures",
]
