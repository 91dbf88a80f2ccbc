"""Small preference studies, made without torch, and the steps that tests take again and again."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import Comparison, Item, Shown
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from tests.conftest import sentence

ARMS = ("hyperfitted · greedy", "original · greedy")
DOMAINS = ("fiction", "news")


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **time: float) -> None:
        self.now += timedelta(**time)


def comparisons(contexts: int = 6, checks: int = 4, arms: tuple[str, ...] = ARMS) -> list[Comparison]:
    """Each arm against the reference on `contexts` contexts a domain, and attention checks; texts of random words."""
    random_, made = random.Random(5), []
    for domain in DOMAINS:
        for number in range(contexts):
            for arm in arms:
                texts = (Shown(name, "run", sentence(random_, 12), 12, 0.5) for name in (arm, "reference"))
                made.append(_comparison(len(made), "scored", domain, number, *texts))
    for number in range(checks):
        text = sentence(random_, 12)
        mixed = " ".join(random_.sample(text.split(), 12))
        shown = (Shown("reference", "run", text, 12, 0.5), Shown("shuffled", "run", mixed, 12, 0.5))
        made.append(_comparison(len(made), "attention", "news", number, *shown))
    return made


def _comparison(id_: int, kind: Any, domain: str, number: int, one: Shown, other: Shown) -> Comparison:
    context = f"{domain}-{number}"
    return Comparison(f"c{id_:03d}", kind, domain, context, context, f"{context} begins so", one, other)


def plan(**settings: Any) -> StudyPlan:
    """A plan without checks and repeats, unless asked for."""
    return StudyPlan(**{"name": "small", "attention_rate": 0.0, "repeat_rate": 0.0, **settings})


def study(folder: Path, rows: list[Comparison] | None = None, **settings: Any) -> Study:
    """A study in `folder / "study"`."""
    made, _ = Study.create(folder / "study", plan(**settings), comparisons() if rows is None else rows)
    return made


def ready(store: Store) -> str:
    """The id of a new annotator who has passed the test."""
    (token,) = store.invite(1)
    annotator = store.enter(token).id
    store.consent(annotator)
    store.pass_test(annotator)
    return annotator


def answer(store: Store, annotator: str, item: Item, choice: Any = "first") -> None:
    """Answer an item once, in five seconds."""
    store.judge(annotator, item.assignment, choice, f"try-{item.assignment}-{item.number}-{choice}", 5.0)


def work(store: Store, annotator: str, items: int, choice: Any = "first") -> list[Item]:
    """Answer so many items, or all there are; returns them."""
    done = []
    while len(done) < items and (item := store.next_item(annotator)) is not None:
        answer(store, annotator, item, choice)
        done.append(item)
    return done
