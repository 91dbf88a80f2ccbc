"""What transformers itself makes of each tiny causal model.

A row says whether the logits are finite and causal, whether the saved model loads, and whether
transformers' own greedy `generate` writes what the plain loop writes: the argmax of a forward pass
over the whole text for every token.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from tests.support.causal_models import (
    NOT_BUILDABLE,
    VOCABULARY,
    build,
    model_types,
    save,
    variants,
)

CONTEXTS, CONTEXT_TOKENS, NEW_TOKENS = 4, 8, 32


@dataclass
class Row:
    """One model: parameters, different tokens in the plain greedy texts (of 128), answers, and the
    first error.
    """

    name: str
    built: str = ""  # the class, empty if none could be built
    parameters: int = 0
    finite: bool = False
    causal: bool = False  # other tokens at the end leave the earlier logits as they are
    prefix: bool = False  # a beginning alone has the logits that it has within the whole text
    plain: str = ""  # "forward", "forward, use_cache=False", or empty if neither runs
    distinct_tokens: int = 0
    generate: str = ""  # "equal", "differs from token N on (n of 4 texts)", or the error
    generate_alone: str = ""  # the same with one context at a time
    logit_difference: float = (
        0.0  # largest, of a context alone, as a share of the logits' spread; until the texts part
    )
    # "equal" if AutoModelForCausalLM.from_pretrained of what was saved gives the same.
    loaded: str = ""
    seconds: float = 0.0
    error: str = ""


def contexts() -> torch.Tensor:
    """(CONTEXTS, CONTEXT_TOKENS) ids, all different and none of them 0."""
    order = torch.randperm(VOCABULARY - 1, generator=torch.Generator().manual_seed(1)) + 1
    return order[: CONTEXTS * CONTEXT_TOKENS].view(CONTEXTS, CONTEXT_TOKENS)


@torch.no_grad()
def plain_text(model: Any, ids: torch.Tensor, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, NEW_TOKENS) greedy tokens by forward passes over the whole text, and their logits (B,
    NEW_TOKENS, V).
    """
    logits: list[torch.Tensor] = []
    for _ in range(NEW_TOKENS):
        logits.append(model(ids, **options).logits[:, -1])
        ids = torch.cat([ids, logits[-1].argmax(-1, keepdim=True)], dim=1)
    return ids[:, -NEW_TOKENS:], torch.stack(logits, dim=1)


@torch.no_grad()
def generated_text(model: Any, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same by transformers' greedy generate, with no token that ends a text."""
    model.generation_config.eos_token_id = None
    settings = {
        "do_sample": False,
        "max_new_tokens": NEW_TOKENS,
        "attention_mask": torch.ones_like(ids),
    }
    written = model.generate(ids, output_logits=True, return_dict_in_generate=True, **settings)
    return written.sequences[:, ids.shape[1] :], torch.stack(written.logits, dim=1)


@torch.no_grad()
def same_logits(
    model: Any, one: torch.Tensor, other: torch.Tensor, tokens: int, **options: Any
) -> bool:
    """Whether the first `tokens` logits of two texts agree to 1e-3 of their spread."""
    first, second = (model(ids, **options).logits[:, :tokens] for ids in (one, other))
    return bool((first - second).abs().max() < 1e-3 * first.std())


def survey(name: str) -> Row:
    """The row of a model type or variant."""
    start, row = time.monotonic(), Row(name)
    try:
        _fill(row, build(name))
    except Exception as error:  # what goes wrong inside transformers is what the table is about
        row.error = _one_line(error)
    row.seconds = round(time.monotonic() - start, 2)
    return row


def _fill(row: Row, model: Any) -> None:
    row.built, row.parameters = (
        type(model).__name__,
        sum(weight.numel() for weight in model.parameters()),
    )
    options = _plain_options(model, row)
    ids = contexts()
    row.finite = bool(torch.isfinite(model(ids, **options).logits).all())
    text = ids.view(1, -1)
    row.causal = same_logits(
        model, text, torch.cat([text[:, :-4], text[:, :4]], dim=1), -4, **options
    )
    half = text.shape[1] // 2
    row.prefix = same_logits(model, text, text[:, :half], half, **options)
    plain, logits = plain_text(model, ids, **options)
    row.distinct_tokens = len(plain.unique())
    row.generate = _attempt(lambda: _compare(plain, generated_text(model, ids)[0]))
    row.generate_alone = _attempt(lambda: _alone(row, model, ids, plain, logits))
    row.loaded = _attempt(lambda: _reload(row.name, ids, options))


@torch.no_grad()
def _reload(name: str, ids: torch.Tensor, options: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        saved = save(name, Path(folder))
        loaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    weights = loaded.state_dict()
    wrong = [
        key
        for key, value in saved.state_dict().items()
        if not torch.equal(value, weights.get(key, ids))
    ]
    if wrong or type(loaded) is not type(saved):
        return f"{type(loaded).__name__} differs in {wrong[:3]}"
    same = torch.equal(saved(ids, **options).logits, loaded(ids, **options).logits)
    return "equal" if same else "other logits from equal weights"


def _attempt(compare: Callable[[], str]) -> str:
    try:
        return compare()
    except Exception as error:
        return f"fails: {_one_line(error)}"


def _alone(
    row: Row, model: Any, ids: torch.Tensor, plain: torch.Tensor, logits: torch.Tensor
) -> str:
    alone = [generated_text(model, one) for one in ids.split(1)]
    texts, theirs = (
        torch.cat([text for text, _ in alone]),
        torch.cat([scores for _, scores in alone]),
    )
    same = (texts == plain).long().cumprod(1).roll(1, 1).index_fill(1, torch.tensor([0]), 1).bool()
    row.logit_difference = float((theirs - logits).abs().amax(-1)[same].max() / logits.std())
    return _compare(plain, texts)


def _plain_options(model: Any, row: Row) -> dict[str, Any]:
    try:
        model(contexts())
        row.plain = "forward"
        return {}
    except Exception as error:
        row.error = _one_line(error)
    model(contexts(), use_cache=False)
    row.plain = "forward, use_cache=False"
    return {"use_cache": False}


def _compare(plain: torch.Tensor, generated: torch.Tensor) -> str:
    wrong = generated != plain
    if not wrong.any():
        return "equal"
    return (
        f"differs from token {int(wrong.any(0).int().argmax())} on ({int(wrong.any(1).sum())} of "
        f"{len(plain)} texts)"
    )


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def summary(rows: list[Row]) -> str:
    """One line of counts, and one for every type that NOT_BUILDABLE is wrong about."""
    built = [row for row in rows if row.built]
    equal = [row for row in built if row.generate == "equal"]
    lines = [
        f"{len(rows)} rows, {len(built)} built, {sum(row.causal for row in built)} causal, "
        f"{len(equal)} equal"
    ]
    lines += [
        f"{row.name}: built, but listed as not buildable"
        for row in built
        if row.name in NOT_BUILDABLE
    ]
    missing = [row for row in rows if not row.built and row.name not in NOT_BUILDABLE]
    return "\n".join(
        lines + [f"{row.name}: not built, but not listed: {row.error}" for row in missing]
    )


def main(names: list[str]) -> None:
    """Prints a line for every model and writes all of them as JSON where the last name ends in
    .json.
    """
    target = names.pop() if names and names[-1].endswith(".json") else None
    rows = []
    for name in names or [*model_types(), *variants()]:
        rows.append(survey(name))
        print(json.dumps(asdict(rows[-1])), flush=True)
    print(summary(rows), file=sys.stderr)
    if target:
        Path(target).write_text(
            json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8"
        )
