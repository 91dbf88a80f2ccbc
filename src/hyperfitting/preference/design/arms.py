"""The texts of runs by context and arm. No other module of this room reads runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

from hyperfitting.errors import StudyError
from hyperfitting.palette import Palette
from hyperfitting.records import REFERENCE, Arm, Continuation
from hyperfitting.runs import Experiment, Run


@dataclass(frozen=True)
class ContextTexts:
    """One context and its continuations by arm. `name` is its domain and number, such as `wiki-7`.

    An image has a `palette`, and the `side` of its square.
    """

    name: str
    domain: str
    group: str
    text: str
    written: dict[str, Continuation]
    palette: Palette | None = None
    side: int = 0


def read_contexts(folders: Sequence[Path]) -> list[ContextTexts]:
    """The contexts of all runs, in the order of the files, with the texts of every arm.

    Where two runs have the same model and strategy, the name of the run stands in the place of the
    model's. The true text is the arm `reference`.

    Raises:
        StudyError: no run, no continuations, two different texts of one arm, or runs of texts and
            of images, or of images of other colours or size.
    """
    runs = _runs(folders)
    shape, rows = _image_shape(runs), [row for run in runs for row in run.continuations()]
    by_context: dict[tuple[str, str, int, str], list[Continuation]] = defaultdict(list)
    for row in rows:
        by_context[row.domain, row.source, row.row, "".join(row.context_pieces)].append(row)
    labels = _labels(rows)
    numbers: dict[str, int] = defaultdict(int)
    contexts = []
    for (domain, _, _, text), written in by_context.items():
        arms = _by_arm(written, labels)
        contexts.append(
            ContextTexts(
                f"{domain}-{numbers[domain]}", domain, written[0].group, text, arms, *shape
            )
        )
        numbers[domain] += 1
    return contexts


def _runs(folders: Sequence[Path]) -> list[Run]:
    found: dict[Path, Run] = {}
    for folder in folders:
        inside = [Run(each) for each in (folder, *sorted(folder.glob("*"))) if Run(each).generated]
        if not inside:
            raise StudyError(
                f"{folder}: no continuations there: give an experiment or a run that `generate` is "
                "done with"
            )
        found |= {run.folder.resolve(): run for run in inside}
    return list(found.values())


def _image_shape(runs: Sequence[Run]) -> tuple[Palette | None, int]:
    """The colours and the side of the images of all runs; None and 0 where they continue texts.

    Raises:
        StudyError: some runs continue images and others texts, or images of other colours or size.
    """
    found: dict[str, tuple[Palette | None, int]] = {}
    for run in runs:
        first = next((row for row in run.continuations() if row.ids), None)
        palette = Experiment(run.folder.parent).palette
        if first is None or not first.is_image:
            found["text"] = None, 0
        elif palette is None:
            raise StudyError(
                f"{run.folder}: the colours of its images are missing: give the whole experiment"
            )
        else:
            side = isqrt(len(first.context_ids) + len(first.ids))
            found[palette.fingerprint(side)] = palette, side
    if len(found) > 1:
        raise StudyError(
            "these runs do not compare: some continue images and others texts, or images of other "
            "colours or another size: give runs of one kind"
        )
    return next(iter(found.values()))


def _labels(rows: Sequence[Continuation]) -> dict[tuple[str, str, str | None], str]:
    """The label of each run, model and strategy."""
    runs_of = defaultdict(set)
    for row in rows:
        runs_of[row.variant, row.strategy].add(row.run)
    return {
        (row.run, row.variant, row.strategy): REFERENCE
        if row.variant == REFERENCE
        else Arm(
            row.variant if len(runs_of[row.variant, row.strategy]) == 1 else row.run, row.strategy
        ).title
        for row in rows
    }


def _by_arm(
    written: Sequence[Continuation], labels: dict[tuple[str, str, str | None], str]
) -> dict[str, Continuation]:
    arms: dict[str, Continuation] = {}
    for row in written:
        label = labels[row.run, row.variant, row.strategy]
        if label in arms and arms[label].ids != row.ids and label != REFERENCE:
            raise StudyError(
                f"{row.domain}, context {row.context}: two different texts of the arm {label!r}: "
                "leave out one of the runs"
            )
        # The true text is the same for every run with the same tokens; the longest holds the
        # others.
        if label not in arms or len(row.ids) > len(arms[label].ids):
            arms[label] = row
    return arms


def arm_names(contexts: Sequence[ContextTexts]) -> list[str]:
    """Every arm, the reference last."""
    names = {name for context in contexts for name in context.written}
    return [*sorted(names - {REFERENCE}), *sorted(names & {REFERENCE})]


def domain_names(contexts: Sequence[ContextTexts]) -> list[str]:
    """Every domain."""
    return sorted({context.domain for context in contexts})
