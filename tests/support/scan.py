"""Every type of transformers' causal table through the product: `python -m tests.support.scan [TYPE ...]`.

Each tiny model (see `causal_models`) is saved with the shipped tokenizer and goes through `check`, two updates of
training and greedy generation. A model that is let in must write what transformers' `generate` writes, before training
and after it was saved and loaded; one that is refused must be refused by `check` and by `run` in the same words, and
leave no folder.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from hyperfitting import pipeline
from hyperfitting.assets import asset_path
from hyperfitting.errors import InputError
from hyperfitting.recipe import Recipe
from hyperfitting.recipes import parse_recipe
from tests.support.causal_models import build, model_types, variants
from tests.support.causal_overrides import NOT_BUILDABLE

EQUAL, REFUSED, NOT_BUILT, OTHER = "equal", "refused", "not buildable", "OTHER TEXTS"
CONTEXTS, NEW_TOKENS = 4, 32


@dataclass(frozen=True)
class Outcome:
    """One row of the table: how it ended, the model's class, its way of decoding, and the reason or a remark."""

    name: str
    outcome: str
    architecture: str = ""
    decoding: str = ""
    remark: str = ""


def scan(name: str, folder: Path) -> Outcome:
    """One model type or variant through the product, in `folder`."""
    if name in NOT_BUILDABLE:
        return Outcome(name, NOT_BUILT, remark=NOT_BUILDABLE[name])
    model = build(name)
    architecture = type(model).__name__
    model.save_pretrained(folder / "model")
    transformers.AutoTokenizer.from_pretrained(asset_path("asset:reference-lm")).save_pretrained(folder / "model")
    recipe = _recipe(folder / "model")
    try:
        pipeline.check(recipe, folder / "out", device="cpu")
    except InputError as error:
        return _refused(name, architecture, recipe, folder, str(error))
    experiment = pipeline.train_all(recipe, folder / "out", device="cpu")
    remarks = set()
    for role, where in (("original", folder / "model"), ("hyperfitted", experiment.run("hyperfitted").model_folder)):
        run = pipeline.generate_texts(experiment, role, device="cpu")
        texts = [text for text in run.continuations() if text.model == role]
        remark = _compare(where, texts)
        if remark is None:
            return Outcome(name, OTHER, architecture, run.facts()["generate"]["decoding"], f"{role}, not as `generate`")
        remarks.add(remark)
    decoding = experiment.run("hyperfitted").facts()["generate"]["decoding"]
    return Outcome(name, EQUAL, architecture, decoding, "; ".join(sorted(remarks - {""})))


def _recipe(model: Path) -> Recipe:
    tree = {
        "name": "scan",
        "model": {"source": str(model)},
        "data": {
            "train": {"path": "asset:tales/fiction.jsonl"},
            "train_blocks": 8,
            "validation_blocks": 2,
            "block_tokens": 48,
            "context_tokens": 8,
            "contexts": [{"name": "own", "count": CONTEXTS}],
        },
        "train": {"learning_rate": 1e-3, "updates": 2, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 2, "new_tokens": 8},
        "generate": {"new_tokens": NEW_TOKENS, "batch_contexts": CONTEXTS},
    }
    return parse_recipe(tree, source="scan")


def _refused(name: str, architecture: str, recipe: Recipe, folder: Path, said: str) -> Outcome:
    run_said = "nothing: run trains it"
    try:
        pipeline.train_all(recipe, folder / "out", device="cpu")
    except InputError as error:
        run_said = str(error)
    assert run_said == said, f"{name}: check says {said!r}, run says {run_said!r}"
    assert "\n" not in said
    assert not (folder / "out").exists(), f"{name}: a folder was left behind"
    return Outcome(name, REFUSED, architecture, remark=said.removeprefix(f"{folder / 'model'}: "))


def _compare(model_folder: Path, texts: list[Any]) -> str | None:
    """Nothing, or a remark, where the texts are those of `generate`; None where they are not, with or without cache."""
    model = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    ids_BT = torch.tensor([text.context_ids for text in texts])
    ours = [list(text.ids) for text in texts]
    for use_cache, remark in (
        (True, ""),
        (False, "as `generate(use_cache=False)`: with its own cache it writes another text"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                written = model.generate(
                    ids_BT,
                    attention_mask=torch.ones_like(ids_BT),
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    suppress_tokens=[0],
                    use_cache=use_cache,
                )
            except Exception:  # some models' own generate fails with a cache
                continue
        if written[:, ids_BT.shape[1] :].tolist() == ours:
            return remark
    return None


def scan_all(names: list[str] | None = None) -> list[Outcome]:
    """All types and variants; what goes wrong in one is an error that names it."""
    rows = []
    for name in names or [*model_types(), *variants()]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(scan(name, Path(folder)))
            except Exception as error:
                rows.append(Outcome(name, f"ERROR {type(error).__name__}", remark=" ".join(str(error).split())[:200]))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def counts(rows: list[Outcome]) -> Counter[str]:
    """Rows of the table itself, without variants, by outcome."""
    types = set(model_types())
    return Counter(row.outcome for row in rows if row.name in types)


if __name__ == "__main__":
    found = scan_all(sys.argv[1:])
    print(counts(found), file=sys.stderr)
