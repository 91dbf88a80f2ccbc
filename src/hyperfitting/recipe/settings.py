"""One experiment as a frozen, strict, typed tree, with its canonical JSON and digest. `load` reads
it from TOML.

A recipe says everything that decides a result and nothing else: the device, the output folder and
the number of threads are the command's business, and are recorded with the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.recipe.base import (
    NAME_CHARACTERS,
    Count,
    CountOrZero,
    Dtype,
    Name,
    PathSettings,
    Settings,
    refuse_equal_names,
)
from hyperfitting.recipe.data import DataSettings
from hyperfitting.recipe.evaluate import EvaluateSettings
from hyperfitting.recipe.model import ModelSettings
from hyperfitting.recipe.strategies import (
    GREEDY,
    Strategy,
)
from hyperfitting.recipe.train import EngineSettings, ProbeSettings, TrackerName, TrainSettings
from hyperfitting.recipe.tree import dotted
from hyperfitting.recipe.variants import (
    HYPERFITTED,
    ORIGINAL,
    PRETRAINED,
    Variant,
    alike_until_stopped,
)


class GenerateSettings(Settings):
    """How contexts are continued."""

    new_tokens: Count = Field(
        224, description="Tokens generated after each context; the reference text has as many."
    )
    mode: Literal["fast", "reference"] = Field(
        "fast",
        description="`reference` decodes one context at a time in float32, whatever the other "
        "settings say.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Dtype of the weights that continue contexts, and of their cache; none: "
        "`model.dtype`. `bfloat16` is faster where the processor has it, and changes "
        "texts at near-ties; logits are taken in float32 anyway.",
    )
    batch_contexts: Count = Field(50, description="Contexts decoded side by side.")
    end_of_text: Literal["suppress", "stop"] = Field(
        "suppress",
        description="`suppress` forbids end-of-text, so that all texts compared are equally long; "
        "`stop` ends there.",
    )
    seed: CountOrZero | None = Field(
        None,
        description="Decides the samples of the strategies that sample; none: `seed`.",
    )
    strategies: tuple[Strategy, ...] = Field(
        (GREEDY,), min_length=1, description="The decoding strategies; default: greedy alone."
    )

    @model_validator(mode="after")
    def _strategies_are_distinct(self) -> Self:
        refuse_equal_names([strategy.name for strategy in self.strategies], "strategies")
        return self


class MeasureSettings(PathSettings):
    """How continuations are measured."""

    PATHS = ("scorer", "mauve")
    bootstrap_draws: Count = Field(
        2000, description="Draws of the cluster bootstrap behind each interval."
    )
    batch_blocks: Count = Field(8, description="Texts scored side by side under a model.")
    dtype: Dtype | None = Field(
        None,
        description="Dtype of the weights that score texts; none: `model.dtype`, and float32 for "
        "`scorer` and `mauve`. `bfloat16` is faster where the processor has it; logits lose "
        "digits, so values change: `python -m bench measuring` prints by how much.",
    )
    bleu: bool = Field(
        False, description="Self-BLEU and Dataset-BLEU too; needs the extra `measures`."
    )
    scorer: str | None = Field(
        None,
        description="A third model, named as in `model.source`: the perplexity of every text "
        "under it is measured too; none: off.",
    )
    mauve: str | None = Field(
        None,
        description="MAUVE against the true texts, with this model's last hidden state as "
        "features; none: off. Needs 1,000 contexts a set.",
    )
    force_mauve: bool = Field(
        False, description="Take MAUVE of fewer texts too, where it is mostly chance."
    )

    def model_named(self, setting: Literal["scorer", "mauve"]) -> str | None:
        """What to load for a setting: the absolute path of a local folder, else the name as it is
        written.
        """
        place = self.place(setting)
        name: str | None = getattr(self, setting)
        return name if place is None else str(place)


class ReportSettings(Settings):
    """What the page shows beside the table."""

    examples: CountOrZero = Field(
        3,
        description="Contexts shown as in Figure 1 of Carlsson et al. 2025, spread over the sets.",
    )
    passages: CountOrZero = Field(5, description="Most recited passages shown with their source.")


LEAST_MAUVE_TEXTS = 1_000
"""Texts a set below which MAUVE is refused unless forced."""


class Recipe(Settings):
    """One experiment: a model, its texts, the training and everything that is measured
    afterwards.

    A recipe does not change once it is read: `load_recipe` takes overrides, and whatever gives
    another result has another digest.

    Examples:
        >>> recipe = hyperfitting.load_recipe("mine.toml", {"train.epochs": 2})
        >>> recipe
        <Recipe tiny-...>
        >>> recipe.train.epochs
        2
    """

    name: Name = Field(description="Names the run, together with the recipe's digest.")
    description: str = Field("", description="One line for lists.")
    seed: CountOrZero = Field(
        0,
        description="Decides everything that is random. `data.seed`, `train.order_seed` and "
        "`generate.seed` set the draw, the order and the samples apart. What no other "
        "seed decides follows this one: initial weights, adapters, dropout, "
        "stochastic rounding, the random and shuffled texts, and the bootstrap.",
    )
    model: ModelSettings
    data: DataSettings
    train: TrainSettings
    report_to: tuple[TrackerName, ...] = Field(
        (),
        description="Trackers that are told of updates, probes and metrics as they come: "
        "`tensorboard`, `trackio`, `wandb`, each an extra. On this machine only, unless their own "
        "environment variables say otherwise. May change midway.",
    )
    engine: EngineSettings = EngineSettings()
    probe: ProbeSettings = ProbeSettings()
    generate: GenerateSettings = GenerateSettings()
    measure: MeasureSettings = MeasureSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()
    variants: tuple[Variant, ...] = Field(
        (),
        description="Models beside `original` and `hyperfitted`, each with other settings of "
        "`train`.",
    )

    @model_validator(mode="after")
    def _variants_have_distinct_names(self) -> Self:
        refuse_equal_names([variant.name for variant in self.variants], "variants")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.measure.mauve and not self.measure.force_mauve and self.data.images is None:
            few = next((each for each in self.data.domains if each.count < LEAST_MAUVE_TEXTS), None)
            if few is not None:
                raise ValueError(
                    f"measure.mauve of {few.count} contexts ({few.name}) is mostly chance: give "
                    f"{LEAST_MAUVE_TEXTS:,} a set, or measure.force_mauve = true"
                )
        swapped = self.train.swapped_blocks
        if swapped is not None and not swapped[0] < self.data.train_blocks > swapped[1]:
            raise ValueError(
                f"train.swapped_blocks = {list(swapped)}: the {self.data.train_blocks} training "
                f"blocks are counted from 0 to {self.data.train_blocks - 1}"
            )
        if self.data.context_tokens >= self.data.block_tokens:
            raise ValueError("data.context_tokens must be smaller than data.block_tokens")
        if self.data.context_tokens + self.probe.new_tokens > self.data.block_tokens:
            raise ValueError(
                "data.context_tokens and probe.new_tokens together must fit in data.block_tokens"
            )
        return self

    @model_validator(mode="after")
    def _images_are_whole(self) -> Self:
        images = self.data.images
        if images is None:
            return self
        measure = self.measure
        asked = {
            'model.beginning_of_text = "none"': self.model.beginning_of_text == "none",
            'generate.end_of_text = "stop"': self.generate.end_of_text == "stop",
            "measure.bleu": measure.bleu,
            "measure.scorer": measure.scorer is not None,
            "measure.mauve": measure.mauve is not None,
        }
        if named := next((name for name, is_set in asked.items() if is_set), None):
            raise ValueError(f"{named} is for texts, and data.images asks for images: leave it out")
        images.refuse_other_lengths(
            self.data.block_tokens, self.data.context_tokens, self.generate.new_tokens
        )
        return self

    def __repr__(self) -> str:
        """The recipe's name and digest; `canonical_json` has every setting."""
        return f"<Recipe {self.run_name}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """What a notebook shows of it: the settings that differ from their defaults."""
        settings = dotted(self.model_dump(mode="json", exclude_defaults=True))
        left = 'style="text-align: left"'
        rows = "".join(
            f"<tr><th {left}>{escape(key)}</th><td {left}>{escape(json.dumps(value))}</td></tr>"
            for key, value in settings
        )
        return f"<table><caption>{escape(self.run_name)}</caption>{rows}</table>"

    @property
    def leaves_model_untouched(self) -> bool:
        """True for the original: no update is made."""
        return 0 in (self.train.epochs, self.train.updates)

    @property
    def data_seed(self) -> int:
        """Seed of the draw: `data.seed`, else `seed`."""
        return self.seed if self.data.seed is None else self.data.seed

    @property
    def order_seed(self) -> int:
        """Seed of the order of the training blocks: `train.order_seed`, else `seed`."""
        return self.seed if self.train.order_seed is None else self.train.order_seed

    @property
    def sampling_seed(self) -> int:
        """Seed of the samples: `generate.seed`, else `seed`."""
        return self.seed if self.generate.seed is None else self.generate.seed

    @property
    def generating_dtype(self) -> Dtype:
        """Dtype of the weights that continue contexts."""
        return (
            "float32"
            if self.generate.mode == "reference"
            else self.generate.dtype or self.model.dtype
        )

    @property
    def measuring_dtype(self) -> Dtype:
        """Dtype of the weights that score texts."""
        return self.measure.dtype or self.model.dtype

    @property
    def read_tokens(self) -> int:
        """Tokens of the longest text that the model reads: of an image, the last is only
        predicted.
        """
        return self.text_tokens - (self.data.images is not None)

    @property
    def text_tokens(self) -> int:
        """Tokens of the longest text that the model will see."""
        return max(self.data.block_tokens, self.data.context_tokens + self.generate.new_tokens)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the settings that decide results and differ from their defaults.

        Comments, key order, `engine`, `report_to` and defaults written out change nothing, nor does
        a setting added later.
        """
        deciding = self.model_dump(mode="json", exclude_defaults=True, exclude=_DECIDES_NOTHING)
        return hashlib.sha256(_canonical(deciding).encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """`<name>-<first 8 hex digits of the digest>`."""
        return f"{self.name}-{self.digest[:8]}"

    def probe_updates(self, blocks: int) -> int:
        """Updates from one probe to the next, in a training on so many blocks."""
        return self.probe.every_updates or self.train.epoch_updates(blocks)

    def canonical_json(self) -> str:
        """The resolved recipe, every default written out, keys sorted, without white space."""
        return _canonical(self.model_dump(mode="json"))

    def path_settings(self) -> Iterator[tuple[str, PathSettings]]:
        """The parts of the recipe that name files or folders, by their dotted keys."""
        yield from _path_settings(self, "")

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The models of the experiment: the original, the recipe's variants, the hyperfitted
        one.
        """
        return (ORIGINAL, *(variant.name for variant in self.variants), HYPERFITTED)

    def of(self, name: str) -> Recipe:
        """The recipe of one variant's run, which has no other variants."""
        if name == ORIGINAL:
            return self.original()
        if name in (HYPERFITTED, PRETRAINED):
            return self
        variant = next(each for each in self.variants if each.name == name)
        return self.model_copy(
            update={
                "name": self._named(name),
                "variants": (),
                "train": variant.train(self.train),
            }
        )

    def _named(self, variant: str) -> str:
        """The name of a variant's own recipe, cut to the length that a name may have."""
        return f"{self.name[: NAME_CHARACTERS - 1 - len(variant)]}-{variant}"

    def trained_together(self, name: str) -> tuple[str, ...]:
        """The variants that one training makes, `name` among them: they differ in nothing but when
        they stop.
        """
        if name in (ORIGINAL, PRETRAINED):
            return (name,)
        train = self.of(name).train
        return tuple(
            each
            for each in self.variant_names[1:]
            if alike_until_stopped(train, self.of(each).train)
        )

    def original(self) -> Recipe:
        """The same recipe with zero epochs: the untouched model as a run like any other.

        The rest of `train` is reset, since nothing of it is used.
        """
        return self.model_copy(
            update={
                "name": self._named(ORIGINAL),
                "variants": (),
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


_DECIDES_NOTHING: Any = {
    "engine": True,
    "report_to": True,
    "description": True,
    "model": {"architecture"},
}


def _canonical(tree: dict[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
