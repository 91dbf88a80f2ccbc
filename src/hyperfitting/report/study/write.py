"""A study's page from disk: HTML, the same in Markdown, each figure as SVG and PNG, each table as
CSV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hyperfitting.files import new_folder, write_text
from hyperfitting.report.kit.page import style, templates
from hyperfitting.report.kit.tables import csv_text, markdown_grid
from hyperfitting.report.study.content import StudyFigure, StudyPage

_PX_PER_INCH = 96

_NOTHING: Mapping[str, str] = MappingProxyType({})

PUBLISHED_HEAD = ("metric", "where", "value", "source", "note")
"""The columns of the table of published values."""


def write_study_page(page: StudyPage, folder: Path, beside: Mapping[str, str] = _NOTHING) -> Path:
    """Write the page and all that it links to, whole or not at all; the path of index.html.

    `beside`: other files of the report, by name.

    Raises:
        ModuleNotFoundError: the extra `report` is not installed.
    """
    from hyperfitting.report.kit import figures
    from hyperfitting.report.study.figures import study_figure

    pictures: list[tuple[StudyFigure, str, int]] = []
    with new_folder(folder) as partial:
        for drawn in page.findings.figures:
            figure = study_figure(drawn)
            figures.save_png(figure, partial / f"{drawn.name}.png")
            figures.save_svg(figure, partial / f"{drawn.name}.svg")
            width_px = round(_PX_PER_INCH * figure.get_figwidth())
            pictures.append((drawn, figures.svg(figure, drawn.name), width_px))
        for table in page.findings.tables:
            write_text(partial / f"{table.name}.csv", csv_text(list(map(_columns, table.rows))))
        for name, text in {**beside, "report.md": study_markdown(page)}.items():
            write_text(partial / name, text)
        html = templates().get_template("study/page.html.j2")
        filled = html.render(
            page=page,
            pictures=pictures,
            published_head=PUBLISHED_HEAD,
            style=style("study/page.css"),
        )
        write_text(partial / "index.html", filled)
    return folder / "index.html"


def _columns(row: Any) -> dict[str, Any]:
    """A row's fields by their names. A field that has fields is replaced by them."""
    held: dict[str, Any] = {}
    for name, value in asdict(row).items():
        held |= value if isinstance(value, dict) else {name: value}
    return held


def study_markdown(page: StudyPage) -> str:
    """The page in Markdown, with the pictures by their files' names."""
    parts = [f"# {page.name}", page.description, " ".join(page.findings.sentences)]
    if page.missing:
        parts.append(f"Not finished: {'; '.join(page.missing)}.")
    for figure in page.findings.figures:
        parts += [f"![{figure.caption}]({figure.name}.png)", figure.caption]
    for table in page.findings.tables:
        parts += [f"## {table.title}", table.note, markdown_grid(table.head, table.body)]
    for words, command in page.findings.commands:
        parts += [words, f"```sh\n{command}\n```"]
    if page.published:
        parts += ["## Published values", markdown_grid(PUBLISHED_HEAD, page.published)]
    for heading, words in page.account:
        parts += [f"## {heading}", words]
    runs = [(cell.title, f"[`{cell.run}`]({cell.href})") for cell in page.cells]
    parts += ["## Runs", markdown_grid(("cell", "run"), runs)]
    return "\n\n".join(part for part in parts if part) + "\n"
