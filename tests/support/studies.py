"""Small preference studies, made without torch, and the steps that tests take again and again."""

from __future__ import annotations

import random
import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from hyperfitting.files import write_rows
from hyperfitting.palette import PALETTE_FILE, Palette, write_palette
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import BlindedComparison, ShownText, WorkItem
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.records import Continuation
from tests.support.words import sentence

ARMS = ("hyperfitted, greedy", "original, greedy")
DOMAINS = ("fiction", "news")


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **time: float) -> None:
        self.now += timedelta(**time)


def comparisons(
    contexts: int = 4, checks: int = 4, arms: tuple[str, ...] = ARMS
) -> list[BlindedComparison]:
    """Each arm against the reference on `contexts` contexts a domain, and attention checks; texts
    of random words.
    """
    random_, made = random.Random(5), []
    for domain in DOMAINS:
        for number in range(contexts):
            for arm in arms:
                texts = (
                    ShownText(name, "run", sentence(random_, 12), 12, 0.5)
                    for name in (arm, "reference")
                )
                made.append(_comparison(len(made), "scored", domain, number, *texts))
    for number in range(checks):
        text = sentence(random_, 12)
        mixed = " ".join(random_.sample(text.split(), 12))
        shown = (
            ShownText("reference", "run", text, 12, 0.5),
            ShownText("shuffled", "run", mixed, 12, 0.5),
        )
        made.append(_comparison(len(made), "attention", "news", number, *shown))
    return made


def _comparison(
    id_: int, kind: Any, domain: str, number: int, one: ShownText, other: ShownText
) -> BlindedComparison:
    context = f"{domain}-{number}"
    return BlindedComparison(
        f"c{id_:03d}", kind, domain, context, context, f"{context} begins so", one, other
    )


def protocol(**settings: Any) -> Protocol:
    """A protocol without checks and repeats, unless asked for."""
    return Protocol(**{"name": "small", "attention_rate": 0.0, "repeat_rate": 0.0, **settings})


def study(folder: Path, rows: list[BlindedComparison] | None = None, **settings: Any) -> Study:
    """A study in `folder / "study"`."""
    made, _ = Study.create(
        folder / "study", protocol(**settings), comparisons() if rows is None else rows
    )
    return made


def ready(store: Store) -> str:
    """The id of a new annotator who has passed the test."""
    return ready_by_link(store)[1]


def ready_by_link(store: Store) -> tuple[str, str]:
    """The token of a new annotator's link, and the id."""
    (token,) = store.invitations.create(1)
    annotator = store.annotators.enter(token).id
    store.annotators.consent(annotator)
    store.annotators.pass_test(annotator)
    return token, annotator


def answer(store: Store, annotator: str, item: WorkItem, choice: Any = "first") -> None:
    """Answer an item once, in five seconds."""
    store.items.submit(
        annotator, item.assignment, choice, f"try-{item.assignment}-{item.number}-{choice}", 5.0
    )


def work(store: Store, annotator: str, items: int, choice: Any = "first") -> list[WorkItem]:
    """Answer so many items, or all there are; returns them."""
    done = []
    while len(done) < items and (item := store.items.next(annotator)) is not None:
        answer(store, annotator, item, choice)
        done.append(item)
    return done


def continuation(text: str, **fields: Any) -> Continuation:
    """A text as a run keeps it: one token a word, the space before it included."""
    pieces = tuple(re.findall(r"\s*\S+|\s+$", text))
    kept: dict[str, Any] = {
        "variant": "original",
        "run": "tiny-1a2b3c4d",
        "domain": "fiction",
        "strategy": "greedy",
        "context": 0,
        "source": "corpus.jsonl",
        "row": 1,
        "group": "book 1",
        "title": "Piece",
        "context_ids": (1, 2),
        "context_pieces": ("It", " began"),
        "ids": tuple(zlib.crc32(piece.strip().encode()) % 10**6 for piece in pieces),
        "pieces": pieces,
        "ended": "length",
    }
    return Continuation(**{**kept, **fields})


def image_experiment(folder: Path, contexts: int = 6, *, side: int = 8, seed: int = 0) -> Path:
    """An experiment's folder with two runs of images of 16 colours, made without torch. A quarter
    is given, and the original's run holds the true images.
    """
    random_ = random.Random(seed)
    (folder / "data").mkdir(parents=True)
    write_palette(folder / "data" / PALETTE_FILE, PALETTE, side)
    for run in ("original", "hyperfitted"):
        rows = []
        for number in range(contexts):
            given = random.Random(f"{seed} {number}").choices(range(16), k=side * side // 4)
            for variant in (run, "reference") if run == "original" else (run,):
                where = {"context": number, "row": number + 1, "group": f"picture {number}"}
                ids = random_.choices(range(16), k=side * side - len(given))
                rows.append(
                    continuation(
                        "", variant=variant, strategy=None if variant == "reference" else "greedy",
                        domain="pictures", context_ids=(16, *given), context_pieces=(),
                        ids=tuple(ids), **where,
                    )
                )  # fmt: skip
        write_rows(folder / run / "continuations.jsonl", rows)
    return folder


LEVELS = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 128, 192, 255)]
PALETTE = Palette((np.array(LEVELS) / 127.5 - 1).astype(np.float32))
"""The colours of the images of `image_experiment`."""


def experiment(folder: Path, contexts: int = 6, *, words: int = 40, seed: int = 0) -> Path:
    """An experiment's folder with two runs, two arms and two sets of contexts, made without
    torch.
    """
    random_ = random.Random(seed)
    for model in ("original", "hyperfitted"):
        rows = []
        for domain in DOMAINS:
            for number in range(contexts):
                where = {
                    "domain": domain,
                    "context": number,
                    "row": number + 1,
                    "group": f"{domain} {number // 2}",
                }
                where["context_pieces"] = (f"{domain} piece", f" {number}", f" of {seed}")
                shared = random.Random(f"{seed} {domain} {number}")
                for arm in ("greedy", "nucleus"):
                    text = " " + sentence(random_, words)
                    rows.append(
                        continuation(
                            text, variant=model, run=f"{model}-{seed:08d}", strategy=arm, **where
                        )
                    )
                true = " " + sentence(shared, words)
                rows.append(
                    continuation(
                        true, variant="reference", run=f"{model}-{seed:08d}", strategy=None, **where
                    )
                )
        write_rows(folder / model / "continuations.jsonl", rows)
    return folder
