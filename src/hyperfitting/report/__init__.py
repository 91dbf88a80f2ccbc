"""Reads experiments and studies, and writes what people look at.

kit/         what all reports share: page, style, pictures, numbers, tables as CSV and Markdown
experiment/  the report of an experiment       comparison/  experiments side by side
preference/  the report of a preference study  study/       the report of a study
"""

from hyperfitting.report.comparison.cells import nearest_lines, verdict_lines
from hyperfitting.report.comparison.write import refuse_other_folder, write_comparison
from hyperfitting.report.experiment.closing import closing_words
from hyperfitting.report.experiment.evaluation import evaluation_grids
from hyperfitting.report.experiment.tables import headline, markdown_table, texts_table
from hyperfitting.report.experiment.write import (
    check_installed,
    is_table_of_texts,
    summary_json,
    write_report,
)

__all__ = [
    "check_installed",
    "closing_words",
    "evaluation_grids",
    "headline",
    "is_table_of_texts",
    "markdown_table",
    "nearest_lines",
    "refuse_other_folder",
    "summary_json",
    "texts_table",
    "verdict_lines",
    "write_comparison",
    "write_report",
]
