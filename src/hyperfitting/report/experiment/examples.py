"""Texts or images to look at: the first contexts side by side, and the most recited passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

from hyperfitting.measuring import ImageBaselines, image_baselines
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.repetition import repeated_run_lengths
from hyperfitting.recipe import HYPERFITTED
from hyperfitting.records import REFERENCE, Arm, Continuation, Origin
from hyperfitting.report.experiment.pictures import ExamplePicture, example_pictures
from hyperfitting.report.experiment.whole_words import shown_pieces, word_in_two
from hyperfitting.runs import Experiment

MOST_STRATEGIES = 3
"""Images are shown in so many strategies, the recipe's first ones."""


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


def texts_by_variant(experiment: Experiment) -> dict[str, list[Continuation]]:
    """What each run holds of texts; nothing of an archive with hashes instead."""
    if not experiment.holds_texts:
        return {}
    return {variant: run.continuations() for variant, run in experiment.runs().items()}


def examples(
    experiment: Experiment, held: Mapping[str, Sequence[Continuation]] | None = None
) -> list[Example]:
    """The first contexts of each domain in turn: not chosen by anyone. Texts in the recipe's first
    strategy, images in the first `MOST_STRATEGIES`. `held`: the texts by variant, if they are read
    already.
    """
    if not experiment.holds_texts:
        return []
    recipe, images = experiment.recipe, image_baselines(experiment)
    strategies = recipe.generate.strategies[: 1 if images is None else MOST_STRATEGIES]
    arms = [Arm(variant, each.name) for each in strategies for variant in experiment.runs()]
    texts = _texts_of(held or texts_by_variant(experiment), [*arms, Arm(REFERENCE)])
    domains, most = [each.name for each in recipe.data.domains], recipe.report.examples
    first = islice(product(range(most), domains), most)
    found = [texts[domain, context] for context, domain in first if (domain, context) in texts]
    if images is not None:
        sources = [_cite(origin) for origin in experiment.blocks("train").origins]
        return [_picture_example(each, images, sources) for each in found]
    names = _special_tokens(experiment)
    return [_example(list(each.values()), names) for each in found]


def _texts_of(
    held: Mapping[str, Sequence[Continuation]], arms: Sequence[Arm]
) -> dict[tuple[str, int], dict[Arm, Continuation]]:
    """The texts of some arms, in their order, by domain and context."""
    found: dict[tuple[str, int], dict[Arm, Continuation]] = {}
    for text in chain.from_iterable(held.values()):
        own = found.setdefault((text.domain, text.context), {})
        own[Arm(text.variant, text.strategy)] = text
    return {key: {arm: own[arm] for arm in arms if arm in own} for key, own in found.items()}


def _picture_example(
    texts: Mapping[Arm, Continuation], baselines: ImageBaselines, sources: Sequence[str]
) -> Example:
    images = {arm: image for arm, text in texts.items() if (image := baselines.image(text))}
    first = next(iter(texts.values()))
    shown = example_pictures(images, baselines, sources)
    return Example(first.domain, _cite(first), "", [], [], shown)


def _special_tokens(experiment: Experiment) -> dict[int, str]:
    """The names of the special tokens that begin or end texts, or stand in a chat's template."""
    found = (run.train_facts.tokenizer for run in experiment.runs().values() if run.trained)
    traits = next(filter(None, found), None)
    return {} if traits is None else {each: name for name, each in traits.special.items()}


def _example(texts: Sequence[Continuation], names: Mapping[int, str]) -> Example:
    first = texts[0]
    context = "".join(first.context_pieces)
    begun = word_in_two(context, [text.text for text in texts])
    pairs = zip(first.context_ids, first.context_pieces, strict=True)
    seen = [piece or names.get(each, "") for each, piece in pairs]
    shown = [_coloured(text, begun) for text in texts]
    return Example(first.domain, _cite(first), context.removesuffix(begun), seen, shown)


def _coloured(text: Continuation, begun: str) -> tuple[str, Sequence[str], list[int]]:
    true = text.variant == REFERENCE
    title = "the true text" if true else Arm(text.variant, text.strategy).title
    runs = repeated_run_lengths(text.ids, context=text.context_ids)
    pieces = shown_pieces(text, begun)
    return title, pieces, [0, *runs[: len(pieces) - 2], 0]


def recited_passages(
    experiment: Experiment, held: Mapping[str, Sequence[Continuation]] | None = None
) -> list[RecitedPassage]:
    """The longest runs of the hyperfitted model's texts that stand in a training block, longest
    first. `held`: the texts by variant, if they are read already.
    """
    if not experiment.holds_texts or experiment.recipe.data.images is not None:
        return []
    blocks = experiment.blocks("train")
    index = TrainingIndex(blocks.ids_NT.tolist())
    written = (held or texts_by_variant(experiment))[HYPERFITTED]
    texts = [text for text in written if text.ids]
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
