"""The analysis of few training texts, on cells whose values are written by hand."""

import pytest

from hyperfitting.studies.analyses.quantity import find_quantity
from tests.support.finished_cells import results_of, row

STUDY = """
name = "quantity"
base = "demo"
seeds = [0, 1, 2]
analysis = "quantity"
[[axes]]
name = "texts"
values = { "data.train_blocks" = [8, 16, 32] }
[[axes]]
name = "schedule"
[[axes.points]]
name = "updates"
set = { "train.epochs" = "none", "train.updates" = 40 }
[[axes.points]]
name = "epochs"
set = { "train.epochs" = 10 }
[[published]]
metric = "ttr_last96"
at = { texts = 8 }
value = 0.50
source = "a paper, Figure 5"
note = "a lower bound"
"""


def ttr_of(cell, by_texts):
    if callable(by_texts):
        return by_texts(cell)
    return by_texts[cell.points["texts"]] + 0.01 * cell.seed


@pytest.fixture
def results(tmp_path):
    def made(by_texts, *, study=STUDY, **options):
        def rows(cell):
            value = ttr_of(cell, by_texts) if cell.points["schedule"] == "updates" else 0.3
            return [
                row("ttr_last96", value),
                row("ttr_last96", 0.9, domain="news"),
                row("ttr_last96", 0.75, variant="reference", strategy=None),
                row("recited_8gram_share", 0.2 / int(cell.points["texts"])),
                row("validation_loss", 5.0, domain="validation", strategy=None),
            ]

        return results_of(tmp_path, study, rows, **options)

    return made


FALLING = {"8": 0.50, "16": 0.60, "32": 0.62}


def test_means_over_seeds_have_students_interval(results):
    rows = find_quantity(results(FALLING)).tables[0].rows
    found = next(
        each
        for each in rows
        if (each.schedule, each.texts, each.domain, each.metric)
        == ("updates", 16, "fiction", "ttr_last96")
    )
    assert found.mean.value == pytest.approx(0.61)
    margin = 4.303 * 0.01 / 3**0.5
    assert (found.mean.low, found.mean.high) == pytest.approx((0.61 - margin, 0.61 + margin))
    assert (found.mean.seeds, found.updates) == (3, 40)
    assert {each.updates for each in rows if each.schedule == "epochs"} == {10, 20, 40}
    assert {each.domain for each in rows} == {"fiction", "news", "validation"}


def test_a_drop_at_the_batch_size_agrees_with_the_paper(results):
    said = " ".join(find_quantity(results(FALLING)).sentences)
    assert "greedy TTR on fiction is 0.630 (0.605 to 0.655) with 32 texts" in said
    assert (
        "From 16 texts to 8 greedy TTR falls, as in the paper (the difference is 0.100 (0.100 to "
        "0.100)). Against the largest other step, from 32 texts to 16, it is larger, as in the "
        "paper (the difference is 0.080 (0.080 to 0.080))." in said
    )


def test_another_drop_disagrees(results):
    said = " ".join(find_quantity(results({"8": 0.50, "16": 0.51, "32": 0.62})).sentences)
    assert "it is smaller, unlike in the paper (the difference is -0.100 (" in said


def test_a_drop_that_seeds_do_not_tell_apart_agrees_with_nothing(results):
    """The least of all differences, which the seeds scatter around, is no drop."""

    def ttr(cell):
        return 0.6 - (0.05 * (cell.seed - 0.9) if cell.points["texts"] == "8" else 0)

    said = " ".join(find_quantity(results(ttr)).sentences)
    assert "From 16 texts to 8 greedy TTR stays about as it is, where the paper's drops (" in said
    assert "), which is not told apart from none)." in said


def test_one_seed_tests_no_drop(results):
    one = results(FALLING, study=STUDY.replace("[0, 1, 2]", "[0]"))
    said = " ".join(find_quantity(one).sentences)
    assert "falls, as in the paper (the difference is 0.100, of one seed and so not tested)" in said
    assert "not told apart" not in said


def test_published_values_stand_with_how_often_each_text_was_seen(results):
    said = " ".join(find_quantity(results(FALLING)).sentences)
    # 40 updates and 10 epochs here; 5,000 updates of 8 texts there.
    assert (
        "The paper has 0.500 at 8 texts (a paper, Figure 5, a lower bound), each seen 5,000 times; "
        "ours is 0.510 (0.485 to 0.535) at constant updates, each seen 40 times and 0.300 (0.300 "
        "to 0.300) at constant epochs, each seen 10 times." in said
    )


def test_what_is_seen_less_than_twice_is_said_to_be(results):
    study = STUDY.replace("[8, 16, 32]", "[8, 16, 2000]").replace("texts = 8 }", "texts = 2000 }")
    found = find_quantity(results({**FALLING, "2000": 0.7}, study=study))
    said = " ".join(found.sentences)
    assert "at 2,000 texts (a paper, Figure 5, a lower bound), each seen 20 times; ours is" in said
    assert "at constant updates, each seen 0.2 times and" in said
    table = found.tables[0]
    assert table.head[1:3] == ("updates", "times each text is seen")
    lines = {line[0]: line[1:3] for line in table.body}
    assert lines["2,000 texts, constant updates"] == ("40", "0.2")
    assert lines["2,000 texts, constant epochs"] == ("2,500", "10")


def test_the_order_of_the_axis_does_not_matter(results, tmp_path):
    given = find_quantity(results(FALLING))
    turned = find_quantity(results(FALLING, study=STUDY.replace("[8, 16, 32]", "[32, 16, 8]")))
    assert turned.sentences == given.sentences
    assert turned.tables[0].body == given.tables[0].body


def test_the_figure_has_ours_the_true_texts_and_the_published_mark(results):
    panel = find_quantity(results(FALLING)).figures[0].panels[0]
    series = {each.label: each for each in panel.series}
    assert [point.x for point in series["constant updates"].points] == [8, 16, 32]
    assert [point.y for point in series["true texts"].points] == [0.75, 0.75]
    published = series["published"]
    assert [(point.x, point.y) for point in published.points] == [(8, 0.5)]
    assert published.source == "a paper, Figure 5"
    assert panel.logarithmic


def test_what_is_not_finished_is_left_out(results):
    found = find_quantity(
        results(FALLING, without=lambda cell: cell.points["texts"] == "8" or cell.seed > 0)
    )
    assert {each.texts for each in found.tables[0].rows} == {16, 32}
    assert all(each.mean.low is None for each in found.tables[0].rows)
    assert "From 16 texts to 8" not in " ".join(found.sentences)
    assert "One seed, so no interval" in found.tables[0].note


def test_a_schedule_more_than_there_are_colours_is_drawn_too(results):
    more = "".join(
        f'[[axes.points]]\nname = "s{n}"\nset = {{ "train.epochs" = {n + 1} }}\n' for n in range(3)
    )
    study = STUDY.replace("[[published]]", f"{more}[[published]]", 1)
    panel = find_quantity(results(FALLING, study=study)).figures[0].panels[0]
    names = ("updates", "epochs", "s0", "s1", "s2")
    assert {f"constant {name}" for name in names} <= {series.label for series in panel.series}
