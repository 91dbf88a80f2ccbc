"""A fuzz of texts, files and recipes through `check` and `run`: reported on, or refused in one line
without a trace.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from hyperfitting.recipe import load_recipe
from tests.support.outcomes import as_drawn, outcome
from tests.support.recipe_faults import BREAKAGES, valid
from tests.support.tiny_models import make_model


def run_cases(
    model: Path,
    folder: Path,
    *,
    valid_cases: int,
    broken_cases: int,
    number: int,
    light: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Counter[str]:
    """Cases that are valid by construction, then broken ones; counts of the outcomes of each kind.

    `say` gets a line after every 50 cases.
    """
    found: Counter[str] = Counter()

    def count(outcome_: str) -> None:
        found[outcome_] += 1
        if found.total() % 50 == 0:
            say(f"seed {number}: {found.total()} of {valid_cases + broken_cases} cases")

    def try_valid(case):
        said = _fresh(case, folder)
        assert said == "reported", said
        count("reported")

    def try_broken(case, name, chance):
        BREAKAGES[name](case, chance)
        said = _fresh(case, folder)
        assert said != "reported", f"{name}: it was let in"
        count(f"refused: {name}")

    chances = st.randoms(use_true_random=False)
    cases = valid(model, light=light)
    seed(number)(as_drawn(max_examples=valid_cases)(given(case=cases)(try_valid)))()
    names = st.sampled_from(sorted(BREAKAGES))
    broken = given(case=cases, name=names, chance=chances)(try_broken)
    seed(number)(as_drawn(max_examples=broken_cases)(broken))()
    return found


def _fresh(case, folder: Path) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    recipe_file = case.write(folder)
    said = outcome(lambda: load_recipe(recipe_file), folder / "out")
    assert said.isprintable()
    return said


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_tokenizer):
    return make_model(tmp_path_factory.mktemp("model") / "llama", tiny_tokenizer)


@pytest.mark.usefixtures("light")
def test_a_hundred_experiments(model, tmp_path):
    """2,000 under `make acceptance`: in all precisions, with the pictures and the plan of
    memory.
    """
    half = {"valid_cases": 50, "broken_cases": 50}
    found = run_cases(model, tmp_path / "case", **half, number=0, light=True)
    assert found["reported"] == 50
    assert sum(found.values()) == 100


SEEDS, CASES = (1, 2, 3, 4), 500


def _cases_of_a_process(model: Path, folder: Path, number: int) -> Counter[str]:
    """The cases of one seed, in a process of their own."""
    warnings.simplefilter("error")
    say = partial(print, flush=True)
    half = {"valid_cases": CASES // 2, "broken_cases": CASES // 2}
    return run_cases(model, folder / str(number), **half, number=number, say=say)


@pytest.mark.slow
def test_two_thousand_experiments(model, tmp_path, capsys):
    """A quarter of the cases for each seed, side by side on the cores; with -s a line after every
    50.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(SEEDS), os.cpu_count() or 1), mp_context=spawn) as processes:
        parts = processes.map(partial(_cases_of_a_process, model, tmp_path), SEEDS)
        found = sum(parts, Counter[str]())
    assert found.total() == len(SEEDS) * CASES
    with capsys.disabled():
        refused = found.total() - found["reported"]
        print(f"\n{found['reported']} reported, {refused} refused, each as it should be")
        for name, count in sorted(found.items()):
            print(f"  {count:4d}  {name}")
    assert set(found) == {"reported", *(f"refused: {name}" for name in BREAKAGES)}
