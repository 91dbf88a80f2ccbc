"""The shipped studies: each loads, says what it reproduces, and its analysis knows its axes."""

import pytest

from hyperfitting.recipe import recipe_notes
from hyperfitting.studies import load_study, shipped_studies, study_cells
from hyperfitting.studies.analyses import ANALYSES
from hyperfitting.studies.analyses.pairs import KINDS

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
