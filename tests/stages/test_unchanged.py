"""What a result rests on is compared before it is used again: sources, weights, and the original
where it stands.
"""

import json
import shutil
from pathlib import Path

import pytest

from hyperfitting import generate, pipeline
from hyperfitting.cli import main
from hyperfitting.errors import DataError
from hyperfitting.facts import PassedOver
from hyperfitting.recipe import ModelSettings, load_recipe
from hyperfitting.runs import Experiment, Run
from hyperfitting.stages.generate import generate_texts
from hyperfitting.stages.train import train_experiment
from hyperfitting.weights import Weights, hash_model, named_weights
from tests.support.folders import contents
from tests.support.listening import Listener
from tests.support.recipes import tiny_tree
from tests.support.tiny_models import make_model
from tests.support.words import write_corpus

COMMAND = ["r.json", "--out", "out", "--device", "cpu"]


@pytest.fixture(scope="module")
def master(tmp_path_factory, tiny_tokenizer):
    """A folder with a recipe, its model, its texts and all that `run` makes of them, by relative
    paths.
    """
    folder = tmp_path_factory.mktemp("made")
    make_model(folder / "base", tiny_tokenizer)
    for name in ("x", "y"):
        (folder / "texts" / name).mkdir(parents=True)
        write_corpus(folder / "texts" / name / "1.jsonl", documents=40, words=60, seed=ord(name))
    tree = tiny_tree(Path("base"), Path("texts"))
    tree["generate"]["strategies"] = [{"name": "greedy", "method": "greedy"}]
    tree["train"]["epochs"] = 1
    (folder / "r.json").write_text(json.dumps(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", *COMMAND]) == 0
    return folder.rename(folder.with_name("master"))  # so that nothing is found where it was made


@pytest.fixture
def here(master, tmp_path, monkeypatch):
    """A copy of it to spoil, as working folder."""
    shutil.copytree(master, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def anew(here):
    """The same without what was made: a function that writes the recipe with other settings and
    trains it.
    """

    def train(change, verb="train"):
        tree = json.loads(Path("r.json").read_text())
        change(tree)
        Path("r.json").write_text(json.dumps(tree))
        shutil.rmtree("out")
        assert main([verb, *COMMAND]) == 0

    return train


def refused(capsys, *arguments):
    """The line with which a command is refused."""
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") - captured.err.count(" already, ") == 1
    assert "Traceback" not in captured.err
    return captured.err.splitlines()[-1]


# Sources


def edit(texts):
    path = texts / "y" / "1.jsonl"
    path.write_text(path.read_text().replace("river", "brook"))


def gain(texts):
    (texts / "new.txt").write_text("one more text")


def lose(texts):
    (texts / "x" / "1.jsonl").unlink()


def swap(texts):
    (texts / "x" / "1.jsonl").rename(texts / "z.jsonl")
    (texts / "y" / "1.jsonl").rename(texts / "x" / "1.jsonl")
    (texts / "z.jsonl").rename(texts / "y" / "1.jsonl")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit, "has changed (changed: y/1.jsonl)"),
        (gain, "has changed (new: new.txt)"),
        (lose, "has changed (gone: x/1.jsonl)"),
        (swap, "has changed (changed: x/1.jsonl, y/1.jsonl)"),
        (shutil.rmtree, "is missing (tried {here}/texts)"),
    ],
)
def test_a_source_that_changed_since_the_data_were_drawn_is_refused_by_name(
    here, capsys, change, words
):
    change(Path("texts"))
    before = contents(Path("out"))
    for verb in ("run", "train", "check"):
        assert refused(capsys, verb, *COMMAND) == (
            f"hyperfit: texts {words.format(here=here)} since the data of out were drawn: choose "
            "another --out, or continue with the data as drawn (--keep-data)"
        )
    assert contents(Path("out")) == before


def test_check_and_manifest_say_what_was_read_and_what_was_passed_over(here, capsys):
    shutil.rmtree("out")
    Path("texts/notes.docx").write_text("x")
    with Path("texts/x/1.jsonl").open("a") as file:
        file.write('{"text": null}\n')
    assert main(["check", *COMMAND]) == 0
    said = capsys.readouterr().out
    assert (
        "source    texts: 2 files read, 1 passed over (notes.docx), 81 rows, 1 null passed over\n"
        in said
    )
    assert main(["train", *COMMAND]) == 0
    facts = Experiment(Path("out")).manifest.sources[0]
    assert facts.files_passed_over == PassedOver(count=1, names=("notes.docx",))
    assert (facts.files_read, facts.rows, facts.nulls, facts.documents) == (
        2,
        81,
        1,
        80,
    )


def test_keep_data_goes_on_and_verbs_that_read_no_source_do_so_anyway(here):
    shutil.rmtree("texts")
    held = contents(Path("out")).items()
    before = {path: data for path, data in held if path.parent.name != "report"}
    assert main(["run", *COMMAND, "--keep-data"]) == 0
    assert main(["train", *COMMAND, "--keep-data"]) == 0
    for verb in ("generate", "measure", "report"):
        assert main([verb, "out"]) == 0
    after = contents(Path("out"))
    assert all(after[path] == data for path, data in before.items())


@pytest.mark.parametrize("which", ["validation", "contexts"])
def test_sources_of_validation_and_contexts_are_compared_too(anew, capsys, which):
    other = write_corpus(Path("other.jsonl"), documents=30, words=60, seed=9)

    def name_it(tree):
        place = tree["data"] if which == "validation" else tree["data"]["domains"][0]
        place["validation" if which == "validation" else "source"] = {"path": str(other)}

    anew(name_it)
    other.write_text(other.read_text() + '{"text": "late"}\n')
    assert "other.jsonl has changed since" in refused(capsys, "train", *COMMAND)


def test_a_saved_data_set_is_compared_by_its_files(anew, capsys):
    datasets = pytest.importorskip("datasets")
    rows = [json.loads(line)["text"] for line in Path("texts/x/1.jsonl").read_text().splitlines()]
    datasets.Dataset.from_dict({"text": rows}).save_to_disk("saved")
    anew(lambda tree: tree["data"].update(train={"path": "./saved"}))
    assert main(["train", *COMMAND]) == 0
    shutil.rmtree("saved")
    datasets.Dataset.from_dict({"text": rows[1:]}).save_to_disk("saved")
    assert "./saved has changed (changed: " in refused(capsys, "train", *COMMAND)


def test_a_pretraining_compares_its_corpus_too(anew, capsys):
    def pretrain(tree):
        tree["model"]["initialise"] = "random"
        tree["data"] |= {"blocks": "packed", "domains": []}

    anew(pretrain, "pretrain")
    edit(Path("texts"))
    assert "texts has changed (changed: y/1.jsonl) since" in refused(capsys, "pretrain", *COMMAND)
    assert main(["pretrain", *COMMAND, "--keep-data"]) == 0


def test_what_is_skipped_is_said(here, capsys):
    assert main(["run", *COMMAND]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "already" in line]
    assert [line.rpartition(",")[0] for line in said] == [
        "data: drawn already",
        *(
            f"{role}: {stage} already"
            for stage in ("trained", "generated", "measured")
            for role in ROLES
        ),
    ]
    assert main(["run", *COMMAND, "--quiet"]) == 0
    quiet = capsys.readouterr()
    assert (quiet.err, "report   " in quiet.out) == ("", True)


def test_the_library_says_through_its_narrator_and_takes_keep_data(here):
    said, recipe = Listener(), load_recipe("r.json")
    edit(Path("texts"))
    train_experiment(recipe, Path("out"), device="cpu", progress=said, keep_data=True)
    assert [line.rpartition(",")[0] for line in said.lines] == [
        "data: drawn already",
        "original: trained already",
        "hyperfitted: trained already",
    ]
    day = Experiment(Path("out")).run("hyperfitted").train_facts.date
    assert said.lines[-1] == f"hyperfitted: trained already, {day}"
    with pytest.raises(DataError, match="texts has changed"):
        pipeline.run(recipe, Path("out"), device="cpu")


ROLES = ("original", "hyperfitted")
WRITE = ["write", "--tokens", "4"]


# The original, where it stands


def test_an_ordinary_local_original_is_named_and_hashed_and_not_copied(here):
    run = Run(Path("out/original"))
    assert not run.model_folder.exists()
    assert run.trained
    assert run.weights == Weights(hash_model(Path("base")), "base", "../../base")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(run.weights.sha256)
    assert len(run.probes()) == 1
    assert main([*WRITE, "out", "--original", "the"]) == 0


def test_what_ships_is_stored_by_its_name(tmp_path):
    weights = named_weights(ModelSettings(source="asset:reference-lm"), tmp_path)
    assert (weights.source, weights.from_run) == ("asset:reference-lm", None)


@pytest.mark.parametrize("kind", ["random", "code", "adapter", "quantised", "damaged", "hub"])
def test_what_is_no_ordinary_folder_is_not_named(kind, here):
    settings = {"source": "owner/model" if kind == "hub" else "base"}
    assert named_weights(ModelSettings(source="base"), here)
    config = Path("base/config.json")
    if kind == "adapter":
        Path("base/adapter_config.json").write_text("{}")
    if kind == "quantised":
        config.write_text(
            json.dumps(json.loads(config.read_text()) | {"quantization_config": {"bits": 4}})
        )
    if kind == "damaged":
        config.write_text("{")
    settings |= {"random": {"initialise": "random"}, "code": {"trust_remote_code": True}}.get(
        kind, {}
    )
    assert named_weights(ModelSettings(**settings), here) is None


def test_what_is_no_ordinary_folder_is_still_saved(anew):
    anew(lambda tree: tree["model"].update(trust_remote_code=True))
    run = Run(Path("out/original"))
    assert (run.model_folder / "model.safetensors").is_file()
    assert run.weights.source is None
    shutil.rmtree("base")
    assert main([*WRITE, str(run.folder), "the"]) == 0


def move_away(base, tokenizer):
    base.rename("elsewhere")


def replace(base, tokenizer):
    make_model(base, tokenizer, "qwen2")


def touch_tokenizer(base, tokenizer):
    (base / "tokenizer.json").write_text((base / "tokenizer.json").read_text() + "\n")


def add_adapter(base, tokenizer):
    (base / "adapter_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (move_away, ""),
        (replace, "changed: config.json"),
        (touch_tokenizer, "changed: tokenizer.json"),
        (add_adapter, "new: adapter_config.json"),
    ],
)
def test_an_original_that_is_gone_or_changed_is_named_in_one_line(
    here, tiny_tokenizer, capsys, change, words
):
    original = Run(Path("out/original"))
    change(Path("base"), tiny_tokenizer)
    gone = f"base, the model of out/original, is gone (tried {here}/base): put it back"
    start = f"base has changed since its hashes were taken ({words}" if words else gone
    end = (
        "put its files back, or choose another --out"
        if words
        else "put it back, or choose another --out"
    )
    original.metrics_file.unlink()
    before = contents(Path("out"))
    for command in (
        ["run", *COMMAND],
        ["check", *COMMAND],
        [*WRITE, "out", "--original", "the"],
        ["measure", "out"],
    ):
        line = refused(capsys, *command)
        assert line.startswith(f"hyperfit: {start}")
        assert line.endswith(end)
    assert start in refused(capsys, "generate", "out", "--compare-reference")
    assert contents(Path("out")) == before
    original.continuations_file.unlink()
    assert start in refused(capsys, "generate", "out")
    assert not original.parts_folder.exists()


def test_an_original_is_found_from_another_working_folder(here, monkeypatch):
    monkeypatch.chdir(here / "texts")
    command = [*WRITE, str(here / "out"), "--original", "the"]
    assert main(command) == 0
    shutil.copytree(here / "base", "base")
    Path("base/config.json").write_text("{}")  # another folder of the same name does not hide it
    assert main(command) == 0
    (here / "out").rename(here.parent / "moved")
    (here / "out").symlink_to(here.parent / "moved")
    monkeypatch.chdir(here)
    assert main(command) == 0


def test_an_experiment_goes_on_from_any_working_folder(anew, here, monkeypatch, capsys):
    anew(lambda tree: tree["measure"].update(scorer="base"))
    assert main(["run", *COMMAND]) == 0
    monkeypatch.chdir(here.parent)
    before = contents(Path("here/out"))
    command = ["here/r.json", "--out", "here/out", "--device", "cpu"]
    capsys.readouterr()
    assert main(["check", *command]) == 0
    assert main(["run", *command]) == 0
    assert capsys.readouterr().err.count(" already, ") == 7
    for role in ROLES:
        Run(Path("here/out") / role).metrics_file.unlink()
    assert main(["measure", "here/out"]) == 0  # under the scorer beside the recipe
    after = contents(Path("here/out"))
    assert all(
        after[path] == data
        for path, data in before.items()
        if path.name in ("recipe.json", "metrics.jsonl")
    )
    here.rename("there")
    assert main(["run", "there/r.json", "--out", "there/out", "--device", "cpu"]) == 0
    assert main([*WRITE, "there/out", "--original", "the"]) == 0


# Weights and what they wrote


def retrain(verb, *, other):
    """Delete the hyperfitted weights, and train again; `other`: at another learning rate, which
    only a hand can set.
    """
    run = Run(Path("out/hyperfitted"))
    shutil.rmtree(run.model_folder)
    if other:
        recipe = json.loads(run.recipe_file.read_text())
        recipe["train"]["learning_rate"] = 1e-2
        run.recipe_file.write_text(json.dumps(recipe))
    assert main([verb, *COMMAND]) == 0
    return run


def test_equal_weights_trained_again_keep_their_texts_and_measures(here, capsys):
    before = contents(Path("out/hyperfitted"))
    run = retrain("run", other=False)
    assert "are removed" not in capsys.readouterr().err
    assert contents(Path("out/hyperfitted")).keys() == before.keys()
    for path in (run.continuations_file, run.metrics_file, run.model_folder / "model.safetensors"):
        assert path.read_bytes() == before[path]


def test_other_weights_do_not_stand_beside_the_texts_of_the_old_ones(here, capsys):
    texts, original = (
        Path("out/hyperfitted/continuations.jsonl").read_bytes(),
        contents(Path("out/original")),
    )
    run = retrain("train", other=True)
    line = "hyperfitted: its texts and metrics were made with other weights, and are removed"
    assert capsys.readouterr().err.splitlines().count(line) == 1
    assert not run.generated
    assert not run.measured
    assert not list(run.folder.glob("*metrics.jsonl"))
    assert not Path("out/report").exists()
    assert "is not measured yet" in refused(capsys, "report", "out")
    assert main(["run", *COMMAND]) == 0
    assert run.continuations_file.read_bytes() != texts
    assert contents(Path("out/original")) == original
    assert run.facts.generate.weights == run.weights.digest


def test_texts_begun_by_other_weights_are_not_gone_on_with(here, monkeypatch):
    run = Run(Path("out/hyperfitted"))
    run.continuations_file.unlink()
    write, calls = generate.TextGenerator.write, []

    def once(self, *arguments, **options):
        if calls:
            raise ZeroDivisionError
        calls.append(1)
        return write(self, *arguments, **options)

    monkeypatch.setattr(generate.TextGenerator, "write", once)
    with pytest.raises(ZeroDivisionError):
        generate_texts(Experiment(Path("out")), "hyperfitted", device="cpu")
    monkeypatch.setattr(generate.TextGenerator, "write", write)
    assert list(run.parts_folder.iterdir())
    retrain("train", other=True)
    assert not run.parts_folder.exists()


def test_a_model_folder_changed_by_hand_is_named(here, tiny_tokenizer, capsys):
    run = Run(Path("out/hyperfitted"))
    make_model(run.model_folder, tiny_tokenizer)
    start = f"hyperfit: {run.model_folder} has changed since its hashes were taken (changed: "
    run.metrics_file.unlink()
    for command in (
        ["run", *COMMAND],
        ["check", *COMMAND],
        [*WRITE, "out", "the"],
        ["measure", "out"],
    ):
        line = refused(capsys, *command)
        assert line.startswith(start)
        assert line.endswith(f"put its own back, or remove {run.model_folder} and train again")
    run.continuations_file.unlink()
    assert start in refused(capsys, "generate", "out")


def test_facts_of_another_version_are_refused_in_one_line_that_names_the_version(here, capsys):
    run = Run(Path("out/hyperfitted"))
    facts = json.loads(run.facts_file.read_text())
    del facts["weights"]
    run.facts_file.write_text(json.dumps(facts))
    version = facts["train"]["environment"]["versions"]["hyperfitting"]
    words = (
        f"run.json is damaged, or of another version (written by hyperfitting {version}): weights: "
        "Field required"
    )
    for command in (["run", *COMMAND], [*WRITE, "out", "the"], ["report", "out"]):
        assert words in refused(capsys, *command)


def test_a_stop_between_saving_and_hashing_is_made_up_for(here):
    run = Run(Path("out/hyperfitted"))
    weights, verdict = run.weights, run.verdict
    run.update_facts(weights=None)
    assert main(["train", *COMMAND]) == 0
    assert (run.weights, run.verdict) == (weights, verdict)
