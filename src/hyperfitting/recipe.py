"""One experiment as a frozen, strict, typed tree, with its canonical JSON and digest. `recipes` reads it from TOML.

A recipe says everything that decides a result and nothing else: the device, the output folder and the
number of threads are the command's business, and are recorded with the run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from hyperfitting.assets import PREFIX, is_relative, local_path, tried_path


def _like(pattern: str, words: str) -> AfterValidator:
    """Only texts that are wholly so; `words` say how, to whoever wrote another."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise PydanticCustomError("in_words", "{words}", {"words": words})
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    Field(max_length=60),
    _like(
        "[a-z0-9][a-z0-9_-]*", "small letters, digits, - and _, beginning with a letter or digit"
    ),
]
Trained = Annotated[
    str,
    _like(
        "all|lora|(last|late-lora):[1-9][0-9]*",
        '"all", "lora", "last:K" or "late-lora:K", where K layers are the last',
    ),
]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrZero = Annotated[int, Field(ge=0, le=10**9)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Dtype = Literal["float32", "bfloat16"]


class Settings(BaseModel):
    """Frozen, no coercion, no unknown keys, no infinite numbers."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False
    )


class PathSettings(Settings):
    """Settings of which some name files or folders.

    A name stays as it is written, in the recipe and its digest. The folder that a relative one counts from is kept
    beside it and decides nothing else: a recipe is the same wherever it and its reader stand.
    """

    PATHS: ClassVar[tuple[str, ...]] = ()
    _folders: dict[str, Path] = PrivateAttr(default_factory=dict)

    def place(self, setting: str) -> Path | None:
        """The absolute path that a setting of `PATHS` means; None where it can only be a hub name, or is not set."""
        name = getattr(self, setting)
        return None if name is None else local_path(name, self.folder_of(setting))

    def tried(self, setting: str) -> Path:
        """The absolute path at which what a setting names would stand, whether it does or not."""
        return tried_path(getattr(self, setting), self.folder_of(setting))

    @property
    def folders(self) -> dict[str, Path]:
        """The absolute folder of each setting that holds a relative path, as `count_from` was told."""
        return dict(self._folders)

    def folder_of(self, setting: str) -> Path:
        """The absolute folder that a setting's relative path counts from: the working folder where none was given."""
        return self._folders.get(setting, Path()).absolute()

    def count_from(self, folder_of: Callable[[str], Path]) -> None:
        """Say once, of a recipe that has just been read, which folder the relative path in each setting counts from."""
        self._folders = {
            each: folder_of(each)
            for each in self.PATHS
            if is_relative(getattr(self, each) or PREFIX)
        }


class ModelSettings(PathSettings):
    """Which model, and how its text begins."""

    PATHS = ("source", "architecture")
    source: str = Field(
        min_length=1,
        description="Hub name, local folder, or `asset:reference-lm`. A relative path counts from the recipe's folder, "
        "here as in every setting; given with --set, or in a shipped recipe, from the working folder.",
    )
    revision: str | None = Field(
        None, description="Hub branch, tag or commit; none: the default branch."
    )
    architecture: str | None = Field(
        None,
        description="Folder with the same model's config.json, for `plan` where `source` is not at hand.",
    )
    dtype: Dtype = Field(
        "float32",
        description="Dtype of the weights that generate and are measured, whatever dtype they were saved in; "
        "`train.precision` says in which they are trained, `generate.dtype` can choose another to generate.",
    )
    beginning_of_text: Literal["add", "none"] = Field(
        "add",
        description="`add` puts the tokenizer's beginning-of-text token first in every text, exactly once.",
    )
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    initialise: Literal["pretrained", "random"] = Field(
        "pretrained",
        description="`random` takes only the architecture and the tokenizer from `source` (pretraining).",
    )


class TextSource(PathSettings):
    """Where documents come from."""

    PATHS = ("path",)
    path: str = Field(
        min_length=1,
        description="A .txt, .md, .jsonl, .json, .csv, .tsv or .parquet file (also .gz, .xz, .zst), a folder of them, "
        "`asset:...`, or a hub data set.",
    )
    documents: Literal["auto", "paragraph", "file", "separator"] = Field(
        "auto",
        description="What a document is in a .txt or .md file. `paragraph`: what stands between blank lines. `file`: "
        "the whole file. `separator`: what stands between two `separator`. `auto`: paragraphs of a file that is named "
        "itself; in a folder each file.",
    )
    separator: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description='The text between two documents, such as "<|endoftext|>", where `documents` says so.',
    )
    column: str = Field(
        "text",
        description="The field that holds the text (all but .txt and .md); `data.text` is the field `text` inside "
        "`data`, unless a field is called so.",
    )
    group: str | None = Field(
        None,
        description="The field that names a document's group, such as its book: groups are never split.",
    )
    title: str | None = Field(
        "title", description="The field that a passage is cited by, where a document has it."
    )
    config: str | None = Field(None, description="Hub data set configuration.")
    split: str = Field("train", description="Hub data set split.")

    @model_validator(mode="after")
    def _separator_is_used(self) -> Self:
        if (self.documents == "separator") != (self.separator is not None):
            raise ValueError(
                f'{self.path}: documents = "separator" and separator = "..." (such as "<|endoftext|>") go together'
            )
        return self


class Domain(Settings):
    """One named set of contexts that the results are reported on."""

    name: Name = Field(description="The set's name in every table.")
    count: Count = Field(description="How many contexts.")
    source: TextSource | None = Field(
        None,
        description="Its own source; none: documents of `data.train` that neither training nor validation took.",
    )


class DataSettings(Settings):
    """Which texts are trained on, watched, and continued."""

    train: TextSource = Field(description="The source of the training texts.")
    train_blocks: Count = Field(description="Training blocks drawn by seed, one a document.")
    block_tokens: Count = Field(256, description="Tokens of a block, beginning-of-text included.")
    blocks: Literal["first", "packed", "passages"] = Field(
        "first",
        description="`first`: each document's first tokens. `packed`: documents end to end (pretraining). `passages`: "
        "consecutive blocks of each document, such as a novel; validation and contexts get stretches of their own.",
    )
    chapter_pattern: str | None = Field(
        None,
        description="With `passages`, a regular expression that headings begin with, such as `Chapter [0-9IVXLC]+`: "
        "whole chapters are held out, and are the groups; none: a stretch of each document.",
    )
    validation: TextSource | None = Field(
        None, description="Its own source; none: held-out documents of `data.train`."
    )
    validation_blocks: Count = Field(
        description="Validation blocks: watched while training, never reported on."
    )
    domains: tuple[Domain, ...] = Field((), description="The sets of contexts that are reported.")
    context_tokens: Count = Field(
        32, description="Tokens of a context, beginning-of-text included."
    )
    shares: tuple[Share, Share, Share] | None = Field(
        None,
        description="Shares of the groups of `data.train` for training, validation and contexts, or with `passages` of "
        "its text; none: in proportion to the documents (tokens) asked for.",
    )
    leak_words: Count = Field(
        13,
        description="A held-out text that shares a run of this many words with a training text leaks, or all of a "
        "shorter text; a character is a word in scripts without spaces.",
    )
    lost_characters: Share = Field(
        0.02,
        description="A set of which the tokenizer loses more than this share of the characters is refused.",
    )

    @property
    def sources(self) -> list[TextSource]:
        """Every source that is named: of training, validation and contexts."""
        named = (self.train, self.validation, *(each.source for each in self.domains))
        return [source for source in named if source is not None]

    @model_validator(mode="after")
    def _sets_are_distinct(self) -> Self:
        names = [each.name for each in self.domains]
        if len(set(names)) < len(names):
            raise ValueError("two sets of data.domains have the same name")
        if sum(each.source is None for each in self.domains) > 1:
            raise ValueError(
                "only one set of data.domains can be drawn from data.train: give the others a source"
            )
        if reserved := {"train", "validation"} & set(names):
            raise ValueError(
                f"{reserved.pop()!r} cannot name a set of data.domains: the tables use it"
            )
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError("data.shares must add up to 1")
        if self.shares is not None and (self.train.group is not None or self.blocks == "passages"):
            here = (
                True,
                self.validation is None,
                any(each.source is None for each in self.domains),
            )
            if any(wanted and not share for wanted, share in zip(here, self.shares, strict=True)):
                raise ValueError(
                    "data.shares leaves nothing for a set that is drawn from data.train"
                )
        return self

    @model_validator(mode="after")
    def _chapters_are_of_passages(self) -> Self:
        if self.chapter_pattern is None:
            return self
        if self.blocks != "passages":
            raise ValueError('data.chapter_pattern is for data.blocks = "passages"')
        if self.train.group is not None:
            raise ValueError(
                "data.chapter_pattern and data.train.group both say what is held out: set one of them"
            )
        try:
            re.compile(self.chapter_pattern)
        except re.error as error:
            raise ValueError(
                f"data.chapter_pattern = {self.chapter_pattern!r} is not a pattern: {error}"
            ) from error
        return self


class LoraSettings(Settings):
    """Low-rank adapters, where `train.parameters` asks for them."""

    rank: Count = Field(16, description="Rank of each adapter.")
    alpha: Positive = Field(32.0, description="An adapter's output is scaled by alpha / rank.")
    targets: tuple[str, ...] | None = Field(
        None,
        description="Last parts of the names of the adapted modules; none: every linear module of the layers.",
    )


class TrainSettings(Settings):
    """The loop. Hyperfitting leaves schedule, decay and clipping off."""

    learning_rate: Positive = Field(
        description="Adam's learning rate, constant unless warm-up or decay are set."
    )
    batch_blocks: Count = Field(8, description="Blocks in one update, over all devices.")
    parameters: Trained = Field(
        "all",
        description="What is trained: `all`, `last:K` layers, `lora`, or `late-lora:K` (the last K layers).",
    )
    embeddings: bool | None = Field(
        None, description="Train the embeddings too; none: only with `all`."
    )
    head: bool | None = Field(None, description="Train the output head too; none: only with `all`.")
    lora: LoraSettings = LoraSettings()
    epochs: CountOrZero | None = Field(
        None,
        description="At most so many passes over the training blocks; 0 leaves the model as it is.",
    )
    updates: CountOrZero | None = Field(
        None, description="At most so many optimiser steps, instead of epochs."
    )
    minutes: Positive | None = Field(
        None, description="Stop after so much training time, probes left out; none: off."
    )
    stop: Literal["end", "train-loss", "best-validation", "auto"] = Field(
        "end",
        description="When to stop before that. `train-loss`: after an epoch whose mean loss is below `stop_loss`. "
        "`best-validation`: once validation loss has not fallen for `patience_probes`, keeping the best weights (the "
        "early-stopped control). `auto`: below `stop_loss`, and greedy TTR has not risen for `patience_probes`.",
    )
    stop_loss: Positive | None = Field(
        None, description="Nats per token that `train-loss` and `auto` ask for."
    )
    patience_probes: Count = Field(
        3, description="Probes without progress that `best-validation` and `auto` wait."
    )
    precision: Literal["auto", "fp32", "bf16-autocast", "bf16-stochastic", "bf16"] = Field(
        "auto",
        description="`bf16-autocast` computes in bfloat16 over float32 weights; `bf16-stochastic` keeps weights and "
        "Adam's states in bfloat16, rounded stochastically, for memory; `auto` is `bf16-autocast` where the hardware "
        "gains by it, else `fp32`. Plain `bf16` needs `force_plain_bf16`.",
    )
    force_plain_bf16: bool = Field(
        False,
        description="Train bfloat16 weights that round to nearest, which loses most small steps.",
    )
    least_step_share: Share = Field(
        0.5,
        description="Stop where less than this share of the intended step reaches the weights; 0: never.",
    )
    betas: tuple[Decay, Decay] = Field(
        (0.9, 0.999), description="Adam's decay rates of the two moments."
    )
    epsilon: Positive = Field(1e-8, description="Adam's epsilon.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Decoupled weight decay (AdamW); 0 is plain Adam."
    )
    dropout: bool = Field(
        False, description="Keep the dropout of the model's config while training."
    )
    warmup_updates: CountOrZero = Field(
        0, description="Updates over which the learning rate rises from 0."
    )
    decay_share: Share = Field(
        0.0,
        description="The last share of the updates falls linearly to `final_learning_rate_share`.",
    )
    final_learning_rate_share: Share = Field(
        0.0, description="Where the decay ends, as a share of the learning rate."
    )
    clip_norm: Positive | None = Field(
        None, description="Largest global gradient norm; none: no clipping."
    )

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        if (self.epochs is None) == (self.updates is None):
            raise ValueError("set one of train.epochs and train.updates")
        if self.stop in ("train-loss", "auto") and self.stop_loss is None:
            raise ValueError(f'train.stop = "{self.stop}" needs train.stop_loss, in nats per token')
        if self.precision == "bf16" and not self.force_plain_bf16:
            raise ValueError(
                'train.precision = "bf16": most steps are smaller than half a unit in the last place of a bfloat16 '
                'weight and round to nothing: use "bf16-stochastic" or "bf16-autocast", or set train.force_plain_bf16'
            )
        return self


class EngineSettings(Settings):
    """Speed and memory. These change nothing but rounding, so the digest leaves them out and they may change midway."""

    micro_batch_blocks: Count | None = Field(
        None,
        description="Blocks computed at once on a device; none: all of the update's. Less memory, same update.",
    )
    activation_checkpointing: bool = Field(
        False,
        description="Compute each layer again in the backward pass instead of keeping its activations.",
    )
    compile: bool = Field(
        False, description="Compile the training step with torch.compile; pays in long trainings."
    )
    attention: Literal["auto", "products", "sdpa", "eager"] = Field(
        "auto",
        description="Attention kernel while training: our products, torch's fused one, or the model's own. `auto` is "
        "`products` for short blocks on a CPU, else `sdpa`.",
    )
    checkpoint_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5.0,
        description="Least time between two resumable checkpoints, written after a probe; Ctrl-C always writes one.",
    )
    checkpoint_updates: Count | None = Field(
        None, description="Write one after so many updates too; none: off."
    )
    keep_last: Count = Field(
        2,
        description="Resumable checkpoints kept: a damaged one is passed over for the one before.",
    )
    keep_best: bool = Field(
        False,
        description="Keep the checkpoint of the lowest validation loss too (`best-validation` always does).",
    )


class ProbeSettings(Settings):
    """What is watched on validation texts: before the first epoch, after each, and after the last."""

    contexts: Count = Field(
        16,
        description="Validation contexts that are continued greedily (at most the validation blocks).",
    )
    new_tokens: Count = Field(96, description="Tokens continued.")
    every_updates: Count | None = Field(
        None, description="Probe after so many updates; none: after every epoch."
    )


class DrySettings(Settings):
    """ "Don't repeat yourself": what would go on repeating the end of the text costs more the longer the repetition."""

    multiplier: Positive = Field(
        0.8, description="Subtracted from the logit at the allowed length."
    )
    base: Positive = Field(1.75, description="Times this for each further token of the repetition.")
    allowed_tokens: Count = Field(2, description="Shortest repetition that is made dearer.")


class BlockerSettings(Settings):
    """The citation blocker: what would go on citing a training block is forbidden (A, section 5)."""

    mode: Literal["token", "word"] = Field(
        "token",
        description="`token` forbids at once, `word` only tokens that begin a word: one under way may end.",
    )
    tokens: Count = Field(5, description="Tokens of the citation that is not gone on with.")
    context: bool = Field(
        False,
        description="Whether a citation may begin in the context; else all of it is generated.",
    )


class Strategy(Settings):
    """One way of choosing the next token. Its rules are applied in the order in which they stand here."""

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
        description="Tokens that `repetition_penalty` takes for seen: generated ones, or the context's too.",
    )
    no_repeat_ngram: Count | None = Field(
        None, description="No n-gram of so many tokens comes twice, context included; none: off."
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
        description="Keep tokens at least so many times as probable as the most probable one; none: all.",
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
"""The sampling baseline of A, section 4: p 0.9, temperature 0.7, top-k 50."""


class GenerateSettings(Settings):
    """How contexts are continued."""

    new_tokens: Count = Field(
        224, description="Tokens continued after each context; the reference text has as many."
    )
    mode: Literal["fast", "reference"] = Field(
        "fast",
        description="`reference` decodes one context at a time in float32, whatever the other settings say.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Dtype of the weights that continue contexts, and of their cache; none: `model.dtype`. `bfloat16` "
        "is faster where the processor has it, and changes texts at near-ties; logits are taken in float32 anyway.",
    )
    batch_contexts: Count = Field(50, description="Contexts decoded side by side.")
    end_of_text: Literal["suppress", "stop"] = Field(
        "suppress",
        description="`suppress` forbids end-of-text, so that all texts compared are equally long; `stop` ends there.",
    )
    strategies: tuple[Strategy, ...] = Field(
        (GREEDY,), min_length=1, description="The decoding strategies; default: greedy alone."
    )

    @model_validator(mode="after")
    def _strategies_are_distinct(self) -> Self:
        names = [strategy.name for strategy in self.strategies]
        if len(set(names)) < len(names):
            raise ValueError("two strategies have the same name")
        return self


class MeasureSettings(PathSettings):
    """How continuations are measured."""

    PATHS = ("scorer", "mauve")
    bootstrap_draws: Count = Field(
        2000, description="Draws of the cluster bootstrap behind each interval."
    )
    batch_blocks: Count = Field(8, description="Texts scored side by side under a model.")
    bleu: bool = Field(
        False, description="Self-BLEU and Dataset-BLEU too; needs the extra `measures`."
    )
    scorer: str | None = Field(
        None,
        description="A model that is neither strategy, under which perplexity is taken too: as `model.source`; none: off.",
    )
    mauve: str | None = Field(
        None,
        description="MAUVE against the true texts, with this model's last hidden state as features; none: off. Needs "
        "1,000 contexts a set.",
    )
    force_mauve: bool = Field(
        False, description="Take MAUVE of fewer texts too, where it is mostly chance."
    )

    def model_named(self, setting: Literal["scorer", "mauve"]) -> str | None:
        """What to load for a setting: the absolute path of a local folder, else the name as it is written."""
        place = self.place(setting)
        name: str | None = getattr(self, setting)
        return name if place is None else str(place)


class ReportSettings(Settings):
    """What the page shows beside the table."""

    examples: CountOrZero = Field(
        3, description="Contexts shown as in the paper's Figure 1, spread over the sets."
    )
    passages: CountOrZero = Field(5, description="Most recited passages shown with their source.")


LEAST_MAUVE_TEXTS = 1_000
"""Texts a set below which MAUVE is refused unless forced."""

Role = Literal["original", "early-stopped", "hyperfitted", "pretrained"]
"""What a run is in its experiment; `pretrained` is the only run of a pretraining."""


class Recipe(Settings):
    """One experiment: a model, its texts, the training and everything that is measured afterwards."""

    name: Name = Field(description="Names the run, together with the recipe's digest.")
    description: str = Field("", description="One line for lists.")
    seed: CountOrZero = Field(
        0, description="Decides the draw of documents, their order and every sample."
    )
    model: ModelSettings
    data: DataSettings
    train: TrainSettings
    engine: EngineSettings = EngineSettings()
    probe: ProbeSettings = ProbeSettings()
    generate: GenerateSettings = GenerateSettings()
    measure: MeasureSettings = MeasureSettings()
    report: ReportSettings = ReportSettings()
    controls: tuple[Literal["early-stopped"], ...] = Field(
        (),
        description="Runs beside the two: `early-stopped` is the same training, kept at its best validation loss.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.controls and self.train.stop == "best-validation":
            raise ValueError(
                'controls = ["early-stopped"] is the same run twice where train.stop = "best-validation"'
            )
        if self.measure.mauve and not self.measure.force_mauve:
            few = next((each for each in self.data.domains if each.count < LEAST_MAUVE_TEXTS), None)
            if few is not None:
                raise ValueError(
                    f"measure.mauve of {few.count} contexts ({few.name}) is mostly chance: give {LEAST_MAUVE_TEXTS:,} "
                    "a set, or measure.force_mauve = true"
                )
        if self.data.context_tokens >= self.data.block_tokens:
            raise ValueError("data.context_tokens must be smaller than data.block_tokens")
        if self.data.context_tokens + self.probe.new_tokens > self.data.block_tokens:
            raise ValueError(
                "data.context_tokens and probe.new_tokens together must fit in data.block_tokens"
            )
        return self

    @property
    def leaves_model_untouched(self) -> bool:
        """True for the baseline: no update is made."""
        return 0 in (self.train.epochs, self.train.updates)

    @property
    def generating_dtype(self) -> Dtype:
        """Dtype of the weights that continue contexts."""
        return (
            "float32"
            if self.generate.mode == "reference"
            else self.generate.dtype or self.model.dtype
        )

    @property
    def text_tokens(self) -> int:
        """Tokens of the longest text that the model will see."""
        return max(self.data.block_tokens, self.data.context_tokens + self.generate.new_tokens)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the settings that decide results and differ from their defaults.

        Comments, key order, `engine` and defaults written out change nothing, nor does a setting added later.
        """
        deciding = self.model_dump(mode="json", exclude_defaults=True, exclude=_DECIDES_NOTHING)
        return hashlib.sha256(_canonical(deciding).encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """`<name>-<first 8 hex digits of the digest>`."""
        return f"{self.name}-{self.digest[:8]}"

    def canonical_json(self) -> str:
        """The resolved recipe, every default written out, keys sorted, without white space."""
        return _canonical(self.model_dump(mode="json"))

    def path_settings(self) -> Iterator[tuple[str, PathSettings]]:
        """The parts of the recipe that name files or folders, by their dotted keys."""
        yield from _path_settings(self, "")

    @property
    def roles(self) -> tuple[Role, ...]:
        """The runs of the experiment: the original, the controls, the hyperfitted."""
        return ("original", *self.controls, "hyperfitted")

    def of(self, role: Role) -> Recipe:
        """What one of the runs does."""
        made = {"original": self.original, "early-stopped": self.early_stopped}.get(role)
        return made() if made else self

    def early_stopped(self) -> Recipe:
        """The same recipe, kept at its best validation loss: is it near-zero loss that does it, or any fine-tuning?"""
        train = self.train.model_copy(update={"stop": "best-validation"})
        return self.model_copy(
            update={"name": f"{self.name}-early-stopped", "controls": (), "train": train}
        )

    def original(self) -> Recipe:
        """The same recipe with zero epochs: the untouched model as a run like any other.

        The rest of `train` is reset, since nothing of it is used.
        """
        return self.model_copy(
            update={
                "name": f"{self.name}-original",
                "controls": (),
                "train": TrainSettings(
                    learning_rate=self.train.learning_rate,
                    epochs=0,
                    precision=self.train.precision,
                    force_plain_bf16=self.train.force_plain_bf16,
                ),
            }
        )


def _path_settings(node: Any, key: str) -> Iterator[tuple[str, PathSettings]]:
    if isinstance(node, PathSettings):
        yield key, node
    if isinstance(node, Settings | tuple):
        for name, value in enumerate(node) if isinstance(node, tuple) else node:
            yield from _path_settings(value, f"{key}.{name}".removeprefix("."))


_DECIDES_NOTHING: Any = {"engine": True, "description": True, "model": {"architecture"}}


def _canonical(tree: dict[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
