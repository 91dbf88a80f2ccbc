"""Numbers and intervals as every table shows them."""

from __future__ import annotations

from hyperfitting.records import MetricRow


def number(value: float) -> str:
    """A value with the three digits that matter."""
    if value != 0 and abs(value) < 0.001:
        return f"{value:.1g}"
    if abs(value) < 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def interval(row: MetricRow) -> str:
    """The 95 % interval; empty where there is none."""
    return "" if row.low is None or row.high is None else f"{number(row.low)}–{number(row.high)}"


def with_interval(row: MetricRow) -> str:
    """The value, and its interval in brackets where there is one."""
    bounds = interval(row)
    return f"{number(row.value)} ({bounds})" if bounds else number(row.value)
