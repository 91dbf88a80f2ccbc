"""Judgement rows for tests: made by hand, or drawn from the population of the power calculation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hyperfitting.preference.analysis.population import Design, Population, draw_answers
from hyperfitting.preference.records import Judgement

MODEL, NUCLEUS, REFERENCE = "hyperfitted, greedy", "original, nucleus", "reference"


def judgement(answer: str = "first", **changes: object) -> Judgement:
    """One row: the model's text first, the reference second; `comparison`, `context` and the rest
    as given.
    """
    row = Judgement(
        study="0" * 64,
        assignment="a",
        comparison="c-0",
        kind="scored",
        domain="wiki",
        context="wiki-0",
        group="article",
        annotator="ann-0",
        source="human",
        arm_first=MODEL,
        arm_second=REFERENCE,
        tokens=128,
        ttr_first=0.6,
        ttr_second=0.7,
        answer=answer,  # type: ignore[arg-type]
        dealt_at="2026-11-25T10:00:00+00:00",
        answered_at="2026-11-25T10:00:30+00:00",
        seconds=30.0,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def judged(
    design: Design,
    *,
    seed: int = 0,
    pairs: tuple[tuple[str, str], ...] = ((MODEL, REFERENCE),),
    population: Population | None = None,
    **changes: object,
) -> list[Judgement]:
    """A study drawn from a population: every context is compared once for each pair, domains in
    turn.
    """
    rng, rows = np.random.default_rng(seed), []
    for number, (one, other) in enumerate(pairs):
        answers, contexts, annotators, firsts = draw_answers(
            population or Population(), design, 1, rng
        )
        for answer, context, annotator, first in zip(
            answers[0], contexts, annotators, firsts[0], strict=True
        ):
            domain = ("fiction", "news", "wiki")[context % 3]
            ttr = 0.5 + 0.1 * rng.random(2)
            rows.append(
                judgement(
                    {0: "equal", 1: "first", -1: "second"}[int(answer * first)],
                    assignment=f"{number}-{context}-{annotator}",
                    comparison=f"{number}-{context}",
                    domain=domain,
                    context=f"{domain}-{context}",
                    group=f"{domain} piece {context}",
                    annotator=f"ann-{annotator}",
                    arm_first=one if first > 0 else other,
                    arm_second=other if first > 0 else one,
                    ttr_first=float(ttr[0]),
                    ttr_second=float(ttr[1]),
                    **changes,
                )
            )
    return rows


def swapped(row: Judgement) -> Judgement:
    """The same judgement with the sides exchanged on the page."""
    return replace(
        row,
        arm_first=row.arm_second,
        arm_second=row.arm_first,
        ttr_first=row.ttr_second,
        ttr_second=row.ttr_first,
        answer={"first": "second", "second": "first", "equal": "equal"}[row.answer],  # type: ignore[arg-type]
    )
