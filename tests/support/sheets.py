"""Sheets of answers written by hand, so that every value of a table is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hyperfitting.environment import Environment
from hyperfitting.runs import EvaluationFolder
from hyperfitting.runs.answers import AnsweredItem, SheetFacts, SheetIdentity

_IDENTITY = {
    "task_sha256": "",
    "files": {},
    "sample": "",
    "limit": None,
    "seed": 0,
    "examples": 0,
    "weights": None,
    "codec": "",
    "beginning_of_text": "none",
    "dtype": "float32",
    "device": "cpu",
    "batch_items": 1,
    "chat_template": None,
    "answer_tokens": None,
    "harness": "x",
}


def item(
    number: int, gold: int, chosen: int | None, *, subject: str = "all", text: str | None = None
) -> AnsweredItem:
    """One of four choices; the chosen one has the likelihood 0.7 unless there is a text."""
    likelihoods = [-1.2 if each == chosen else -2.3 for each in range(4)]
    return AnsweredItem(
        item=number,
        subject=subject,
        item_sha256=f"{number:016x}",
        gold=gold,
        chosen=chosen,
        score=float(gold == chosen),
        loglikelihoods=() if text is not None else tuple(likelihoods),
        lengths=(),
        cut_tokens=0,
        text=text,
    )


def answered(
    right: Iterable[int], *, wrong: int = 1, subjects: int = 1, text: str | None = None
) -> list[AnsweredItem]:
    """Forty items of which the named ones are right; right answers in turn."""
    kept, made = set(right), []
    for number in range(1, 41):
        gold = number % 4
        chosen = gold if number in kept else (number + wrong) % 4
        made.append(item(number, gold, chosen, subject=f"s{number % subjects}", text=text))
    return made


def sheet_facts(
    task: str,
    form: str,
    items: int,
    *,
    metric: str = "acc",
    limit: int | None = None,
    **facts: Any,
) -> SheetFacts:
    """How a sheet of so many items was made."""
    parser = 1 if form == "generated" else None
    held = _IDENTITY | {"limit": limit}
    identity = SheetIdentity(task=task, form=form, items=items, parser=parser, **held)
    held = {"contaminated": (), "unchecked": 0, "cut_items": 0, "seconds": 1.0, **facts}
    return SheetFacts(
        identity=identity,
        source="x",
        title=task.upper(),
        metric=metric,
        chance=0.25,
        device="a processor",
        environment=Environment.of_this_process(),
        **held,
    )


def write_sheet(
    folder: EvaluationFolder, task: str, form: str, items: Sequence[AnsweredItem], **facts: Any
) -> None:
    """A finished sheet of these items; `facts` as `sheet_facts` takes them."""
    made = sheet_facts(task, form, len(items), **facts)
    sheet = folder.sheet(made.identity.name)
    sheet.begin(made)
    sheet.finish(items, made)
