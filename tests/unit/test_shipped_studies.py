"""The shipped studies: each loads, says what it reproduces, and its analysis knows its axes."""

import re

import numpy as np
import pytest

from hyperfitting.recipe import recipe_notes
from hyperfitting.records import UpdateRow
from hyperfitting.report.study.write import write_study_page
from hyperfitting.studies import (
    Predictions,
    load_study,
    shipped_studies,
    study_cells,
    study_path,
)
from hyperfitting.studies.analyses import ANALYSES
from hyperfitting.studies.analyses.pairs import KINDS
from hyperfitting.studies.findings import study_page
from tests.support.finished_cells import results_of, row
from tests.support.probes import probe_row

AXES = {
    "curves": {"training"},
    "data-type": {"data"},
    "long": {"trained"},
    "quantity": {"texts", "schedule"},
    "shuffle": {"order"},
}
PLACES = {"epoch", "pair"}
"""Coordinates of published values that are no axis."""


@pytest.fixture(params=sorted(AXES))
def study(request):
    return load_study(request.param)


def test_these_studies_ship():
    assert set(AXES) <= set(shipped_studies())


def test_each_has_an_analysis_that_reads_its_axes(study):
    assert study.analysis == study.name
    assert study.analysis in ANALYSES
    assert {axis.name for axis in study.axes} == AXES[study.name]
    assert set(ANALYSES[study.name].axes) == AXES[study.name]
    assert len(study.seeds) == 3


def test_each_says_what_the_paper_did_and_did_not_say_and_what_it_adds(study):
    paper = study.paper
    assert paper.source.startswith("Carlsson et al. 2025")
    assert all((paper.did, paper.silent, paper.adds, study.description))


def test_its_cells_are_resolved_and_set_nothing_in_vain(study):
    cells = study_cells(study)
    points = 1
    for axis in study.axes:
        points *= len(axis.all_points)
    assert len(cells) == 3 * points
    for cell in (each for each in cells if each.seed == 0):
        found = recipe_notes(cell.recipe)
        random = cell.recipe.model.initialise == "random"  # as if it were for `hyperfit pretrain`
        assert not found or random, (cell.title, found)


def test_published_values_stand_at_points_that_are_there(study):
    for each in study.published:
        assert each.source.startswith("Carlsson et al. 2025")
        for name, place in each.at.items():
            if name in PLACES:
                assert name == "epoch" or place in KINDS
                continue
            axis = next(axis for axis in study.axes if axis.name == name)
            names = [point.name for point in axis.all_points]
            assert str(place) in [*names, "none"]  # none: before any training


def test_the_paper_is_compared_where_it_gives_numbers():
    with_values = {name for name in AXES if load_study(name).published}
    assert with_values == {"curves", "data-type", "quantity", "shuffle"}


@pytest.mark.parametrize("name", sorted(AXES))
@pytest.mark.parametrize("finished", [1, 2])
def test_a_report_can_be_made_when_the_first_cells_are_finished(tmp_path, name, finished):
    folders = [cell.folder_name for cell in study_cells(load_study(name))]
    probes = [probe_row(8 * i, i / 2, None, 4.0 - i, 0.2 * i) for i in range(3)]
    updates = [UpdateRow(i, 1, 3.0, 1e-3, 1.0, 1.0, token_accuracy=0.5) for i in range(1, 17)]
    predicted = Predictions(np.zeros((4, 40), np.int32), np.full((4, 40), 0.5, np.float32))
    found = results_of(
        tmp_path,
        study_path(name).read_text(encoding="utf-8"),
        lambda cell: [row("ttr_last96", 0.5), row("ttr_by_position", 0.5, position=96)],
        trainings=lambda cell, variant: (updates, probes),
        predictions=lambda cell: {"fiction": predicted},
        without=lambda cell: cell.folder_name not in folders[:finished],
    )
    assert len(found.finished) == finished
    page = write_study_page(study_page(found, tmp_path / "report"), tmp_path / "report")
    said = page.read_text(encoding="utf-8")
    assert f"{len(folders) - finished} of {len(folders)} cells are not finished" in said
    assert "None" not in re.sub(r"<style>.*?</style>", "", said, flags=re.DOTALL)
