"""What is measured of the runs: every metric has its rows, and texts too short for one are
counted.
"""

import json
import math
import shutil
from html import unescape
from statistics import fmean

import pytest

from hyperfitting import pipeline
from hyperfitting.errors import RecipeError
from hyperfitting.metrics.specs import METRICS
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.measure import measure_experiment
from tests.support.tiny_models import make_model

OF_SOME = {"loop_start_tokens", "ttr_words", "changed_rank_above10_share_under_original"}


def test_the_table_names_every_promised_measure(finished):
    summary = json.loads((finished.report_folder / "summary.json").read_text())
    keys = {
        "variant",
        "domain",
        "strategy",
        "name",
        "value",
        "low",
        "high",
        "n",
        "clusters",
        "unit",
        "target",
        "run",
    }
    assert all(keys <= set(row) for row in summary)
    found = {(row["variant"], row["domain"], row["strategy"], row["name"]) for row in summary}
    for model in ("original", "hyperfitted"):
        assert (model, "train", None, "train_loss") in found
        assert (model, "validation", None, "validation_loss") in found
        for name in (
            "perplexity",
            "entropy",
            "top1_probability",
            "top3_probability",
            "top5_probability",
        ):
            assert (model, "pieces", None, name) in found
        for strategy in ("greedy", "nucleus"):
            for name in (
                "ttr",
                "repeated_4gram_share",
                "longest_overlap_tokens",
                "recited_8gram_share",
            ):
                assert (model, "pieces", strategy, name) in found
            assert (model, "pieces", strategy, "perplexity_under_original") in found
            for name in (
                "looping_share",
                "compression_ratio",
                "ttr_words",
                "overlap_above10_share",
            ):
                assert (model, "pieces", strategy, name) in found
            assert (model, "pieces", strategy, "rank_above10_share_under_original") in found
        for name in ("perplexity_contexts", "perplexity_continuations", "true_token_rank_median"):
            assert (model, "pieces", None, name) in found
    assert ("hyperfitted", "pieces", None, "top1_agreement") in found
    for name in (
        "choice_rank_above1_share",
        "choice_rank_above100_share",
        "changed_choice_rank_above10_share",
    ):
        assert ("hyperfitted", "pieces", None, name) in found
        assert ("original", "pieces", None, name) not in found
    for model in ("reference", "shuffled", "random"):
        assert (model, "pieces", None, "perplexity_under_original") in found
    assert {row["name"] for row in summary} <= {spec.name for spec in METRICS}
    assert {
        row["clusters"]
        for row in summary
        if row["domain"] == "pieces" and row["name"] not in OF_SOME
    } == {12}
    assert all(0 < row["n"] <= 12 for row in summary if row["name"] in OF_SOME)
    assert all(row["low"] is None for row in summary if row["domain"] == "validation")  # 4 clusters
    assert all(
        row["low"] <= row["value"] <= row["high"] for row in summary if row["low"] is not None
    )
    runs = {row["run"] for row in summary}
    assert runs == {finished.run("original").name, finished.run("hyperfitted").name}


def test_texts_below_a_window_are_left_out_and_counted(finished):
    # 24 new tokens hold no window of 96: the measure has no row rather than a wrong one.
    assert not any(row.name == "ttr_last96" for row in finished.run("original").metrics())
    assert all(
        row.left_out == 0 for row in finished.run("original").metrics() if row.name not in OF_SOME
    )
    assert all(
        row.left_out == 12 - row.n
        for row in finished.run("original").metrics()
        if row.name in OF_SOME
    )


def test_with_stop_short_texts_are_left_out_of_long_measures(tree, tmp_path):
    tree["generate"] |= {
        "end_of_text": "stop",
        "strategies": [{"name": "hot", "method": "sample", "temperature": 5.0}],
    }
    tree["train"]["epochs"], tree["seed"] = 1, 1
    experiment = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    texts = [
        text for text in experiment.run("original").continuations() if text.variant == "original"
    ]
    ended = [text for text in texts if text.ended == "end_of_text"]
    assert ended  # 1 in 320 tokens at this temperature, 12 x 24 draws, fixed seed
    assert all(len(text.ids) < 24 and 0 not in text.ids for text in ended)
    rows = {
        row.name: row
        for row in experiment.run("original").metrics()
        if row.variant == "original" and row.strategy == "hot"
    }
    short = sum(len(text.ids) < 8 for text in texts)
    assert rows["recited_8gram_share"].n == 12 - short
    assert rows["recited_8gram_share"].left_out == short
    rate = rows["termination_rate"]
    assert (rate.value, rate.n) == (pytest.approx(len(ended) / 12), 12)
    assert rate.low <= rate.value <= rate.high
    all_rows = [row for run in experiment.runs().values() for row in run.metrics()]
    assert {row.variant for row in all_rows if row.name == "termination_rate"} == {
        "original",
        "hyperfitted",
    }
    page = (experiment.report_folder / "index.html").read_text(encoding="utf-8")
    assert "texts that end by themselves</a></th>" in page
    assert "texts that end by themselves (needs" not in page


def test_where_end_of_text_is_suppressed_the_report_says_why_no_termination_rate_is_given(finished):
    assert not any(row.name == "termination_rate" for row in finished.run("original").metrics())
    for name in ("report.md", "index.html"):
        page = unescape((finished.report_folder / name).read_text(encoding="utf-8"))
        assert 'texts that end by themselves (needs generate.end_of_text = "stop")' in page


def test_bleu_is_measured_where_it_is_asked_for(tree, finished, tmp_path):
    pytest.importorskip("sacrebleu")
    from hyperfitting.metrics.bleu import dataset_bleu, self_bleu
    from hyperfitting.models import load_codec

    shutil.copytree(finished.folder, tmp_path / "out")
    experiment = Experiment(tmp_path / "out")
    recipe = parse_recipe(tree | {"measure": {"bleu": True}}, source="t")
    experiment.recipe_file.write_text(recipe.canonical_json())
    for run in experiment.runs().values():
        run.metrics_file.unlink()
    measure_experiment(experiment, device="cpu")
    rows = {
        (row.variant, row.strategy, row.name): row
        for run in experiment.runs().values()
        for row in run.metrics()
    }
    written = [
        text.text
        for text in experiment.run("original").continuations()
        if text.variant == "reference"
    ]
    blocks = experiment.blocks("train").ids_NT.tolist()
    training = [load_codec(recipe.model).decode(ids) for ids in blocks]
    assert rows["reference", None, "self_bleu"].value == pytest.approx(fmean(self_bleu(written)))
    together, best = map(fmean, dataset_bleu(written, training))
    assert rows["reference", None, "dataset_bleu"].value == pytest.approx(together)
    assert rows["reference", None, "dataset_bleu_best_text"].value == pytest.approx(best)
    assert (
        rows["hyperfitted", "greedy", "self_bleu"].low
        < rows["hyperfitted", "greedy", "self_bleu"].value
    )
    assert 0 < rows["random", None, "self_bleu"].value < 100  # the controls are texts too
    assert "tok:13a" in experiment.run("original").facts.measure.bleu
    assert not any(row.name == "self_bleu" for row in finished.run("original").metrics())


def test_the_rows_of_a_table_are_made_of_what_is_kept_of_each_text(finished):
    run = finished.run("hyperfitted")
    kept = [text for text in run.text_metrics() if text.strategy == "greedy"]
    assert [text.context for text in kept] == list(range(12))
    pairs = [text.values["perplexity_under_original"][0] for text in kept]
    sums, counts = zip(*pairs, strict=True)
    row = next(
        r for r in run.metrics() if r.strategy == "greedy" and r.name == "perplexity_under_original"
    )
    assert row.value == pytest.approx(math.exp(sum(sums) / sum(counts)))
    assert set(counts) == {24}
    pooled = next(
        each
        for each in run.pooled_metrics()
        if each.strategy == "greedy" and each.name == "distinct_2gram_share"
    )
    assert pooled.value == next(
        r.value for r in run.metrics() if r.strategy == "greedy" and r.name == pooled.name
    )
    assert sorted(pooled.without) == sorted({text.group for text in kept})


def test_a_third_model_reads_the_texts_and_mauve_is_taken_of_few_only_by_force(
    tree, tiny_tokenizer, tmp_path
):
    other = make_model(tmp_path / "scorer", tiny_tokenizer, "gpt2")
    tree["train"]["epochs"] = 1
    tree["measure"] = {"scorer": str(other), "mauve": str(other)}
    with pytest.raises(
        RecipeError, match=r"mauve of 12 contexts \(pieces\) is mostly chance: give 1,000 a set"
    ):
        parse_recipe(tree, source="t")
    tree["measure"]["force_mauve"] = True
    experiment = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    original = experiment.run("original")
    rows = {
        (row.variant, row.strategy, row.name): row
        for run in experiment.runs().values()
        for row in run.metrics()
    }
    assert rows["shuffled", None, "perplexity_under_scorer"].n == 12
    text = next(text for text in original.continuations() if text.variant == "reference")
    sums, count = next(
        each.values["perplexity_under_scorer"][0]
        for each in original.text_metrics()
        if each.variant == "reference"
    )
    loss = loss_by_hand(other, [*text.context_ids, *text.ids], start=len(text.context_ids))
    assert (sums, count) == (pytest.approx(loss, rel=1e-5), len(text.ids))
    taken = original.facts.measure.mauve.values
    assert taken["pieces: original, greedy"].clusters == 2
    assert rows["original", "greedy", "mauve"].value == pytest.approx(
        fmean(taken["pieces: original, greedy"].by_seed)
    )
    assert ("reference", None, "mauve") not in rows
    assert rows["hyperfitted", "greedy", "mauve"].target == "higher"


def loss_by_hand(folder, ids, *, start):
    """Summed loss of the tokens from `start` on, in float64, one token after another."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    logits = model(torch.tensor([ids])).logits[0].detach().log_softmax(-1)
    return -sum(float(logits[i - 1, ids[i]]) for i in range(start, len(ids)))
