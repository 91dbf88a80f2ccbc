"""What verbs found out, in lines for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hyperfitting.cli.console import folded, is_too_wide
from hyperfitting.facts import PassageFacts, SetFacts, SourceFacts
from hyperfitting.metrics.stats import LEAST_CLUSTERS
from hyperfitting.progress import time_in_words
from hyperfitting.recipe import Recipe
from hyperfitting.stages.listing import DamagedExperiment, ExperimentSummary
from hyperfitting.traits import ModelSource, TrainedWeights

if TYPE_CHECKING:
    from hyperfitting.stages.check import RecipeCheck
    from hyperfitting.stages.generate import Agreement
    from hyperfitting.stages.plan import DryRun, MemoryPlan
    from hyperfitting.training import Memory, MemoryFit


def check_lines(check: RecipeCheck) -> str:
    """One line for the recipe, the model, each set, the training, the decoding, what has no effect,
    and the folder.
    """
    recipe, settings = check.recipe, check.recipe.train
    pretrains = recipe.model.initialise == "random"
    made = ["pretrained"] if pretrains else [*recipe.variant_names, "report"]
    lines = [
        f"recipe    {recipe.run_name}, digest {recipe.digest}",
        f"model     {recipe.model.source}: {check.parameters:,} parameters as {recipe.model.dtype}",
        *(f"          {line}" for line in (*source_lines(check.source), *_model_lines(check))),
        *_codec_lines(check),
        *(line for each in check.manifest.sources for line in _source_lines(each)),
        *(line for each in check.manifest.sets for line in _set_lines(each)),
        f"train     {check.updates:,} updates of {settings.batch_blocks} x "
        f"{recipe.data.block_tokens} tokens, learning rate {settings.learning_rate:g}, "
        f"{check.precision} on {check.device}",
        *_trained_lines(check.trained, check.left_out),
        *_variant_lines(recipe),
        f"memory    {_memory_line(check.memory, check.device_bytes)}",
        *_time_lines(check),
        f"disk      {in_gib(check.disk.working_bytes)} of models and checkpoints while it trains, "
        f"{in_gib(check.disk.kept_bytes)} of models afterwards; "
        f"{in_gib(check.disk.free_bytes)} are free",
        *_afterwards(recipe),
        *(f"note      {note}" for note in check.notes),
        f"write     {check.folder}: recipe.json, data/, {', '.join(f'{name}/' for name in made)}",
    ]
    return "\n".join(lines)


def _time_lines(check: RecipeCheck) -> Iterator[str]:
    """What each stage takes on this device, judged from one update."""
    words = {"train": "training", "generate": "writing", "measure": "measuring"}
    if seconds := check.stage_seconds:
        parts = [f"{time_in_words(each)} {words.get(name, name)}" for name, each in seconds.items()]
        yield f"time      about {', '.join(parts)}, judged from one update timed here"


def _model_lines(check: RecipeCheck) -> list[str]:
    """What loading the model finds out; where its weights are too large for this device, that they
    are.
    """
    found = check.inspection
    if found is None:
        needed, room = in_gib(check.weight_bytes), in_gib(check.device_bytes)
        return [f"not loaded here: its weights need {needed}, of {room}; `run` inspects them"]
    return inspected_lines(found.traits, found.adaptation, found.loss)


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


def _codec_lines(check: RecipeCheck) -> Iterator[str]:
    """How texts, or images, become tokens."""
    images = check.recipe.data.images
    if images is not None:
        colours = check.tokenizer.tokens - 1
        yield (
            f"image     {images.side} x {images.side} pixels in {colours:,} colours, contexts of "
            f"{images.rows} rows; start token {colours}, which is never generated"
        )
        return
    yield (
        f"text      beginning-of-text: {check.recipe.model.beginning_of_text}; end-of-text ids: "
        f"{check.ends}"
    )
    for each in check.switched_off:
        yield f"          {each}, which the tokenizer asks for, is switched off"
    yield from (f"          {line}" for line in _tokenizer_lines(check))


def _tokenizer_lines(check: RecipeCheck) -> Iterator[str]:
    """What the tokenizer does by itself, and what the model sees of one context in a chat."""
    traits, data = check.tokenizer, check.recipe.data
    begins = "none" if traits.beginning is None else repr(traits.beginning)
    adds = "puts it first by itself" if traits.adds_beginning else "adds none by itself"
    template = "no" if traits.chat_template is None else "a"
    yield (
        f"tokenizer of {traits.tokens:,} tokens: beginning-of-text {begins}, {adds}; {template} "
        "chat template"
    )
    if data.holds_chats:
        yield (
            f"chat: contexts {data.context_format}, training {data.train_format}; the template "
            f"and the instruction take {check.frame_tokens} of {data.context_tokens} tokens"
        )
        yield f"the model sees, token by token: {' | '.join(map(repr, check.prompt))}"


def source_lines(source: ModelSource | None) -> Iterator[str]:
    """The files that a model is made from: their quantisation and hashes."""
    if source is None:
        return
    if held := source.quantisation:
        yield f"dequantised from GGUF: tensors {held}; tokenizer {source.tokenizer or 'inside'}"
    if source.base is not None:
        yield f"an adapter, merged into {source.base}"
    yield from (f"sha256 {digest[:16]}  {name}" for name, digest in source.sha256.items())


def _variant_lines(recipe: Recipe) -> Iterator[str]:
    """What each variant changes, and with which others one training makes it."""
    for variant in recipe.variants:
        changes = ", ".join(f"{key} = {value}" for key, value in variant.set.items())
        others = [each for each in recipe.trained_together(variant.name) if each != variant.name]
        together = f"; one training with {', '.join(others)}" if others else ""
        yield f"variant   {variant.name}: {changes}{together}"


def _afterwards(recipe: Recipe) -> Iterator[str]:
    """How contexts are continued; a pretraining ends without."""
    if recipe.model.initialise == "pretrained":
        settings = recipe.generate
        count = _plural(len(settings.strategies), "strategy")
        yield (
            f"generate  {settings.new_tokens} tokens after each context, {settings.mode} mode, "
            f"{count}:"
        )
        yield from (
            f"          {strategy.name}: {strategy.in_words()}" for strategy in settings.strategies
        )


def _source_lines(facts: SourceFacts) -> Iterator[str]:
    """What was read of a source: files, and which were passed over; rows and nulls; the sizes and
    kinds of images.
    """
    read = [] if facts.files_read is None else [f"{_plural(facts.files_read, 'file')} read"]
    passed = facts.files_passed_over
    if passed and passed.count:
        more = ", ..." if passed.count > 3 else ""
        read.append(f"{passed.count} passed over ({', '.join(passed.names[:3])}{more})")
    nulls = [f"{_plural(facts.nulls, 'null')} passed over"] if facts.nulls else []
    yield f"source    {facts.path}: {', '.join([*read, _plural(facts.rows, 'row'), *nulls])}"
    if facts.images is not None:
        found, changed = facts.images.sizes, facts.images.converted
        sizes = [f"{count:,} of {size}" for size, count in list(found.items())[:5]]
        rest = ["..."] if len(found) > len(sizes) else []
        kinds = [f"{count:,} converted to RGB ({kind})" for kind, count in changed.items()]
        yield f"          images: {', '.join([*sizes, *rest, *kinds])}"


def _set_lines(each: SetFacts) -> Iterator[str]:
    """What a set is made of, and what became of the texts that it was offered."""
    leaks = f", {_plural(len(each.leaks_left_out), 'leak')} left out" if each.leaks_left_out else ""
    yield (
        f"set       {each.name}: {each.blocks} x {each.tokens} tokens from "
        f"{_plural(each.groups, 'group')} of {each.source}{leaks}"
    )
    short = f"{each.too_short:,} too short, " if each.unit == "document" else ""
    yield (
        f"          of {_plural(each.documents_seen, each.unit)}: {short}{each.repeated:,} "
        f"repeated, {each.near_repeated:,} near-repeated, {each.leaked:,} leaked"
    )
    if short and 2 * each.too_short > each.documents_seen:
        yield (
            "          more than half are too short for a block: choose other data.blocks, or "
            "lower data.block_tokens"
        )
    lost = each.characters
    if lost is not None and lost.lost:
        most = ", ".join(
            f"{character!r} {count:,}" for character, count in list(lost.lost_most.items())[:5]
        )
        yield f"          the tokenizer loses {lost.lost_share:.2%} of the characters: {most}"
    if each.passages is not None:
        yield from _passages_lines(each.passages, each.blocks, each.too_short)
    if each.name not in ("train", "validation"):
        yield from _cluster_lines(each)


def _passages_lines(each: PassageFacts, blocks: int, short: int) -> Iterator[str]:
    """How much of a source a set's passages are, how much is kept for it, and why some of that is
    in no passage.
    """
    taken, kept, cut = (
        count / each.source_characters
        for count in (each.taken_characters, each.kept_characters, each.passage_characters)
    )
    where = f"{_plural(each.stretches, 'stretch')} of {_plural(each.documents, 'document')}"
    yield f"          {blocks:,} of {_plural(each.passages, 'passage')}: {taken:.1%} of the text"
    yield (
        f"          {kept:.1%} of the text is kept for it, in {where}; {kept - cut:.1%} lies "
        "between passages"
    )
    if short:
        yield f"          {_plural(short, 'stretch')} too short for a passage"


def _cluster_lines(each: SetFacts) -> Iterator[str]:
    """What the intervals of a set of contexts are about, or that there are none."""
    if each.groups < LEAST_CLUSTERS:
        yield f"          fewer than {LEAST_CLUSTERS} groups: its values get no intervals"
    elif each.passages is not None and each.passages.documents == 1:
        yield "          all groups are chapters of one document: the intervals hold for it alone"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else _PLURALS.get(noun, noun + 's')}"


_PLURALS = {"strategy": "strategies", "stretch": "stretches"}


def _trained_lines(trained: Sequence[TrainedWeights], left_out: Sequence[str]) -> Iterator[str]:
    """Exactly what is trained, a line for all weights of one place in the layers; and which have no
    adapter.
    """
    yield f"trained   {sum(row.parameters for row in trained):,} parameters:"
    names = [_with_layers(row) for row in trained]
    counts = [f"{row.parameters:,}" for row in trained]
    wide, long = (max(map(len, column), default=0) for column in (names, counts))
    for row, name, count in zip(trained, names, counts, strict=True):
        yield f"          {name:{wide}s} {count:>{long}s}  {' x '.join(map(str, row.shape))}"
    if left_out:
        yield (
            "          without adapters, as they are no plain linear modules: "
            f"{', '.join(left_out)}"
        )


def _with_layers(row: TrainedWeights) -> str:
    """The name of weights, with their layers in the place of its star."""
    span = f"{row.layers[0]}-{row.layers[-1]}" if row.layers else "*"
    return row.weights.replace("*", span, 1)


_PLANNED = ("weights", "gradients", "states", "activations", "logits", "peak")


def plan_table(plan: MemoryPlan) -> str:
    """The plan as a table: a row for each choice of settings that was tried."""
    room = f"fits {in_gib(plan.device_bytes)}"
    rows: list[tuple[str, ...]] = [("precision", "micro-batch", "checkpointing", *_PLANNED, room)]
    for fit in plan.fits:
        memory = [in_gib(getattr(fit.memory, name)) for name in _PLANNED]
        switch = "on" if fit.engine.activation_checkpointing else "off"
        blocks = str(_micro_batch_blocks(plan, fit))
        rows.append((fit.precision, blocks, switch, *memory, "yes" if fit.fits else "no"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([_plan_head(plan), *lines])


def plan_lines(plan: MemoryPlan) -> str:
    """The plan for a terminal that is too narrow for the table: lines for each choice."""
    lines = [_plan_head(plan)]
    for fit in plan.fits:
        switch = "on" if fit.engine.activation_checkpointing else "off"
        fits = "fits" if fit.fits else "does not fit"
        lines.append(
            f"{fit.precision}, micro-batch {_micro_batch_blocks(plan, fit)}, checkpointing "
            f"{switch}: {in_gib(fit.memory.peak)}, {fits} {in_gib(plan.device_bytes)}"
        )
        parts = (f"{name} {in_gib(getattr(fit.memory, name))}" for name in _PLANNED[:-1])
        lines.append(f"  {', '.join(parts)}")
    return "\n".join(lines)


def _micro_batch_blocks(plan: MemoryPlan, fit: MemoryFit) -> int:
    return fit.engine.micro_batch_blocks or -(-plan.recipe.train.batch_blocks // plan.device_count)


def _plan_head(plan: MemoryPlan) -> str:
    recipe = plan.recipe
    what = (
        f"{recipe.train.batch_blocks} x {recipe.data.block_tokens} tokens an update, "
        f"{recipe.train.parameters}"
    )
    return f"{recipe.run_name}: {what}, on {_plural(plan.device_count, 'device')}; bytes on each"


def dry_run_line(dry: DryRun) -> str:
    """What a dry run measured, beside the plan."""
    peak, planned = dry.peak_bytes, dry.planned.peak
    return (
        f"{dry.recipe.run_name}: {dry.precision} on {dry.device}: {dry.tokens_per_second:,.0f} "
        f"tokens/s; peak {in_gib(peak)}, planned {in_gib(planned)} ({peak / planned - 1:+.1%})"
    )


def agreement_lines(agreement: Agreement) -> str:
    """How many texts equal those of reference mode, and for each other one its first difference."""
    differences, texts = agreement.differences, agreement.texts
    same = texts - len(differences)
    head = f"{agreement.variant}: {same} of {texts} texts are those of reference mode"
    lines = [
        f"  {each.domain}, context {each.context}, {each.strategy}: another token {each.step + 1}, "
        f"margin {each.margin:.2g}"
        for each in differences
    ]
    return "\n".join([head, *lines])


def listing_line(found: ExperimentSummary | DamagedExperiment) -> str:
    """How far an experiment has come, its name and date, what its training came to, its model; or
    what is damaged. In a terminal that is too narrow, this is two lines.
    """
    if isinstance(found, DamagedExperiment):
        return folded(f"{'damaged':10s} {found.problem}", 11)
    came_to, training = "", found.training
    if training is not None:
        loss = "   -" if training.train_loss is None else f"{training.train_loss:.2f}"
        came_to = f"loss {loss}  TTR {training.ttr_before:.2f} -> {training.ttr:.2f}"
    made = found.made.isoformat()[:16].replace("T", " ")
    name = f"{found.state:10s} {found.run_name:32s} {made:16s}"
    line = f"{name}  {came_to:31s}  {found.model}  {found.folder}"
    two = f"{name}\n{'':11s}{came_to:31s}  {found.model}  {found.folder}"
    return two if is_too_wide(line) else line


def _memory_line(memory: Memory | str, room: int) -> str:
    if isinstance(memory, str):
        return memory
    names = ("weights", "gradients", "states", "activations", "logits")
    parts = ", ".join(f"{name} {in_gib(getattr(memory, name))}" for name in names)
    return f"{in_gib(memory.peak)} at the height of an update, of {in_gib(room)}: {parts}"


def in_gib(size: float) -> str:
    """Bytes as a person reads them."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**27 else f"{size / 2**20:.1f} MiB"
