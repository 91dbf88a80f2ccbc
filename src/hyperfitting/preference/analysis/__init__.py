"""The analysis of judgements: pure functions of rows, without a database."""

from hyperfitting.preference.analysis.analyse import Analysis, analyse_judgements
from hyperfitting.preference.analysis.population import Design, Population
from hyperfitting.preference.analysis.power import (
    DesignPower,
    calibrated_population,
    power_of_designs,
)
from hyperfitting.preference.analysis.published import published_preference

__all__ = [
    "Analysis",
    "Design",
    "DesignPower",
    "Population",
    "analyse_judgements",
    "calibrated_population",
    "power_of_designs",
    "published_preference",
]
