"""Judgements in, a defensible percentage out: pure functions of Judgement and Comparison rows, without a database."""

from hyperfitting.preference.analysis.population import Design, Population
from hyperfitting.preference.analysis.power import Power, calibrated, power
from hyperfitting.preference.analysis.published import published_preference
from hyperfitting.preference.analysis.whole import Analysis, analyse

__all__ = [
    "Analysis",
    "Design",
    "Population",
    "Power",
    "analyse",
    "calibrated",
    "power",
    "published_preference",
]
