"""The tables of docs/howto/preference.md, generated from the settings and rows that they
describe.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from hyperfitting.preference.judges.endpoint import LlmJudgeSettings
from hyperfitting.preference.judges.simulated import SimulationSettings
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import Judgement
from hyperfitting.recipe import Settings, settings_table

_FIELDS = {
    "study": "digest of the study's protocol and comparisons",
    "assignment": "annotator x comparison",
    "comparison": "id of the comparison; a repeat's ends in `-again`",
    "kind": "`scored`, `attention` or `repeat`; only `scored` enters a score",
    "domain": "domain of the context",
    "context": "the context, cluster of every interval",
    "group": "book or article of the context",
    "annotator": "id of the annotator",
    "source": "`human`, `model` or `simulated`",
    "arm_first": "arm of the first text",
    "arm_second": "arm of the second text",
    "tokens": "length of both texts in tokens",
    "ttr_first": "type-token ratio of the first text's tokens",
    "ttr_second": "type-token ratio of the second text's tokens",
    "answer": "`first`, `second` or `equal`, by place",
    "dealt_at": "time when the item was first shown, UTC",
    "answered_at": "time of the answer, UTC",
    "seconds": "time on the page in seconds",
    "surplus": "whether the comparison had its quota of answers before",
    "excluded": "reason why the admin, or the protocol's rule, excluded the annotator; else empty",
    "repeats": "comparison that a repeat shows again",
}

_SETTINGS: dict[str, type[Settings]] = {
    "protocol": Protocol,
    "simulation": SimulationSettings,
    "llm": LlmJudgeSettings,
}


def preference_table(name: Literal["protocol", "simulation", "llm", "fields"]) -> str:
    """A table in Markdown: the settings of a protocol, of simulated annotators or of a language
    model as judge; or the fields of an exported judgement.
    """
    return settings_table(_SETTINGS[name]) if name in _SETTINGS else _fields_table()


def _fields_table() -> str:
    lines = ["| field | meaning |", "|---|---|"]
    lines += [
        f"| `{field.name}` | {_FIELDS[field.name]} |" for field in dataclasses.fields(Judgement)
    ]
    return "\n".join(lines) + "\n"
