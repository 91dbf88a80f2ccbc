"""The glossary's forbidden synonyms occur neither in the source nor in the documents."""

from __future__ import annotations

import re

import pytest

from tests.support.source import ROOT, shown

PAGE = ROOT / "docs" / "reference" / "glossary.md"
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| term")
]
FORBIDDEN = [word for row in ROWS if len(row) == 3 for word in re.findall(r"`([^`]+)`", row[2])]
READ = [
    path
    for path in [
        *(
            each
            for folder in ("src", "bench", "docs", "results")
            for each in (ROOT / folder).rglob("*")
        ),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
    ]
    if path.suffix in (".py", ".md", ".toml", ".j2", ".html", ".js") and path != PAGE
]


def pattern(word: str) -> re.Pattern[str]:
    """A word by itself; an underscore is no part of a word, so that `_word` and `word_of` are found
    too.
    """
    before = r"(?<![A-Za-z0-9])" if word[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if word[-1].isalnum() else ""
    return re.compile(before + re.escape(word) + after)


def test_the_glossary_is_read():
    assert len(ROWS) > 30
    assert "chooser" in FORBIDDEN
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("word", FORBIDDEN)
def test_a_forbidden_synonym_occurs_nowhere(word):
    found = {shown(path) for path in READ if pattern(word).search(path.read_text(encoding="utf-8"))}
    assert sorted(found) == []


@pytest.mark.parametrize(
    ("word", "text", "is_found"),
    [
        ("chooser", "make_chooser(x)", True),
        ("chooser", "choosers", False),
        ("told=", "read(told=say)", True),
        ("told=", "retold=1", False),
        ("A's", "in A's Table 1", True),
        ("A's", "BA's", False),
    ],
)
def test_words_are_found_by_their_boundaries(word, text, is_found):
    assert bool(pattern(word).search(text)) is is_found
