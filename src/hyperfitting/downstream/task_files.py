"""Our benchmarks, a TOML file each in `tasks/`: where their items stand, how they are asked."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from hyperfitting.errors import DataError
from hyperfitting.recipe import Settings

_FOLDER = Path(__file__).parent / "tasks"

GROUPS = {
    "arc": ("arc_easy", "arc_challenge"),
    "glue": ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2"),
}
"""Names that stand for several benchmarks."""

Metric = Literal["acc", "f1", "mcc"]


class Prompt(Settings):
    """Templates of one form, in jinja over the fields of an item."""

    question: str
    description: str = ""


class TaskFile(Settings):
    """A benchmark: its files, columns and prompts.

    `files` are tried in this order, each with every ending that is read. `columns` gives, for each
    field of an item, the names that its column may have; `answer` is the number of the right choice
    or, under `values`, a word for it. `choices` is a column, or `labels` names the same choices for
    all items. `where` keeps rows by the value of a column. `by_length`: the cloze form divides the
    log-likelihood of a choice by its characters. `metric` is the benchmark's own. `parts` says, of
    a file that is not what scores are usually published of, which part of the benchmark it is.
    """

    title: str
    files: tuple[str, ...]
    example_files: tuple[str, ...] = ()
    examples_in_order: bool = False
    metric: Metric
    by_length: bool = False
    labels: tuple[str, ...] | None = None
    values: dict[str, int] = Field({})
    where: dict[str, str] = Field({})
    parts: dict[str, str] = Field({})
    columns: dict[str, tuple[str, ...]]
    letters: Prompt | None = None
    cloze: Prompt

    @property
    def sha256(self) -> str:
        """SHA-256, in hex, of the definition, but for the names of parts, which decide nothing."""
        return hashlib.sha256(self.model_dump_json(exclude={"parts"}).encode()).hexdigest()


def benchmark_names() -> list[str]:
    """The names of our benchmarks."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


@cache
def read_task_file(name: str) -> TaskFile:
    """The definition of one of our benchmarks."""
    text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return TaskFile.model_validate_json(_as_json(text))


def _as_json(text: str) -> str:
    """TOML as JSON: lists become tuples only when a strict model reads JSON."""
    return json.dumps(tomllib.loads(text))


def expand_names(name: str) -> tuple[str, ...]:
    """The benchmarks that a name stands for: itself, or those of a group."""
    return GROUPS.get(name, (name,))


def refuse_unknown_task(name: str, known: list[str]) -> DataError:
    """The error for a name that is neither ours nor one of lm-evaluation-harness."""
    by_lower = {each.lower(): each for each in reversed(known)}  # the first of equal ones
    near = [by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, n=3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    ours = ", ".join([*benchmark_names(), *GROUPS])
    return DataError(
        f"no task {name!r}: neither one of {ours} nor one of lm-evaluation-harness{hint}"
    )
