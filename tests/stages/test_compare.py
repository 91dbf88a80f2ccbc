"""Experiments side by side: what the tables, marks and differences hold, and what is refused."""

import json
import re
import shutil
from statistics import fmean, stdev

import pytest

from hyperfitting import pipeline
from hyperfitting.cli import main
from hyperfitting.comparing import compare
from hyperfitting.errors import InputError, RunError
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import Arm
from hyperfitting.report import nearest_lines, write_comparison
from hyperfitting.report.comparison.cells import position_curves, rank_shares
from hyperfitting.report.kit.subject import subject
from hyperfitting.runs import Experiment
from tests.support.spreadsheets import csv_rows


@pytest.fixture(scope="module")
def other_seed(finished, tmp_path_factory):
    recipe = json.loads(finished.recipe.canonical_json()) | {"seed": 1}
    return pipeline.run(
        parse_recipe(recipe, source="t"), tmp_path_factory.mktemp("seeds") / "one", device="cpu"
    )


@pytest.fixture(scope="module")
def both(finished, other_seed):
    return compare([other_seed.folder, finished.folder])


GREEDY, ORIGINAL = Arm("hyperfitted", "greedy"), Arm("original", "greedy")


def test_seeds_stand_one_by_one_in_their_order(both, finished, other_seed):
    assert both.seeds == [(0, 0, 0, 0), (1, 1, 1, 1)]
    assert [(table.domain, table.seeds.seed) for table in both.tables] == [
        ("pieces", 0),
        ("pieces", 1),
    ]
    for table, experiment in zip(both.tables, (finished, other_seed), strict=True):
        rows = {
            (r.variant, r.strategy, r.name): r
            for run in experiment.runs().values()
            for r in run.metrics()
        }
        assert (
            table.cells[GREEDY, "compression_ratio"]
            == rows["hyperfitted", "greedy", "compression_ratio"]
        )
        assert table.cells[GREEDY, "compression_ratio"].n == 12  # a seed adds no texts


def test_the_page_of_a_comparison_explains_itself(both, finished, other_seed, tmp_path):
    page = write_comparison(both, tmp_path / "out").read_text(encoding="utf-8")
    names = [each.recipe.run_name for each in (finished, other_seed)]
    facts = finished.run("hyperfitted").train_facts
    assert f'<p class="subject"><b>{", ".join(names)}</b>: ' in page
    assert f", {facts.parameters:,} parameters · 16 texts of " in page
    assert f"learning rate 0.003 · 12 updates · {facts.date} · hyperfitting " in page
    assert '<a href="https://arxiv.org/abs/2412.04318">Carlsson et al. 2025</a>' in page
    linked = set(re.findall(r'<th scope="col" title="[^"]{20,}"><a href="#(metric-\w+)"', page))
    assert linked == set(re.findall(r'<dt id="(metric-\w+)"', page))
    assert len(linked) == len(both.tables[0].metrics)


def test_bold_is_nearest_and_an_asterisk_is_significant(both, tmp_path):
    page = write_comparison(both, tmp_path / "out").read_text(encoding="utf-8")
    marked = sum(mark != "" for table in both.tables for mark in table.marks.values())
    assert page.count('class="near"') == marked > 0
    significant = [
        each for each in both.differences if each.p_holm is not None and each.p_holm < 0.05
    ]
    assert page.count("<i>*</i>") == len(significant)
    assert "An asterisk: the sign-flip test" in page


def with_seeds(finished, folder, **seeds):
    """A copy of the experiment as if other seeds had decided it: `order_seed=5`, for instance."""
    shutil.copytree(finished.folder, folder)
    recipe = json.loads((folder / "recipe.json").read_text())
    places = {"order_seed": ("train", "order_seed"), "data_seed": ("data", "seed")}
    for name, value in seeds.items():
        section, key = places[name]
        recipe[section][key] = value
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def test_seeds_that_are_set_apart_are_shown_one_by_one_and_said(finished, tmp_path):
    order = with_seeds(finished, tmp_path / "order", order_seed=5)
    found = compare([order, finished.folder])
    assert found.seeds == [(0, 0, 0, 0), (0, 0, 5, 0)]
    assert [each.title for each in found.seeds] == ["seed 0", "seed 0, train.order_seed 5"]
    assert [arm.label for arm in found.tables[0].arms] == [""] * len(found.tables[0].arms)
    page = write_comparison(found, tmp_path / "out").read_text(encoding="utf-8")
    said = (
        "Each cell shows, in this order: seed 0; seed 0, train.order_seed 5. These experiments "
        "share seed, data.seed, generate.seed: they differ, and spread, by train.order_seed alone."
    )
    assert said in page
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert said in markdown
    assert f"- `{finished.recipe.run_name}`" in markdown
    assert f": {subject(finished)}" in markdown
    assert page.count("seed 0, train.order_seed 5: n =") > 0
    rows = csv_rows(tmp_path / "out" / "table.csv")
    assert {row["order_seed"] for row in rows} == {"0", "5"}
    assert {row["seed"] for row in rows} == {row["data_seed"] for row in rows} == {"0"}
    differences = csv_rows(tmp_path / "out" / "differences.csv")
    assert {row["order_seed"] for row in differences} == {"0", "5"}


def test_experiments_that_share_some_seeds_are_no_sample(finished, other_seed, tmp_path):
    order = with_seeds(finished, tmp_path / "order", order_seed=5)
    found = compare([finished.folder, order, other_seed.folder])
    page = write_comparison(found, tmp_path / "out").read_text(encoding="utf-8")
    assert (
        "Some of these experiments share seed, data.seed, generate.seed and some do not, so they "
        "are no independent draws, and no spread is given." in page
    )
    assert "<small>sd " not in page
    with pytest.raises(RunError, match="are the same run twice"):
        compare([finished.folder, with_seeds(finished, tmp_path / "same", order_seed=0)])


def test_recipes_side_by_side_need_the_same_seeds_of_each(tree, finished, tmp_path):
    other = with_seeds(finished, tmp_path / "other", order_seed=5)
    recipe = json.loads((other / "recipe.json").read_text())
    recipe["train"]["learning_rate"] *= 2
    (other / "recipe.json").write_text(json.dumps(recipe))
    with pytest.raises(
        RunError, match=r"train\.order_seed none -> 5\): give the same seeds of each"
    ):
        compare([finished.folder, other])


def test_controls_stand_in_every_table_and_are_never_marked(both):
    assert both.tables
    for table in both.tables:
        assert [arm.variant for arm in table.arms[-3:]] == [
            "reference",
            "shuffled",
            "random",
        ]
        assert {arm.variant for (arm, _), mark in table.marks.items() if mark} <= {
            "original",
            "hyperfitted",
        }


def test_in_every_measure_the_nearest_column_is_marked(both):
    for table in both.tables:
        reference = Arm("reference")
        for measure in ("compression_ratio", "distinct_2gram_share", "longest_overlap_tokens"):
            truth = table.cells[reference, measure].value
            far = {arm: abs(table.cells[arm, measure].value - truth) for arm in table.arms[:-3]}
            marks = {arm: table.marks[arm, measure] for arm in far}
            assert marks[min(far, key=far.get)] in ("nearest", "among")
            assert list(marks.values()).count("nearest") <= 1
            assert (
                "nearest" not in marks.values() or list(marks.values()).count("") == len(marks) - 1
            )


def test_differences_are_paired_by_context_and_corrected_within_a_table(both, finished):
    kept = {
        (text.variant, text.strategy, text.context): text.values["compression_ratio"][0][0]
        for run in finished.runs().values()
        for text in run.text_metrics()
    }
    by_hand = fmean(
        kept["original", "greedy", i] - kept["hyperfitted", "greedy", i] for i in range(12)
    )
    own = [each for each in both.differences if each.seeds.seed == 0]
    found = next(
        each for each in own if each.arm == ORIGINAL and each.metric == "compression_ratio"
    )
    assert found.baseline == GREEDY
    assert found.difference == pytest.approx(by_hand)
    assert found.low <= found.difference <= found.high
    tested = sorted(each.p for each in own if each.p is not None)
    least = min((each for each in own if each.p is not None), key=lambda each: each.p)
    assert least.p_holm == pytest.approx(min(1, tested[0] * len(tested)))
    assert all(each.p is None for each in own if each.metric == "distinct_2gram_share")


def test_random_flips_are_enough_for_a_difference_to_pass_the_correction(both):
    from dataclasses import replace

    from hyperfitting.comparing.differences import FLIPS_PER_TEST, paired_differences

    held = both.metrics[0]
    apart = {  # one text a cluster, and an arm that is larger in every one of 30
        arm: [
            replace(
                held.texts[arm][0],
                context=i,
                group=f"g{i}",
                values={"compression_ratio": ((1.0 + (arm == ORIGINAL), 1),)},
            )
            for i in range(30)
        ]
        for arm in held.arms
    }
    found = paired_differences(replace(held, texts=apart), GREEDY, draws=200)
    own = next(
        each for each in found if each.arm == ORIGINAL and each.metric == "compression_ratio"
    )
    assert own.p_holm < 1 / FLIPS_PER_TEST


def test_perplexities_are_subtracted_as_losses(both, finished):
    rows = {
        (r.variant, r.strategy, r.name): r.value
        for run in finished.runs().values()
        for r in run.metrics()
    }
    found = next(
        each
        for each in both.differences
        if each.seeds.seed == 0
        and each.arm == ORIGINAL
        and each.metric == "perplexity_under_original"
    )
    import math

    one, other = (
        rows[model, "greedy", "perplexity_under_original"] for model in ("original", "hyperfitted")
    )
    assert found.difference == pytest.approx(math.log(one) - math.log(other))
    assert found.unit == "nats per token"


@pytest.mark.pictures
def test_the_pages_hold_every_seed_with_its_spread(both, finished, tmp_path):
    page = write_comparison(both, tmp_path / "out").read_text(encoding="utf-8")
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == [
        "differences.csv",
        "index.html",
        "ranks.png",
        "report.md",
        "summary.json",
        "table.csv",
    ]
    values = [table.cells[GREEDY, "compression_ratio"].value for table in both.tables]
    assert f"sd {stdev(values):.3f}" in page
    for value in values:
        assert f">{value:.3f}<i>" in page or f">{value:.2f}<i>" in page
    assert "<script" not in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    rows = csv_rows(tmp_path / "out" / "table.csv")
    runs = {run.name for run in finished.runs().values()}
    assert {row["run"] for row in rows if row["seed"] == "0"} == runs
    assert len(rows) == len(json.loads((tmp_path / "out" / "summary.json").read_text()))
    assert nearest_lines(both)[0] == "pieces"
    write_comparison(both, tmp_path / "out")  # an earlier comparison is replaced


def test_metrics_that_tell_no_arms_apart_stand_in_one_line(both):
    tables, lines = both.tables_of("pieces"), nearest_lines(both)
    told = {line.strip().partition(":")[0] for line in lines[1:]}
    models = [arm for arm in tables[0].arms if arm.is_model]
    for spec in tables[0].metrics:
        marks = [table.marks.get((arm, spec.name)) for table in tables for arm in models]
        assert (spec.label in told) == (any(marks) and not all(marks)), spec.label
        if all(marks):
            assert spec.label in lines[-1].removeprefix("  all alike: ").split("; ")


def test_the_pictures_are_of_what_was_measured(both):
    shares = rank_shares(both)
    assert [arm.title for _, arm in shares] == [
        "original, greedy",
        "hyperfitted, greedy",
        "reference",
    ]
    assert all(sum(each) == pytest.approx(1) and min(each) >= 0 for each in shares.values())
    assert position_curves(both) == {}  # 24 tokens hold no window of 96


@pytest.mark.pictures
def test_a_picture_by_position_holds_the_first_strategy_and_the_true_texts(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "long")
    for file in (tmp_path / "long").glob("*/text_metrics.jsonl"):  # as if the texts had 128 tokens
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for row in rows:
            row["values"]["ttr_by_position"] = [[0.5, 1.0], [0.25 + row["context"] / 100, 1.0]]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare([tmp_path / "long"])
    curves = position_curves(found)
    assert [arm.title for _, arm in curves] == [
        "original, greedy",
        "hyperfitted, greedy",
        "reference",
    ]
    assert all(each == {96: 0.5, 128: pytest.approx(0.305)} for each in curves.values())
    page = write_comparison(found, tmp_path / "out").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "ttr-by-position.png").read_bytes().startswith(b"\x89PNG")
    assert 'aria-label="Type-token ratio by position"' in page


def test_what_earlier_versions_called_the_fields_stands_beside_them(both, tmp_path):
    write_comparison(both, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert rows
    for row in rows:
        assert [row[old] for old in ("set", "model", "arm", "measure")] == [
            row[new] for new in ("domain", "variant", "strategy", "metric")
        ]


@pytest.mark.pictures
def test_recipes_that_continued_the_same_contexts_stand_side_by_side(tree, finished, tmp_path):
    tree["name"], tree["train"]["learning_rate"] = "gentle", 1e-4
    gentle = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "gentle", device="cpu")
    found = compare([finished.folder, gentle.folder], baseline="gentle: hyperfitted, greedy")
    titles = [arm.title for arm in found.tables[0].arms]
    assert titles.count("reference") == 1
    assert {"tiny: hyperfitted, greedy", "gentle: hyperfitted, nucleus"} <= set(titles)
    with pytest.raises(InputError, match="did you mean 'gentle: hyperfitted, greedy'"):
        compare([finished.folder, gentle.folder], baseline="gentel: hyperfitted, greedy")
    with pytest.raises(InputError, match="no column 'early': original, greedy; original, nucleus;"):
        compare([finished.folder], baseline="early")


def test_what_does_not_compare_is_refused_in_a_line(tree, finished, tmp_path, capsys):
    with pytest.raises(RunError, match="are the same run twice"):
        compare([finished.folder, finished.folder])
    with pytest.raises(RunError, match="holds no experiment"):
        compare([tmp_path])
    tree["data"]["domains"][0]["count"] = 10
    fewer = pipeline.run(parse_recipe(tree, source="t"), tmp_path / "fewer", device="cpu")
    with pytest.raises(
        RunError, match=r"continued other contexts, .* \(data\.domains\.0\.count 12 -> 10\)"
    ):
        compare([finished.folder, fewer.folder])
    shutil.copytree(finished.folder, tmp_path / "old")
    (tmp_path / "old" / "original" / "text_metrics.jsonl").unlink()
    assert main(["compare", str(tmp_path / "old"), "--out", str(tmp_path / "out")]) == 2
    assert (
        "was measured by an earlier version, and has no text_metrics.jsonl: remove its "
        "metrics.jsonl" in capsys.readouterr().err
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert main(["compare", str(finished.folder), "--out", str(tmp_path / "mine")]) == 2
    assert "holds no comparison: choose another --out" in capsys.readouterr().err
    assert main(["compare", str(finished.folder), "--out", str(finished.folder)]) == 2
    assert "holds no comparison: choose another --out" in capsys.readouterr().err
    assert (finished.folder / "recipe.json").is_file()
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"


def test_a_comparison_takes_the_place_of_nothing_but_a_comparison(finished, tmp_path, capsys):
    out, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(out)
    for folder in (out, link):
        assert main(["compare", str(finished.folder), "--out", str(folder)]) == 0
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out"]
    capsys.readouterr()
    (out / "notes.md").write_text("mine")
    assert main(["compare", str(finished.folder), "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert (
        "holds notes.md beside a comparison, which would be lost: choose another --out" in said.err
    )
    assert (out / "notes.md").read_text() == "mine"
    assert main(["compare", str(tmp_path / "gone"), "--out", str(out / "notes.md" / "x")]) == 2
    assert "notes.md is a file, and a folder is needed there" in capsys.readouterr().err


def test_comparing_needs_no_torch(finished):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from hyperfitting.comparing import compare; "
        f"compare([Path({str(finished.folder)!r})]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert Experiment(finished.folder).recipe.name == "tiny"


def test_sets_of_another_length_are_neither_marked_nor_subtracted(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "out")
    file = tmp_path / "out" / "original" / "text_metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    short = next(row for row in rows if (row["variant"], row["strategy"]) == ("original", "greedy"))
    [[total, tokens]] = short["values"]["perplexity_under_original"]
    short["values"]["perplexity_under_original"] = [[total, tokens - 1]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare([tmp_path / "out"])
    (table,) = found.tables
    assert (ORIGINAL, "distinct_2gram_share") in table.cells
    assert (ORIGINAL, "distinct_2gram_share") not in table.marks
    assert (GREEDY, "distinct_2gram_share") in table.marks
    subtracted = {each.metric for each in found.differences if each.arm == ORIGINAL}
    assert "distinct_2gram_share" not in subtracted
    assert "compression_ratio" in subtracted


def test_nothing_is_nearest_to_two_targets(finished, tmp_path):
    """As if the second experiment had other training texts, which the same true texts share more
    with.
    """
    shutil.copytree(finished.folder, tmp_path / "other")
    recipe = json.loads((tmp_path / "other" / "recipe.json").read_text())
    recipe["train"]["learning_rate"] *= 2
    (tmp_path / "other" / "recipe.json").write_text(json.dumps(recipe | {"name": "other"}))
    file = tmp_path / "other" / "original" / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    row = next(
        row
        for row in rows
        if (row["variant"], row["name"]) == ("reference", "longest_overlap_tokens")
    )
    held, row["value"] = row["value"], row["value"] + 1
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (table,) = compare([finished.folder, tmp_path / "other"]).tables
    true = Arm("reference")
    assert table.cells[true, "longest_overlap_tokens"].value == held
    marked = {name for _, name in table.marks}
    assert marked >= {"compression_ratio", "distinct_2gram_share"}
    assert "longest_overlap_tokens" not in marked
