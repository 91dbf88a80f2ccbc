"""What the terminal shows at the end of a run: a sentence, one context with its continuations,
unless they are images, and six lines of figures.
"""

from __future__ import annotations

from textwrap import fill, shorten

from hyperfitting.metrics.specs import key_metrics, metric
from hyperfitting.records import REFERENCE
from hyperfitting.report.experiment.examples import examples
from hyperfitting.report.experiment.tables import headline, values_of
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.kit.subject import data_noun
from hyperfitting.runs import Experiment

_COLUMNS = 80
_WORDS_CHARACTERS = 230
"""About forty words."""


def closing_words(experiment: Experiment) -> str:
    """The end of a run on one screen. Figures are of the first domain and the first strategy, as
    the context is; the report has the others.
    """
    parts = [fill(headline(experiment), _COLUMNS), _example(experiment), _figures(experiment)]
    return "\n\n".join(part for part in parts if part)


def _example(experiment: Experiment) -> str:
    """The first context, and the beginning of what each variant and the author went on with."""
    shown = [each for each in examples(experiment) if not each.pictures]
    for each in shown[:1]:
        texts = [("the context", each.context)]
        texts += [(title, "".join(pieces)) for title, pieces, _ in each.texts]
        return "\n".join(_quoted(title, text) for title, text in texts)
    return ""


def _quoted(title: str, text: str) -> str:
    words = shorten(text, _WORDS_CHARACTERS, placeholder=" ...")
    return f"{title}:\n" + fill(words, _COLUMNS, initial_indent="  ", subsequent_indent="  ")


def _figures(experiment: Experiment) -> str:
    """A line for each figure: the variants, then the true texts."""
    recipe, values = experiment.recipe, values_of(experiment)
    if not recipe.data.domains:
        return ""
    domain, strategy = recipe.data.domains[0].name, recipe.generate.strategies[0].name
    variants = [*experiment.runs(), REFERENCE]
    lines = [(f"{domain}, {strategy}", [*variants[:-1], "true texts"])]
    for name in (*key_metrics(data_noun(recipe)), "entropy"):
        found = [
            values.get((each, domain, strategy, name), values.get((each, domain, None, name)))
            for each in variants
        ]
        if any(value is not None for value in found):
            cells = ["" if value is None else number(value) for value in found]
            lines.append((metric(name).label, cells))
    width = max(len(label) for label, _ in lines)
    columns = [max(map(len, cells)) for cells in zip(*(cells for _, cells in lines), strict=True)]
    return "\n".join(
        "  ".join([f"{label:{width}}", *map(str.rjust, cells, columns)]).rstrip()
        for label, cells in lines
    )
