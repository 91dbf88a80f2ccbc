"""The command line as a user meets it: what it prints, and one line with exit code 2 for every
wrong input.
"""

import os
import shutil
import subprocess
import sys

import pytest

from hyperfitting.cli import main
from tests.support.cli import refused
from tests.support.folders import rewrite_weights, without_ends
from tests.support.recipes import write_recipe
from tests.support.words import write_corpus


@pytest.fixture
def recipe(tree, tmp_path):
    return str(write_recipe(tree, tmp_path / "mine.json"))


def test_the_verbs_in_turn_each_name_what_they_wrote_and_what_comes_next(recipe, tmp_path, capsys):
    out, cpu = str(tmp_path / "out"), "--device cpu"
    steps = [
        (["check", recipe, "--out", out], "write     "),
        (["check", recipe, "--device", "cpu"], f"next     hyperfit run {recipe} {cpu}\n"),
        (
            ["train", recipe, "--out", out, "--device", "cpu"],
            f"next     hyperfit generate {out} {cpu}\n",
        ),
        (["generate", out], f"next     hyperfit measure {out}\n"),
        (["generate", out, "--device", "cpu"], f"next     hyperfit measure {out} {cpu}\n"),
        (["measure", out], f"next     hyperfit report {out}"),
        (["report", out], f"next     hyperfit write {out}"),
        (["run", recipe, "--out", out], f"report   {out}/report/index.html"),
        (["run", recipe, "--out", out, "--device", "cpu"], f"and' {cpu}\n"),
        (["runs", str(tmp_path)], "reported   tiny-"),
        (["write", out, "the river", "--tokens", "5"], "the river"),
        (["write", out, "the river", "--tokens", "5", "--nucleus", "--original"], "the river"),
    ]
    for arguments, words in steps:
        assert main(arguments) == 0
        assert words in capsys.readouterr().out


def test_recipes_list_show_copy_and_settings(tmp_path, capsys):
    assert main(["recipes", "list"]) == 0
    assert capsys.readouterr().out.startswith("demo")
    assert main(["recipes", "show", "paper"]) == 0
    assert "paper silent" in capsys.readouterr().out
    assert main(["recipes", "copy", "demo", str(tmp_path / "mine.toml")]) == 0
    assert "next     hyperfit check" in capsys.readouterr().out
    assert (tmp_path / "mine.toml").read_text().splitlines()[2].startswith("# The demo")
    assert main(["recipes", "settings"]) == 0
    assert "`train.learning_rate`" in capsys.readouterr().out
    assert "is there already" in refused(
        capsys, "recipes", "copy", "demo", str(tmp_path / "mine.toml")
    )
    (tmp_path / "link.toml").symlink_to("mine.toml")
    assert "is there already" in refused(
        capsys, "recipes", "copy", "paper", str(tmp_path / "link.toml")
    )
    assert (tmp_path / "mine.toml").read_text().splitlines()[2].startswith("# The demo")
    assert "needs a name" in refused(capsys, "recipes", "show")
    assert "no shipped recipe 'x'" in refused(capsys, "recipes", "copy", "x")


@pytest.mark.parametrize(
    ("words", "beyond"),
    [("list foo", "foo"), ("settings foo", "foo"), ("schema foo bar", "foo"), ("show demo a", "a")],
)
def test_words_that_an_action_does_not_take_are_refused(words, beyond, capsys):
    assert f"{beyond!r} is one word too many" in refused(capsys, "recipes", *words.split())


def test_no_runs_yet(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert "next     hyperfit demo" in capsys.readouterr().out


def test_a_folder_of_experiments_that_is_misspelt_is_not_taken_for_an_empty_one(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.json").write_text("{}")
    for verb in ("runs", "clean"):
        assert "nothere: no such folder" in refused(capsys, verb, "nothere")
        assert "recipe.json is a file: give the folder" in refused(capsys, verb, "recipe.json")
    study = ("study", "estimate", "curves", "--reuse", "nothere")
    assert "nothere: no such folder" in refused(capsys, *study)
    assert main(["runs"]) == main(["clean"]) == 0  # it comes with the first experiment


def test_pretrain_names_its_model(tree, tmp_path, capsys):
    tree["model"]["initialise"] = "random"
    tree["data"]["domains"] = []
    recipe = write_recipe(tree, tmp_path / "p.json")
    assert main(["pretrain", str(recipe), "--out", str(tmp_path / "out")]) == 0
    assert "pretrained/model" in capsys.readouterr().out


CHANGES = {
    "missing model folder": (["model.source=./gone"], "./gone: no such model folder"),
    "missing file": (["data.train.path=gone.jsonl"], "gone.jsonl: no such file or folder"),
    "wrong column": (["data.train.column=body"], "no field 'body'; there are: title, text"),
    "too few long documents": (
        ["data.block_tokens=100", "data.train_blocks=61"],
        "needs 61 documents",
    ),
    "a typo in a key": (["train.learning_rat=1e-4"], "did you mean train.learning_rate?"),
    "a wrong type": (["train.epochs=2.5"], "train.epochs = 2.5: a whole number is needed"),
    "out of range": (
        ["train.learning_rate=-1"],
        "train.learning_rate = -1: it must be greater than 0",
    ),
    "longer than the model": (["data.block_tokens=129"], "the model has 128 positions"),
}
DEVICES = ["toaster", "cuda:9", "meta"]


@pytest.mark.parametrize("verb", ["run", "check", "train"])
@pytest.mark.parametrize("case", CHANGES)
def test_wrong_settings(recipe, tmp_path, capsys, verb, case):
    changes, words = CHANGES[case]
    arguments = [verb, recipe, "--out", str(tmp_path / "out")]
    arguments += [part for change in changes for part in ("--set", change)]
    assert words in refused(capsys, *arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["run", "check", "train"])
@pytest.mark.parametrize("device", DEVICES)
def test_a_device_that_is_not_there(recipe, tmp_path, capsys, verb, device):
    words = refused(capsys, verb, recipe, "--out", str(tmp_path / "out"), "--device", device)
    assert f"--device {device}: not available here" in words
    assert not (tmp_path / "out").exists()


def test_an_empty_file(tree, tmp_path, capsys):
    (tmp_path / "empty.jsonl").write_text("")
    tree["data"]["train"]["path"] = str(tmp_path / "empty.jsonl")
    assert "empty.jsonl: no text in it" in refused(
        capsys, "run", write_recipe(tree, tmp_path / "r.json")
    )


def test_text_that_is_not_utf8(tree, tmp_path, capsys):
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    tree["data"]["train"]["path"] = str(tmp_path / "latin.txt")
    assert "latin.txt, line 1: not UTF-8" in refused(
        capsys, "run", write_recipe(tree, tmp_path / "r.json")
    )


def test_chosen_contexts_that_leak(tree, tmp_path, capsys):
    tree["data"]["domains"] = [{"name": "news", "count": 60, "source": tree["data"]["train"]}]
    assert "the set 'news' leaks" in refused(capsys, "run", write_recipe(tree, tmp_path / "r.json"))


def test_a_folder_of_another_recipe_and_a_file_where_it_should_be(
    recipe, finished, tmp_path, capsys
):
    words = refused(capsys, "run", recipe, "--out", str(finished.folder), "--set", "seed=9")
    assert "holds the run tiny-" in words
    assert "(seed 0 -> 9): choose another --out, or remove it" in words
    (tmp_path / "file").write_text("")
    assert "is a file, and a folder is needed there" in refused(
        capsys, "run", recipe, "--out", str(tmp_path / "file")
    )
    inside = str(tmp_path / "file" / "deeper")
    assert "file is a file, and a folder is needed there" in refused(
        capsys, "run", recipe, "--out", inside
    )


DAMAGE = {
    "corrupt": (
        "model.safetensors",
        lambda path: path.write_bytes(b"\x10" * 64),
        "the weight file is damaged",
    ),
    "truncated": (
        "model.safetensors",
        lambda path: os.truncate(path, 9_000),
        "the weight file is damaged",
    ),
    "a weight missing": (
        "model.safetensors",
        lambda path: rewrite_weights(path, lambda held: held.pop("model.norm.weight")),
        "weights are missing or of another shape: model.norm",
    ),
    "tokenizer cut short": ("tokenizer.json", lambda path: os.truncate(path, 99), "is damaged"),
    "config cut short": ("config.json", lambda path: os.truncate(path, 99), "is damaged"),
}


@pytest.mark.parametrize("verb", ["run", "train", "pretrain"])
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_model_leaves_nothing_behind(tree, tiny_model, tmp_path, capsys, verb, case):
    name, damage, words = DAMAGE[case]
    if verb == "pretrain" and name == "model.safetensors":
        return  # it reads no weights
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    damage(folder / name)
    tree["model"] |= {
        "source": str(folder),
        "initialise": "random" if verb == "pretrain" else "pretrained",
    }
    out = tmp_path / "out"
    assert words in refused(
        capsys, verb, write_recipe(tree, tmp_path / "r.json"), "--out", str(out)
    )
    assert not out.exists()


def test_a_refusal_leaves_what_was_there(recipe, finished, tmp_path, capsys):
    out = shutil.copytree(finished.folder, tmp_path / "out")
    before = sorted(out.rglob("*"))
    refused(capsys, "run", recipe, "--out", str(out), "--device", "toaster")
    assert sorted(out.rglob("*")) == before


def test_a_tokenizer_without_end_of_text(tree, tiny_model, tmp_path, capsys):
    folder = without_ends(shutil.copytree(tiny_model, tmp_path / "model"))
    tree["model"]["source"] = str(folder)
    assert "the tokenizer has no end-of-text token" in refused(
        capsys, "run", write_recipe(tree, tmp_path / "r.json")
    )


def test_folders_that_hold_nothing(tmp_path, capsys):
    empty = str(tmp_path)
    assert "holds no trained run" in refused(capsys, "write", empty, "once")
    for verb in ("generate", "measure", "report"):
        assert "holds no experiment" in refused(capsys, verb, empty)


def test_a_pretrained_run_is_a_run(tree, tmp_path, capsys):
    tree["model"]["initialise"] = "random"
    tree["data"]["domains"] = []
    out = str(tmp_path / "with space")
    assert main(["check", str(write_recipe(tree, tmp_path / "p.json")), "--out", out]) == 0
    said = capsys.readouterr().out
    assert f"write     {out}: recipe.json, data/, pretrained/\n" in said
    assert "generate  " not in said
    assert f"next     hyperfit pretrain {tmp_path / 'p.json'} --out '{out}'" in said
    assert main(["pretrain", str(write_recipe(tree, tmp_path / "p.json")), "--out", out]) == 0
    assert (
        f"next     hyperfit run demo --set 'model.source={out}/pretrained/model'"
        in capsys.readouterr().out
    )
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("trained    tiny-")
    assert main(["write", out, "the river", "--tokens", "5"]) == 0
    assert capsys.readouterr().out.startswith("the river")
    for verb in ("generate", "measure", "report"):
        assert "run `hyperfit" in refused(capsys, verb, out)
    assert sorted(path.name for path in (tmp_path / "with space").iterdir()) == [
        "data",
        "pretrained",
        "recipe.json",
    ]


def test_a_damaged_neighbour_is_named_among_the_others(finished, tmp_path, capsys):
    shutil.copytree(finished.folder, tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "recipe.json").write_text("{")
    assert main(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "reported   tiny-" in out
    assert f"damaged    {tmp_path / 'bad' / 'recipe.json'}: not a readable recipe" in out


def test_prompts_that_cannot_be_continued(tree, tmp_path, finished, capsys):
    assert "ask for fewer tokens" in refused(
        capsys, "write", str(finished.folder), "the", "--tokens", "500"
    )
    tree["model"]["beginning_of_text"] = "none"
    tree["train"]["epochs"] = 1
    out = str(tmp_path / "out")
    assert main(["train", str(write_recipe(tree, tmp_path / "r.json")), "--out", out]) == 0
    capsys.readouterr()
    assert "the prompt is empty" in refused(capsys, "write", out, "")
    assert "its tokenizer has no chat template" in refused(
        capsys, "write", out, "once", "--format", "chat"
    )


@pytest.mark.parametrize("arguments", [["fly"], ["run"], ["write", "x", "y", "--tokens", "-3"]])
def test_wrong_words(capsys, arguments):
    assert "--help" in refused(capsys, *arguments)


@pytest.mark.parametrize("option", [["--tokens", "-3"], ["--seed", "x"], ["--seed"]])
def test_only_what_may_be_a_prompt_brings_up_how_prompts_with_a_dash_stand(capsys, option):
    assert "begins with a dash" not in refused(capsys, "write", "x", "y", *option)
    assert "begins with a dash stands last" in refused(capsys, "write", "x", "-y")


def test_a_missing_extra_is_one_line_with_the_command(tmp_path):
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom hyperfitting.cli import main\n"
        f"sys.exit(main(['run', 'demo', '--out', {str(tmp_path / 'o')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "hyperfit: this needs torch, which is not installed: pip install 'hyperfitting[models]'\n"
    )


def test_a_source_read_from_a_pipe_that_closes_is_no_traceback(tmp_path):
    write_corpus(tmp_path / "c.jsonl", documents=1, words=1)
    command = f"{sys.executable} -m hyperfitting recipes settings | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def test_plan_prints_what_each_precision_needs(recipe, capsys):
    assert main(["plan", recipe, "--memory", "64MiB", "--count", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "on 2 devices; bytes on each" in lines[0]
    assert lines[1].endswith("fits 64.0 MiB")
    assert {line.split()[0] for line in lines[2:]} == {"fp32", "bf16-autocast", "bf16-stochastic"}


@pytest.mark.parametrize("size", ["80", "GiB", "-1GiB", "0GiB", "manyGiB"])
def test_an_amount_of_memory_that_is_none(size, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["plan", "demo", f"--memory={size}"])
    assert caught.value.code == 2
    assert "is no amount of memory: write it as 80GiB" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "1025", "-1", "two"])
def test_a_plan_for_no_devices_or_too_many_is_refused(capsys, count):
    with pytest.raises(SystemExit):
        main(["plan", "demo", f"--count={count}"])
    assert "is not a whole number from 1 to 1024" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--count=2", "--memory=80GiB"])
def test_a_dry_run_is_of_this_machine(capsys, option):
    assert main(["plan", "demo", "--dry-run", option]) == 2
    said = (
        "hyperfit: plan --dry-run trains on this machine, on one device: leave out --memory and "
        "--count\n"
    )
    assert capsys.readouterr().err == said


def test_processes_that_torchrun_did_not_start_are_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert main(["train", "demo", "--out", str(tmp_path / "out")]) == 2
    said = (
        "hyperfit: WORLD_SIZE is set, and RANK and LOCAL_RANK not: start the processes with "
        "torchrun\n"
    )
    assert capsys.readouterr().err == said
    assert not (tmp_path / "out").exists()


NOT_ON_THE_HUB = {
    "model.source": "no such folder here, and the hub cannot be reached: check the name, or "
    "download the model",
    "data.train.path": "no such file or folder here, and the hub cannot be reached: check the "
    "name, or download",
}


@pytest.fixture(scope="module")
def without_hub(tmp_path_factory):
    """What is said of each setting, and the folder that must not be there, from a process without
    HF_HUB_OFFLINE, as on a train.
    """
    folder = tmp_path_factory.mktemp("hub")
    code = (
        "import sys, time\ntime.sleep = lambda seconds: sys.exit('it waits')\nfrom "
        f"hyperfitting.cli import main\nfor setting in {list(NOT_ON_THE_HUB)}:\n    code = "
        f"main(['run', 'demo', '--out', {str(folder / 'out')!r}, '--set', "
        "setting + '=nobody/nothing'])\n    print(code)"
    )
    environment = {key: value for key, value in os.environ.items() if "OFFLINE" not in key}
    environment |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2\n2\n"), done.stderr
    lines = done.stderr.splitlines()
    return dict(zip(NOT_ON_THE_HUB, lines, strict=True)), folder / "out"


@pytest.mark.parametrize("setting", NOT_ON_THE_HUB)
def test_a_hub_that_cannot_be_reached_is_one_line_at_once(without_hub, setting):
    """The libraries that ask would try for half a minute, and tell of it."""
    said, out = without_hub
    assert said[setting].startswith(f"hyperfit: nobody/nothing: {NOT_ON_THE_HUB[setting]}")
    assert not out.exists()


def test_what_cannot_be_selected_is_said_before_anything_is_written(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", "demo", "--set", "train.parameters=last:99", "--out", str(out)]) == 2
    assert (
        capsys.readouterr().err
        == "hyperfit: train.parameters = 'last:99': the model has 6 layers\n"
    )
    assert not out.exists()
