"""Kinds of text trained on by kinds continued, on cells written by hand."""

import tomllib

import pytest

from hyperfitting.errors import RecipeError
from hyperfitting.recipe import parse_settings
from hyperfitting.studies.analyses import analysis_of
from hyperfitting.studies.analyses.data_type import find_data_type
from hyperfitting.studies.settings import StudySettings
from tests.support.finished_cells import results_of, row

STUDY = """
name = "data-type"
base = "demo"
seeds = [0, 1]
analysis = "data-type"
[[axes]]
name = "data"
[[axes.points]]
name = "fiction"
set = { name = "on-fiction" }
[[axes.points]]
name = "news"
set = { name = "on-news", "data.train_blocks" = 32 }
[[published]]
metric = "mean_preference"
at = { data = "none" }
value = 24.2
source = "a paper, Table 4"
[[published]]
metric = "mean_preference"
at = { data = "fiction" }
value = 40.7
source = "a paper, Table 4"
[[published]]
metric = "mean_preference"
at = { data = "news" }
value = 66.4
source = "a paper, Table 4"
"""
DOMAINS = ("fiction", "encyclopaedia", "news")


@pytest.fixture
def results(tmp_path):
    """By what was trained on: TTR on fiction, encyclopaedia, news."""

    def made(ttr, study=STUDY, rows=None, **options):
        def by_kind(cell):
            kind = cell.points["data"]
            for domain, value in zip(DOMAINS, ttr[kind], strict=True):
                yield row("ttr_last96", value + 0.02 * cell.seed, domain=domain)
                yield row("recited_8gram_share", 0.1, domain=domain)
            for domain in DOMAINS:
                yield row("ttr_last96", 0.1, variant="original", domain=domain)
                yield row("ttr_last96", 0.8, variant="reference", strategy=None, domain=domain)
                # It is measured against the texts of its own cell.
                share = {"fiction": 0.01, "news": 0.03}[kind]
                yield row("recited_8gram_share", share, variant="original", domain=domain)

        return results_of(tmp_path, study, rows or by_kind, **options)

    return made


TTR = {"fiction": (0.6, 0.5, 0.4), "news": (0.5, 0.6, 0.7)}


def test_every_pair_of_kinds_has_its_mean(results):
    found = find_data_type(results(TTR))
    table = found.tables[0]
    assert table.head == ("", *DOMAINS)
    assert [line[0] for line in table.body] == ["none", "fiction", "news", "true texts"]
    values = {(row.trained_on, row.domain): row.mean.value for row in table.rows}
    assert values["fiction", "news"] == pytest.approx(0.41)
    assert values["none", "news"] == pytest.approx(0.1)
    recited = next(each for each in found.tables if each.name == "recited_8gram_share")
    none = next(each for each in recited.rows if each.trained_on == "none")
    assert none.mean.value == pytest.approx(0.02)


def test_what_agrees_with_the_order_of_preference_is_said(results):
    said = " ".join(find_data_type(results(TTR)).sentences)
    assert (
        "0.100 (0.100 to 0.100) without training, 0.510 (0.383 to 0.637) after fiction, 0.610 "
        "(0.483 to 0.737) after news." in said
    )
    assert (
        "TTR is raised in every pair of a kind trained on and a kind continued, least on news "
        "after fiction (0.310 (0.183 to 0.437))." in said
    )
    # On fiction 0.6 - 0.5, on news 0.7 - 0.4.
    assert (
        "Trained on the kind that is continued instead of another, TTR is higher (the difference "
        "is 0.200 (0.200 to 0.200))." in said
    )
    assert (
        "By TTR the order is none < fiction < news; the paper's raters preferred none < fiction < "
        "news (a paper, Table 4): the same order. TTR is not preference" in said
    )


def test_what_disagrees_is_said(results):
    said = " ".join(
        find_data_type(results({"fiction": (0.6, 0.5, 0.9), "news": (0.5, -0.1, 0.4)})).sentences
    )
    assert "Of 6 pairs of a kind trained on and a kind continued, TTR is raised in 5." in said
    assert "It is lowered on encyclopaedia after news (-0.190 (-0.317 to -0.063))." in said
    assert (
        "the paper's raters preferred none < fiction < news (a paper, Table 4): another order "
        "(news from fiction: -0.400 (-0.400 to -0.400))" in said
    )


def test_a_raise_that_seeds_do_not_tell_apart_is_none(results):
    """0.4001 against 0.40 is no raise, and no order."""
    said = " ".join(
        find_data_type(results({"fiction": (0.6, 0.5, 0.1), "news": (0.4, 0.4, 0.4001)})).sentences
    )
    assert "TTR is raised in 5." in said
    assert "Not told apart from none is its change on news after fiction (0.010 (-0.117 to" in said
    near = {"fiction": (0.5, 0.5, 0.4), "news": (0.45, 0.45, 0.5)}

    def rows(cell):
        value = near[cell.points["data"]]
        for domain, each in zip(DOMAINS, value, strict=True):
            shift = 0.2 * cell.seed if cell.points["data"] == "news" else 0
            yield row("ttr_last96", each + shift - 0.09, domain=domain)
            yield row("ttr_last96", 0.1, variant="original", domain=domain)

    said = " ".join(find_data_type(results(near, rows=rows)).sentences)
    assert "the same order, but not told apart are" in said


def test_one_of_two_kinds_is_not_every_kind(results):
    found = results(TTR, without=lambda cell: cell.points["data"] == "news")
    said = " ".join(find_data_type(found).sentences)
    assert (
        "TTR is raised in every pair of a kind trained on (fiction; of 2 kinds) and a kind "
        "continued" in said
    )
    assert "By TTR the order is none < fiction" in said
    assert "Not among them: news." in said


def test_one_seed_is_not_tested(results):
    one = results(TTR, study=STUDY.replace("seeds = [0, 1]", "seeds = [0]"))
    said = " ".join(find_data_type(one).sentences)
    assert "In 6 of 6 it is higher, of one seed and so not tested." in said
    assert "the same order, of one seed and so not tested." in said
    assert "not told apart" not in said


def test_a_point_that_is_called_as_the_original_is_one_line():
    study = STUDY.replace('name = "fiction"\nset', 'name = "none"\nset')
    study = study.replace('at = { data = "fiction" }', 'at = { data = "none" }')
    settings = parse_settings(StudySettings, tomllib.loads(study), source="study.toml")
    with pytest.raises(
        RecipeError, match="data-type: a point of the axis 'data' is called 'none', as the page"
    ):
        analysis_of(settings)


def test_the_preference_study_of_all_pairs_is_one_command(results):
    ((words, command),) = find_data_type(results(TTR)).commands
    assert words == "A preference study of all pairs at seed 0, in the study's folder:"
    assert command.startswith("hyperfit preference create cells/data-fiction-seed-0-")
    assert " cells/data-news-seed-0-" in command
    # The original, which is the same in every cell, is taken from the first alone.
    assert command.endswith("/hyperfitted --pairs all --out preference")
    assert command.count("/hyperfitted") == 1


def test_published_preference_is_drawn_as_marks_alone(results):
    *_, published = find_data_type(results(TTR)).figures[0].panels
    assert published.ticks == ("none", "fiction", "news")
    (series,) = published.series
    assert [(point.x, point.y) for point in series.points] == [(0, 24.2), (1, 40.7), (2, 66.4)]
    assert series.source == "a paper, Table 4"


def test_a_domain_more_than_there_are_colours_is_drawn_too(results):
    domains = [f"d{n}" for n in range(5)]
    listed = ", ".join(
        f'{{ name = "{name}", count = 2, source = {{ path = "x.jsonl" }} }}' for name in domains
    )
    study = STUDY.replace("[[axes]]", f'[set]\n"data.domains" = [{listed}]\n[[axes]]', 1)
    ttr = {"fiction": (0.5, 0.5, 0.5), "news": (0.5, 0.5, 0.5)}
    drawn = {
        series.label for series in find_data_type(results(ttr, study)).figures[0].panels[0].series
    }
    assert {f"continued: {name}" for name in domains} <= drawn
