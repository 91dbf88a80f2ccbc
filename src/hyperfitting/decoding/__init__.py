"""Choosing the next token: rules on logits, the citation blocker, and the one loop that applies them."""

from hyperfitting.decoding.citations import Blocking, CitationBlocker, CitationIndex, Words
from hyperfitting.decoding.loop import (
    Choose,
    Ending,
    GivingWay,
    NextToken,
    strategy_rules,
    chooser,
    continue_texts,
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
    "strategy_rules",
    "chooser",
    "continue_texts",
    "suppress_end",
    "token_steps",
    "uniforms",
]
