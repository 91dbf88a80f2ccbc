"""The human preference published by Carlsson et al. 2025, as data for comparison."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from hyperfitting.assets import asset_path

PUBLISHED_SOURCE = (
    "Carlsson, Liu, Ward, Kurfali and Nivre, The Hyperfitting Phenomenon, ICLR 2025, arXiv "
    "2412.04318, Table 1. Texts of 256 tokens compared with the true continuation, three "
    "judgements each, share preferred or equal. Values as quoted in reviews and notes on the "
    "paper, which gives no intervals; cells that they do not quote are left out."
)


@dataclass(frozen=True)
class PublishedPreference:
    """One cell of the paper's table: the percentage of judgements that found the model better or
    equal.
    """

    model: str
    weights: str
    decoding: str
    preferred_or_equal_percent: float
    tokens: int
    source: str


def published_preference() -> list[PublishedPreference]:
    """Every known value, in the order of the paper's models."""
    with asset_path("published/preference.csv").open(encoding="utf-8", newline="") as file:
        return [
            PublishedPreference(
                row["model"],
                row["weights"],
                row["decoding"],
                float(row["preferred_or_equal_percent"]),
                int(row["tokens"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]
