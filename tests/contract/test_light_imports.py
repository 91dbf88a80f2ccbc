"""What an import loads: nothing heavy where it is not needed."""

from __future__ import annotations

import ast
import subprocess
import sys
import time

import pytest

from hyperfitting.errors import InputError
from hyperfitting.files import exclusive_lock
from tests.support.source import FILES, tree

HEAVY = {
    "datasets",
    "fastapi",
    "jinja2",
    "matplotlib",
    "numpy",
    "pydantic",
    "scipy",
    "shtab",
    "sqlalchemy",
    "torch",
    "tqdm",
    "transformers",
}


def loaded_by(statement: str) -> set[str]:
    """Names of all modules that are loaded after a statement in a new process."""
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


HELP = """
try:
    from hyperfitting.cli import main
    main(["--help"])
except SystemExit as ended:
    assert ended.code == 0
"""


@pytest.mark.parametrize("statement", ["import hyperfitting", "import hyperfitting.cli", HELP])
def test_the_package_and_its_help_load_nothing_heavy(statement):
    loaded = loaded_by(statement)
    assert "hyperfitting" in loaded
    assert HEAVY & loaded == set()


def test_judging_and_reporting_need_no_torch():
    loaded = loaded_by(
        "import hyperfitting.report, hyperfitting.runs, hyperfitting.metrics.overlap, "
        "hyperfitting.metrics.stats, hyperfitting.metrics.bleu, hyperfitting.metrics.mauve, "
        "hyperfitting.comparing, hyperfitting.stages.archive"
    )
    assert {"torch", "transformers", "datasets", "sacrebleu"} & loaded == set()


def test_trackers_are_loaded_only_where_a_recipe_names_one():
    loaded = loaded_by("import hyperfitting.trackers")
    assert {"torch", "tensorboard", "trackio", "wandb"} & loaded == set()


@pytest.mark.slow
def test_the_cli_shows_its_help_in_half_a_second():
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "hyperfitting", "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(time.perf_counter() - started)
    assert "hyperfit demo" in done.stdout
    assert min(seconds) < 0.5


def test_locks_are_asked_for_only_where_a_folder_is_held(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert "fcntl" not in {
        alias.name
        for path in FILES
        for node in tree(path).body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    with (
        pytest.raises(
            InputError,
            match="experiments need file locks, which this system lacks: use Linux or macOS",
        ),
        exclusive_lock(tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()
