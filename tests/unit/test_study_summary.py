"""Means over seeds in words: verdicts, places in a range, and over what intervals are."""

import pytest

from hyperfitting.studies.analyses.summary import (
    SeedMean,
    coloured,
    intervals_in_words,
    marked,
    over_seeds,
    place_in_range,
    seed_difference,
    verdict,
)

ONE, OVER_TEXTS = SeedMean(0.5, None, None, 1), SeedMean(0.5, 0.4, 0.6, 1)
TWO, THREE = over_seeds([0.4, 0.5]), over_seeds([0.4, 0.5, 0.6])


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (SeedMean(0.2, 0.1, 0.3, 3), "rises (the difference is 0.200 (0.100 to 0.300))"),
        (SeedMean(-0.2, -0.3, -0.1, 3), "falls (the difference is -0.200 (-0.300 to -0.100))"),
        (
            SeedMean(0.2, -0.1, 0.5, 3),
            "stays (the difference is 0.200 (-0.100 to 0.500), which is not told apart from none)",
        ),
        (
            SeedMean(-0.2, None, None, 1),
            "falls (the difference is -0.200, of one seed and so not tested)",
        ),
        (
            SeedMean(0.0, None, None, 1),
            "stays (the difference is 0.000, of one seed and so not tested)",
        ),
    ],
)
def test_a_verdict_stands_with_the_interval_that_decides_it(difference, said):
    assert verdict(difference, "rises", "falls", "stays") == said


def test_an_interval_over_texts_is_no_test_of_trainings():
    assert OVER_TEXTS.sign is None
    assert OVER_TEXTS.direction == "one seed, not tested"


def test_the_rounding_of_a_subtraction_has_no_side():
    """0.3 - 0.1 is not 0.2 to the bit, so that equal falls would differ by 3e-17."""
    one, other = ({0: value, 1: value} for value in (0.3 - 0.1, 0.2))
    assert one != other
    apart = seed_difference(one, other)
    assert (str(apart), apart.sign) == ("0.000 (0.000 to 0.000)", 0)
    assert str(seed_difference(other, one)) == "0.000 (0.000 to 0.000)"


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        (SeedMean(0.5, 0.45, 0.55, 3), "within that"),
        (SeedMean(0.3, 0.25, 0.35, 3), "below it"),
        (SeedMean(0.7, 0.65, 0.75, 3), "above it"),
        (SeedMean(0.5, 0.3, 0.7, 3), "within that, but its interval is not there as a whole"),
        (SeedMean(0.5, 0.45, 0.55, 1), "within that, of one seed and so not tested"),
    ],
)
def test_a_place_in_a_range_is_that_of_the_whole_interval(mean, said):
    assert place_in_range(mean, 0.4, 0.6) == said


@pytest.mark.parametrize(
    ("means", "alone", "said"),
    [
        ([ONE, ONE], "", "One seed, so no interval"),
        ([ONE, ONE], "texts", "One seed, so no interval"),  # too few texts for any
        ([OVER_TEXTS], "texts", "One seed: intervals are over texts, not over trainings."),
        ([THREE, THREE], "", "Numbers are means over 3 seeds with 95 % intervals over them."),
        ([THREE, TWO], "", "over up to 3 seeds with 95 % intervals over them, 2 at least."),
        ([THREE, ONE], "", "over them; † one seed, without one."),
        ([THREE, OVER_TEXTS], "texts", "over them; † one seed, an interval over texts."),
    ],
)
def test_it_is_said_over_what_intervals_are(means, alone, said):
    assert said in intervals_in_words(means, alone=alone)


def test_one_seed_is_marked_among_more():
    assert marked(ONE, [ONE, THREE]) == "0.500†"
    assert marked(ONE, [ONE, ONE]) == "0.500"
    assert marked(TWO, [TWO, THREE]) == str(TWO)


def test_after_the_last_colour_comes_the_first():
    found = coloured("abcdef")
    assert found[0] == ("a", "hyperfitted")
    assert found[5] == ("f", "hyperfitted")
    assert len({colour for _, colour in found}) == 5
