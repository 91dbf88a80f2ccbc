"""The page texts.html: every continuation of an experiment, to be browsed, searched, filtered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from hyperfitting.records import REFERENCE, Arm, Continuation, TextMetrics
from hyperfitting.report.experiment.whole_words import shown_pieces, word_in_two
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.kit.page import style, templates
from hyperfitting.report.kit.variants import variant_classes
from hyperfitting.runs import Experiment

_SHOWN = {
    "ttr": "TTR",
    "repeated_4gram_share": "repeated 4-grams",
    "longest_overlap_tokens": "longest shared run",
}
_LOOP = "looping_share"


@dataclass(frozen=True)
class ShownContinuation:
    """One text of a context: who wrote it, and its metrics in words."""

    title: str
    variant: str
    text: str
    metrics: str
    loops: bool


@dataclass(frozen=True)
class ShownContext:
    """One context with all of its continuations."""

    domain: str
    number: int
    text: str
    origin: str
    continuations: list[ShownContinuation]


def all_texts_page(experiment: Experiment, held: Mapping[str, Sequence[Continuation]]) -> str:
    """The page in HTML; empty where an experiment holds no texts, or images. `held`: the texts by
    variant.
    """
    if not experiment.holds_texts or experiment.recipe.data.images is not None:
        return ""
    contexts = list(_contexts(experiment, held))
    titles = [each.title for context in contexts for each in context.continuations]
    variants = [each.variant for context in contexts for each in context.continuations]
    return (
        templates()
        .get_template("experiment/texts.html.j2")
        .render(
            run_name=experiment.recipe.run_name,
            contexts=contexts,
            domains=[each.name for each in experiment.recipe.data.domains],
            titles=list(dict.fromkeys(titles)),
            classes=variant_classes(variants),
            style=style(),
        )
    )


def _contexts(
    experiment: Experiment, held: Mapping[str, Sequence[Continuation]]
) -> Iterator[ShownContext]:
    """The contexts in the order of the recipe's domains."""
    measured = {
        (row.variant, row.domain, row.strategy, row.context): row
        for run in experiment.runs().values()
        for row in run.text_metrics()
    }
    texts: dict[tuple[str, int], list[Continuation]] = {}
    for text in chain.from_iterable(held.values()):
        texts.setdefault((text.domain, text.context), []).append(text)
    order = [each.name for each in experiment.recipe.data.domains]
    for (domain, context), own in sorted(
        texts.items(), key=lambda pair: (order.index(pair[0][0]), pair[0][1])
    ):
        own.sort(key=lambda text: text.variant == REFERENCE)
        begun = word_in_two("".join(own[0].context_pieces), [text.text for text in own])
        yield ShownContext(
            domain,
            context + 1,
            "".join(own[0].context_pieces).removesuffix(begun),
            own[0].group,
            [
                _shown(text, begun, measured.get((text.variant, domain, text.strategy, context)))
                for text in own
            ],
        )


def _shown(text: Continuation, begun: str, measured: TextMetrics | None) -> ShownContinuation:
    values = {} if measured is None else measured.values
    ratios = {
        name: values[name][0][0] / values[name][0][1]
        for name in (*_SHOWN, _LOOP)
        if values.get(name) and values[name][0][1]
    }
    metrics = ", ".join(
        f"{label} {number(ratios[name])}" for name, label in _SHOWN.items() if name in ratios
    )
    title = "the true text" if text.variant == REFERENCE else Arm(text.variant, text.strategy).title
    return ShownContinuation(
        title,
        text.variant,
        "".join(shown_pieces(text, begun)),
        metrics,
        loops=ratios.get(_LOOP, 0) == 1,
    )
