"""Tables as CSV that a spreadsheet opens as they are.

A byte order mark says that the file is UTF-8; without it Excel shows `Â·` for a middle dot. A text
that a spreadsheet would run as a formula has an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def csv_table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, line_end: str = "\n") -> str:
    """A table as CSV; an empty field where a value is None."""
    file = io.StringIO(newline="")
    file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file, lineterminator=line_end)
    writer.writerow(map(_guarded, head))
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return file.getvalue()


def unguarded(cell: str) -> str:
    """A cell of `csv_table` without the apostrophe that it put in front."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _guarded(cell: Any) -> Any:
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
