"""Model folders with one thing changed, through `check` and `run`: let in and reported on, or
refused in one line.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from hyperfitting.recipe import parse_recipe
from tests.support.model_faults import FAULTS, HARMLESS
from tests.support.outcomes import as_drawn, outcome
from tests.support.pictures import pictures
from tests.support.tiny_models import make_model


def recipe_for(model: Path, corpus: Path):
    tree = {
        "name": "fault",
        "model": {"source": str(model)},
        "data": {
            "train": {"path": str(corpus)},
            "train_blocks": 4,
            "validation_blocks": 2,
            "block_tokens": 24,
            "context_tokens": 8,
            "domains": [{"name": "pieces", "count": 2}],
        },
        "train": {"learning_rate": 1e-3, "updates": 1, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 1, "new_tokens": 8},
        "generate": {"new_tokens": 8},
        "measure": {"bootstrap_draws": 20},
        "report": {"examples": 0, "passages": 0},
    }
    return parse_recipe(tree, source="test")


def run_cases(
    sources: list[Path], corpus: Path, folder: Path, *, cases: int, number: int
) -> Counter[str]:
    """Half of the cases harmless by construction; the counts of what became of each kind."""
    found: Counter[str] = Counter()
    for wanted, changes in (("reported", HARMLESS), ("refused", FAULTS)):
        try_one = _case(wanted, changes, corpus, folder, found)
        names, chances = st.sampled_from(sorted(changes)), st.randoms(use_true_random=False)
        drawn = given(name=names, source=st.sampled_from(sources), chance=chances)(try_one)
        seed(number)(as_drawn(max_examples=cases // 2)(drawn))()
    return found


def _case(wanted, changes, corpus, folder, found):
    def try_one(name, source, chance):
        for path in folder.iterdir():
            shutil.rmtree(path)
        model = shutil.copytree(source, folder / "model")
        changes[name](model, chance)
        recipe = recipe_for(model, corpus)
        said = outcome(lambda: recipe, folder / "out")
        assert len(said) < 600
        assert (said == "reported") == (wanted == "reported"), f"{name}: {said}"
        found[f"{wanted}: {name}"] += 1

    return try_one


@pytest.fixture(scope="module")
def sources(tmp_path_factory, tiny_tokenizer):
    folder = tmp_path_factory.mktemp("sources")
    return [
        make_model(folder / "tied", tiny_tokenizer, num_hidden_layers=1),
        make_model(
            folder / "untied", tiny_tokenizer, num_hidden_layers=1, tie_word_embeddings=False
        ),
    ]


@pytest.mark.usefixtures("light")
def test_forty_model_folders(sources, corpus, tmp_path):
    """300 under `make acceptance`, with the pictures and the plan of memory."""
    found = run_cases(sources, corpus, tmp_path, cases=40, number=0)
    assert sum(found.values()) == 40
    assert len(found) > 20


@pytest.mark.slow
def test_three_hundred_model_folders(sources, corpus, tmp_path, capsys):
    with pictures(drawn=True):
        found = run_cases(sources, corpus, tmp_path, cases=300, number=1)
    with capsys.disabled():
        total = Counter(name.partition(":")[0] for name in found.elements())
        print(f"\nseed 1: {dict(total)}; none silent, none a traceback")
        for name, count in sorted(found.items()):
            print(f"  {count:3d}  {name}")
    assert set(found) == {f"reported: {name}" for name in HARMLESS} | {
        f"refused: {name}" for name in FAULTS
    }
