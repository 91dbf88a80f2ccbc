"""Texts of a few dozen words, drawn by a seed: sentences, and corpora of documents."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_TEXT = (
    "the of and to in a river house morning she he they walked looked found old new green small "
    "great window road letter ship garden winter quietly never again because while under over "
    "captain teacher bread stone light rain"
)
WORDS = _TEXT.split()


def sentence(random_: random.Random, words: int) -> str:
    return " ".join(random_.choice(WORDS) for _ in range(words))


def write_texts(path: Path, texts: Iterable[str]) -> Path:
    """A .jsonl file of these texts."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def write_corpus(
    path: Path, *, documents: int, words: int, groups: int | None = None, seed: int = 0
) -> Path:
    """A .jsonl file of random documents, each its own, with `group` dealt in turn where asked
    for.
    """
    random_ = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            row: dict[str, Any] = {"title": f"Piece {number}", "text": sentence(random_, words)}
            if groups:
                row["book"] = f"book {number % groups}"
            file.write(json.dumps(row) + "\n")
    return path
