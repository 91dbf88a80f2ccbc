"""Tables as CSV and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hyperfitting.spreadsheets import csv_table


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV under the keys of the first; an empty field where there is no value."""
    names = list(rows[0]) if rows else []
    return csv_table(names, ([row.get(name) for name in names] for row in rows))


def markdown_grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table under headings, of which the first may be empty."""
    titles = [f" {title} " if title else " " for title in head]
    lines = [f"|{'|'.join(titles)}|", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
