"""What needs no model works in an environment without torch: measuring files, comparing,
reporting.
"""

import json
import shutil
from types import SimpleNamespace

import pytest

from tests.support.cli import in_turn
from tests.support.words import write_corpus


@pytest.fixture(scope="module")
def without_torch(finished, tiny_model, tmp_path_factory):
    """The folder in which commands have run in a process in which torch cannot be imported, and
    what each came to.
    """
    folder = tmp_path_factory.mktemp("without-torch")
    path = write_corpus(folder / "t.jsonl", documents=12, words=40)
    true = write_corpus(folder / "r.jsonl", documents=12, words=40, seed=1)
    shutil.rmtree(shutil.copytree(finished.folder, folder / "copy") / "report")
    out = ["--out", folder / "rows.json"]
    commands = {
        "measure": ["measure", path, "--reference", true, "--training", path, *out],
        "--tokenizer": ["measure", path, "--tokenizer", tiny_model],
        "--scorer": ["measure", path, "--scorer", tiny_model],
        "compare": ["compare", finished.folder, "--out", folder / "compared"],
        "report": ["report", folder / "copy"],
    }
    ended = in_turn(list(commands.values()), missing="torch")
    return SimpleNamespace(folder=folder, ended=dict(zip(commands, ended, strict=True)))


def test_a_file_is_measured(without_torch):
    ended = without_torch.ended["measure"]
    assert (ended.code, ended.err.count(b"Traceback")) == (0, 0), ended.err
    assert b"| type-token ratio, whole |" in ended.out
    rows = json.loads((without_torch.folder / "rows.json").read_text())
    assert {"ttr", "distinct_2gram_share", "recited_8gram_share"} <= {row["name"] for row in rows}


@pytest.mark.parametrize("option", ["--tokenizer", "--scorer"])
def test_a_model_is_refused_with_the_extra_that_it_needs(without_torch, option):
    assert without_torch.ended[option] == (
        2,
        b"",
        b"hyperfit: this needs torch, which is not installed: pip install 'hyperfitting[models]'\n",
    )


def test_experiments_are_compared(without_torch):
    ended = without_torch.ended["compare"]
    assert ended.code == 0, ended.err
    assert (without_torch.folder / "compared" / "index.html").is_file()


def test_a_report_is_written(finished, without_torch):
    ended = without_torch.ended["report"]
    assert ended.code == 0, ended.err
    summary = without_torch.folder / "copy" / "report" / "summary.json"
    assert summary.read_text() == (finished.folder / "report" / "summary.json").read_text()
