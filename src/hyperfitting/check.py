"""What a recipe would do, in lines for a reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hyperfitting.facts import DataManifest, PassageFacts, SetFacts, SourceFacts
from hyperfitting.metrics.stats import LEAST_CLUSTERS
from hyperfitting.recipe import Recipe, recipe_notes
from hyperfitting.records import Continuation, Difference, Fit, Memory, TrainedWeights


def describe(
    recipe: Recipe,
    manifest: DataManifest,
    *,
    ends: str,
    switched_off: Sequence[str],
    parameters: int,
    inspected: Sequence[str],
    trained: Sequence[TrainedWeights],
    left_out: Sequence[str],
    updates: int,
    precision: str,
    memory: Memory | str,
    room: int,
    device: str,
    folder: Path,
) -> str:
    """One line for the recipe, the model, each set, the training, the decoding, what has no effect, and the folder.

    `ends` are the end-of-text ids with their tokens, `switched_off` is what the tokenizer would do beside encoding.
    `left_out` are weights of the adapted layers without adapters. `memory` is the plan, or why there is none.
    """
    model, settings, pretrains = recipe.model, recipe.train, recipe.model.initialise == "random"
    groups = {each.name: each.groups for each in manifest.sets}
    made = ["pretrained"] if pretrains else [*recipe.roles, "report"]
    lines = [
        f"recipe    {recipe.run_name}, digest {recipe.digest}",
        f"model     {model.source}: {parameters:,} parameters as {model.dtype}",
        *(f"          {line}" for line in inspected),
        f"text      beginning-of-text: {model.beginning_of_text}; end-of-text ids: {ends}",
        *(
            f"          {each}, which the tokenizer asks for, is switched off"
            for each in switched_off
        ),
        *(_source_line(each) for each in manifest.sources),
        *(line for each in manifest.sets for line in _set_lines(each)),
        f"train     {updates:,} updates of {settings.batch_blocks} x {recipe.data.block_tokens} tokens, "
        f"learning rate {settings.learning_rate:g}, {precision} on {device}",
        *_trained_lines(trained, left_out),
        f"memory    {memory if isinstance(memory, str) else _planned(memory, room)}",
        *_afterwards(recipe),
        *(f"note      {note}" for note in recipe_notes(recipe, groups)),
        f"write     {folder}: recipe.json, data/, {', '.join(f'{name}/' for name in made)}",
    ]
    return "\n".join(lines)


def inspected_lines(traits: Any, adaptation: Any, loss: str) -> list[str]:
    """What was found out about a model by loading it, and what of ours it trains with."""
    layers = "" if traits.layers is None else f", {_plural(traits.layers, 'layer')}"
    head = ", head tied to the embeddings" if traits.tied else ""
    one_token = traits.decoding_one_token
    kind = f"{traits.architecture}{layers}, vocabulary of {traits.vocabulary:,}"
    experts = ", experts" if traits.experts else ""
    whole = "in chunks" if loss == "next_token_loss" else "of its whole logits"
    return [
        f"{kind}{head}{experts}; attention {traits.attention}",
        f"decodes with: {traits.decoding}"
        + ("" if one_token == traits.decoding else f" (contexts of one token: {one_token})"),
        f"trains with: attention {adaptation.attention}; loss {whole}; "
        f"norms and rotations rounded once under autocast: {len(adaptation.rounded)}",
    ]


def _afterwards(recipe: Recipe) -> Iterator[str]:
    """How contexts are continued; a pretraining ends without."""
    if recipe.model.initialise == "pretrained":
        settings = recipe.generate
        count = _plural(len(settings.strategies), "strategy")
        yield f"generate  {settings.new_tokens} tokens after each context, {settings.mode} mode, {count}:"
        yield from (
            f"          {strategy.name}: {strategy.in_words()}" for strategy in settings.strategies
        )


def _source_line(facts: SourceFacts) -> str:
    """What was read of a source: files, and which were passed over; rows and nulls."""
    read = [] if facts.files_read is None else [f"{_plural(facts.files_read, 'file')} read"]
    passed = facts.files_passed_over
    if passed and passed.count:
        more = ", ..." if passed.count > 3 else ""
        read.append(f"{passed.count} passed over ({', '.join(passed.names[:3])}{more})")
    nulls = [f"{_plural(facts.nulls, 'null')} passed over"] if facts.nulls else []
    return f"source    {facts.path}: {', '.join([*read, _plural(facts.rows, 'row'), *nulls])}"


def _set_lines(each: SetFacts) -> Iterator[str]:
    """What a set is made of, and what became of the texts that it was offered."""
    leaks = f", {_plural(len(each.leaks_left_out), 'leak')} left out" if each.leaks_left_out else ""
    yield (
        f"set       {each.name}: {each.blocks} x {each.tokens} tokens from {_plural(each.groups, 'group')} "
        f"of {each.source}{leaks}"
    )
    short = f"{each.too_short:,} too short, " if each.unit == "document" else ""
    yield (
        f"          of {_plural(each.documents_seen, each.unit)}: {short}{each.repeated:,} repeated, "
        f"{each.near_repeated:,} near-repeated, {each.leaked:,} leaked"
    )
    if short and 2 * each.too_short > each.documents_seen:
        yield "          more than half are too short for a block: choose other data.blocks, or lower data.block_tokens"
    lost = each.characters
    if lost.lost:
        most = ", ".join(
            f"{character!r} {count:,}" for character, count in list(lost.lost_most.items())[:5]
        )
        yield f"          the tokenizer loses {lost.lost_share:.2%} of the characters: {most}"
    if each.passages is not None:
        yield from _passages_lines(each.passages, each.blocks, each.too_short)
    if each.name not in ("train", "validation"):
        yield from _cluster_lines(each)


def _passages_lines(each: PassageFacts, blocks: int, short: int) -> Iterator[str]:
    """How much of a source a set's passages are, how much is kept for it, and why some of that is in no passage."""
    taken, kept, cut = (
        count / each.source_characters
        for count in (each.taken_characters, each.kept_characters, each.passage_characters)
    )
    where = f"{_plural(each.stretches, 'stretch')} of {_plural(each.documents, 'document')}"
    yield f"          {blocks:,} of {_plural(each.passages, 'passage')}: {taken:.1%} of the text"
    yield f"          {kept:.1%} of the text is kept for it, in {where}; {kept - cut:.1%} lies between passages"
    if short:
        yield f"          {_plural(short, 'stretch')} too short for a passage"


def _cluster_lines(each: SetFacts) -> Iterator[str]:
    """What the intervals of a set of contexts are about, or that there are none."""
    if each.groups < LEAST_CLUSTERS:
        yield f"          fewer than {LEAST_CLUSTERS} groups: its values get no intervals"
    elif each.passages is not None and each.passages.documents == 1:
        yield "          all groups are chapters of one document: the intervals hold for it alone"


def _plural(count: int, noun: str) -> str:
    return (
        f"{count:,} {noun}"
        if count == 1
        else f"{count:,} {noun}{'es' if noun.endswith('ch') else 's'}"
    )


def _trained_lines(trained: Sequence[TrainedWeights], left_out: Sequence[str]) -> Iterator[str]:
    """Exactly what is trained, a line for all weights of one place in the layers; and which have no adapter."""
    yield f"trained   {sum(row.parameters for row in trained):,} parameters:"
    width = max((len(row.weights) for row in trained), default=0)
    for row in trained:
        layers = f"layers {row.layers[0]}-{row.layers[-1]}, " if row.layers else ""
        shape = " x ".join(map(str, row.shape))
        yield f"          {row.weights:{width}s}  {row.parameters:>13,}  ({layers}{shape})"
    if left_out:
        yield f"          without adapters, as they are no plain linear modules: {', '.join(left_out)}"


def plan_table(recipe: Recipe, fits: Iterable[Fit], room: int, count: int) -> str:
    """The plan as a table: a row for each choice of settings that was tried."""
    head = (
        "precision",
        "micro-batch",
        "checkpointing",
        "weights",
        "gradients",
        "states",
        "activations",
        "logits",
        "peak",
    )
    rows: list[tuple[str, ...]] = [(*head, f"fits {in_gib(room)}")]
    for fit in fits:
        micro = fit.engine.micro_batch_blocks or -(-recipe.train.batch_blocks // count)
        memory = [in_gib(getattr(fit.memory, name)) for name in head[3:]]
        switch = "on" if fit.engine.activation_checkpointing else "off"
        rows.append((fit.precision, str(micro), switch, *memory, "yes" if fit.fits else "no"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    what = f"{recipe.train.batch_blocks} x {recipe.data.block_tokens} tokens an update, {recipe.train.parameters}"
    return "\n".join(
        [f"{recipe.run_name}: {what}, on {_plural(count, 'device')}; bytes on each", *lines]
    )


def dry_run_line(
    recipe: Recipe, precision: str, device: str, planned: Memory, peak: int, rate: float
) -> str:
    """What a dry run measured, beside the plan."""
    return (
        f"{recipe.run_name}: {precision} on {device}: {rate:,.0f} tokens/s; peak {in_gib(peak)}, "
        f"planned {in_gib(planned.peak)} ({peak / planned.peak - 1:+.1%})"
    )


def agreement_lines(
    role: str, texts: Sequence[Continuation], differences: Sequence[Difference]
) -> str:
    """How many texts equal those of reference mode, and for each other one its first difference."""
    head = (
        f"{role}: {len(texts) - len(differences)} of {len(texts)} texts are those of reference mode"
    )
    lines = [
        f"  {each.domain}, context {each.context}, {each.strategy}: another token {each.step + 1}, margin {each.margin:.2g}"
        for each in differences
    ]
    return "\n".join([head, *lines])


def _planned(memory: Memory, room: int) -> str:
    names = ("weights", "gradients", "states", "activations", "logits")
    parts = ", ".join(f"{name} {in_gib(getattr(memory, name))}" for name in names)
    return f"{in_gib(memory.peak)} at the height of an update, of {in_gib(room)}: {parts}"


def in_gib(size: float) -> str:
    """Bytes as a person reads them."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**27 else f"{size / 2**20:.1f} MiB"
