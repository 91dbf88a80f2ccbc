"""Tell trackers of a run: each row of its updates and probes once, and its metrics in the end.

What a tracker was told stands in the run's trackers.json and in its files: rows that stood there
before a stop are not told again, although the training makes them again from its last checkpoint,
to the same bits.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from hyperfitting.errors import MissingExtra
from hyperfitting.facts import TrackerFacts, read_facts, write_facts
from hyperfitting.files import file_sha256
from hyperfitting.recipe import TrackerName, dotted
from hyperfitting.records import Arm, MetricRow, ProbeRow, UpdateRow
from hyperfitting.runs import Experiment, Run
from hyperfitting.trackers.to_tensorboard import TensorBoard
from hyperfitting.trackers.to_trackio import Trackio
from hyperfitting.trackers.to_wandb import WeightsAndBiases
from hyperfitting.trackers.tracker import TrackedRun, Tracker

_DOORS: dict[TrackerName, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
}
_TEXTS = ("sample_context", "sample")
"""Fields of a probe that hold texts."""


def refuse_missing_trackers(names: Sequence[TrackerName]) -> None:
    """Refuse trackers whose packages are not installed.

    Raises:
        MissingExtra: names the first.
    """
    for name in names:
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of that name is none
            raise MissingExtra(name, extra=name)


class Reporter:
    """Tells the trackers of one run. One that fails is given up, with one line."""

    def __init__(self, run: Run, say: Callable[[str], None]):
        self._run, self._say = run, say
        self._trackers: dict[TrackerName, Tracker] = {}
        self._updates: set[int] = set()
        self._probes: set[int] = set()

    def open(self, names: Sequence[TrackerName]) -> None:
        """Open trackers; one that is new to the run is told all that its files hold."""
        facts = _facts(self._run)
        write_facts(self._run.trackers_file, facts)
        for name in dict.fromkeys(names):
            self._open(name, facts)
        updates, probes = _rows_so_far(self._run)
        new = [name for name in self._trackers if name not in facts.training]
        for row in updates:
            self._tell_update(row, new)
        for probe in probes:
            self._tell_probe(probe, new)
        self._updates = {row.update for row in updates}
        self._probes = {probe.update for probe in probes}
        begun = (*facts.training, *(name for name in new if name in self._trackers))
        write_facts(self._run.trackers_file, facts.model_copy(update={"training": begun}))

    def update(self, row: UpdateRow) -> None:
        """Tell of an update, unless it stood in the run's files before."""
        if row.update not in self._updates:
            self._tell_update(row, list(self._trackers))

    def probe(self, row: ProbeRow) -> None:
        """Tell of a probe, unless it stood in the run's files before."""
        if row.update not in self._probes:
            self._tell_probe(row, list(self._trackers))

    def metrics(self) -> None:
        """Tell what was measured of the run."""
        rows, step = self._run.metrics(), self._run.train_facts.kept_update
        values = {_title(row, self._run.variant): row.value for row in rows}
        told = list(self._trackers)
        self._tell(told, lambda tracker: tracker.results(values, step))
        digest = file_sha256(self._run.metrics_file)
        facts = _facts(self._run)
        known = facts.metrics | {name: digest for name in told if name in self._trackers}
        write_facts(self._run.trackers_file, facts.model_copy(update={"metrics": known}))

    def close(self) -> None:
        """Write what trackers have not written yet."""
        self._tell(list(self._trackers), lambda tracker: tracker.close())

    def _open(self, name: TrackerName, facts: TrackerFacts) -> None:
        try:
            self._trackers[name] = _DOORS[name](_tracked(self._run, facts.id))
        except Exception as error:  # whatever another's code comes up with
            self._give_up(name, error)
            return
        if name not in facts.training:
            self._say(f"{self._run.variant}: told to {name}: {self._trackers[name].place}")

    def _tell_update(self, row: UpdateRow, names: Sequence[TrackerName]) -> None:
        values = _numbers("updates", asdict(row))
        self._tell(names, lambda tracker: tracker.numbers(values, row.update))

    def _tell_probe(self, row: ProbeRow, names: Sequence[TrackerName]) -> None:
        fields = asdict(row)
        context, sample = (fields.pop(name) for name in _TEXTS)
        values, text = _numbers("probes", fields), f"{context} | {sample}"
        self._tell(names, lambda tracker: tracker.numbers(values, row.update))
        self._tell(names, lambda tracker: tracker.text("probes/sample", text, row.update))

    def _tell(self, names: Sequence[TrackerName], say_it: Callable[[Tracker], None]) -> None:
        for name in names:
            if name in self._trackers:
                try:
                    say_it(self._trackers[name])
                except Exception as error:  # a training does not stop for whoever watches it
                    self._give_up(name, error)

    def _give_up(self, name: TrackerName, error: Exception) -> None:
        self._trackers.pop(name, None)
        what = " ".join([f"{type(error).__name__}:", *str(error).split()])[:200]
        self._say(f"warning: {self._run.variant}: {name} is told nothing more: {what}")


@contextmanager
def reporting(
    run: Run, names: Sequence[TrackerName], say: Callable[[str], None]
) -> Iterator[Reporter]:
    """A reporter of a run for some trackers, none of them possibly. Enter it before the run's files
    are written again from a checkpoint.

    A tracker that is new to the run is told what the files hold already.
    """
    reporter = Reporter(run, say)
    if names:
        reporter.open(names)
    try:
        yield reporter
    finally:
        reporter.close()


def tell_metrics(
    runs: Sequence[Run], names: Sequence[TrackerName], say: Callable[[str], None]
) -> None:
    """Tell trackers what was measured of runs: those of them that were not told yet."""
    for run in runs if names else ():
        digest = file_sha256(run.metrics_file)
        told = _facts(run).metrics
        if todo := [name for name in names if told.get(name) != digest]:
            with reporting(run, todo, say) as reporter:
                reporter.metrics()


def _rows_so_far(run: Run) -> tuple[list[UpdateRow], list[ProbeRow]]:
    return (
        run.updates() if run.updates_file.is_file() else [],
        run.probes() if run.probes_file.is_file() else [],
    )


def _facts(run: Run) -> TrackerFacts:
    if run.trackers_file.is_file():
        return read_facts(run.trackers_file, TrackerFacts)
    return TrackerFacts(id=secrets.token_hex(4), training=(), metrics={})


def _tracked(run: Run, id: str) -> TrackedRun:
    folder = run.folder.absolute().parent
    tree = run.recipe.model_dump(mode="json", exclude_defaults=True)
    return TrackedRun(
        project=Experiment(folder).recipe.name,
        group=folder.name,
        variant=run.variant,
        id=id,
        folder=run.folder.parent,
        settings=dict(dotted(tree)),
    )


def _numbers(group: str, fields: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row that are there, by `<group>/<field>`."""
    return {
        f"{group}/{name}": float(value)
        for name, value in fields.items()
        if value is not None and name != "update"
    }


def _title(row: MetricRow, variant: str) -> str:
    """`metrics/<domain>/<arm>/<name>`, the arm of the run's own variant by its strategy alone."""
    arm = row.strategy if row.variant == variant else Arm(row.variant, row.strategy).title
    name = row.name if row.position is None else f"{row.name}_{row.position}"
    return "/".join(filter(None, ("metrics", row.domain, arm, name)))
