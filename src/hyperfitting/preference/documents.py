"""The tables of docs/preference.md, made from the settings and the rows that they describe."""

from __future__ import annotations

import dataclasses

from hyperfitting.preference.model_judge import ModelSettings
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import Judgement
from hyperfitting.preference.simulate import Taste
from hyperfitting.recipe import Settings, settings_table

_FIELDS = {
    "study": "digest of the study's plan and comparisons",
    "assignment": "annotator x comparison",
    "comparison": "its id; `-again` at the end of a repeat's",
    "kind": "`scored`, `attention` or `repeat`; only the first enters a score",
    "domain": "the set of contexts",
    "context": "the context: the cluster of every interval",
    "group": "the book or article that it comes from",
    "annotator": "who answered, by number",
    "source": "`human`, `model` or `simulated`",
    "arm_first": "whose text stood first",
    "arm_second": "whose text stood second",
    "tokens": "length of both texts",
    "ttr_first": "type-token ratio of the first text's tokens",
    "ttr_second": "the same of the second's",
    "answer": "`first`, `second` or `equal`, by place",
    "dealt_at": "when the item was first shown, UTC",
    "answered_at": "when the answer came, UTC",
    "seconds": "time on the page",
    "surplus": "the comparison had its quota already",
    "excluded": "why the annotator was left out by the admin; empty otherwise",
    "repeats": "the comparison that a repeat shows again",
}


TABLES = ("plan", "taste", "model", "fields")


def table(name: str) -> str:
    """One of `TABLES` in Markdown: settings of a plan, a taste or a model as judge, or the fields of a judgement."""
    kinds: dict[str, type[Settings]] = {"plan": StudyPlan, "taste": Taste, "model": ModelSettings}
    return settings_table(kinds[name]) if name in kinds else fields_table()


def fields_table() -> str:
    """The fields of an exported judgement."""
    lines = ["| field | what it is |", "|---|---|"]
    lines += [
        f"| `{field.name}` | {_FIELDS[field.name]} |" for field in dataclasses.fields(Judgement)
    ]
    return "\n".join(lines) + "\n"
