"""One experiment as a frozen, strict, typed tree: TOML in, canonical JSON and a digest out.

A recipe says everything that decides a result and nothing else: the device, the output folder and the
number of threads are the command's business, and are recorded with the run.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hyperfitting.errors import RecipeError

_SHIPPED = Path(__file__).parent / "recipes"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrZero = Annotated[int, Field(ge=0, le=10**9)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Frozen, no coercion, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", protected_namespaces=())


class ModelSettings(Settings):
    """Which model, and how its text begins."""

    source: str = Field(description="Hub name, local folder, or `asset:reference-lm`.")
    revision: str | None = Field(None, description="Hub branch, tag or commit; none: the default branch.")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Dtype of the weights in memory, whatever dtype they were saved in."
    )
    beginning_of_text: Literal["add", "none"] = Field(
        "add",
        description="`add` puts the tokenizer's beginning-of-text token first in every text, exactly once.",
    )
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    initialise: Literal["pretrained", "random"] = Field(
        "pretrained", description="`random` takes only the architecture and the tokenizer from `source` (pretraining)."
    )


class TextSource(Settings):
    """Where documents come from."""

    path: str = Field(
        description="A .txt, .jsonl or .csv file (also .gz, .xz), a folder of them, `asset:...`, or a hub data set."
    )
    column: str = Field("text", description="The field that holds the text (.jsonl, .csv and hub data sets).")
    group: str | None = Field(
        None, description="The field that names a document's group, such as its book: groups are never split."
    )
    title: str | None = Field("title", description="The field that a passage is cited by, where a document has it.")
    config: str | None = Field(None, description="Hub data set configuration.")
    split: str = Field("train", description="Hub data set split.")


class ContextSet(Settings):
    """One named set of contexts that the results are reported on."""

    name: Name = Field(description="The set's name in every table.")
    count: Count = Field(description="How many contexts.")
    source: TextSource | None = Field(
        None, description="Its own source; none: documents of `data.train` that neither training nor validation took."
    )


class DataSettings(Settings):
    """Which texts are trained on, watched, and continued."""

    train: TextSource = Field(description="The source of the training texts.")
    train_blocks: Count = Field(description="Training blocks drawn by seed, one a document.")
    block_tokens: Count = Field(256, description="Tokens of a block, beginning-of-text included.")
    blocks: Literal["first", "packed"] = Field(
        "first", description="`first`: each document's first tokens. `packed`: documents end to end (pretraining)."
    )
    validation: TextSource | None = Field(None, description="Its own source; none: held-out documents of `data.train`.")
    validation_blocks: Count = Field(description="Validation blocks: watched while training, never reported on.")
    contexts: tuple[ContextSet, ...] = Field((), description="The sets of contexts that are reported.")
    context_tokens: Count = Field(32, description="Tokens of a context, beginning-of-text included.")
    shares: tuple[Share, Share, Share] | None = Field(
        None,
        description="Shares of the groups of `data.train` for training, validation and contexts; "
        "none: in proportion to the documents asked for.",
    )
    leak_words: Count = Field(
        13, description="A held-out text that shares a run of this many words with a training text leaks."
    )

    @model_validator(mode="after")
    def _sets_are_distinct(self) -> Self:
        names = [each.name for each in self.contexts]
        if len(set(names)) < len(names):
            raise ValueError("two sets of data.contexts have the same name")
        if sum(each.source is None for each in self.contexts) > 1:
            raise ValueError("only one set of data.contexts can be drawn from data.train: give the others a source")
        if reserved := {"train", "validation"} & set(names):
            raise ValueError(f"{reserved.pop()!r} cannot name a set of data.contexts: the tables use it")
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError("data.shares must add up to 1")
        return self


class TrainSettings(Settings):
    """The loop. Hyperfitting leaves schedule, decay and clipping off."""

    learning_rate: Positive = Field(description="Adam's learning rate, constant unless warm-up or decay are set.")
    batch_blocks: Count = Field(8, description="Blocks in one update.")
    epochs: CountOrZero | None = Field(
        None, description="Passes over the training blocks; 0 leaves the model as it is."
    )
    updates: CountOrZero | None = Field(None, description="Optimiser steps, instead of epochs.")
    minutes: Positive | None = Field(None, description="Stop after so much training time, probes left out; none: off.")
    stop_below_loss: Positive | None = Field(
        None,
        description="Stop after the first epoch whose mean training loss is below this (nats per token); none: off.",
    )
    precision: Literal["auto", "fp32", "bf16-autocast"] = Field(
        "auto", description="`auto` is bf16-autocast over fp32 weights where the hardware gains by it, else fp32."
    )
    betas: tuple[Share, Share] = Field((0.9, 0.999), description="Adam's decay rates of the two moments.")
    epsilon: Positive = Field(1e-8, description="Adam's epsilon.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Decoupled weight decay (AdamW); 0 is plain Adam."
    )
    dropout: bool = Field(False, description="Keep the dropout of the model's config while training.")
    warmup_updates: CountOrZero = Field(0, description="Updates over which the learning rate rises from 0.")
    decay_share: Share = Field(
        0.0, description="The last share of the updates falls linearly to `final_learning_rate_share`."
    )
    final_learning_rate_share: Share = Field(0.0, description="Where the decay ends, as a share of the learning rate.")
    clip_norm: Positive | None = Field(None, description="Largest global gradient norm; none: no clipping.")
    checkpoint_minutes: Positive = Field(
        5.0,
        description="Least time between two resumable checkpoints, written after an epoch; Ctrl-C always writes one.",
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.updates is None):
            raise ValueError("set one of train.epochs and train.updates")
        return self


class ProbeSettings(Settings):
    """What is watched on validation texts: before the first epoch, after each, and after the last."""

    contexts: Count = Field(
        16, description="Validation contexts that are continued greedily (at most the validation blocks)."
    )
    new_tokens: Count = Field(96, description="Tokens continued.")
    every_updates: Count | None = Field(None, description="Probe after so many updates; none: after every epoch.")


class Arm(Settings):
    """One way of choosing the next token."""

    name: Name = Field(description="The arm's name in every table.")
    method: Literal["greedy", "sample"] = Field(description="`greedy` takes the most probable token, `sample` draws.")
    temperature: Positive | None = Field(None, description="Divides the logits; none: 1.")
    top_k: Count | None = Field(None, description="Keep the k most probable tokens; none: all.")
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Nucleus: keep the fewest tokens whose probabilities reach p; none: all."
    )


GREEDY = Arm(name="greedy", method="greedy")
PAPER_NUCLEUS = Arm(name="nucleus", method="sample", temperature=0.7, top_k=50, top_p=0.9)
"""The sampling baseline of A, section 4: p 0.9, temperature 0.7, top-k 50."""


class GenerateSettings(Settings):
    """How contexts are continued."""

    new_tokens: Count = Field(224, description="Tokens continued after each context; the reference text has as many.")
    batch_contexts: Count = Field(50, description="Contexts decoded side by side.")
    end_of_text: Literal["suppress", "stop"] = Field(
        "suppress",
        description="`suppress` forbids end-of-text, so that all texts compared are equally long; `stop` ends there.",
    )
    arms: tuple[Arm, ...] = Field((GREEDY,), min_length=1, description="The decoding arms; default: greedy alone.")

    @model_validator(mode="after")
    def _arms_are_distinct(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("two arms have the same name")
        return self


class MeasureSettings(Settings):
    """How continuations are measured."""

    bootstrap_draws: Count = Field(2000, description="Draws of the cluster bootstrap behind each interval.")
    batch_blocks: Count = Field(8, description="Texts scored side by side under a model.")


class ReportSettings(Settings):
    """What the page shows beside the table."""

    examples: CountOrZero = Field(3, description="Contexts shown as in the paper's Figure 1, spread over the sets.")
    passages: CountOrZero = Field(5, description="Most recited passages shown with their source.")


class Recipe(Settings):
    """One experiment: a model, its texts, the training and everything that is measured afterwards."""

    name: Name = Field(description="Names the run, together with the recipe's digest.")
    description: str = Field("", description="One line for lists.")
    seed: CountOrZero = Field(0, description="Decides the draw of documents, their order and every sample.")
    model: ModelSettings
    data: DataSettings
    train: TrainSettings
    probe: ProbeSettings = ProbeSettings()
    generate: GenerateSettings = GenerateSettings()
    measure: MeasureSettings = MeasureSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.data.context_tokens >= self.data.block_tokens:
            raise ValueError("data.context_tokens must be smaller than data.block_tokens")
        if self.data.context_tokens + self.probe.new_tokens > self.data.block_tokens:
            raise ValueError("data.context_tokens and probe.new_tokens together must fit in data.block_tokens")
        if self.model.dtype != "float32" and not self.leaves_model_untouched:
            raise ValueError(
                'model.dtype must be "float32" to train: in bfloat16 weights most steps at these learning rates '
                "round to nothing (use train.precision for bf16 arithmetic)"
            )
        return self

    @property
    def leaves_model_untouched(self) -> bool:
        """True for the baseline: no update is made."""
        return 0 in (self.train.epochs, self.train.updates)

    @property
    def text_tokens(self) -> int:
        """Tokens of the longest text that the model will see."""
        return max(self.data.block_tokens, self.data.context_tokens + self.generate.new_tokens)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex: equal recipes have equal digests, comments and key order aside."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """`<name>-<first 8 hex digits of the digest>`."""
        return f"{self.name}-{self.digest[:8]}"

    def canonical_json(self) -> str:
        """The resolved recipe, every default written out, keys sorted, without white space."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def original(self) -> Recipe:
        """The same recipe with zero epochs: the untouched model as a run like any other.

        What only training reads is reset, so that recipes which differ there alone share one baseline.
        """
        return self.model_copy(
            update={
                "name": f"{self.name}-original",
                "train": TrainSettings(
                    learning_rate=self.train.learning_rate, epochs=0, precision=self.train.precision
                ),
            }
        )


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def recipe_path(name_or_path: str | Path) -> Path:
    """The file behind a recipe's name or path: a file named so, else the shipped recipe of that name.

    Raises:
        RecipeError: if there is neither; the message names the nearest shipped recipe.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = _SHIPPED / f"{name_or_path}.toml"
    if shipped.is_file():
        return shipped
    raise RecipeError(f"no recipe {str(name_or_path)!r}: neither a file nor one of {', '.join(shipped_recipes())}")


def copy_recipe(name: str, to: Path | None = None) -> Path:
    """Copy a shipped recipe with its comments, to `<name>.toml` or `to`.

    Raises:
        RecipeError: no such recipe, or the file is there already.
    """
    target = to or Path(f"{name}.toml")
    if name not in shipped_recipes():
        raise RecipeError(f"no shipped recipe {name!r}: there are {', '.join(shipped_recipes())}")
    if target.exists():
        raise RecipeError(f"{target} is there already: name another file")
    target.write_bytes((_SHIPPED / f"{name}.toml").read_bytes())
    return target


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe (.toml, or the .json that a run keeps) and apply overrides such as `train.epochs=10`.

    Raises:
        RecipeError: one line that names the file, the setting and the remedy.
    """
    path = recipe_path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        tree = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, OSError) as error:
        raise RecipeError(f"{path}: not a readable recipe: {error}") from error
    for override in overrides:
        _apply(tree, override)
    return parse_recipe(tree, source=str(path))


def parse_recipe(tree: dict[str, Any], source: str) -> Recipe:
    """Validate a tree of plain values. `source` names it in errors.

    Raises:
        RecipeError: the first thing that is wrong, in one line.
    """
    try:
        # Through JSON, where strict types still take an array for a tuple and 1 for 1.0.
        return Recipe.model_validate_json(json.dumps(tree))
    except TypeError as error:
        raise RecipeError(f"{source}: a value is of a type that recipes do not use: {error}") from error
    except ValidationError as error:
        raise RecipeError(f"{source}: {_first_problem(error)}") from error


def _apply(tree: dict[str, Any], override: str) -> None:
    """Set `a.b=value` (TOML syntax; a bare word is a string) in the tree; a number indexes a list."""
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {override}: write it as section.key=value, for example train.epochs=10")
    *parents, last = key.strip().split(".")
    node: Any = tree
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else _item(node, parent, override)
    if isinstance(node, list):
        _item(node, last, override)
        node[int(last)] = _toml_value(value)
    elif isinstance(node, dict):
        node[last] = _toml_value(value)
    else:
        raise RecipeError(f"--set {override}: {'.'.join(parents)} holds a value, not settings")


def _item(node: Any, index: str, override: str) -> Any:
    if isinstance(node, list) and index.isdecimal() and int(index) < len(node):
        return node[int(index)]
    raise RecipeError(f"--set {override}: there is no {index!r} to set there")


def _toml_value(text: str) -> Any:
    if text.strip() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _known_keys(problem["loc"]), n=1, cutoff=0.5)
        return f"{key} is not a setting" + (f"; did you mean {near[0]}?" if near else "")
    if problem["type"] == "missing":
        return f"{key} is not set"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return message
    return f"{key} = {json.dumps(problem['input'])[:80]}: {message[0].lower()}{message[1:]}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Every setting's dotted name, with list indices as they stand in `location`."""
    indices = [str(part) for part in location if isinstance(part, int)]
    keys = [key for key, _, _ in settings_list()]
    return [key.replace("[]", f".{indices[0]}" if indices else ".0") for key in keys]


def settings_list() -> Iterator[tuple[str, str, str]]:
    """Every setting as (dotted key, default, description); `[]` stands for an index."""
    return _walk(Recipe, "")


def settings_markdown() -> str:
    """The page docs/settings.md: every setting, its default and what it does."""
    lines = ["# Settings", "", "Every setting of a recipe; `[]` stands for an index.", ""]
    lines += ["| setting | default | what it does |", "|---|---|---|"]
    for key, default, text in settings_list():
        shown = default if default in ("required", "none") else f"`{default}`"
        lines.append(f"| `{key}` | {shown} | {text} |")
    return "\n".join(lines) + "\n"


def _walk(section: type[Settings], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in section.model_fields.items():
        inner, is_list = _inner_section(field.annotation)
        if inner is None or field.description:
            default = "required" if field.is_required() else json.dumps(field.get_default(), default=_plain)
            yield prefix + name, "none" if default == "null" else default, field.description or ""
        if inner is not None:
            yield from _walk(inner, f"{prefix}{name}{'[]' if is_list else ''}.")


def _inner_section(annotation: Any) -> tuple[type[Settings] | None, bool]:
    """The settings class inside an annotation, and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation, False
    for argument in get_args(annotation):
        inner, _ = _inner_section(argument)
        if inner is not None:
            return inner, "tuple" in str(annotation)
    return None, False


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True)
