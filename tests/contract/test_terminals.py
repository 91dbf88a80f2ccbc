"""The command in real terminals: other encodings, bytes that are no text, dashes, errors before
torch is loaded.
"""

import io
import json
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from hyperfitting import writing
from hyperfitting.cli import main
from hyperfitting.errors import InputError
from tests.support.cli import UTF8, Ended, in_turn, run_python

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NO_TORCH = (
    "import sys\nsys.modules['torch'] = None\nfrom hyperfitting.cli import main\nsys.exit(main())"
)


def hyperfit(*arguments, environment=UTF8):
    """The command in a process of its own that has no torch, with bytes as arguments as a shell
    hands them over.
    """
    done = run_python(["-c", NO_TORCH, *arguments], environment)
    return Ended(done.returncode, done.stdout, done.stderr)


def refused(ended):
    assert ended.code == 2, ended.err
    assert ended.out == b""
    assert ended.err.startswith(b"hyperfit: ")
    assert ended.err.count(b"\n") == 1
    return ended.err.decode("utf-8", "replace")


BAD_BYTES = {
    "a prompt": ("write", "run", b"caf\xe9"),
    "a folder": ("run", "demo", "--out", b"caf\xe9"),
    "a recipe": ("check", b"caf\xe9.toml"),
    "a setting": ("check", "demo", "--set", b"model.source=caf\xe9"),
    "a label": ("preference", "invite", "study", "--label", b"caf\xe9"),
}


@pytest.mark.parametrize("case", BAD_BYTES)
def test_bytes_that_are_no_text_are_one_line(case):
    words = refused(hyperfit(*BAD_BYTES[case]))
    assert "caf\\xe9" in words
    assert "is not text in utf-8: give UTF-8" in words


def test_a_prompt_that_is_no_text_is_refused_by_the_library_too(finished):
    with pytest.raises(InputError, match=r"^the prompt holds bytes that are not UTF-8$"):
        writing.write(finished.folder, "caf\udce9", device="cpu")


def test_an_accent_in_a_locale_without_any_is_one_line():
    words = refused(hyperfit("write", "run", "café".encode(), environment=ASCII))
    assert (
        "is not text in ascii: give UTF-8, in a locale that has it (such as LC_ALL=C.UTF-8)"
        in words
    )


@pytest.fixture(scope="module")
def in_ascii(finished, tmp_path_factory):
    """What two commands that load torch come to in a locale that has no accents: code and output of
    each.
    """
    recipe = tmp_path_factory.mktemp("ascii") / "r.toml"
    recipe.write_text('based_on = "demo"\nmodel.source = "modèle/café"', encoding="utf-8")
    check, write = ["check", recipe], ["write", finished.folder, "She said", "--tokens", "8"]
    return in_turn([check, write], environment=UTF8 | ASCII)


def test_a_file_that_the_locale_cannot_name_is_one_line(in_ascii):
    assert "Traceback" not in refused(in_ascii[0])


def test_what_a_terminal_without_accents_cannot_show_is_replaced(in_ascii):
    code, out, err = in_ascii[1]
    assert code == 0
    assert out.startswith(b"She said")
    assert out.endswith(b"\n")
    assert out.isascii()
    assert err == b""


def in_latin1(*arguments):
    """The exit code, and the bytes on a standard output as in a terminal of western Europe."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    with redirect_stdout(screen):
        code = main(arguments)
    screen.flush()
    return code, screen.buffer.getvalue()


def test_what_the_terminal_cannot_show_is_replaced(finished, capsys):
    code, out = in_latin1("write", str(finished.folder), "She said “no”", "--tokens", "8")
    assert code == 0
    assert out.startswith(b"She said ?no?")
    assert capsys.readouterr().err == ""


def test_a_generated_character_that_the_terminal_lacks_is_replaced(finished, monkeypatch, capsys):
    monkeypatch.setattr(writing, "write", lambda *_, **__: iter(["a ", "“", " b"]))
    assert in_latin1("write", str(finished.folder), "once") == (0, b"oncea ? b\n")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("prompt", ["-Hello", "--No", "-hello", "-"])
def test_a_prompt_that_begins_with_a_dash(finished, capsys, prompt):
    if prompt != "-":
        with pytest.raises(SystemExit) as caught:
            main(["write", str(finished.folder), prompt, "--tokens", "2"])
        assert caught.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "a prompt that begins with a dash stands last, after --" in captured.err
        assert captured.err.count("\n") == 1
    assert main(["write", str(finished.folder), "--tokens", "2", "--", prompt]) == 0
    assert capsys.readouterr().out.startswith(prompt)


def test_no_arguments_show_the_help(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "hyperfit demo" in captured.out
    assert "HYPERFIT_DEBUG=1" in captured.out
    assert captured.err == ""


def test_the_study_without_a_verb_shows_its_help(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["preference"])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert "create" in captured.out
    assert captured.err == ""


def test_a_name_with_a_line_break_stays_in_one_line(tmp_path, capsys):
    assert main(["report", f"{tmp_path}/a\nb\x1b[31m"]) == 2
    err = capsys.readouterr().err
    assert (
        err == f"hyperfit: {tmp_path}/a\\nb\\x1b[31m holds no experiment: give the folder that "
        "`hyperfit run` wrote\n"
    )


def test_the_traceback_is_shown_where_it_is_asked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HYPERFIT_DEBUG", "1")
    assert main(["report", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("hyperfit: ")
    monkeypatch.setenv("HYPERFIT_DEBUG", "0")
    assert main(["report", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["measure", str(tmp_path), "--verbose"]) == 2
    assert capsys.readouterr().err.startswith("Traceback")


TOLD_EARLY = {
    "a misspelt section": (
        ["run", "R", "--set", "modle.source=x"],
        "modle is not a setting; did you mean model?",
    ),
    "a wrong value": (
        ["check", "R", "--set", "train.epochs=x"],
        'train.epochs = "x": a whole number is needed',
    ),
    "no such recipe": (["train", "dmeo"], "did you mean demo?"),
    "another recipe's folder": (["run", "R", "--set", "seed=9", "--out", "E"], "(seed 0 -> 9)"),
    "a pretraining": (["pretrain", "R", "--set", "x=1"], "x is not a setting"),
    "a plan": (["plan", "R", "--set", "x=1"], "x is not a setting"),
    "no run to write with": (["write", "NOTHING", "once"], "holds no trained run"),
    "nothing to generate": (["generate", "NOTHING"], "holds no experiment"),
    "nothing to measure": (["measure", "NOTHING"], "no such file or folder"),
    "nothing to compare": (["compare", "NOTHING"], "holds no experiment"),
    "nothing to report": (["report", "NOTHING"], "holds no experiment"),
}


@pytest.fixture(scope="module")
def told_early(finished, tmp_path_factory):
    """What each of these commands comes to in a process without torch."""
    nothing = tmp_path_factory.mktemp("early") / "nothing"
    places = {"R": finished.recipe_file, "E": finished.folder, "NOTHING": nothing}
    commands = [[places.get(part, part) for part in words] for words, _ in TOLD_EARLY.values()]
    return dict(zip(TOLD_EARLY, in_turn(commands, missing="torch"), strict=True))


@pytest.mark.parametrize("case", TOLD_EARLY)
def test_wrong_input_is_told_without_loading_torch(told_early, case):
    assert TOLD_EARLY[case][1] in refused(told_early[case])


def test_reports_and_comparisons_need_no_torch(finished, tmp_path):
    out = tmp_path / "out"
    compare = ["compare", finished.folder, "--out", out]
    others = ["report", finished.folder], ["runs", finished.folder.parent]
    for ended in in_turn([compare, *others], missing="torch"):
        assert ended.code == 0, ended.err
    assert (out / "index.html").is_file()


def test_a_comparison_has_a_place_by_default(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", str(finished.folder)]) == 0
    assert (tmp_path / "runs" / "compare-tiny" / "index.html").is_file()
    assert "report   runs/compare-tiny/index.html" in capsys.readouterr().out


def test_runs_are_listed_with_what_they_came_to_and_from_folders_inside(finished, capsys):
    assert main(["runs", str(finished.folder.parent.parent)]) == 0
    line = next(
        line for line in capsys.readouterr().out.splitlines() if line.endswith(str(finished.folder))
    )
    probes = finished.run("hyperfitted").probes()
    assert line.startswith(f"reported   {finished.recipe.run_name}")
    assert (
        f"loss {probes[-1].train_loss:.2f}  TTR {probes[0].ttr:.2f} -> {probes[-1].ttr:.2f}" in line
    )
    assert finished.recipe.model.source in line
    assert " 20" in line  # the year of its date
    assert str(finished.folder / "hyperfitted") not in capsys.readouterr().out


def test_folders_are_listed_without_locks_too(tmp_path):
    code = (
        "import sys\nsys.modules['fcntl'] = None\nfrom hyperfitting.cli import "
        "main\nsys.exit(main(['runs', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"no experiments in {tmp_path}")


def test_training_without_file_locks_is_refused_in_a_line(monkeypatch, tree, tmp_path, capsys):
    (tmp_path / "r.json").write_text(json.dumps(tree))
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert (
        main(["train", str(tmp_path / "r.json"), "--out", str(tmp_path / "out"), "--device", "cpu"])
        == 2
    )
    assert (
        "experiments need file locks, which this system lacks: use Linux or macOS"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
