"""Every type of transformers' causal table through the product: `python -m tests.support.scan [TYPE
...]`.

Each tiny model (see `causal_models`) is saved with the shipped tokenizer and goes through `check`,
two updates of training and greedy generation. A model that is let in must write what transformers'
`generate` writes, before training and after it was saved and loaded; one that is refused must be
refused by `check` and by `run` in the same words, and leave no folder.
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

from hyperfitting.assets import asset_path
from hyperfitting.cli.text import check_lines
from hyperfitting.errors import InputError
from hyperfitting.recipe import Recipe, parse_recipe
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.generate import generate_texts
from hyperfitting.stages.train import train_experiment
from tests.support.causal_models import model_types, save, variants
from tests.support.causal_overrides import NOT_BUILDABLE

EQUAL, REFUSED, NOT_BUILT = "equal", "refused", "not buildable"
PLAIN, OTHER = "equal to the plain forward", "OTHER TEXTS"
CONTEXTS, NEW_TOKENS = 4, 32


@dataclass(frozen=True)
class Outcome:
    """One row of the table: how it ended, the model's class, its way of decoding, and the reason or
    a remark.
    """

    name: str
    outcome: str
    architecture: str = ""
    decoding: str = ""
    remark: str = ""


def scan(name: str, folder: Path) -> Outcome:
    """One model type or variant through the product, in `folder`."""
    if name in NOT_BUILDABLE:
        return Outcome(name, NOT_BUILT, remark=NOT_BUILDABLE[name])
    architecture = type(save(name, folder / "model")).__name__
    transformers.AutoTokenizer.from_pretrained(asset_path("asset:reference-lm")).save_pretrained(
        folder / "model"
    )
    recipe = _recipe(folder / "model")
    try:
        check_lines(check_recipe(recipe, folder / "out", device="cpu"))
    except InputError as error:
        return _refused(name, architecture, recipe, folder, str(error))
    experiment = train_experiment(recipe, folder / "out", device="cpu")
    found = {}
    for role, where in (
        ("original", folder / "model"),
        ("hyperfitted", experiment.run("hyperfitted").model_folder),
    ):
        run = generate_texts(experiment, role, device="cpu")
        texts = [text for text in run.continuations() if text.variant == role]
        found.setdefault(_compare(where, texts), run.facts.generate.decoding)
    outcome, remark = max(found, key=_SEVERITY.index)
    return Outcome(name, outcome, architecture, " / ".join(dict.fromkeys(found.values())), remark)


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
            "domains": [{"name": "own", "count": CONTEXTS}],
        },
        "train": {"learning_rate": 1e-3, "updates": 2, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 2, "new_tokens": 8},
        "generate": {"new_tokens": NEW_TOKENS, "batch_contexts": CONTEXTS},
    }
    return parse_recipe(tree, source="scan")


def _refused(name: str, architecture: str, recipe: Recipe, folder: Path, said: str) -> Outcome:
    run_said = "nothing: run trains it"
    try:
        train_experiment(recipe, folder / "out", device="cpu")
    except InputError as error:
        run_said = str(error)
    assert run_said == said, f"{name}: check says {said!r}, run says {run_said!r}"
    assert "\n" not in said
    assert not (folder / "out").exists(), f"{name}: a folder was left behind"
    return Outcome(name, REFUSED, architecture, remark=said.removeprefix(f"{folder / 'model'}: "))


_WITHOUT_CACHE = "as `generate(use_cache=False)`; with its cache it fails or writes other texts"
_NEITHER = (
    "as the argmax of the plain forward; `generate` writes other texts with and without its cache"
)
_SEVERITY = [(EQUAL, ""), (EQUAL, _WITHOUT_CACHE), (PLAIN, _NEITHER), (OTHER, "")]


def _compare(model_folder: Path, texts: list[Any]) -> tuple[str, str]:
    """What the texts of a run equal: outcome and remark."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        model_folder, dtype=torch.float32
    ).eval()
    ids_BT = torch.tensor([text.context_ids for text in texts])
    ours = [list(text.ids) for text in texts]
    if _generated(model, ids_BT, use_cache=True) == ours:
        return _SEVERITY[0]
    if _generated(model, ids_BT, use_cache=False) == ours:
        return _SEVERITY[1]
    return _SEVERITY[2] if _plain(model, ids_BT) == ours else _SEVERITY[3]


def _generated(model: Any, ids_BT: torch.Tensor, *, use_cache: bool) -> list[list[int]] | None:
    """What transformers' `generate` writes greedily; None where it fails."""
    settings = {
        "max_new_tokens": NEW_TOKENS,
        "do_sample": False,
        "suppress_tokens": [0],
        "use_cache": use_cache,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            written = model.generate(ids_BT, attention_mask=torch.ones_like(ids_BT), **settings)
        except Exception:  # some models' own generate fails with a cache
            return None
    return written[:, ids_BT.shape[1] :].tolist()


@torch.no_grad()
def _plain(model: Any, ids_BT: torch.Tensor) -> list[list[int]]:
    """The argmax of the plain forward over the whole text, token by token, end-of-text left out."""
    start = ids_BT.shape[1]
    for _ in range(NEW_TOKENS):
        logits_BV = model(ids_BT, use_cache=False).logits[:, -1].clone()
        logits_BV[:, 0] = -torch.inf
        ids_BT = torch.cat([ids_BT, logits_BV.argmax(-1, keepdim=True)], dim=1)
    return ids_BT[:, start:].tolist()


def scan_all(names: list[str] | None = None) -> list[Outcome]:
    """All types and variants; what goes wrong in one is an error that names it."""
    rows = []
    for name in names or [*model_types(), *variants()]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(scan(name, Path(folder)))
            except Exception as error:
                rows.append(
                    Outcome(
                        name,
                        f"ERROR {type(error).__name__}",
                        remark=" ".join(str(error).split())[:200],
                    )
                )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def counts(rows: list[Outcome]) -> Counter[str]:
    """Rows of the table itself, without variants, by outcome."""
    types = set(model_types())
    return Counter(row.outcome for row in rows if row.name in types)


_HEAD = """\
# Architectures

This page says what becomes of every model type that transformers lists as a causal language model. Each is built small,
with large random weights, and goes through `hyperfit check`, two updates of training, saving, loading and greedy
generation of {new_tokens} tokens after {contexts} contexts in float32, before and after the training.

- *Equal*: both times the texts are those of transformers' `generate`. *Decoding* is the way of reading a text token by
  token that was found to equal the model's plain forward ([decoding.md](../explain/decoding.md)).
- *Refused*: `check` and `run` refuse the model in the same words, which are given.
- *Not buildable*: transformers makes no model of a config of this type here.

`python -m tests.support.scan > docs/reference/architectures.md` writes this page, and `make acceptance` compares it with a new
scan.

transformers {transformers}, torch {torch}: {equal} of {types} types are equal, {refused} are refused, {not_built} are
not buildable. None is silent, none ends in a traceback.
"""


def markdown(rows: list[Outcome]) -> str:
    """The document: counts, then a row for every type and variant."""
    found, types = counts(rows), set(model_types())
    head = _HEAD.format(
        new_tokens=NEW_TOKENS,
        contexts=CONTEXTS,
        transformers=transformers.__version__,
        torch=torch.__version__.split("+")[0],
        equal=found[EQUAL],
        types=len(types),
        refused=found[REFUSED],
        not_built=found[NOT_BUILT],
    )
    parts = [head, _table("Types", [row for row in rows if row.name in types])]
    return "\n".join([*parts, _table("Variants", [row for row in rows if row.name not in types])])


def _table(title: str, rows: list[Outcome]) -> str:
    lines = [
        f"## {title}\n",
        "| type | class | outcome | decoding | remark |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        kind = f"`{row.architecture}`" if row.architecture else ""
        lines.append(
            f"| {row.name} | {kind} | {row.outcome} | {row.decoding} | "
            f"{row.remark.replace('|', '/')} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(scan_all(sys.argv[1:])))
