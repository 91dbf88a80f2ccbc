"""What needs no model works in an environment without torch: measuring files, comparing,
reporting.
"""

import json
import shutil
import subprocess
import sys

import pytest

from tests.conftest import write_corpus


def run_without_torch(*arguments):
    """The command in a process in which torch cannot be imported."""
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom hyperfitting.cli import main\n"
        f"sys.exit(main({[str(each) for each in arguments]}))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_file_is_measured(tmp_path):
    path = write_corpus(tmp_path / "t.jsonl", documents=12, words=40)
    true = write_corpus(tmp_path / "r.jsonl", documents=12, words=40, seed=1)
    out = tmp_path / "rows.json"
    done = run_without_torch("measure", path, "--reference", true, "--training", path, "--out", out)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert "| type-token ratio, whole |" in done.stdout
    names = {row["name"] for row in json.loads(out.read_text())}
    assert {"ttr", "distinct_2gram_share", "recited_8gram_share"} <= names


@pytest.mark.parametrize("option", ["--tokenizer", "--scorer"])
def test_a_model_is_refused_with_the_extra_that_it_needs(tmp_path, tiny_model, option):
    path = write_corpus(tmp_path / "t.jsonl", documents=3, words=40)
    done = run_without_torch("measure", path, option, tiny_model)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "hyperfit: this needs torch, which is not installed: pip install 'hyperfitting[models]'\n"
    )


def test_experiments_are_compared(finished, tmp_path):
    done = run_without_torch("compare", finished.folder, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_report_is_written(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "copy")
    before = (folder / "report" / "summary.json").read_text()
    shutil.rmtree(folder / "report")
    done = run_without_torch("report", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "report" / "summary.json").read_text() == before
