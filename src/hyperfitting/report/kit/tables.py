"""Tables as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV under the keys of the first; an empty field where there is no value."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def markdown_grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table under headings, of which the first may be empty."""
    titles = [f" {title} " if title else " " for title in head]
    lines = [f"|{'|'.join(titles)}|", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
