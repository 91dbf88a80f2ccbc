"""The table of metrics: what every row must say."""

import re

import pytest

from hyperfitting.metrics.specs import (
    METRICS,
    EachText,
    TrueTexts,
    compared_metrics,
    key_metrics,
    metric,
    metrics_measured_as,
)


def test_names_and_labels_and_places_are_each_there_once():
    for field in ("name", "label"):
        held = [getattr(spec, field) for spec in METRICS]
        assert sorted(held) == sorted(set(held))
    places = [spec.comparison_column for spec in compared_metrics()]
    assert places == list(range(1, len(places) + 1))


def test_the_key_picture_shows_five_metrics_of_each_kind_of_data():
    """Beside the losses; of a metric that is measured of that kind."""
    for data in ("text", "image"):
        names = key_metrics(data)
        assert len(names) == 5
        assert all(data in metric(name).data for name in names)


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_every_row_says_what_a_reader_asks(spec):
    assert all((spec.label, spec.definition, spec.range, spec.source, spec.failure))
    assert spec.target == "reference" or not spec.target_note


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_row_can_be_read_without_the_one_above(spec):
    """A report shows the label in a table, and the definition above a pointer on it."""
    elsewhere = r"\bthe same (in|over|of|under)\b|as above|(of|above) \d+ there\b|\bsuch\b"
    for said in (spec.label, spec.definition, spec.failure):
        assert re.search(rf"{elsewhere}|among those$|\bthat (period|unit)\b", said) is None


def test_an_unknown_metric_is_named():
    with pytest.raises(ValueError, match="no metric is called 'trr'"):
        metric("trr")


def test_perplexities_differ_in_losses_and_others_in_their_unit():
    assert metric("perplexity").difference_unit == "nats per token"
    assert metric("perplexity").transform(0.0) == 1.0
    assert metric("self_bleu").difference_unit == "BLEU"
    assert metric("self_bleu").transform(3.0) == 3.0


def test_metrics_are_measured_in_the_order_in_which_rows_stand():
    texts = [spec.name for spec, _ in metrics_measured_as(EachText)]
    assert texts.index("compression_ratio") < texts.index("ttr_words")
    assert texts.index("ttr_words") < texts.index("ttr_words_last96")
    models = [spec.name for spec, _ in metrics_measured_as(TrueTexts)]
    assert models[0] == "train_loss"
    assert models[-1] == "perplexity_continuations"
