"""An experiment as a small folder: no weights, hashes for texts, the same numbers to the bit."""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from hyperfitting import pipeline
from hyperfitting.cli import main
from hyperfitting.comparing import compare
from hyperfitting.data.draw import ids_sha256
from hyperfitting.errors import RunError
from hyperfitting.files import file_sha256
from hyperfitting.recipe import parse_recipe
from hyperfitting.report import write_comparison, write_report
from hyperfitting.runs import Experiment, find_experiments
from hyperfitting.stages.archive import archive_experiment
from hyperfitting.stages.generate import generate_texts
from tests.support.cli import refused
from tests.support.folders import contents, file_names
from tests.support.recipes import tiny_tree


@pytest.fixture(scope="module")
def other(tmp_path_factory, tiny_model, corpus):
    """The recipe of `finished` with fewer epochs: it continues the same contexts."""
    tree = tiny_tree(tiny_model, corpus)
    tree["name"], tree["train"]["epochs"] = "shorter", 1
    out = tmp_path_factory.mktemp("other") / "shorter"
    return pipeline.run(parse_recipe(tree, source="test"), out, device="cpu")


@pytest.fixture(scope="module")
def archived(finished, other, tmp_path_factory):
    """Both, archived without texts."""
    folder = tmp_path_factory.mktemp("archives")
    for each in (finished, other):
        archive_experiment(each.folder, folder / each.folder.name)
    return [folder / each.folder.name for each in (finished, other)]


@pytest.fixture
def archive(archived, tmp_path):
    """One that may be changed."""
    return shutil.copytree(archived[0], tmp_path / "archive")


def test_an_archive_holds_facts_hashes_and_metrics_and_nothing_else(archived, finished):
    run = ["continuation_hashes.jsonl", "metrics.jsonl", "probes.jsonl", "recipe.json", "run.json"]
    run += ["pooled_metrics.jsonl", "text_metrics.jsonl", "updates.jsonl"]
    expected = [f"{variant}/{name}" for variant in ("original", "hyperfitted") for name in run]
    expected += ["archive.json", "data/manifest.json", "recipe.json"]
    assert file_names(archived[0]) == sorted(expected)
    made = Experiment(archived[0])
    assert made.recipe == finished.recipe
    assert made.state() == "archived"
    for variant, run in made.runs().items():
        assert run.facts == finished.run(variant).facts
        assert run.recipe == finished.run(variant).recipe
        assert run.metrics() == finished.run(variant).metrics()
        assert run.text_metrics() == finished.run(variant).text_metrics()
        assert run.updates() == finished.run(variant).updates()
        assert [row.ttr for row in run.probes()] == [
            row.ttr for row in finished.run(variant).probes()
        ]
    assert [each.folder for each in find_experiments(archived[0].parent)]


def test_no_text_no_token_ids_and_no_place_of_this_machine_are_in_it(archived, finished, corpus):
    held = {path: path.read_text() for path in archived[0].rglob("*") if path.is_file()}
    texts = [text for run in finished.runs().values() for text in run.continuations()]
    secrets = {text.text[:30] for text in texts if len(text.text) >= 30}
    secrets |= {"".join(text.context_pieces)[:20] for text in texts}
    secrets |= {json.loads(line)["text"][:25] for line in corpus.read_text().splitlines()}
    secrets |= {json.dumps(text.ids)[1:40] for text in texts}
    secrets |= {row.sample[:20] for row in finished.run("hyperfitted").probes()}
    assert len(secrets) > 100
    assert [(path, each) for path, text in held.items() for each in secrets if each in text] == []
    assert "paths_from" not in held[archived[0] / "recipe.json"]


def test_hashes_tell_whether_a_text_or_a_file_is_the_archived_one(archived, finished):
    made = Experiment(archived[0])
    for name, digest in made.archive.left_out.items():
        assert file_sha256(finished.folder / name) == digest
    assert "data/train.npz" in made.archive.left_out
    assert "hyperfitted/continuations.jsonl" in made.archive.left_out
    for variant, run in made.runs().items():
        texts, hashes = finished.run(variant).continuations(), run.continuation_hashes()
        assert [(each.domain, each.strategy, each.context, each.group) for each in hashes] == [
            (each.domain, each.strategy, each.context, each.group) for each in texts
        ]
        assert [each.tokens for each in hashes] == [len(each.ids) for each in texts]
        digests = [sha256(text.text.encode()).hexdigest() for text in texts]
        assert [each.text_sha256 for each in hashes] == digests
        assert len({each.ids_sha256 for each in hashes}) == len({each.ids for each in texts})
    hashed = made.manifest.set_named("pieces").ids_sha256
    assert hashed == ids_sha256(finished.blocks("pieces").ids_NT)


def test_archives_compare_as_their_experiments_do_to_the_bit(archived, finished, other, tmp_path):
    write_comparison(compare([finished.folder, other.folder]), tmp_path / "experiments")
    write_comparison(compare(archived), tmp_path / "archives")
    write_comparison(compare([archived[0], other.folder]), tmp_path / "mixed")
    names = file_names(tmp_path / "experiments")
    assert {"differences.csv", "table.csv", "summary.json", "report.md", "index.html"} <= set(names)
    for folder in ("archives", "mixed"):
        assert file_names(tmp_path / folder) == names
        for name in names:
            before = (tmp_path / "experiments" / name).read_bytes()
            assert (tmp_path / folder / name).read_bytes() == before


def test_other_contexts_are_known_by_their_hashes(archive, archived):
    path = archive / "data" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sets"][2]["ids_sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="continued other contexts, so their texts do not pair"):
        compare([archive, archived[1]])


@pytest.mark.pictures
def test_a_report_of_an_archive_has_all_but_texts_and_says_why(archive, finished):
    page = write_report(Experiment(archive)).read_text(encoding="utf-8")
    before = (finished.report_folder / "index.html").read_text(encoding="utf-8")
    why = "made from an archive that holds hashes instead of texts, so it shows no examples"
    assert why in page
    assert why not in before
    assert why in (archive / "report" / "report.md").read_text(encoding="utf-8")
    assert "What it wrote" in before
    assert "What it wrote" not in page
    assert "Most recited passages" not in page
    tables = re.compile(r"<table>.*?</table>", re.S)
    assert tables.findall(page) == tables.findall(before) != []
    for name in ("table.csv", "summary.json", "curves.png"):
        made, own = archive / "report" / name, finished.report_folder / name
        assert made.read_bytes() == own.read_bytes()


@pytest.mark.pictures
def test_texts_that_may_be_published_are_kept(finished, tmp_path):
    made = archive_experiment(finished.folder, tmp_path / "archive", texts=True)
    held = Experiment(made.folder)
    assert held.archive.left_out == {}
    assert held.manifest == finished.manifest
    for variant, run in held.runs().items():
        assert run.continuations() == finished.run(variant).continuations()
        assert run.probes() == finished.run(variant).probes()
        assert not run.model_folder.exists()
    assert (held.blocks("train").ids_NT == finished.blocks("train").ids_NT).all()
    page = write_report(held).read_text(encoding="utf-8")
    assert page == (finished.report_folder / "index.html").read_text(encoding="utf-8")
    with pytest.raises(RunError, match="an archive holds no weights"):
        generate_texts(held, "original", device="cpu")


def test_verbs_that_need_weights_or_texts_refuse_an_archive_in_one_line(archive, tmp_path, capsys):
    recipe = tmp_path / "recipe.json"
    shutil.copy(archive / "recipe.json", recipe)
    before = {name: file_sha256(archive / name) for name in file_names(archive)}
    for command in (
        ["write", str(archive), "the"],
        ["write", str(archive), "--original", "the"],
        ["write", str(archive / "original"), "the"],
        ["generate", str(archive)],
        ["run", str(recipe), "--out", str(archive)],
        ["train", str(recipe), "--out", str(archive)],
        ["check", str(recipe), "--out", str(archive)],
        ["archive", str(archive), "--out", str(tmp_path / "again")],
    ):
        line = refused(capsys, *command)
        assert "an archive holds no weights: give the experiment that it was made of" in line
    run = Experiment(archive).run("original")
    with pytest.raises(RunError, match="holds hashes instead of texts: give the experiment itself"):
        run.continuations()
    with pytest.raises(RunError, match="an archive without texts holds no token ids"):
        Experiment(archive).blocks("train")
    assert main(["measure", str(archive)]) == 0  # all of it is measured
    assert {name: file_sha256(archive / name) for name in file_names(archive)} == before


def test_the_command_archives_and_archives_again_in_its_place(finished, tmp_path, capsys):
    out = tmp_path / "small"
    assert main(["archive", str(finished.folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"archive  {out}: 19 files, [1-9]\d* kB", said)
    assert f"next     hyperfit report {out}" in said
    first = {name: file_sha256(out / name) for name in file_names(out)}
    assert main(["report", str(out)]) == 0
    assert main(["archive", str(finished.folder), "--out", str(out)]) == 0
    assert {name: file_sha256(out / name) for name in file_names(out)} == first


def test_an_archive_takes_no_other_folders_place(finished, archive, tmp_path):
    def problem(out):
        before = contents(tmp_path)
        with pytest.raises(RunError) as caught:
            archive_experiment(finished.folder, out)
        after = contents(tmp_path)
        assert after == before
        return str(caught.value)

    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    assert "file is a file, and a folder is needed there" in problem(tmp_path / "file" / "deeper")
    assert "full is not empty and holds no archive" in problem(tmp_path / "full")
    (archive / "notes.md").write_text("mine")
    assert "holds notes.md beside an archive, which would be lost" in problem(archive)
    assert "lies in the experiment: choose another --out" in problem(finished.folder / "archive")


def test_only_what_is_measured_is_archived(finished, tmp_path):
    copy = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    (copy / "hyperfitted" / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match="the hyperfitted run is not measured yet: run `hyperfit me"):
        archive_experiment(copy, tmp_path / "out")
    with pytest.raises(RunError, match="holds no experiment"):
        archive_experiment(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
