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
