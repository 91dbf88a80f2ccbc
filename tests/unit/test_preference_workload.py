"""The default number of items a person: from power, with enough checks, and never above an hour."""

import pytest

from hyperfitting.preference.analysis.power import power_of_grid
from hyperfitting.preference.analysis.workload import workload
from hyperfitting.preference.protocol import PlannedAnalysis, Protocol


def protocol(**settings):
    return Protocol(**{"name": "x", **settings})


def test_the_work_is_shared_among_the_annotators_that_power_asks_for():
    found = workload(100, 400, protocol())
    assert (found.items, found.annotators) == (67, 20)  # 1,334 items in all
    narrow, twice = power_of_grid(contexts=[100], annotators=[20, 40], judgements=[3], studies=100)
    assert twice.half_width > 0.9 * narrow.half_width
    few, double = power_of_grid(contexts=[100], annotators=[10, 20], judgements=[3], studies=100)
    assert double.half_width < 0.9 * few.half_width


@pytest.mark.parametrize(
    ("settings", "comparisons", "items"),
    [
        ({}, 10, 40),  # two checks in forty items: one may fail
        ({"attention_rate": 0.2}, 10, 10),
        ({"analysis": PlannedAnalysis(attention_failures=2)}, 10, 60),
        ({"attention_rate": 0.0}, 10, 24),
        ({}, 100_000, 90),  # an hour
        ({"attention_rate": 0.001}, 10, 90),
        ({"items": 7}, 10, 7),
    ],
)
def test_checks_and_the_hour_are_bounds(settings, comparisons, items):
    found = workload(min(comparisons, 300), comparisons, protocol(**settings))
    assert found.items == items
    assert found.minutes == pytest.approx(items * 40 / 60)


def test_as_many_annotators_are_named_as_a_comparison_needs():
    assert workload(5, 5, protocol(judgements=7)).annotators == 7
    assert workload(5, 5, protocol(judgements=70)).annotators == 70
