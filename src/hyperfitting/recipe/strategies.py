"""How the next token is chosen: the decoding strategies and their rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hyperfitting.recipe.base import (
    Count,
    Name,
    Positive,
    Settings,
    Share,
)


class DrySettings(Settings):
    """DRY: penalises tokens that would extend a repetition of the end of the text, exponentially in
    its length.
    """

    multiplier: Positive = Field(
        0.8, description="Subtracted from the logit at the allowed length."
    )
    base: Positive = Field(
        1.75, description="Factor of the penalty for each further token of the repetition."
    )
    allowed_tokens: Count = Field(2, description="Shortest repetition that is penalised.")


class BlockerSettings(Settings):
    """The citation blocker forbids tokens that would extend a citation of a training block
    (Carlsson et al. 2025, sec. 5).
    """

    mode: Literal["token", "word"] = Field(
        "token",
        description="`token` forbids at once, `word` only tokens that begin a word: a word "
        "already started may be completed.",
    )
    tokens: Count = Field(5, description="Tokens of a citation that may not be extended.")
    context: bool = Field(
        False,
        description="Whether a citation may begin in the context; else all of it is generated.",
    )


class Strategy(Settings):
    """One way of choosing the next token. Its rules are applied in the order in which they stand
    here.

    Examples:
        >>> top_p = hyperfitting.Strategy(name="top-p", method="sample", top_p=0.9)
        >>> pieces = hyperfitting.write("runs/mine", "the", strategy=top_p, new_tokens=8, seed=1)
        >>> len("".join(pieces)) > 0
        True
    """

    name: Name = Field(description="The strategy's name in every table.")
    method: Literal["greedy", "sample"] = Field(
        description="`greedy` takes the most probable token, `sample` draws."
    )
    blocker: BlockerSettings | None = Field(None, description="Citation blocker; none: off.")
    repetition_penalty: Positive | None = Field(
        None,
        description="Divides positive logits of tokens seen, multiplies negative ones; none: 1.",
    )
    penalised: Literal["generated", "all"] = Field(
        "generated",
        description="Tokens that `repetition_penalty` takes for seen: generated ones, or the "
        "context's too.",
    )
    no_repeat_ngram: Count | None = Field(
        None, description="No n-gram of this many tokens occurs twice, context included; none: off."
    )
    dry: DrySettings | None = Field(
        None, description="Penalty on repeating the end of the text; none: off."
    )
    temperature: Positive | None = Field(None, description="Divides the logits; none: 1.")
    top_k: Count | None = Field(None, description="Keep the k most probable tokens; none: all.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Nucleus: keep the fewest tokens whose probabilities reach p; none: all."
    )
    min_p: Share | None = Field(
        None,
        description="Keep tokens whose probability is at least this share of the largest one; "
        "none: all.",
    )

    def in_words(self) -> str:
        """The method and every rule in effect, in one line."""
        rules = self.model_dump(mode="json", exclude={"name", "method"}, exclude_none=True)
        if self.repetition_penalty is None:
            del rules["penalised"]
        return ", ".join(
            [self.method, *(f"{name} {_in_words(value)}" for name, value in rules.items())]
        )


def _in_words(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return "(" + ", ".join(f"{name} {_in_words(inner)}" for name, inner in value.items()) + ")"


GREEDY = Strategy(name="greedy", method="greedy")
PAPER_NUCLEUS = Strategy(name="nucleus", method="sample", temperature=0.7, top_k=50, top_p=0.9)
"""The sampling baseline of Carlsson et al. 2025, sec. 4: p 0.9, temperature 0.7, top-k 50."""
