"""What the runs wrote, by arm: the continuations of each context, and the true text beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperfitting.errors import StudyError
from hyperfitting.records import Continuation
from hyperfitting.runs import Run

REFERENCE = "reference"
SHUFFLED = "shuffled"


@dataclass(frozen=True)
class Context:
    """One context with everything that was written after it. `name` is its set and number, such as `wiki-7`."""

    name: str
    domain: str
    group: str
    text: str
    written: dict[str, Continuation]


def read_contexts(folders: Sequence[Path]) -> list[Context]:
    """The contexts of all runs, in the order in which they stand there, with the texts of every arm.

    An arm is called `model · arm`, such as `hyperfitted · greedy`; where two runs have the same model and arm, the
    run's own name takes the model's place. The true text is called `reference`.

    Raises:
        StudyError: no run, no continuations, or a text that stands there twice.
    """
    rows = [row for run in _runs(folders) for row in run.continuations()]
    by_context: dict[tuple[str, str, int, str], list[Continuation]] = defaultdict(list)
    for row in rows:
        by_context[row.domain, row.source, row.row, "".join(row.context_pieces)].append(row)
    names = _arm_names(rows)
    numbers: dict[str, int] = defaultdict(int)
    contexts = []
    for (domain, _, _, text), written in by_context.items():
        arms = _by_arm(written, names)
        contexts.append(
            Context(f"{domain}-{numbers[domain]}", domain, written[0].group, text, arms)
        )
        numbers[domain] += 1
    return contexts


def _runs(folders: Sequence[Path]) -> list[Run]:
    found: dict[Path, Run] = {}
    for folder in folders:
        inside = [Run(each) for each in (folder, *sorted(folder.glob("*"))) if Run(each).generated]
        if not inside:
            raise StudyError(
                f"{folder}: no continuations there: give an experiment or a run that `generate` is done with"
            )
        found |= {run.folder.resolve(): run for run in inside}
    return list(found.values())


def _arm_names(rows: Sequence[Continuation]) -> dict[tuple[str, str, str | None], str]:
    """What each run's arms are called; the run's name stands in where the model's would say too little."""
    runs_of = defaultdict(set)
    for row in rows:
        runs_of[row.variant, row.strategy].add(row.run)
    return {
        (row.run, row.variant, row.strategy): _arm_name(
            row.variant if len(runs_of[row.variant, row.strategy]) == 1 else row.run, row
        )
        for row in rows
    }


def _arm_name(model: str, row: Continuation) -> str:
    if row.variant == REFERENCE:
        return REFERENCE
    return f"{model} · {row.strategy}" if row.strategy else model


def _by_arm(
    written: Sequence[Continuation], names: dict[tuple[str, str, str | None], str]
) -> dict[str, Continuation]:
    arms: dict[str, Continuation] = {}
    for row in written:
        name = names[row.run, row.variant, row.strategy]
        if name in arms and arms[name].ids != row.ids and name != REFERENCE:
            raise StudyError(
                f"{row.domain}, context {row.context}: two different texts of the arm {name!r}: leave out one of the runs"
            )
        # The true text is the same for every run with the same tokens; the longest holds the others.
        if name not in arms or len(row.ids) > len(arms[name].ids):
            arms[name] = row
    return arms


def arm_names(contexts: Sequence[Context]) -> list[str]:
    """Every arm, the reference last."""
    names = {name for context in contexts for name in context.written}
    return [*sorted(names - {REFERENCE}), *sorted(names & {REFERENCE})]


def domain_names(contexts: Sequence[Context]) -> list[str]:
    """Every set of contexts."""
    return sorted({context.domain for context in contexts})
