"""TTR by position within the trained length and beyond it, on cells written by hand."""

import pytest

from hyperfitting.studies.analyses.long_texts import fall_within, find_long_texts
from tests.support.finished_cells import results_of, row

STUDY = """
name = "long"
base = "demo"
seeds = [0, 1]
analysis = "long"
set = { "data.context_tokens" = 32, "generate.new_tokens" = 192, "probe.new_tokens" = 64 }
[[axes]]
name = "trained"
values = { "data.block_tokens" = [160, 192] }
"""
POSITIONS = (96, 128, 160, 192)


@pytest.fixture
def results(tmp_path):
    def made(ours, theirs, study=STUDY):
        def rows(cell):
            shift = 0.02 * cell.seed
            for variant, strategy, curve in (
                ("hyperfitted", "greedy", ours),
                ("original", "greedy", theirs),
                ("reference", None, (0.8, 0.8, 0.8, 0.8)),
                ("hyperfitted", "nucleus", (0.0, 0.0, 0.0, 0.0)),
            ):
                for position, value in zip(POSITIONS, curve, strict=True):
                    yield row(
                        "ttr_by_position",
                        value + (shift if variant == "hyperfitted" else 0),
                        variant=variant,
                        strategy=strategy,
                        position=position,
                    )

        return results_of(tmp_path, study, rows)

    return made


OURS, THEIRS = (0.70, 0.66, 0.60, 0.50), (0.30, 0.20, 0.10, 0.05)


def test_positions_longer_than_a_training_block_are_beyond(results):
    found = find_long_texts(results(OURS, THEIRS))
    beyond = {
        (row.block_tokens, row.position): row.beyond
        for row in found.tables[0].rows
        if row.variant == "hyperfitted"
    }
    # A context of 32 and a window that ends at 128 new tokens fill a block of 160.
    assert beyond == {
        **{(160, 96): False, (160, 128): False, (160, 160): True, (160, 192): True},
        **{(192, 96): False, (192, 128): False, (192, 160): False, (192, 192): True},
    }
    assert [panel.shaded_from for panel in found.figures[0].panels] == [128, 160]
    assert found.tables[0].body[0][3].endswith("*")


def test_only_the_hyperfitted_model_is_beyond_a_training_block(results):
    """The original was trained on all its positions, and no model wrote the true texts."""
    found = find_long_texts(results(OURS, THEIRS))
    beyond = {row.variant for row in found.tables[0].rows if row.beyond}
    assert beyond == {"hyperfitted"}
    marks = {line[0]: line[4].endswith("*") for line in found.tables[0].body}
    assert marks["blocks of 160, hyperfitted, greedy"]
    assert not marks["blocks of 160, original, greedy"]
    assert not marks["blocks of 160, true texts"]
    assert "* beyond the length that the hyperfitted model was trained on" in found.tables[0].note
    panel = found.figures[0].panels[0]
    assert panel.shaded == "hyperfitted: longer than trained on"
    assert "that the hyperfitted model was trained on" in found.figures[0].caption


def test_the_fall_is_between_the_first_and_last_window_within_the_length(results):
    cells = results(OURS, THEIRS).at(trained="192")
    fall = fall_within(cells, "hyperfitted", "fiction")
    assert fall.first.value == pytest.approx(0.71)
    assert fall.last.value == pytest.approx(0.61)
    assert fall.by_seed == {0: pytest.approx(0.10), 1: pytest.approx(0.10)}


def test_higher_and_slower_agree_with_the_paper(results):
    first, beyond, *_ = find_long_texts(results(OURS, THEIRS)).sentences
    assert first.startswith(
        "Trained on blocks of 160 tokens, greedy TTR on fiction goes from 0.710"
    )
    assert (
        "it starts higher, as in the paper (the difference is 0.410 (0.283 to 0.537)), and falls "
        "slower, as in the paper (the difference is 0.060 (0.060 to 0.060))." in first
    )
    assert beyond.startswith("Beyond it, which the training never showed to the model, TTR is 0.51")


def test_lower_and_faster_disagree(results):
    first, *_ = find_long_texts(results((0.15, 0.0, 0.0, 0.0), THEIRS)).sentences
    assert "it starts lower, unlike in the paper (the difference is -0.140 (" in first
    assert "and falls faster, unlike in the paper (the difference is -0.050 (" in first


def test_what_seeds_do_not_tell_apart_agrees_with_nothing(results):
    """The same curve but for 0.02 a seed, and falls that differ by a rounding alone."""
    first, *_ = find_long_texts(results(THEIRS, THEIRS)).sentences
    assert (
        "it starts about as high, where the paper's starts higher (the difference is 0.010 (-0.117 "
        "to 0.137), which is not told apart from none), and falls about as fast, where the paper's "
        "falls slower (the difference is 0.000 (0.000 to 0.000), which is not told apart from "
        "none)." in first
    )


def test_one_seed_is_not_tested(results):
    one = results(OURS, THEIRS, STUDY.replace("seeds = [0, 1]", "seeds = [0]"))
    first, *_ = find_long_texts(one).sentences
    assert (
        "starts higher, as in the paper (the difference is 0.400, of one seed and so not" in first
    )
    assert "falls slower, as in the paper (the difference is 0.060, of one seed and so not" in first


def test_a_length_that_holds_one_window_says_nothing(tmp_path):
    study = STUDY.replace("[160, 192]", "[128]")
    rows = [row("ttr_by_position", 0.5, position=96), row("ttr_by_position", 0.5, position=128)]
    (said,) = find_long_texts(results_of(tmp_path, study, lambda cell: rows)).sentences
    assert said.startswith("With blocks of 128 tokens fewer than two windows end within")
