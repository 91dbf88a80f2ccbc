"""Long texts like novels, made by a seed: chapters, paragraphs, sentences."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.words import WORDS

HEADING = r"CHAPTER \d+"


def novel(
    *, chapters: int = 12, paragraphs: int = 20, blank_lines: bool = True, seed: int = 0
) -> str:
    """A text of chapters with headings; each paragraph is 2 to 5 sentences, none of which stands
    twice.
    """
    random_ = random.Random(seed)
    parts = []
    for number in range(1, chapters + 1):
        parts.append(f"CHAPTER {number}")
        parts += [_paragraph(random_) for _ in range(paragraphs)]
    return ("\n\n" if blank_lines else "\n").join(parts) + "\n"


def _paragraph(random_: random.Random) -> str:
    sentences = [
        [random_.choice(WORDS) for _ in range(random_.randint(6, 14))]
        for _ in range(random_.randint(2, 5))
    ]
    return " ".join(" ".join(words).capitalize() + "." for words in sentences)


def write_novel(path: Path, **options: object) -> Path:
    """The same as a .txt file."""
    path.write_text(novel(**options), encoding="utf-8")  # type: ignore[arg-type]
    return path
