"""Choosing the next token: rules on logits, the citation blocker, and the one loop that applies them."""

from hyperfitting.decoding.citations import Blocking, CitationBlocker, CitationIndex, Words
from hyperfitting.decoding.loop import (
    Choose,
    Ending,
    GivingWay,
    NextToken,
    chooser,
    continue_texts,
    strategy_rules,
    suppress_end,
    token_steps,
    uniforms,
)

__all__ = [
    "Blocking",
    "Choose",
    "CitationBlocker",
    "CitationIndex",
    "Ending",
    "GivingWay",
    "NextToken",
    "Words",
    "chooser",
    "continue_texts",
    "strategy_rules",
    "suppress_end",
    "token_steps",
    "uniforms",
]
