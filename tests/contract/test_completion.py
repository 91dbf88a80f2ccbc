"""What `hyperfit completion` prints makes a shell complete the command line."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import redirect_stdout

import pytest

from hyperfitting.cli import main, parser
from hyperfitting.recipe import shipped_recipes
from hyperfitting.studies.load import shipped_studies
from tests.support.cli import refused

SHELLS = {
    "bash": ["bash", "--norc", "-n"],
    "zsh": ["zsh", "-f", "-n"],
    "fish": ["fish", "--no-execute"],
    "tcsh": ["tcsh", "-f", "-n"],
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The script for each shell, as a file."""
    folder, made = tmp_path_factory.mktemp("completion"), {}
    for shell in SHELLS:
        made[shell] = folder / shell
        with made[shell].open("w", encoding="utf-8") as file, redirect_stdout(file):
            assert main(["completion", shell]) == 0
    return made


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_reads_its_script(scripts, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [*SHELLS[shell], str(scripts[shell])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LINES = {
    "verbs": "",
    "a verb": "pref",
    "verbs of a verb": "study ",
    "recipes": "run ",
    "a recipe's file": "run mine",
    "a recipe to copy": "recipes copy smol",
    "studies": "study run ",
    "options": "train --",
    "settings": "check demo --set train.epo",
    "settings of the demo": "demo --set model.so",
    "devices": "run demo --device c",
    "folders only": "report some",
    "choices": "write some --format ",
    "shells": "completion ",
}

_IN_BASH = """
source "$1"
complete -p hyperfit | grep --quiet _hyperfit_in_bash || exit 3
while IFS= read -r line; do
  read -r -a COMP_WORDS <<< "hyperfit $line"
  [[ -z $line || $line == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
  _hyperfit_in_bash
  echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture(scope="module")
def completed(scripts, tmp_path_factory):
    """What bash completes each line to, in a folder with a recipe and an experiment."""
    folder = tmp_path_factory.mktemp("lines")
    (folder / "mine.toml").touch()
    (folder / "something.txt").touch()
    (folder / "some-experiment").mkdir()
    done = subprocess.run(
        ["bash", "--norc", "-c", _IN_BASH, "bash", str(scripts["bash"])],
        input="".join(f"{line}\n" for line in LINES.values()),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return dict(zip(LINES, map(str.split, done.stdout.splitlines()), strict=True))


def test_bash_completes_every_verb(completed):
    verbs = next(action.choices for action in parser()._actions if action.dest == "verb")
    assert completed["verbs"] == list(verbs)
    assert {"run", "completion"} <= set(verbs)
    assert completed["a verb"] == ["preference"]
    assert {"estimate", "run", "status"} <= set(completed["verbs of a verb"])


def test_bash_completes_names_and_files(completed):
    assert set(completed["recipes"]) == {*shipped_recipes(), "mine.toml", "some-experiment"}
    assert completed["a recipe's file"] == ["mine.toml"]
    assert completed["a recipe to copy"] == ["smollm2", "smollm2-domains"]
    assert set(shipped_studies()) <= set(completed["studies"])
    assert completed["folders only"] == ["some-experiment"]


def test_bash_completes_options_and_their_values(completed):
    assert {"--set", "--out", "--device", "--keep-data"} <= set(completed["options"])
    assert completed["settings"] == ["train.epochs="]
    assert completed["settings of the demo"] == ["model.source="]
    assert completed["devices"] == ["cpu", "cuda"]
    assert completed["choices"] == ["plain", "chat"]
    assert completed["shells"] == list(SHELLS)


def test_a_shell_that_is_not_known(capsys):
    words = refused(capsys, "completion", "powershell")
    assert "choose from" in words
    assert "bash" in words


def test_the_help_says_where_each_script_goes(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "--help"])
    said = capsys.readouterr().out
    assert all(f"hyperfit completion {shell} >" in said for shell in SHELLS)
