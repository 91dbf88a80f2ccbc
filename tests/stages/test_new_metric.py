"""A new metric is one function and one row of the table: rows, tables, comparisons and the page
show it.
"""

import shutil
from dataclasses import replace

import pytest

from hyperfitting import measuring
from hyperfitting.comparing import compare
from hyperfitting.metrics import specs
from hyperfitting.metrics.specs.reference import metrics_markdown
from hyperfitting.report import markdown_table, texts_table, write_comparison, write_report
from hyperfitting.runs import Experiment


def vowel_share(text):
    """Vowels / characters of a text."""
    return sum(letter in "aeiou" for letter in text) / len(text)


ROW = specs.MetricSpec(
    name="vowels",
    label="share of vowels",
    family="variety",
    measured=specs.EachText("text", vowel_share),
    definition="vowels / characters of a continuation; mean over texts",
    range="[0, 1]",
    unit="vowels",
    source="this test",
    failure="says nothing",
    comparison_column=1,
)
LONGEST = replace(
    ROW,
    name="longest",
    label="longest text",
    measured=specs.PooledTexts("text", lambda texts: max(map(len, texts)), least_texts=2),
    aggregation="pooled",
    comparison_column=None,
)


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr(specs, "METRICS", (*specs.METRICS, ROW, LONGEST))


def measured_again(finished, folder):
    """The experiment with the metrics of its texts taken anew, as rows without a model's."""
    experiment = Experiment(shutil.copytree(finished.folder, folder))
    options = measuring.MetricOptions(measuring.Intervals(draws=50, seed=0))
    for run in experiment.runs().values():
        true = [text for text in run.continuations() if text.variant == "reference"]
        texts = [*run.continuations(), *measuring.control_texts(true, 0)]
        found = measuring.measure_texts(texts, measuring.TextBaselines(), options)
        of_models = [row for row in run.metrics() if row.domain != "pieces"]
        run.write_metrics(found.each, found.pooled, [*found.rows, *of_models])
    return experiment


def test_a_row_and_a_function_are_all_that_a_metric_needs(table, finished, tmp_path):
    experiment = measured_again(finished, tmp_path / "out")
    run = experiment.run("hyperfitted")
    texts = [text for text in run.continuations() if text.strategy == "greedy"]
    rows = {(row.strategy, row.name): row for row in run.metrics()}
    by_hand = sum(vowel_share(text.text) for text in texts) / len(texts)
    assert rows["greedy", "vowels"].value == pytest.approx(by_hand)
    assert rows["greedy", "vowels"].unit == "vowels"
    assert rows["greedy", "vowels"].low <= by_hand <= rows["greedy", "vowels"].high
    longest = rows["greedy", "longest"]
    assert longest.value == max(len(text.text) for text in texts)
    assert (longest.n, longest.clusters) == (12, 12)

    page = write_report(experiment).read_text(encoding="utf-8")
    assert "share of vowels" in page
    assert "longest text" in page
    comparison = compare([experiment.folder])
    assert "vowels" in {spec.name for spec in comparison.tables[0].metrics}
    assert "vowels" in {each.metric for each in comparison.differences}
    assert "share of vowels" in write_comparison(comparison, tmp_path / "c").read_text()
    row = "| `vowels` | share of vowels | variety | text, image | vowels / characters"
    assert row in metrics_markdown()


def test_it_is_measured_of_anybodys_texts_too(table, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("banana")
    rows = measuring.measure_external_texts(measuring.ExternalTextsRequest(path))
    assert {row.name: row.value for row in rows}["vowels"] == 0.5
    assert "| share of vowels | 0.500 |" in markdown_table(texts_table(rows))
