"""The intervals of the preference analysis hold what they promise, over 1,000 simulated studies."""

from __future__ import annotations

import pytest

from bench import preference_coverage as coverage
from hyperfitting.preference.analysis import Design

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("design", coverage.DESIGNS, ids=["300x30x3", "60x10x3"])
def test_coverage_is_as_required(design: Design):
    found = [*coverage.shares(design, coverage.USUAL, 1000), *coverage.worths(design, 1000)]
    for each in found:
        print(each.line())
        assert coverage.required(each), each.line()


@pytest.mark.parametrize("design", coverage.SMALL_DESIGNS, ids=["24x5x3", "24x5x5", "24x3x3"])
def test_small_studies_are_covered_in_every_population(design: Design):
    """With five annotators and 24 contexts, and with three, the intervals hold the truth in at
    least 92 of 100 studies.
    """
    for label, population in coverage.POPULATIONS.items():
        for each in coverage.shares(design, population, 1000, label):
            print(each.line())
            assert each.share >= 0.92, each.line()
    for each in coverage.worths(design, 1000):
        print(each.line())
        assert each.share >= 0.92, each.line()
