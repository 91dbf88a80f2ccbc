"""Choosing the next token: rules on logits, the citation blocker, and the one loop that applies
them.
"""

from hyperfitting.decoding.citations import BlockerEvent, CitationBlocker, CitationIndex
from hyperfitting.decoding.loop import (
    Ending,
    GivingWay,
    NextToken,
    Sampler,
    continue_texts,
    make_sampler,
    strategy_rules,
    suppress_end,
    token_steps,
    uniform_noise,
)

__all__ = [
    "BlockerEvent",
    "CitationBlocker",
    "CitationIndex",
    "Ending",
    "GivingWay",
    "NextToken",
    "Sampler",
    "continue_texts",
    "make_sampler",
    "strategy_rules",
    "suppress_end",
    "token_steps",
    "uniform_noise",
]
