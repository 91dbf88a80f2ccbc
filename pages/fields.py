"""The page docs/reference/fields.md: every field of every file of an experiment, from the classes
that write and read them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from hyperfitting import records
from hyperfitting.facts import ArchiveFacts, DataManifest, RunFacts
from hyperfitting.recipe import Settings
from hyperfitting.runs.answers import AnsweredItem, SheetFacts

FILES: tuple[tuple[str, type], ...] = (
    ("<run>/updates.jsonl", records.UpdateRow),
    ("<run>/probes.jsonl", records.ProbeRow),
    ("<run>/continuations.jsonl", records.Continuation),
    ("<run>/blocked.jsonl", records.Blocked),
    ("<run>/text_metrics.jsonl", records.TextMetrics),
    ("<run>/pooled_metrics.jsonl", records.PooledMetric),
    ("<run>/metrics.jsonl", records.MetricRow),
    ("<run>/run.json", RunFacts),
    ("data/manifest.json", DataManifest),
    ("<run>/evaluation/<sheet>.jsonl", AnsweredItem),
    ("<run>/evaluation/<sheet>.json", SheetFacts),
    ("archive.json", ArchiveFacts),
    ("<run>/continuation_hashes.jsonl", records.ContinuationHash),
)
"""Each file, and the class of one of its rows or of the whole."""

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def fields_markdown() -> str:
    """Every file with what a row of it is, and every field with its type."""
    parts = ["# Fields", _INTRODUCTION]
    for file, kind in FILES:
        about, said = _documented(kind)
        parts += [f"## `{file}`", about, _table(list(_rows(kind, said)))]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
The fields of the files of an experiment ([which files there are](files.md)). A file in JSON Lines
has an object a line; its table is that of one line. `[]` stands for each part of a list, `{}` for
each value of an object whose keys are names; None is `null`. `recipe.json` holds the
[settings](settings.md). This page is generated from the classes that write and read the files:
`python -m pages fields`."""


def _table(rows: list[tuple[str, str, str]]) -> str:
    """Without its last column where the text above says it all."""
    columns = 3 if any(text for _, _, text in rows) else 2
    head = ["field", "type", "what it holds"]
    cells = [head, ["---"] * 3, *([f"`{key}`", type_, text] for key, type_, text in rows)]
    return "\n".join(f"| {' | '.join(each[:columns])} |" for each in cells)


def _rows(kind: type, said: Mapping[str, str], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Each field as (dotted key, type, text), those of its parts after it."""
    types = get_type_hints(kind)
    names = [each.name for each in fields(kind)] if is_dataclass(kind) else kind.model_fields  # type: ignore[attr-defined]
    for name in names:
        type_, part, path = _described(types[name])
        about, said_of_part = _documented(part) if part is not None else ("", {})
        text = " ".join(each for each in (said.get(name, ""), about.replace("\n\n", " ")) if each)
        yield prefix + name, type_, text.replace("|", "\\|")
        if part is not None:
            yield from _rows(part, said_of_part, f"{prefix}{name}{path}.")


def _described(type_: Any) -> tuple[str, type | None, str]:
    """A type in words, the class of its parts where it has some, and their place: `[]` or `{}`."""
    origin, inner = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        words, part, path = _described(next(each for each in inner if each is not NoneType))
        return f"{words}, or null" if NoneType in inner else words, part, path
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in inner), None, ""
    if origin is tuple and Ellipsis not in inner:
        words, part, _ = _described(inner[0])
        return f"list of {len(inner)}: {words}", part, "[]"
    if origin is not None and issubclass(origin, Sequence):
        words, part, path = _described(inner[0])
        return f"list: {words}", part, f"[]{path}"
    if origin is not None and issubclass(origin, Mapping):
        words, part, path = _described(inner[1])
        return f"object of names: {words}", part, f"{{}}{path}"
    if isinstance(type_, type) and issubclass(type_, Settings):
        return "[settings](settings.md)", None, ""
    if isinstance(type_, type) and (is_dataclass(type_) or issubclass(type_, BaseModel)):
        return "object", type_, ""
    return _PLAIN[type_], None, ""


def _documented(kind: type) -> tuple[str, dict[str, str]]:
    """The text of a class without its example, and what its section `Args` says of fields."""
    whole = inspect.cleandoc(kind.__doc__ or "").partition("\n\nExamples:\n")[0]
    whole, _, section = whole.partition("\n\nArgs:\n")
    said = {}
    for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.M):
        said[name] = " ".join(text.split())
    return "\n\n".join(" ".join(part.split()) for part in whole.split("\n\n")), said
