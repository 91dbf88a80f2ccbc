"""Kinds of text trained on by kinds continued, on cells written by hand."""

import pytest

from hyperfitting.studies.analyses.data_type import find_data_type
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

    def made(ttr, study=STUDY):
        def rows(cell):
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

        return results_of(tmp_path, study, rows)

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
    assert "0.10 without training, 0.51 after fiction, 0.61 after news" in said
    assert "Every kind of text raises TTR on every kind that is continued." in said
    # On fiction 0.6 - 0.5, on news 0.7 - 0.4.
    assert "instead of another, TTR changes by 0.200 (0.200 to 0.200): higher." in said
    assert (
        "By TTR the order is none < fiction < news; the paper's raters preferred none < fiction < "
        "news (a paper, Table 4): the same order. TTR is not preference" in said
    )


def test_what_disagrees_is_said(results):
    said = " ".join(
        find_data_type(results({"fiction": (0.6, 0.5, 0.9), "news": (0.5, 0.05, 0.4)})).sentences
    )
    assert "TTR is not raised on encyclopaedia after news." in said
    assert "the paper's raters preferred none < fiction < news (a paper, Table 4): another" in said


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
