"""`hyperfit measure FILE`: texts that nobody here wrote, measured without a run or a model."""

import json
import os
import unicodedata

import pytest

from hyperfitting.cli import main
from hyperfitting.errors import DataError
from hyperfitting.measuring import ExternalTextsRequest, measure_external_texts
from hyperfitting.measuring.external_texts import WordTokens
from hyperfitting.metrics.diversity import type_token_ratio
from tests.support.cli import refused
from tests.support.words import write_corpus, write_texts


def values(rows):
    return {(row.variant, row.name): row for row in rows}


def measured(path, *, said=None, **asked):
    """The rows of a file's texts; what is said goes to the list."""
    request = ExternalTextsRequest(path, **asked)
    return measure_external_texts(request, on_warning=[].append if said is None else said.append)


def test_words_are_what_stands_between_white_space_and_pieces_join_to_the_text():
    tokens = WordTokens()
    assert tokens("The cat, the\n cat") == ([0, 1, 2, 3], ["The", " cat,", " the", "\n cat"])
    assert tokens("cat The") == ([3, 0], ["cat", " The"])
    assert tokens("  ") == ([], [])


def test_each_text_is_measured_and_its_own_cluster(tmp_path):
    texts = [f"a b a b {number} the end of it {number}" for number in range(12)]
    rows = values(measured(write_texts(tmp_path / "t.jsonl", texts)))
    ttr = rows["texts", "ttr"]
    assert ttr.value == pytest.approx(type_token_ratio(texts[0].split()))
    assert (ttr.n, ttr.clusters) == (12, 12)
    assert ttr.low <= ttr.value <= ttr.high
    assert ("texts", "longest_overlap_tokens") not in rows
    assert {model for model, _ in rows} == {"texts"}


def test_reference_controls_training_and_groups(tmp_path):
    path = write_corpus(tmp_path / "t.jsonl", documents=20, words=40, groups=4)
    true = write_corpus(tmp_path / "r.jsonl", documents=20, words=40, groups=10, seed=1)
    options = {"reference": true, "training": path, "group": "book"}
    rows = values(measured(path, **options))
    assert rows["texts", "longest_overlap_tokens"].value == 40  # trained on itself
    assert rows["texts", "recited_8gram_share"].value == 1
    assert rows["reference", "recited_8gram_share"].value == 0
    assert rows["texts", "ttr"].low is None  # 4 clusters
    assert rows["reference", "ttr"].clusters == 10
    assert rows["random", "ttr"].n == 20


def test_a_models_tokens_and_bleu(tmp_path, tiny_model):
    pytest.importorskip("sacrebleu")
    path = write_corpus(tmp_path / "t.jsonl", documents=12, words=40)
    rows = values(measured(path, tokenizer=str(tiny_model), bleu=True))
    assert 0 < rows["texts", "self_bleu"].value < 100
    assert ("texts", "dataset_bleu") not in rows
    rows = values(measured(path, training=path, bleu=True))
    assert rows["texts", "dataset_bleu_best_text"].value == pytest.approx(100)


def test_a_models_perplexity_and_mauve(tmp_path, tiny_model, capsys):
    path = write_corpus(tmp_path / "t.jsonl", documents=12, words=40)
    true = write_corpus(tmp_path / "r.jsonl", documents=12, words=40, seed=1)
    with pytest.raises(DataError, match="give true ones with --reference"):
        measured(path, mauve=str(tiny_model))
    with pytest.raises(
        DataError, match="MAUVE of 12 texts is mostly chance: give 1,000 a file, or --force-mauve"
    ):
        measured(path, reference=true, mauve=str(tiny_model))
    asked = {"scorer": str(tiny_model), "mauve": str(tiny_model), "force_mauve": True}
    rows = values(measured(path, reference=true, **asked))
    assert rows["texts", "perplexity_under_scorer"].n == 12
    assert (
        100 < rows["texts", "perplexity_under_scorer"].value < 1000
    )  # of 320 tokens, under random weights
    assert rows["texts", "mauve"].clusters == 12
    same = values(measured(path, reference=path, **asked))
    assert same["texts", "mauve"].value == pytest.approx(1)
    assert rows["texts", "mauve"].value < 1
    gone = str(tmp_path / "gone")
    assert main(["measure", str(path), "--scorer", gone]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_rows_that_cannot_be_used_are_told_and_the_others_kept(tmp_path):
    path = tmp_path / "t.jsonl"
    good = json.dumps({"text": "one two three"})
    bad = ["{", "[]", json.dumps({"body": "x"}), json.dumps({"text": " "}), json.dumps({"text": 5})]
    path.write_text("\n".join([good, *bad, json.dumps({"text": "word"}), '{"text": "half']) + "\n")
    said = []
    rows = values(measured(path, said=said))
    assert rows["texts", "ttr"].n == 2
    assert rows["texts", "repeated_2gram_share"].n == 1  # a text of one token has no pair
    assert rows["texts", "repeated_2gram_share"].left_out == 1
    assert len(said) == 6
    for number, words in [
        (2, "not JSON"),
        (3, "not a JSON object"),
        (4, "no field 'text'"),
        (8, "not JSON"),
    ]:
        assert any(f"row {number}: {words}" in line for line in said)
    assert any("row 5: an empty text" in line for line in said)
    with pytest.raises(DataError, match="no text in it"):
        measured(write_texts(tmp_path / "empty.jsonl", ["", " "]))
    with pytest.raises(DataError, match="no such file"):
        measured(tmp_path / "gone.jsonl")


def test_sets_of_another_size_are_warned_of(tmp_path):
    said = []
    one = write_texts(tmp_path / "a.jsonl", ["a b", "c d"])
    other = write_texts(tmp_path / "b.jsonl", ["a b"])
    measured(one, reference=other, said=said)
    assert "2 texts and 1 reference texts, of 4 and 2 tokens" in said[0]


def test_the_command_prints_a_table_and_keeps_its_rows(tmp_path, capsys):
    path = write_corpus(tmp_path / "t.jsonl", documents=12, words=40)
    out = tmp_path / "rows.json"
    assert main(["measure", str(path), "--reference", str(path), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("| | texts | reference | shuffled | random |")
    assert "| type-token ratio, whole |" in shown
    names = {row["name"] for row in json.loads(out.read_text())}
    assert {"ttr", "looping_share", "distinct_2gram_share"} <= names
    assert main(["measure", str(tmp_path / "gone.jsonl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_texts_have_bleu_as_far_as_it_goes(tmp_path, count):
    pytest.importorskip("sacrebleu")
    path = write_texts(tmp_path / "t.jsonl", ["a b c", "a b d", "e f g"][:count])
    rows = values(measured(path, bleu=True))
    assert (("texts", "self_bleu") in rows) == (count > 1)
    assert rows["texts", "ttr"].n == count


def test_the_string_of_a_special_token_is_measured_as_text(tmp_path, tiny_model):
    pytest.importorskip("sacrebleu")
    path = write_texts(tmp_path / "t.jsonl", ["one two three", "<|end|>", "four five six"])
    rows = values(measured(path, tokenizer=str(tiny_model), bleu=True))
    assert (rows["texts", "compression_ratio"].n, rows["texts", "compression_ratio"].left_out) == (
        3,
        0,
    )
    assert (rows["texts", "self_bleu"].n, rows["texts", "self_bleu"].left_out) == (3, 0)


def test_how_bleu_and_mauve_were_taken_and_what_is_recited_is_told(tmp_path, tiny_model):
    pytest.importorskip("sacrebleu")
    path = write_corpus(tmp_path / "t.jsonl", documents=12, words=40)
    said = []
    options = {
        "reference": path,
        "training": path,
        "bleu": True,
        "mauve": str(tiny_model),
        "force_mauve": True,
    }
    measured(path, **options, said=said)
    told = "\n".join(said)
    assert "MAUVE of texts: 12 texts, 2 clusters; by seed 1.000, 1.000, " in told
    assert "bleu: nrefs:var|" in told
    assert "t.jsonl, row 1: 40 tokens stand in " in told
    assert sum("tokens stand in" in line for line in said) == 5


def test_the_texts_that_a_run_wrote_are_anybodys_too(finished):
    run = finished.run("hyperfitted")
    rows = values(measured(run.continuations_file))
    assert (
        rows["texts", "ttr"].n == sum(bool(text.text.strip()) for text in run.continuations()) > 12
    )


CHINESE = "我喜欢在海边散步，看着远处的船慢慢地消失。" * 12
FRENCH = "Été comme hiver, la fenêtre reste fermée; le garçon préfère rêver près du poêle."


def test_a_chinese_sentence_twelve_times_over_is_a_loop_and_the_unit_is_said(tmp_path):
    path, said = write_texts(tmp_path / "zh.jsonl", [CHINESE]), []
    rows = values(measured(path, said=said))
    assert rows["texts", "looping_share"].value == 1
    assert rows["texts", "ttr"].value == pytest.approx(len(set(CHINESE)) / len(CHINESE))
    assert rows["texts", "ttr_words"].value < 0.1
    told = "characters, since 1 of 1 texts are in scripts without spaces"
    assert f"{path}: units: {told}; --tokenizer MODEL counts a model's tokens" in said
    assert f"words: {told}" in said


def test_words_go_on_over_marks_and_forms_of_unicode_are_alike(tmp_path):
    path = write_texts(tmp_path / "hi.jsonl", ["हिन्दी विकिपीडिया एक मुक्त विश्वकोश है"])
    hindi = values(measured(path))
    assert hindi["texts", "ttr_words"].value == 1
    rows = [
        values(measured(write_texts(tmp_path / "fr.jsonl", [unicodedata.normalize(form, FRENCH)])))
        for form in ("NFD", "NFC")
    ]
    assert rows[0]["texts", "ttr_words"].value == 1
    assert rows[0] == rows[1]


def test_english_texts_are_told_nothing_of_units_and_bleus_tokens_are_named(tmp_path):
    pytest.importorskip("sacrebleu")
    said, mixed = [], []
    measured(write_texts(tmp_path / "en.jsonl", ["a b c", "a b d"]), bleu=True, said=said)
    assert [line.split("|")[3] for line in said] == ["tok:13a"]
    measured(write_texts(tmp_path / "mix.jsonl", ["a b c", CHINESE]), bleu=True, said=mixed)
    assert "since 1 of 2 texts are in scripts without spaces" in mixed[0]
    assert mixed[-1].split("|")[3] == "tok:13a+characters"


@pytest.mark.parametrize("option", ["folder", "reference", "training"])
@pytest.mark.parametrize("way", ["same", "relative", "symbolic", "hard", "dotted"])
def test_no_file_that_is_read_is_written_over(tmp_path, monkeypatch, capsys, option, way):
    monkeypatch.chdir(tmp_path)
    texts, other = (
        write_texts(tmp_path / "t.jsonl", ["a b c"]),
        write_texts(tmp_path / "other.jsonl", ["a b d"]),
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "symbolic").symlink_to(texts)
    os.link(texts, tmp_path / "hard")
    out = {"same": str(texts), "relative": "t.jsonl", "dotted": "sub/../t.jsonl"}.get(way, way)
    read = [str(texts)] if option == "folder" else [str(other), f"--{option}", str(texts)]
    before = texts.read_bytes()
    assert f"{out.removeprefix('./')} is the file that is read" in refused(
        capsys, "measure", *read, "--out", out
    )
    assert texts.read_bytes() == before
    assert (tmp_path / "symbolic").is_symlink()


def test_only_an_earlier_table_is_written_over(tmp_path, capsys, finished):
    texts, out = write_texts(tmp_path / "t.jsonl", ["a b c"]), tmp_path / "new" / "rows.json"
    for words in ("a b c", "a a a"):
        write_texts(texts, [words])
        assert main(["measure", str(texts), "--out", str(out)]) == 0
    assert next(
        row["value"] for row in json.loads(out.read_text()) if row["name"] == "ttr"
    ) == pytest.approx(1 / 3)
    capsys.readouterr()
    letter, report = tmp_path / "letter.json", finished.report_folder / "summary.json"
    for content in (
        "dear",
        "",
        "[]",
        "[\n",
        "[\n" + 5000 * "[",
        "[\n[1]\n]",
        '[\n{"model": "texts"}\n]',
        json.dumps([{"text": "a"}]),
    ):
        letter.write_text(content)
        said = refused(capsys, "measure", str(texts), "--out", str(letter))
        assert (
            said
            == f"hyperfit: {letter} is there already and is no table of texts' metrics: choose "
            "another --out\n"
        )
        assert letter.read_text() == content
    before = report.read_bytes()
    assert "is no table of texts' metrics" in refused(
        capsys, "measure", str(texts), "--out", str(report)
    )
    assert report.read_bytes() == before
    assert "is no table" in refused(capsys, "measure", str(texts), "--out", str(tmp_path))
    assert f"{texts} is a file, and a folder" in refused(
        capsys, "measure", str(texts), "--out", str(texts / "x" / "y")
    )
    assert "is there already" in refused(capsys, "measure", str(texts), "--out", os.devnull)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.json", "new", "t.jsonl"]


def test_nothing_is_written_into_a_folder_of_texts_that_is_read(tmp_path, capsys):
    texts, folder = write_texts(tmp_path / "t.jsonl", ["a b c"]), tmp_path / "true"
    folder.mkdir()
    (folder / "one.txt").write_text("a b d")
    (tmp_path / "link").symlink_to(folder)
    said = refused(
        capsys,
        "measure",
        str(texts),
        "--reference",
        str(folder),
        "--out",
        str(tmp_path / "link" / "r.json"),
    )
    assert f"r.json lies in the folder {folder}, which is read: choose another --out" in said
    assert [path.name for path in folder.iterdir()] == ["one.txt"]


def test_a_place_to_write_is_refused_before_anything_is_read(tmp_path, capsys):
    (tmp_path / "letter").write_text("dear")
    (tmp_path / "damaged.jsonl").write_text("no JSON")
    said = refused(
        capsys, "measure", str(tmp_path / "damaged.jsonl"), "--out", str(tmp_path / "letter")
    )
    assert "letter is there already" in said


def test_options_of_a_file_are_refused_for_a_run(tmp_path, capsys, finished):
    said = refused(capsys, "measure", str(finished.folder), "--out", str(tmp_path / "rows.json"))
    assert f"--out is for a file of texts, and {finished.folder} is a folder: leave it out" in said
    assert "--force-mauve is for a file" in refused(
        capsys, "measure", str(finished.folder), "--force-mauve"
    )
