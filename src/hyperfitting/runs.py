"""Experiment and Run folders: the only module that knows file names.

    EXPERIMENT/                     default: runs/<name>-<digest8>
      recipe.json                   the resolved recipe
      data/                         drawn once, read by all runs
        manifest.json  train.npz  validation.npz  contexts-<set>.npz
      original/  hyperfitted/       two Runs, and early-stopped/ where the recipe has that control
        recipe.json  run.json       what was asked for; what was in effect (device, precision, versions, hashes)
        updates.jsonl  probes.jsonl one row an update; one a probe
        checkpoint/                 only while training is unfinished (training/checkpoint.py says what is in it)
        model/                      an ordinary Hugging Face folder; none where an original is named in run.json
        parts/                      only while generation is unfinished: what each process has written
        continuations.jsonl         contexts x strategies
        blocked.jsonl               what the citation blocker forbade, if a strategy has one
        text_metrics.jsonl          what was measured of each text
        pooled_metrics.jsonl        what was measured of all texts of an arm together
        metrics.jsonl
      report/
        index.html  report.md  table.csv  summary.json  *.png

A stage is done when its last file is there, made with the weights whose hashes run.json holds. Every file and the model
folder appear whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from hyperfitting.errors import RunError
from hyperfitting.files import (
    Row,
    appending,
    read_json,
    read_rows,
    replacing,
    write_rows,
    write_text,
)
from hyperfitting.recipe import Recipe, Role, differing_settings, load_recipe, stored_recipe
from hyperfitting.records import (
    Blocked,
    Continuation,
    GaveWay,
    MetricRow,
    Origin,
    PooledMetric,
    ProbeRow,
    TextMetrics,
    TokenBlocks,
    UpdateRow,
    Verdict,
)
from hyperfitting.weights import Weights

PARTS: dict[type[Any], str] = {
    Continuation: "continuations",
    Blocked: "blocked",
    GaveWay: "gave-way",
}
"""What generation writes while it goes on, and how its files are called."""


class RowsSoFar(Protocol):
    """What training had written when it was last saved."""

    updates: list[UpdateRow]
    probes: list[ProbeRow]


class Run:
    """One model of an experiment and everything that was made with it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.role = folder.name
        self.recipe_file = folder / "recipe.json"
        self.facts_file = folder / "run.json"
        self.updates_file = folder / "updates.jsonl"
        self.probes_file = folder / "probes.jsonl"
        self.checkpoint_folder = folder / "checkpoint"
        self.model_folder = folder / "model"
        self.parts_folder = folder / "parts"
        self.continuations_file = folder / "continuations.jsonl"
        self.blocked_file = folder / "blocked.jsonl"
        self.text_metrics_file = folder / "text_metrics.jsonl"
        self.pooled_metrics_file = folder / "pooled_metrics.jsonl"
        self.metrics_file = folder / "metrics.jsonl"

    @property
    def recipe(self) -> Recipe:
        """The run's own recipe."""
        return load_recipe(self.recipe_file)

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
        return self.continuations_file.is_file() and self._made_with("generate", self.made_with[:1])

    @property
    def measured(self) -> bool:
        """The metric rows are there, whole, measured with the run's weights and the original's."""
        return (
            self.metrics_file.is_file()
            and self.generated
            and self._made_with("measure", self.made_with)
        )

    @property
    def weights(self) -> Weights | None:
        """Which files are the model; None before training, and of a run that was trained before they were hashed."""
        found = self.facts().get("weights")
        return Weights(**found) if found else None

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
    def made_with(self) -> list[str | None]:
        """Digests of the weights that decide the run's texts and measures: its own, and the original's."""
        both = (self.weights, Run(self.folder.parent / "original").weights)
        return [each.digest if each else None for each in both]

    def _made_with(self, stage: str, weights: list[str | None]) -> bool:
        return weights[0] is None or self.facts().get(stage, {}).get("weights") == weights

    def keep_weights(self, weights: Weights | None) -> None:
        """Keep the hashes of a trained model; None before training, so that none is taken for a former one's."""
        self.add_facts("weights", dataclasses.asdict(weights) if weights else None)

    @property
    def verdict(self) -> Verdict | None:
        """Whether the training came near zero loss; None of other runs than the hyperfitted one."""
        found = self.facts().get("near_zero")
        return Verdict(**found) if found else None

    def drop_stale(self) -> bool:
        """Remove texts and measures that were made with other weights than the run's; whether there were any."""
        texts = [self.continuations_file, self.blocked_file]
        measures = [self.metrics_file, self.pooled_metrics_file, self.text_metrics_file]
        begun = self.parts_folder.is_dir() or self.continuations_file.is_file()
        if begun and not self._made_with("generate", self.made_with[:1]):
            shutil.rmtree(self.parts_folder, ignore_errors=True)
            stale, stages = [*measures, *texts], ["generate", "blocked", "measure"]
        elif self.metrics_file.is_file() and not self._made_with("measure", self.made_with):
            stale, stages = measures, ["measure"]
        else:
            return False
        for path in stale:
            path.unlink(missing_ok=True)
        left = {stage: facts for stage, facts in self.facts().items() if stage not in stages}
        write_text(self.facts_file, json.dumps(left, indent=1) + "\n")
        return True

    def facts(self) -> dict[str, Any]:
        """What was in effect, by stage."""
        return read_json(self.facts_file) if self.facts_file.is_file() else {}

    def add_facts(self, stage: str, facts: dict[str, Any] | None) -> None:
        """Keep what was in effect in one stage."""
        write_text(self.facts_file, json.dumps({**self.facts(), stage: facts}, indent=1) + "\n")

    @contextmanager
    def rows_from(
        self, held: RowsSoFar, *, write: bool
    ) -> Iterator[tuple[Callable[[Any], None], Callable[[Any], None]]]:
        """Functions that append an update's row and a probe's, after the rows that a checkpoint holds and no others."""
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
        """What an unfinished generation has written of one kind of `PARTS`, by whichever processes."""
        files = sorted(self.parts_folder.glob(f"{PARTS[kind]}-*.jsonl"))
        return [row for path in files for row in read_rows(path, kind)]

    def blocked(self) -> list[Blocked]:
        """What the citation blocker did; nothing where no strategy has one."""
        return read_rows(self.blocked_file, Blocked) if self.blocked_file.is_file() else []

    def continuations(self) -> list[Continuation]:
        """Every context continued in every strategy; the reference texts among them, as `model` reference."""
        return read_rows(self.continuations_file, Continuation)

    def write_metrics(
        self,
        texts: Iterable[TextMetrics],
        pooled: Iterable[PooledMetric],
        rows: Iterable[MetricRow],
    ) -> None:
        """Write what was measured. The rows of the table come last, since with them the run counts as measured."""
        write_rows(self.text_metrics_file, texts)
        write_rows(self.pooled_metrics_file, pooled)
        write_rows(self.metrics_file, rows)

    def text_metrics(self) -> list[TextMetrics]:
        """What was measured of each text."""
        return read_rows(self.text_metrics_file, TextMetrics)

    def pooled_metrics(self) -> list[PooledMetric]:
        """What was measured of all texts of an arm together."""
        return read_rows(self.pooled_metrics_file, PooledMetric)

    def metrics(self) -> list[MetricRow]:
        """The run's share of the table."""
        return read_rows(self.metrics_file, MetricRow)


class Experiment:
    """A recipe's folder: its data, its runs and its report."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.recipe_file = folder / "recipe.json"
        self.data_folder = folder / "data"
        self.manifest_file = folder / "data" / "manifest.json"
        self.report_folder = folder / "report"

    @property
    def recipe(self) -> Recipe:
        """The experiment's recipe.

        Raises:
            RunError: if the folder holds no experiment.
        """
        if not self.recipe_file.is_file():
            raise RunError(
                f"{self.folder} holds no experiment: give the folder that `hyperfit run` wrote"
            )
        return load_recipe(self.recipe_file)

    @classmethod
    def claim(cls, folder: Path, recipe: Recipe) -> Experiment:
        """The experiment of `recipe` in `folder`: one to begin, or the one that is there to go on with. Writes nothing.

        Raises:
            RunError: if the folder holds another recipe's experiment, or anything else.
        """
        experiment = cls(folder)
        if folder.exists() and not folder.is_dir():
            raise RunError(
                f"{folder} is a file, and a folder is needed there: choose another --out"
            )
        if experiment.recipe_file.is_file():
            held = experiment.recipe
            if held.digest != recipe.digest:
                raise RunError(
                    f"{folder} holds the run {held.run_name}, not {recipe.run_name} "
                    f"({differing_settings(held, recipe)}): choose another --out, or remove it"
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty and holds no experiment: choose another --out")
        return experiment

    def take_undecisive(self, recipe: Recipe) -> None:
        """Go on with the engine of a recipe, and from its folder: neither decides a result, so both may change."""
        given = dict(recipe.path_settings())
        for file in [self.recipe_file, *self.folder.glob("*/recipe.json")]:
            held = load_recipe(file)
            both = [
                (settings, given[key]) for key, settings in held.path_settings() if key in given
            ]
            moved = [
                (old, new)
                for old, new in both
                if old.folders != {each: new.folder_of(each) for each in old.folders}
            ]
            if moved or held.engine != recipe.engine:
                for settings, now in moved:
                    settings.count_from(now.folder_of)
                write_text(
                    file,
                    stored_recipe(held.model_copy(update={"engine": recipe.engine}), file.parent),
                )

    def run(self, role: Role) -> Run:
        """One of the runs, begun or not."""
        return Run(self.folder / role)

    def begin(self, role: Role) -> None:
        """Make a run's folder, with its recipe."""
        run = self.run(role)
        if not run.recipe_file.is_file():
            write_text(run.recipe_file, stored_recipe(self.recipe.of(role), run.folder))

    def state(self) -> str:
        """How far it has come, in a word."""
        if (self.report_folder / "index.html").is_file():
            return "reported"
        runs = (
            [self.run("pretrained")]
            if self.run("pretrained").folder.is_dir()
            else list(self.runs().values())
        )
        steps = [("measured", "measured"), ("generated", "generated"), ("trained", "trained")]
        return next(
            (word for word, done in steps if all(getattr(run, done) for run in runs)), "begun"
        )

    def runs(self) -> dict[Role, Run]:
        """The recipe's runs, the original first."""
        return {role: self.run(role) for role in self.recipe.roles}

    def refuse_unmeasured(self) -> None:
        """Refuse an experiment of which a run is not measured yet.

        Raises:
            RunError: names the run and the command; or the folder holds no experiment.
        """
        for variant, run in self.runs().items():
            if not run.measured:
                raise RunError(
                    f"{self.folder}: the {variant} run is not measured yet: run `hyperfit measure {self.folder}`"
                )

    def drop_stale(self) -> list[Role]:
        """Remove what was made with weights that are no longer there, and the report on it; of which runs."""
        dropped = [role for role, run in self.runs().items() if run.drop_stale()]
        if dropped:
            shutil.rmtree(self.report_folder, ignore_errors=True)
        return dropped

    @property
    def has_updates(self) -> bool:
        """Whether a model has been trained by at least one update."""
        return any(file.stat().st_size for file in self.folder.glob("*/updates.jsonl"))

    @property
    def drawn(self) -> bool:
        """The data are there, whole."""
        return self.manifest_file.is_file()

    def write_data(
        self, recipe: Recipe, sets: Iterable[TokenBlocks], manifest: dict[str, Any]
    ) -> None:
        """Keep the recipe, the blocks drawn for it and how they were drawn."""
        write_text(self.recipe_file, stored_recipe(recipe, self.folder))
        for blocks in sets:
            _write_blocks(self._blocks_file(blocks.name), blocks)
        write_text(self.manifest_file, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")

    def manifest(self) -> dict[str, Any]:
        """Sources, hashes, counts and leaks of the data."""
        return read_json(self.manifest_file)

    def blocks(self, name: str) -> TokenBlocks:
        """The drawn blocks of `train`, `validation` or a set of contexts."""
        return _read_blocks(self._blocks_file(name), name, self.manifest()["codec"])

    def _blocks_file(self, name: str) -> Path:
        return self.data_folder / (
            f"{name}.npz" if name in ("train", "validation") else f"contexts-{name}.npz"
        )


def find_run(folder: Path) -> Run:
    """The run that a user means: a run's own folder, or the hyperfitted or pretrained one of an experiment.

    Raises:
        RunError: if there is none, or it is not trained yet.
    """
    found = [Run(each) for each in (folder, folder / "hyperfitted", folder / "pretrained")]
    run = next((each for each in found if each.recipe_file.is_file() and each.trained), None)
    if run is None:
        raise RunError(
            f"{folder} holds no trained run: give the folder that `hyperfit run` or `hyperfit train` wrote"
        )
    return run


def find_experiments(folder: Path) -> list[Experiment]:
    """Every experiment in `folder` and the folders in it, five deep, oldest first; none inside another."""
    return sorted(_experiments_in(folder, 5), key=lambda each: each.recipe_file.stat().st_mtime)


def _experiments_in(folder: Path, deep: int) -> Iterator[Experiment]:
    if Experiment(folder).recipe_file.is_file():
        if folder.resolve().name not in get_args(Role):
            yield Experiment(folder)
    elif deep:
        for inner in _folders_in(folder):
            yield from _experiments_in(inner, deep - 1)


def _folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden; none of one that cannot be read."""
    try:
        return sorted(
            each for each in folder.iterdir() if not each.name.startswith(".") and each.is_dir()
        )
    except OSError:
        return []


def _write_blocks(path: Path, blocks: TokenBlocks) -> None:
    columns = {
        field.name: [getattr(origin, field.name) for origin in blocks.origins]
        for field in dataclasses.fields(Origin)
    }
    with replacing(path) as partial, partial.open("wb") as file:
        arrays: dict[str, Any] = {key: np.array(values) for key, values in columns.items()}
        np.savez_compressed(file, ids_NT=blocks.ids_NT, **arrays)


def _read_blocks(path: Path, name: str, codec: str) -> TokenBlocks:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = [arrays[field.name].tolist() for field in dataclasses.fields(Origin)]
            return TokenBlocks(name, codec, arrays["ids_NT"], tuple(map(Origin, *columns)))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the data were not drawn to the end") from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged: draw the data again, into another --out") from error
