"""The typed facts of an experiment: run.json (what was in effect), data/manifest.json,
archive.json.

They are frozen models, written and read whole. A file that lacks a key, or has an unknown one, is
refused with its name and the key, so nothing is read from a file that means something else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hyperfitting.environment import Environment
from hyperfitting.errors import RunError
from hyperfitting.files import problem_in_words, write_text
from hyperfitting.recipe import EngineSettings, Strategy
from hyperfitting.records import Verdict
from hyperfitting.traits import ModelSource, ModelTraits, TokenizerTraits, TrainedWeights
from hyperfitting.weights import Weights


class Facts(BaseModel):
    """Frozen, no coercion, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        protected_namespaces=(),
        ser_json_inf_nan="constants",
    )


_Facts = TypeVar("_Facts", bound=Facts)


def read_facts(path: Path, kind: type[_Facts]) -> _Facts:
    """Read what `write_facts` wrote.

    Raises:
        RunError: the file is missing, or is no such file; the message names the file, the key, and
            the version of this package that wrote it.
    """
    try:
        held = path.read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the stage that writes it has not finished") from error
    try:
        return kind.model_validate_json(held)
    except ValidationError as error:
        version = re.search(rb'"hyperfitting": "([^"]+)"', held)
        by = f" (written by hyperfitting {version[1].decode()})" if version else ""
        raise RunError(
            f"{path} is damaged, or of another version{by}: {problem_in_words(error)}"
        ) from error


def write_facts(path: Path, facts: BaseModel) -> None:
    """Write the whole file or nothing: every key, those that are not set as null."""
    write_text(path, facts.model_dump_json(indent=1) + "\n")


# run.json


class TrainFacts(Facts):
    """What was in effect in a training, and what it came to.

    Args:
        environment: versions, machine and command.
        device: the accelerator or processor in words.
        threads: of torch, on each process.
        processes: that shared the training.
        precision: of `train.precision`, with `auto` resolved.
        weights_dtype: dtype of the trained weights.
        seed: of whatever no other seed decides.
        order_seed: of the order of the training blocks.
        batch_blocks: blocks of an update, over all devices.
        block_tokens: tokens of a block.
        engine: as the recipe asks for it.
        attention: the kernel in effect while training.
        loss: the function in effect.
        beginning_of_text: `add` or `none`.
        codec: fingerprint of the tokenizer.
        parameters_trained: their number; 0 for an untouched model.
        trained: exactly which weights they are.
        without_adapters: matrices of the adapted layers that have no adapter.
        updates: that were made.
        kept_update: after which the weights were kept.
        ended: why training ended.
        train_seconds: without probes and checkpoints.
        model: what inspecting the model found.
        tokenizer: what loading its tokenizer found; None in files of before.
        source: what its weights were made from; None of an ordinary folder.
        date: the day on which training ended, in UTC; None in files of before.
        parameters: of the whole model, without adapters; None in files of before.
    """

    environment: Environment
    device: str
    threads: int
    processes: int
    precision: str
    weights_dtype: str
    seed: int
    order_seed: int
    batch_blocks: int
    block_tokens: int
    engine: EngineSettings
    attention: str
    loss: str
    beginning_of_text: Literal["add", "none"]
    codec: str
    parameters_trained: int
    trained: tuple[TrainedWeights, ...]
    without_adapters: tuple[str, ...]
    updates: int
    kept_update: int
    ended: str
    train_seconds: float
    model: ModelTraits
    tokenizer: TokenizerTraits | None = None
    source: ModelSource | None = None
    date: str | None = None
    parameters: int | None = None


class GaveWayCount(Facts):
    """Steps, over all texts of a strategy, at which a rule left no token and was not applied."""

    strategy: str
    rule: str
    steps: int


class BlockedCount(Facts):
    """Steps at which a strategy's blocker forbade a token, changed the greedy choice, gave way."""

    strategy: str
    steps: int
    changed_greedy: int
    gave_way: int


class GenerateFacts(Facts):
    """What was in effect when a run continued the contexts: the effective decoding settings.

    `weights` is the digest of the run's weights. `batch_contexts` were decoded side by side.
    `processes` and `gave_way` are known when the last text is written.
    """

    weights: str | None
    device: str
    mode: Literal["fast", "reference"]
    dtype: str
    decoding: str
    seed: int
    batch_contexts: int
    new_tokens: int
    end_of_text: Literal["suppress", "stop"]
    end_ids: tuple[int, ...]
    strategies: tuple[Strategy, ...]
    codec: str
    processes: int | None = None
    gave_way: tuple[GaveWayCount, ...] = ()


class MauveTaken(Facts):
    """How one value of MAUVE was computed: texts of the smaller side, clusters, value by seed."""

    n: int
    clusters: int
    by_seed: tuple[float, ...]


class MauveFacts(Facts):
    """The model whose features MAUVE used, and each value by `domain: variant, strategy`."""

    features: str
    values: dict[str, MauveTaken]


class MeasureFacts(Facts):
    """How a run was measured: its weights' digest and the original's, and how words were cut.

    `dtype` is that of the weights that scored, `bleu` sacrebleu's signature, `scorer` the third
    model. `tokens_scored` are those that each model read for this run, and not for one measured
    before it: by the variant's name, or `scorer` or `mauve`. None: not measured, or as usual.
    """

    weights: tuple[str | None, str | None]
    dtype: str | None = None
    tokens_scored: dict[str, int] | None = None
    words: str | None = None
    bleu: str | None = None
    scorer: str | None = None
    mauve: MauveFacts | None = None


class RunFacts(Facts):
    """run.json: what was in effect, stage by stage. None: the stage has not been reached.

    `weights` are None before training, so that texts of former weights are not taken for the new
    ones'. `models_of` is the name of the run that was trained, where the model was taken from
    another experiment. `near_zero` is None of all runs but the hyperfitted one.
    """

    weights: Weights | None
    models_of: str | None = None
    train: TrainFacts | None = None
    near_zero: Verdict | None = None
    generate: GenerateFacts | None = None
    blocked: tuple[BlockedCount, ...] = ()
    measure: MeasureFacts | None = None


# archive.json


class ArchiveFacts(Facts):
    """archive.json: an experiment without weights, or a preference study without its database.

    It is without texts and token ids unless `texts`. `left_out` are the SHA-256 of the files that
    hold texts or ids and were left out, or replaced by one with hashes.
    """

    hyperfitting: str
    texts: bool
    left_out: dict[str, str]


# trackers.json


class TrackerFacts(Facts):
    """trackers.json: what trackers were told of a run, so that nothing is told twice.

    Args:
        id: tells the run from others of the same recipe, in trackers that keep all in one place.
        training: the trackers that are told of its updates and probes.
        metrics: by tracker, the SHA-256 of the metrics.jsonl that it was told of.
    """

    id: str
    training: tuple[str, ...]
    metrics: dict[str, str]


# data/manifest.json


class PassedOver(Facts):
    """Files of a source whose format is not read: their number, and the names of the first."""

    count: int
    names: tuple[str, ...]


class ImageFacts(Facts):
    """The images of a source as they were found: how many of each size (`32x32`), and how many were
    converted, by what they were.
    """

    sizes: dict[str, int]
    converted: dict[str, int]


class SourceFacts(Facts):
    """What was read of one source, and what pins its content: hashes, or a hub fingerprint.

    `rows` counts all rows, `nulls` those without a text, `documents` those that were used. Fields
    of local files are None for a hub data set, and the other way round.
    """

    path: str
    documents: int
    rows: int
    nulls: int
    files_read: int | None = None
    files_passed_over: PassedOver | None = None
    sha256: dict[str, str] | None = None
    config: str | None = None
    split: str | None = None
    fingerprint: str | None = None
    images: ImageFacts | None = None


class LeakFacts(Facts):
    """A held-out text that was left out: the words that it shares, or the text that it repeats; or
    a held-out image, with the image that it repeats.
    """

    source: str
    row: int
    title: str
    words: str


class CharacterFacts(Facts):
    """Characters that encoding and decoding a set's texts lost or added; share in [0, 1]."""

    texts: int
    texts_changed: int
    characters: int
    lost: int
    lost_share: float
    lost_by_kind: dict[str, int]
    lost_most: dict[str, int]
    added: int
    added_by_kind: dict[str, int]


class PassageFacts(Facts):
    """How much of a source, in characters, is kept for a set, makes passages, and was taken."""

    source_characters: int
    kept_characters: int
    passage_characters: int
    taken_characters: int
    passages: int
    stretches: int
    documents: int


class SetFacts(Facts):
    """How the training blocks, the validation blocks or the contexts of a domain were drawn.

    `blocks` of `tokens` each, in `groups` that are never split. `ids_sha256` pins the drawn ids:
    equal for sets that are equal to the bit. `rows`, `nulls` and the files are those of the source.
    `too_short`, `repeated` and `leaked` were passed over, `near_repeated` were taken. `characters`
    are None of images.
    """

    name: str
    source: str
    blocks: int
    tokens: int
    groups: int
    ids_sha256: str
    rows: int
    nulls: int
    files_read: int | None
    files_passed_over: PassedOver | None
    unit: Literal["document", "passage", "image"]
    documents_seen: int
    too_short: int
    repeated: int
    near_repeated: int
    leaked: int
    leaks_left_out: tuple[LeakFacts, ...]
    characters: CharacterFacts | None = None
    passages: PassageFacts | None = None


class DataManifest(Facts):
    """data/manifest.json: the tokenizer's fingerprint, the sources, the sets in drawing order."""

    codec: str
    seed: int
    sources: tuple[SourceFacts, ...]
    sets: tuple[SetFacts, ...]

    def set_named(self, name: str) -> SetFacts:
        """The facts of `train`, `validation` or a domain."""
        return next(each for each in self.sets if each.name == name)
