"""One model of an experiment: its folder, and all that is read from it and written to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import Any, Protocol

from hyperfitting.errors import RunError
from hyperfitting.facts import RunFacts, TrainFacts, read_facts, write_facts
from hyperfitting.files import Row, StoredFile, appending, read_last_row, read_rows, write_rows
from hyperfitting.recipe import Recipe, load_stored_recipe
from hyperfitting.records import (
    Blocked,
    Continuation,
    ContinuationHash,
    GaveWay,
    MetricRow,
    PooledMetric,
    ProbeRow,
    TextMetrics,
    UpdateRow,
    Verdict,
)
from hyperfitting.runs.evaluation import EvaluationFolder
from hyperfitting.weights import Weights

PARTS: dict[type[Any], str] = {
    Continuation: "continuations",
    Blocked: "blocked",
    GaveWay: "gave-way",
}
"""What generation writes while it goes on, and how its files are called."""


_OF_STAGES = {
    "drop_stale",
    "made_with",
    "new_part",
    "parts",
    "parts_folder",
    "training_log_writers",
    "update_facts",
    "write_metrics",
}


class RowsSoFar(Protocol):
    """What training had written when it was last saved."""

    updates: list[UpdateRow]
    probes: list[ProbeRow]


class Run:
    """One model of an experiment and everything that was made with it.

    Examples:
        >>> run = hyperfitting.Experiment("runs/mine").run("hyperfitted")
        >>> run
        <Run runs/mine/hyperfitted: measured>
        >>> probes = run.probes()
        >>> probes[-1].train_loss < probes[1].train_loss
        True
    """

    def __init__(self, folder: str | Path, *, at_default: Collection[str] = ()):
        """`at_default`: settings of its stored recipe, as `load_stored_recipe` takes them."""
        self.folder = folder = Path(folder)
        self.variant = folder.name
        self.recipe_file = folder / "recipe.json"
        self.facts_file = folder / "run.json"
        self.updates_file = folder / "updates.jsonl"
        self.probes_file = folder / "probes.jsonl"
        self.trackers_file = folder / "trackers.json"
        self.checkpoint_folder = folder / "checkpoint"
        self.model_folder = folder / "model"
        self.parts_folder = folder / "parts"
        self.continuations_file = folder / "continuations.jsonl"
        self.continuation_hashes_file = folder / "continuation_hashes.jsonl"
        self.blocked_file = folder / "blocked.jsonl"
        self.text_metrics_file = folder / "text_metrics.jsonl"
        self.pooled_metrics_file = folder / "pooled_metrics.jsonl"
        self.metrics_file = folder / "metrics.jsonl"
        self.evaluation = EvaluationFolder(folder / "evaluation")
        self._at_default = at_default
        load = partial(load_stored_recipe, at_default=at_default)
        self._recipe = StoredFile(self.recipe_file, load)
        self._facts = StoredFile(self.facts_file, _facts_or_none)
        self._metrics = StoredFile(self.metrics_file, partial(read_rows, kind=MetricRow))

    def __dir__(self) -> list[str]:
        """The names that Python offers to complete: without those of the stages, which write."""
        return sorted(set(super().__dir__()) - _OF_STAGES)

    def __repr__(self) -> str:
        """The folder, and how far the run has come."""
        return f"<Run {self.folder}: {self.state()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows of it: how far it has come, and what its last probe found."""
        shown = [f"{self.variant}: {self.state()}"]
        if probe := read_last_row(self.probes_file, ProbeRow):
            shown += [
                f"update {probe.update:,}",
                f"validation loss {probe.validation_loss:.2f}",
                f"type-token ratio {probe.ttr:.2f}",
            ]
        return f"<p>{escape('; '.join(shown))} ({escape(str(self.folder))})</p>"

    def state(self) -> str:
        """How far the run has come, in a word."""
        if not self.recipe_file.is_file():
            return "not begun"
        steps = ("measured", "generated", "trained")
        return next((step for step in steps if getattr(self, step)), "begun")

    @property
    def recipe(self) -> Recipe:
        """The run's own recipe."""
        return self._recipe.read()

    @property
    def name(self) -> str:
        """`<name>-<digest8>`: what every row of a table names as its run."""
        return self.recipe.run_name

    @property
    def trained(self) -> bool:
        """The model folder is there, whole, or the original's is named."""
        return self.model_folder.is_dir() or (
            self.weights is not None and self.weights.source is not None
        )

    @property
    def generated(self) -> bool:
        """The continuations are there, whole, written with the run's weights."""
        files = (self.continuations_file, self.continuation_hashes_file)
        return any(each.is_file() for each in files) and self._texts_are_current

    @property
    def measured(self) -> bool:
        """The metric rows are there, whole, measured with the run's weights and the original's."""
        return self.metrics_file.is_file() and self.generated and self._metrics_are_current

    @property
    def weights(self) -> Weights | None:
        """Which files are the model; None before training."""
        return self.facts.weights

    @property
    def verdict(self) -> Verdict | None:
        """Whether the training came near zero loss; None of other runs than the hyperfitted one."""
        return self.facts.near_zero

    @property
    def model_source(self) -> Path:
        """The folder to load the model from: the run's own, or the original's where that is named.

        Raises:
            RunError: it is gone, or was changed since.
        """
        weights = self.weights
        if weights is None:
            return self.model_folder
        if weights.source is None:
            return weights.folder(self.folder)
        model = self.recipe.model
        return weights.folder(self.folder, model.place("source") or model.tried("source"))

    @property
    def made_with(self) -> tuple[str | None, str | None]:
        """Digests of the weights that decide texts and metrics: the run's, and the original's."""
        own, original = (
            each.weights.digest if each.weights else None for each in (self, self._original)
        )
        return own, original

    @cached_property
    def _original(self) -> Run:
        if self.variant == "original":
            return self
        return Run(self.folder.parent / "original", at_default=self._at_default)

    @property
    def _texts_are_current(self) -> bool:
        """The texts are by the run's weights, as far as these are known."""
        own, made = self.made_with[0], self.facts.generate
        return own is None or (made is not None and made.weights == own)

    @property
    def _metrics_are_current(self) -> bool:
        """The metrics are of the run's weights and the original's, as far as these are known."""
        both, made = self.made_with, self.facts.measure
        return both[0] is None or (made is not None and made.weights == both)

    def drop_stale(self) -> bool:
        """Remove texts, metrics and answers that were made with other weights than the run's;
        whether there were any.
        """
        answers = self.evaluation.drop_stale(self.made_with[0])
        texts = [self.continuations_file, self.blocked_file]
        metrics = [self.metrics_file, self.pooled_metrics_file, self.text_metrics_file]
        begun = self.parts_folder.is_dir() or self.continuations_file.is_file()
        if begun and not self._texts_are_current:
            shutil.rmtree(self.parts_folder, ignore_errors=True)
            stale, former = [*metrics, *texts], {"generate": None, "blocked": (), "measure": None}
        elif self.metrics_file.is_file() and not self._metrics_are_current:
            stale, former = metrics, {"measure": None}
        else:
            return answers
        for path in stale:
            path.unlink(missing_ok=True)
        self.update_facts(**former)
        return True

    @property
    def facts(self) -> RunFacts:
        """What was in effect, by stage.

        Raises:
            RunError: run.json cannot be read, or hyperfitting 0.1 wrote the run.
        """
        if self.recipe_file.is_file():
            _ = self.recipe  # names the version, where run.json has other keys
        return self._facts.read()

    def refuse_untrained(self) -> None:
        """Refuse a run whose model is not there, before anything is written to its folder.

        Raises:
            RunError: the run is not trained.
        """
        if not self.trained:
            raise RunError(f"{self.folder} is not trained yet: run `hyperfit train` first")

    @property
    def train_facts(self) -> TrainFacts:
        """What was in effect in the training.

        Raises:
            RunError: the run is not trained.
        """
        if self.facts.train is None:
            raise RunError(f"{self.folder} is not trained yet: run `hyperfit train` first")
        return self.facts.train

    def update_facts(self, **stages: Any) -> None:
        """Replace what run.json holds of some stages, given by the names of `RunFacts`."""
        write_facts(self.facts_file, RunFacts(**{**dict(self.facts), **stages}))

    @contextmanager
    def training_log_writers(
        self, held: RowsSoFar, *, write: bool
    ) -> Iterator[tuple[Callable[[Any], None], Callable[[Any], None]]]:
        """Functions that append an update's row and a probe's, after the rows that a checkpoint
        holds and no others.
        """
        if not write:
            yield (lambda row: None), (lambda row: None)
            return
        write_rows(self.updates_file, held.updates)
        write_rows(self.probes_file, held.probes)
        with appending(self.updates_file) as log, appending(self.probes_file) as keep:
            yield log, keep

    def updates(self) -> list[UpdateRow]:
        """One row an update."""
        return read_rows(self.updates_file, UpdateRow)

    def probes(self) -> list[ProbeRow]:
        """One row a probe."""
        return read_rows(self.probes_file, ProbeRow)

    @contextmanager
    def new_part(self, number: int) -> Iterator[Callable[[Any], None]]:
        """A function that appends a row of `PARTS` to the files of this process's own."""
        begun = len(list(self.parts_folder.glob("continuations-*.jsonl")))
        with ExitStack() as files:
            keep = {
                kind: files.enter_context(
                    appending(self.parts_folder / f"{name}-{begun}-{number}.jsonl")
                )
                for kind, name in PARTS.items()
            }
            yield lambda row: keep[type(row)](row)

    def parts(self, kind: type[Row]) -> list[Row]:
        """What an unfinished generation has written of one kind of `PARTS`, by whichever
        processes.
        """
        files = sorted(self.parts_folder.glob(f"{PARTS[kind]}-*.jsonl"))
        return [row for path in files for row in read_rows(path, kind)]

    def blocked(self) -> list[Blocked]:
        """What the citation blocker did; nothing where no strategy has one."""
        return read_rows(self.blocked_file, Blocked) if self.blocked_file.is_file() else []

    def continuations(self) -> list[Continuation]:
        """Every context continued in every strategy; the reference texts among them, as variant
        `reference`.

        Raises:
            RunError: the texts are not written yet, or this is an archive without texts.
        """
        if self.continuation_hashes_file.is_file():
            raise RunError(
                f"{self.folder} is of an archive, which holds hashes instead of texts: give the "
                "experiment itself"
            )
        return read_rows(self.continuations_file, Continuation)

    def continuation_hashes(self) -> list[ContinuationHash]:
        """The same of an archive without texts, as hashes."""
        return read_rows(self.continuation_hashes_file, ContinuationHash)

    def write_metrics(
        self, texts: Iterable[TextMetrics], sets: Iterable[PooledMetric], rows: Iterable[MetricRow]
    ) -> None:
        """Write what was measured; the rows of the table last, since with them the run counts as
        measured.
        """
        write_rows(self.text_metrics_file, texts)
        write_rows(self.pooled_metrics_file, sets)
        write_rows(self.metrics_file, rows)

    def text_metrics(self) -> list[TextMetrics]:
        """What was measured of each text by itself."""
        return read_rows(self.text_metrics_file, TextMetrics)

    def pooled_metrics(self) -> list[PooledMetric]:
        """What was measured of sets of texts as a whole."""
        return read_rows(self.pooled_metrics_file, PooledMetric)

    def metrics(self) -> list[MetricRow]:
        """The run's share of the table."""
        return list(self._metrics.read())


def _facts_or_none(path: Path) -> RunFacts:
    """The facts of a run; none of them where it has not begun."""
    return read_facts(path, RunFacts) if path.is_file() else RunFacts(weights=None)
