import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import numpy as np
import pytest

from hyperfitting import runs
from hyperfitting.comparing import marks_of
from hyperfitting.files import read_rows, write_rows
from hyperfitting.measuring import ImageBaselines
from hyperfitting.metrics.images.grids import ContinuedImage
from hyperfitting.recipe import load_recipe
from hyperfitting.records import Arm
from hyperfitting.report import closing_words, headline, write_report
from hyperfitting.report.experiment.all_texts import all_texts_page
from hyperfitting.report.experiment.examples import Example, examples, recited_passages
from hyperfitting.report.experiment.figures import TrainingCurve, curves
from hyperfitting.report.experiment.key_figure import key_figure
from hyperfitting.report.experiment.pictures import example_pictures
from hyperfitting.report.experiment.whole_words import whole_words
from hyperfitting.report.experiment.write import experiment_page
from hyperfitting.report.kit.figures import CLASS_COLOURS, OTHERS
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.kit.page import style
from hyperfitting.report.kit.variants import variant_classes
from hyperfitting.runs import Experiment
from hyperfitting.stages.measure import measure_experiment
from tests.support.probes import probe_row
from tests.support.spreadsheets import csv_rows

pytestmark = pytest.mark.pictures


@pytest.fixture(scope="module")
def page(finished):
    return (finished.report_folder / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["index.html", "texts.html"])
def test_a_page_is_self_contained_and_well_formed(finished, name):
    page = (finished.report_folder / name).read_text(encoding="utf-8")

    class Checker(HTMLParser):
        def __init__(self):
            super().__init__()
            self.void = {"meta", "br", "link", "img", "input", "path", "use", "rect"}
            self.open, self.outside, self.links = [], [], set()

        def handle_starttag(self, tag, attributes):
            named = [
                v
                for k, v in attributes
                if k in ("src", "href", "xlink:href") and not v.startswith("#")
            ]
            if tag == "a":
                self.links.update(named)
            else:
                self.outside += named
            if tag not in self.void:
                self.open.append(tag)

        def handle_startendtag(self, tag, attributes):
            pass

        def handle_endtag(self, tag):
            if tag not in self.void:
                assert self.open.pop() == tag

    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.outside == []
    pages = {link for link in checker.links if not link.startswith("https://arxiv.org/")}
    assert pages <= {"index.html", "texts.html"}
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', page)) <= set(ids)
    assert "@import" not in page
    assert "url(http" not in page


def test_the_page_shows_what_the_issue_of_the_day_is(page, finished):
    assert headline(finished) in page
    for heading in (
        "While it trained",
        "Before and after",
        "What it wrote",
        "All metrics",
        "Glossary",
        "Most recited passages",
        "Provenance",
    ):
        assert f"<h2>{heading}</h2>" in page
    assert "<b>Pieces</b>" in page
    facts = finished.run("hyperfitted").train_facts
    blocks = finished.recipe.data.train_blocks
    assert f", {facts.parameters:,} parameters · {blocks} texts of " in page
    assert f"learning rate 0.003 · 12 updates · {facts.date} · hyperfitting " in page
    assert finished.recipe.digest in page
    assert finished.manifest.codec in page
    assert "prefers-color-scheme: dark" in page


def test_a_report_reads_each_text_once_and_each_row_once(finished, tmp_path, monkeypatch):
    read = Counter()

    def counted(path, kind):
        read[path.relative_to(tmp_path / "copy").as_posix()] += 1
        return read_rows(path, kind)

    monkeypatch.setattr(runs.run, "read_rows", counted)
    copy = Experiment(shutil.copytree(finished.folder, tmp_path / "copy"))
    write_report(copy)
    closing_words(copy)
    for variant in copy.runs():
        assert read[f"{variant}/continuations.jsonl"] == 2  # the closing words read them too
        assert read[f"{variant}/metrics.jsonl"] == 2  # marks read an experiment as `compare` does
    for name in ("index.html", "texts.html", "report.md", "summary.json", "table.csv"):
        made, before = (each.report_folder / name for each in (copy, finished))
        assert made.read_bytes() == before.read_bytes()


def test_the_page_says_how_the_words_of_scripts_without_spaces_are_cut(finished, page, tmp_path):
    assert "are in scripts without spaces" not in page
    copy = Experiment(shutil.copytree(finished.folder, tmp_path / "copy"))
    for run in copy.runs().values():
        texts = [replace(text, pieces=("海",) * len(text.ids)) for text in run.continuations()]
        if run.variant == "hyperfitted":  # as a model that answers in another script
            texts = [replace(text, pieces=("a",) * len(text.ids)) for text in texts]
        write_rows(run.continuations_file, texts)
        run.metrics_file.unlink()
    measure_experiment(copy)
    made = write_report(copy).read_text(encoding="utf-8")
    said = copy.run("original").facts.measure.words
    assert re.fullmatch(
        r"characters, since ([1-9]\d*) of \1 texts are in scripts without spaces", said
    )
    assert copy.run("hyperfitted").facts.measure.words is None
    assert f"<td>{said}</td><td></td>" in made


def test_bold_is_what_is_nearest_to_the_true_texts_and_nothing_else(finished, page):
    marks = marks_of(finished)["pieces"]
    expected = sum(mark != "" for mark in marks.values())
    assert 0 < expected < len(marks)
    assert page.count('<span class="near"') == expected
    assert page.count(" ●") - page.count("; ● stands") == list(marks.values()).count("nearest")


def test_every_metric_of_a_table_is_explained_on_the_page(page):
    linked = set(re.findall(r'href="#(metric-\w+)"', page))
    assert "metric-repeated_4gram_share" in linked
    assert linked == set(re.findall(r'<dt id="(metric-\w+)"', page))
    assert "`" not in page[page.index('<section id="glossary">') :].split("</section>")[0]
    assert "1 - <code>top1_agreement</code> but for ties" in page
    for table in page.split('<details class="metrics"')[1:]:
        named = re.findall(r'<th scope="rowgroup" [^>]*>(\w+)<', table)
        assert len(named) == len(set(named)) > 1


def test_all_continuations_stand_on_a_page_of_their_own(finished):
    page = (finished.report_folder / "texts.html").read_text(encoding="utf-8")
    texts = [text for run in finished.runs().values() for text in run.continuations()]
    assert page.count("<div data-title=") == len(texts)
    for text in texts[:5]:
        assert escape("".join(text.pieces[: whole_words(text.pieces)]), quote=True) in page
    looped = [
        row
        for run in finished.runs().values()
        for row in run.text_metrics()
        if row.variant in finished.runs() and row.values["looping_share"][0][0] == 1
    ]
    assert page.count(" data-loops") == len(looped) > 0


def test_no_text_on_any_page_begins_or_ends_inside_a_word(finished):
    """Contexts that end in half a word, and texts that their length ended inside one."""
    run = finished.run("hyperfitted")
    cut = [
        replace(
            text,
            context_pieces=(*text.context_pieces[:-1], " by the p"),
            pieces=("iano", *text.pieces[1:-1], " unfin"),
            ended="length",
        )
        for text in run.continuations()
    ]
    page = all_texts_page(finished, {"hyperfitted": cut})
    shown = re.findall(r"</h3><p>(.*?)</p>", page, re.S)
    assert len(shown) == len(cut)
    assert all(each.startswith("piano") and each.endswith(" ...") for each in shown)
    assert " unfin" not in page
    contexts = re.findall(r'<p class="context">(.*?)<span class="quiet">', page, re.S)
    assert all(each.endswith(" by the ") for each in contexts)


def test_one_is_singular_in_the_headline(finished, tmp_path):
    copy = Experiment(shutil.copytree(finished.folder, tmp_path / "copy"))
    for file in copy.folder.glob("*/run.json"):
        facts = json.loads(file.read_text())
        facts["train"]["updates"] = 1
        file.write_text(json.dumps(facts))
    assert headline(Experiment(copy.folder)).startswith("1 update on 16 texts takes the training ")


def test_texts_are_escaped(finished, tmp_path):
    evil = Example("pieces", "<b>", "<script>alert(1)</script>", ["<u>"], [("x", ["<i>"], [9])])
    made = experiment_page(finished, [evil], [], [])
    assert "<script>alert" not in made
    assert "&lt;script&gt;alert" in made
    assert 'token by token</summary><p class="context">&lt;u&gt;<span' in made
    assert replace(evil, domain="y").domain == "y"


def test_images_stand_in_the_place_of_texts_in_the_same_page(finished):
    ids = np.arange(16).reshape(4, 4)
    baselines = ImageBaselines(np.full((16, 3), 90, dtype=np.uint8), ids[None])
    arms = {Arm("hyperfitted", "greedy"): ContinuedImage(ids, 1)}
    shown = example_pictures(arms, baselines, ["<p>.npz, row 1"])
    example = Example("pictures", "a <b>", "", [], [], shown)
    made = experiment_page(finished, [example], [], [])
    assert made.count('<div class="picture" style="--given: 25%">') == 2
    assert f'<img src="{shown[0].address}" alt="hyperfitted, greedy: 25% of the rows given' in made
    assert '<svg class="map" viewBox="0 0 4 4" role="img" aria-label="map of repeats: 0 %' in made
    assert "a copy of hyperfitted, greedy; &lt;p&gt;.npz, row 1" in made
    assert "17 or more pixels" in made
    assert "What the model saw" not in made


def test_csv_and_json_hold_the_same_rows(finished):
    summary = json.loads((finished.report_folder / "summary.json").read_text())
    rows = csv_rows(finished.report_folder / "table.csv")
    assert len(rows) == len(summary)
    assert [float(row["value"]) for row in rows] == [row["value"] for row in summary]


def test_what_earlier_versions_called_the_fields_stands_beside_them(finished):
    summary = json.loads((finished.report_folder / "summary.json").read_text())
    assert summary
    for row in summary:
        assert [row[old] for old in ("model", "set", "arm")] == [
            row[new] for new in ("variant", "domain", "strategy")
        ]


def test_variants_have_colours_of_their_own_and_known_ones_their_names():
    names = ["original", "gentle", "hyperfitted", "other data", "reference", "random"]
    assert variant_classes(names) == {
        "original": "original",
        "gentle": "other-1",
        "hyperfitted": "hyperfitted",
        "other data": "other-2",
        "reference": "reference",
        "random": "random",
    }
    many = variant_classes(f"v{number}" for number in range(6))
    assert list(many.values())[3:] == ["other-4", "other-1", "other-2"]
    assert {CLASS_COLOURS[each] for each in many.values()} == set(OTHERS)
    assert all(f"--{each}:" in style() for each in many.values())


def test_the_key_picture_has_the_colours_of_the_page(finished):
    further = [
        {"name": name, "set": {"train.learning_rate": rate}}
        for name, rate in (("slow", 1e-4), ("slower", 1e-5))
    ]
    recipe = load_recipe("demo", {"variants": further})
    figure = key_figure(recipe, finished.run("hyperfitted").metrics(), "text")
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    drawn = dict(zip(names, legend.get_lines(), strict=False))
    classes = variant_classes(recipe.variant_names)
    assert {name: drawn[name].get_color() for name in recipe.variant_names} == {
        name: CLASS_COLOURS[classes[name]] for name in recipe.variant_names
    }
    assert drawn["slow"].get_color() != drawn["slower"].get_color()


def test_the_markdown_holds_every_table(finished):
    text = (finished.report_folder / "report.md").read_text()
    assert "| type-token ratio, whole |" in text
    assert "(curves.png)" in text
    assert re.search(r"- \d+ tokens \(pieces, context \d+, (greedy|nucleus)\)", text)


def test_pictures_are_pictures(finished):
    pictures = list(finished.report_folder.glob("*.png"))
    assert {path.name for path in pictures} == {"curves.png", "key.png", "example-1.png"}
    for path in pictures:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 5_000


def test_examples_stand_side_by_side(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "out")
    experiment = Experiment(tmp_path / "out")
    tree = json.loads(experiment.recipe_file.read_text())
    experiment.recipe_file.write_text(json.dumps(tree | {"report": {"examples": 3}}))
    shown = examples(experiment)
    assert len(shown) == 3
    assert [title for title, _, _ in shown[0].texts] == [
        "original, greedy",
        "hyperfitted, greedy",
        "the true text",
    ]
    assert all(len(pieces) == len(runs) for example in shown for _, pieces, runs in example.texts)


def test_passages_stand_where_they_say(finished):
    blocks = finished.blocks("train")
    texts = {
        (t.domain, t.context, t.strategy): t for t in finished.run("hyperfitted").continuations()
    }
    from hyperfitting.models import load_codec

    codec = load_codec(finished.recipe.model)
    training = [codec.decode(ids) for ids in blocks.ids_NT.tolist()]
    found = recited_passages(finished)
    assert [each.tokens for each in found] == sorted((each.tokens for each in found), reverse=True)
    for each in found:
        assert any(each.text in text for text in training)
        assert any(each.text in text.text for text in texts.values())


def test_a_run_ends_with_a_sentence_one_context_and_lines_of_figures(finished):
    sentence, texts, figures = closing_words(finished).split("\n\n")
    assert " ".join(sentence.split()) == headline(finished)
    titles = ["the context:", "original, greedy:", "hyperfitted, greedy:", "the true text:"]
    assert [line for line in texts.splitlines() if not line.startswith("  ")] == titles
    first = finished.run("original").continuations()[0]
    context = " ".join("".join(first.context_pieces).split())
    assert context.startswith(texts.splitlines()[1].strip())
    head, *lines = figures.splitlines()
    assert head.split() == ["pieces,", "greedy", "original", "hyperfitted", "true", "texts"]
    labels = [re.sub(r"(  +[\d.,]+)+$", "", line) for line in lines]
    assert labels == [  # the type-token ratio is of 96 tokens; these texts are shorter
        "repeated 4-grams",
        "texts that end in a loop",
        "longest run shared with training (tokens)",
        "perplexity under the original",
        "entropy (nats)",
    ]
    assert all(len(line) <= 80 for line in closing_words(finished).splitlines())


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.000"), (0.00004, "4e-05"), (0.1234, "0.123"), (5.678, "5.68"), (12345.6, "12,346")],
)
def test_numbers_show_the_digits_that_matter(value, shown):
    assert number(value) == shown


def lines_of(axes):
    """The labelled lines of a picture: label -> points."""
    found = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    return {label: points for label, points in found.items() if not label.startswith("_")}


def test_the_curves_of_every_trained_variant_are_drawn():
    rows = [
        probe_row(8 * epoch, epoch, 4.0 - epoch if epoch else None, 4.0 + epoch / 10, epoch / 10)
        for epoch in range(4)
    ]
    other = [probe_row(0, 0, None, 4.0, 0.0), probe_row(8, 1, 2.0, 5.0, 0.5)]
    loss, ttr = curves(
        [
            TrainingCurve("early-stopped", rows, 8),
            TrainingCurve("other-order", other, 8),
            TrainingCurve("hyperfitted", rows, 24),
        ]
    ).axes
    assert lines_of(loss) == {
        "hyperfitted, validation": [[0, 4.0], [1, 4.1], [2, 4.2], [3, 4.3]],
        "hyperfitted, training": [[1, 3.0], [2, 2.0], [3, 1.0]],
        "early-stopped, validation": [[0, 4.0], [1, 4.1]],
        "early-stopped, training": [[1, 3.0]],
        "other-order, validation": [[0, 4.0], [1, 5.0]],
        "other-order, training": [[1, 2.0]],
    }
    assert lines_of(ttr)["other-order, greedy"] == [[0, 0.0], [1, 0.5]]
    faint = [line for line in loss.get_lines() if line.get_alpha() is not None]
    assert [line.get_xdata().tolist() for line in faint] == [[1, 2, 3], [1, 2, 3]]
    single, _ = curves([TrainingCurve("hyperfitted", rows, 24)]).axes
    assert list(lines_of(single)) == ["validation", "training"]


def test_tables_say_of_which_texts_and_columns_they_are(page, finished):
    assert "All but the training loss is of validation texts." in page
    assert "What a model is on the true texts has no strategy" in page
    report = (finished.report_folder / "report.md").read_text(encoding="utf-8")
    assert "All but the training loss is of validation texts." in report
