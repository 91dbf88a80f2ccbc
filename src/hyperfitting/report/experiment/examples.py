"""Texts or images to look at: the first contexts side by side, and the most recited passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.repetition import repeated_run_lengths
from hyperfitting.records import REFERENCE, Arm, Continuation, Origin
from hyperfitting.report.experiment.pictures import ExamplePicture
from hyperfitting.runs import Experiment


@dataclass(frozen=True)
class Example:
    """One context: the texts side by side, each token with the length of its repeated run; or the
    images.

    `seen` are the context's tokens as the model saw them, special ones by name.

    Source: Carlsson et al. 2025, Figure 1.
    """

    domain: str
    title: str
    context: str
    seen: list[str]
    texts: list[tuple[str, Sequence[str], list[int]]]
    pictures: Sequence[ExamplePicture] = ()


@dataclass(frozen=True)
class RecitedPassage:
    """One recited passage, and the training text that it stands in."""

    tokens: int
    text: str
    where: str
    source: str


def examples(experiment: Experiment) -> list[Example]:
    """The first contexts of each domain in turn, in the recipe's first strategy: not chosen by
    anyone.
    """
    if not experiment.holds_texts or experiment.recipe.data.images is not None:
        return []  # images have no strings to show
    recipe, variants = experiment.recipe, [*experiment.runs(), REFERENCE]
    texts = _texts_of(experiment, recipe.generate.strategies[0].name)
    domains, most = [each.name for each in recipe.data.domains], recipe.report.examples
    keys = [
        [(domain, context, variant) for variant in variants]
        for context, domain in islice(product(range(most), domains), most)
    ]
    found = [[texts[key] for key in each if key in texts] for each in keys]
    names = _special_tokens(experiment)
    return [_example(each, names) for each in found if each]


def _texts_of(experiment: Experiment, strategy: str) -> dict[tuple[str, int, str], Continuation]:
    """The texts of one strategy and the true texts, by domain, context and variant."""
    return {
        (text.domain, text.context, text.variant): text
        for run in experiment.runs().values()
        for text in run.continuations()
        if text.strategy in (strategy, None)
    }


def _special_tokens(experiment: Experiment) -> dict[int, str]:
    """The names of the special tokens that begin or end texts, or stand in a chat's template."""
    found = (run.train_facts.tokenizer for run in experiment.runs().values() if run.trained)
    traits = next(filter(None, found), None)
    return {} if traits is None else {each: name for name, each in traits.special.items()}


def _example(texts: Sequence[Continuation], names: Mapping[int, str]) -> Example:
    first = texts[0]
    context = "".join(first.context_pieces)
    pairs = zip(first.context_ids, first.context_pieces, strict=True)
    seen = [piece or names.get(each, "") for each, piece in pairs]
    return Example(first.domain, _cite(first), context, seen, [_coloured(text) for text in texts])


def _coloured(text: Continuation) -> tuple[str, Sequence[str], list[int]]:
    true = text.variant == REFERENCE
    title = "the true text" if true else Arm(text.variant, text.strategy).title
    return title, text.pieces, repeated_run_lengths(text.ids, context=text.context_ids)


def recited_passages(experiment: Experiment) -> list[RecitedPassage]:
    """The longest runs of the hyperfitted model's texts that stand in a training block, longest
    first.
    """
    if not experiment.holds_texts or experiment.recipe.data.images is not None:
        return []
    blocks = experiment.blocks("train")
    index = TrainingIndex(blocks.ids_NT.tolist())
    texts = [text for text in experiment.run("hyperfitted").continuations() if text.ids]
    shared = index.search([text.ids for text in texts])
    runs = [(text, each.longest) for text, each in zip(texts, shared, strict=True)]
    runs.sort(key=lambda pair: -pair[1].length)
    return [
        RecitedPassage(
            run.length,
            "".join(text.pieces[run.start : run.start + run.length]).strip(),
            f"{text.domain}, context {text.context + 1}, {text.strategy}",
            _cite(blocks.origins[run.block]) + f", from token {run.block_start + 1}",
        )
        for text, run in runs[: experiment.recipe.report.passages]
    ]


def _cite(origin: Origin | Continuation) -> str:
    place = f"{origin.source.rsplit('/', 1)[-1]}, row {origin.row}"
    return f"“{origin.title}” ({place})" if origin.title else place
