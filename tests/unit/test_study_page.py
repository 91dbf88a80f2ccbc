"""The page of a study on disk, from findings written by hand."""

import csv
import re
from dataclasses import dataclass, replace

import pytest

from hyperfitting.errors import RecipeError
from hyperfitting.report.study.content import (
    CellLink,
    Findings,
    Heatmap,
    Panel,
    Point,
    Series,
    StudyFigure,
    StudyPage,
    StudyTable,
)
from hyperfitting.report.study.figures import study_figure
from hyperfitting.report.study.write import write_study_page
from hyperfitting.studies.analyses import ANALYSES
from hyperfitting.studies.analyses.summary import SeedMean
from hyperfitting.studies.findings import find_answers, study_page
from tests.support.finished_cells import results_of, row


@dataclass(frozen=True)
class Row:
    texts: int
    mean: SeedMean


ROW = Row(8, SeedMean(0.4, None, None, 1))
OURS = Series("ours", (Point(8, 0.4, 0.3, 0.5), Point(16, 0.6)), "hyperfitted")
THEIRS = Series("published", (Point(8, 0.5),), "original", source="a paper, Figure 5")
PANEL = Panel("TTR", "texts", (OURS, THEIRS), logarithmic=True, limits=(0.0, 1.0))
HEATMAP = Heatmap("same (%)", ("a", "b"), ("a", "b"), ((1.0, 0.7), (0.7, None)))
PAGE = StudyPage(
    name="quantity",
    description="Few texts <and> many.",
    account=(("What the paper did", "It trained."),),
    findings=Findings(
        sentences=("TTR rises.", "This agrees."),
        figures=(StudyFigure("quantity", "By texts", (PANEL, HEATMAP)),),
        tables=(
            StudyTable("values", "Values", "A note.", ("", "TTR"), (("8 texts", "0.4"),), [ROW]),
        ),
        commands=(("Ask people:", "hyperfit preference create a b"),),
    ),
    published=(("ttr", "texts 8", "0.500", "a paper, Figure 5", "a bound"),),
    cells=(CellLink("texts 8, seed 0", "tiny-12345678", "../cells/a/report/index.html"),),
    missing=("texts 16, seed 0",),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "report"
    assert write_study_page(PAGE, folder, {"cells.csv": "a\n"}) == folder / "index.html"
    return folder


def test_the_page_leaves_every_file_that_it_links_to(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "cells.csv",
        "index.html",
        "quantity.png",
        "quantity.svg",
        "report.md",
        "values.csv",
    ]
    html = (written / "index.html").read_text()
    links = set(re.findall(r'href="([^"#]+)"', html))
    assert {"quantity.svg", "quantity.png", "values.csv"} <= links
    assert "../cells/a/report/index.html" in links
    with (written / "values.csv").open(encoding="utf-8-sig") as file:
        assert list(csv.reader(file)) == [
            ["texts", "value", "low", "high", "seeds"],
            ["8", "0.4", "", "", "1"],
        ]


def test_page_and_markdown_say_the_same(written):
    html, markdown = ((written / name).read_text() for name in ("index.html", "report.md"))
    for words in ("TTR rises. This agrees.", "It trained.", "texts 16, seed 0", "A note."):
        assert words in html
        assert words in markdown
    assert "Few texts &lt;and&gt; many." in html
    assert "hyperfit preference create a b" in html
    assert "```sh\nhyperfit preference create a b\n```" in markdown
    assert "| ttr | texts 8 | 0.500 | a paper, Figure 5 | a bound |" in markdown


def test_published_values_are_hollow_marks_with_their_source():
    figure = study_figure(StudyFigure("x", "x", (PANEL,)))
    (axes,) = figure.axes
    marks = {line.get_label(): line for line in axes.get_lines()}
    published = marks["published (a paper, Figure 5)"]
    assert published.get_markerfacecolor() == "none"
    assert published.get_linestyle() == "None"
    assert list(marks["ours"].get_xdata()) == [8, 16]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(marks)


def test_equal_pages_make_equal_files(written, tmp_path):
    write_study_page(PAGE, tmp_path / "again", {"cells.csv": "a\n"})
    for file in written.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_what_is_beyond_is_shaded_and_a_matrix_shows_its_numbers():
    shaded = replace(PANEL, logarithmic=False, shaded_from=12.0, shaded="beyond")
    axes, matrix = study_figure(StudyFigure("x", "x", (shaded, HEATMAP))).axes
    (patch,) = axes.patches
    assert patch.get_x() == 12
    assert "beyond" in [text.get_text() for text in axes.texts]
    (plain,) = study_figure(StudyFigure("x", "x", (replace(shaded, shaded_from=16.0),))).axes
    assert not plain.patches  # nothing lies beyond
    assert [text.get_text() for text in matrix.texts] == ["100.0", "70.0", "70.0"]


STUDY = """
name = "mine"
base = "demo"
description = "One of mine."
[paper]
source = "a paper"
silent = "Seeds."
[[axes]]
name = "texts"
values = { "data.train_blocks" = [8, 16] }
"""


def test_a_study_without_an_analysis_has_the_table_of_its_cells(tmp_path):
    found = results_of(tmp_path, STUDY, lambda cell: [row("ttr_last96", 0.5)])
    page = study_page(found, found.folder / "report")
    assert page.account == (("Source", "a paper"), ("What it does not say", "Seeds."))
    assert [line[0] for line in page.findings.tables[0].body] == [
        "texts 8, seed 0",
        "texts 16, seed 0",
    ]
    assert page.findings.tables[0].head == ("", "ttr_last96, fiction")
    assert page.cells[0].href.startswith("../cells/texts-8-seed-0-")


def test_an_analysis_that_is_not_there_is_one_line(tmp_path):
    found = results_of(tmp_path, STUDY)
    wrong = replace(found, study=found.study.model_copy(update={"analysis": "quality"}))
    with pytest.raises(RecipeError, match=r"mine: no analysis 'quality': there are cells, curves"):
        find_answers(wrong)


@pytest.mark.parametrize("name", [name for name in ANALYSES if name != "cells"])
def test_an_axis_that_an_analysis_does_not_read_is_one_line(tmp_path, name):
    """Its points would count as seeds, or the last one of them alone."""
    axes = "".join(
        f'[[axes]]\nname = "{axis}"\npoints = [{{ name = "a" }}]\n' for axis in ANALYSES[name].axes
    )
    rates = '[[axes]]\nname = "rate"\nvalues = { "train.learning_rate" = [3e-3, 1e-3] }\n'
    study = f'name = "mine"\nbase = "demo"\nanalysis = "{name}"\n{axes}{rates}'
    with pytest.raises(
        RecipeError, match=f"mine: the analysis {name} does not read the axis 'rate', and would"
    ):
        find_answers(results_of(tmp_path, study))


def test_an_analysis_without_its_axis_is_one_line(tmp_path):
    study = STUDY.replace('base = "demo"', 'base = "demo"\nanalysis = "quantity"')
    with pytest.raises(
        RecipeError, match="mine: the analysis quantity reads an axis 'schedule', which the study"
    ):
        find_answers(results_of(tmp_path, study))


def test_an_analysis_without_what_it_reads_is_one_line(tmp_path):
    study = 'name = "mine"\nbase = "demo"\nanalysis = "shuffle"\n'
    study += '[[axes]]\nname = "order"\npoints = [{ name = "given" }]\n'
    published = '[[published]]\nmetric = "ttr"\nvalue = 1\nsource = "x"\nat = { epoch = 1 }\n'
    with pytest.raises(RecipeError, match="mine: the analysis shuffle reads predictions, which "):
        find_answers(results_of(tmp_path, study))
    words = "published value of ttr: the analysis shuffle reads no 'epoch': name one of order, pair"
    with pytest.raises(RecipeError, match=words):
        find_answers(results_of(tmp_path, study + published))
