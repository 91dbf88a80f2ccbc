"""Model folders with one thing changed, through `check` and `run`: let in and reported on, or refused in one line."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from hyperfitting import pipeline
from hyperfitting.errors import HyperfittingError, InputError
from hyperfitting.recipes import parse_recipe
from tests.conftest import make_model
from tests.support.model_faults import FAULTS, HARMLESS


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
            "contexts": [{"name": "pieces", "count": 2}],
        },
        "train": {"learning_rate": 1e-3, "updates": 1, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 1, "new_tokens": 8},
        "generate": {"new_tokens": 8},
        "measure": {"bootstrap_draws": 20},
        "report": {"examples": 0, "passages": 0},
    }
    return parse_recipe(tree, source="test")


def outcome(model: Path, corpus: Path, out: Path) -> str:
    """`reported`, or what `check` and `run` both say; anything else that happens fails the test."""
    recipe = recipe_for(model, corpus)
    said = None
    try:
        pipeline.check(recipe, out, device="cpu")
    except InputError as error:
        said = str(error)
    assert not out.exists(), "check writes nothing"
    if said is None:
        experiment = pipeline.run(recipe, out, device="cpu")
        assert (experiment.report_folder / "index.html").is_file()
        return "reported"
    with pytest.raises(InputError) as refused:
        pipeline.run(recipe, out, device="cpu")
    assert str(refused.value) == said
    assert "\n" not in said
    assert len(said) < 600
    assert not out.exists(), "what is refused leaves no folder"
    return said


def run_cases(sources: list[Path], corpus: Path, folder: Path, *, cases: int, seed: int) -> Counter[str]:
    """Half of the cases harmless by construction; the counts of what became of each kind."""
    chance, found = random.Random(seed), Counter()
    for number in range(cases):
        changes, wanted = (HARMLESS, "reported") if number % 2 else (FAULTS, "refused")
        names = sorted(changes)
        name = names[number // 2 % len(names)] if number // 2 < len(names) else chance.choice(names)
        model = shutil.copytree(chance.choice(sources), folder / f"model-{number}")
        case = f"case {number} of seed {seed}: {name}"
        changes[name](model, random.Random(f"{seed} {number}"))
        try:
            said = outcome(model, corpus, folder / f"out-{number}")
        except HyperfittingError as error:
            pytest.fail(f"{case}: {type(error).__name__}: {error}")
        except Exception as error:
            raise AssertionError(f"{case}: a traceback: {type(error).__name__}: {error}") from error
        assert (said == "reported") == (wanted == "reported"), f"{case}: {said}"
        found[f"{wanted}: {name}"] += 1
        for path in folder.iterdir():
            shutil.rmtree(path)
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory, tiny_tokenizer):
    folder = tmp_path_factory.mktemp("sources")
    return [
        make_model(folder / "tied", tiny_tokenizer, num_hidden_layers=1),
        make_model(folder / "untied", tiny_tokenizer, num_hidden_layers=1, tie_word_embeddings=False),
    ]


def test_forty_model_folders(sources, corpus, tmp_path, record_property):
    """Every harmless change and every fault at least once; 300 under `make acceptance`."""
    found = run_cases(sources, corpus, tmp_path, cases=2 * max(20, len(FAULTS), len(HARMLESS)), seed=0)
    record_property("counts", dict(found))
    assert set(found) == {f"reported: {name}" for name in HARMLESS} | {f"refused: {name}" for name in FAULTS}


@pytest.mark.slow
def test_three_hundred_model_folders(sources, corpus, tmp_path, capsys):
    found = run_cases(sources, corpus, tmp_path, cases=300, seed=1)
    with capsys.disabled():
        total = Counter(name.partition(":")[0] for name in found.elements())
        print(f"\nseed 1: {dict(total)}; none silent, none a traceback")
        for name, count in sorted(found.items()):
            print(f"  {count:3d}  {name}")
    assert sum(found.values()) == 300
