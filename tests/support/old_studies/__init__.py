"""Two small studies that version 0.1.0 made on 27 November 2026, with the numbers that it found.

`simulated` holds simulated judgements; `judged` holds judgements of people and of a language model,
an undone answer and an exclusion. study.sql is a dump of the database, analysis.json the field
`analysis` of the report's summary.json (200 bootstrap draws, seed 0), tokens.json the admin's
token, a link that is used and one that is not.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from hyperfitting.preference.study import Study

_HERE = Path(__file__).parent


def old_study(name: str, folder: Path) -> Study:
    """The study in a folder of its own, its database loaded into SQLite."""
    target = folder / name
    shutil.copytree(
        _HERE / name,
        target,
        ignore=shutil.ignore_patterns("study.sql", "analysis.json", "tokens.json"),
    )
    connection = sqlite3.connect(target / "study.sqlite")
    connection.executescript((_HERE / name / "study.sql").read_text(encoding="utf-8"))
    connection.close()
    return Study.find(target)


def old_analysis(name: str) -> dict[str, Any]:
    """The numbers that version 0.1.0 found."""
    return dict(json.loads((_HERE / name / "analysis.json").read_text(encoding="utf-8")))


def old_tokens() -> dict[str, str]:
    """The tokens of the study `judged`: `admin`, `used` and `unused`."""
    return dict(json.loads((_HERE / "judged" / "tokens.json").read_text(encoding="utf-8")))
