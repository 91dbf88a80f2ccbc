"""Reads experiments and writes what people look at. Only the pipeline's last step and the command line come here."""

from hyperfitting.report.comparison import nearest_lines, verdict_lines, write_comparison
from hyperfitting.report.listing import experiment_line
from hyperfitting.report.tables import before_and_after, headline, markdown_table, texts_table
from hyperfitting.report.write import check_installed, summary_json, write_report

__all__ = [
    "before_and_after",
    "check_installed",
    "experiment_line",
    "headline",
    "markdown_table",
    "nearest_lines",
    "summary_json",
    "texts_table",
    "verdict_lines",
    "write_comparison",
    "write_report",
]
