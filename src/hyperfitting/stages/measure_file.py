"""Measure the texts of a file, whoever wrote them, and keep the table. It needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hyperfitting import report
from hyperfitting.files import refuse_to_replace, write_text
from hyperfitting.measuring import ExternalTextsRequest, measure_external_texts, origin_of
from hyperfitting.records import MetricRow


@dataclass(frozen=True)
class MeasuredFile:
    """The rows of a file's texts, and what they were asked with."""

    rows: list[MetricRow]
    request: ExternalTextsRequest

    @property
    def table(self) -> str:
        """The rows as a Markdown table."""
        return report.markdown_table(report.texts_table(self.rows))

    @property
    def json_rows(self) -> list[dict[str, Any]]:
        """The rows as objects, each with the file and the tokenizer that it comes from."""
        return [vars(row) | origin_of(row, self.request) for row in self.rows]


def measure_file(
    request: ExternalTextsRequest,
    out: Path | None = None,
    *,
    on_warning: Callable[[str], None] = lambda line: None,
) -> MeasuredFile:
    """Measure what a request names; `out`, if given, is the JSON file that the rows go to.

    Raises:
        InputError: `out` would replace another file; nothing is measured then.
        DataError, ModelError: as of `measure_external_texts`.
    """
    if out is not None:
        read = [Path(each) for each in (request.path, request.reference, request.training) if each]
        refuse_to_replace(
            out, ours=report.is_table_of_texts, what="table of texts' metrics", read=read
        )
    made = MeasuredFile(measure_external_texts(request, on_warning=on_warning), request)
    if out is not None:
        write_text(out, report.summary_json(made.rows, more=partial(origin_of, request=request)))
    return made
