"""Experiment and Run folders: the only module that knows file names.

    EXPERIMENT/                     default: runs/<name>-<digest8>
      recipe.json                   the resolved recipe
      data/                         drawn once, read by all runs
        manifest.json  train.npz  validation.npz  contexts-<set>.npz
      original/  hyperfitted/       two Runs, and early-stopped/ where the recipe has that control
        recipe.json  run.json       what was asked for; what was in effect (device, precision, versions, hashes)
        updates.jsonl  probes.jsonl one row an update; one a probe
        checkpoint/                 only while training is unfinished (training/checkpoint.py says what is in it)
        model/                      an ordinary Hugging Face folder
        parts/                      only while generation is unfinished: what each process has written
        continuations.jsonl         contexts x arms
        blocked.jsonl               what the citation blocker forbade, if an arm has one
        text_measures.jsonl           what was measured of each text, and of sets of them as a whole
        set_measures.jsonl
        metrics.jsonl
      report/
        index.html  report.md  table.csv  summary.json  *.png

A stage is done when its last file is there; every file and the model folder appear whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from hyperfitting.errors import RunError
from hyperfitting.files import appending, read_json, read_rows, replacing, write_rows, write_text
from hyperfitting.recipe import Recipe, Role
from hyperfitting.recipes import load_recipe
from hyperfitting.records import (
    Blocked,
    Continuation,
    MetricRow,
    Origin,
    ProbeRow,
    SetMeasure,
    TextMeasures,
    TokenBlocks,
    UpdateRow,
)

_PACKAGES = ("hyperfitting", "torch", "transformers", "tokenizers", "safetensors", "datasets", "numpy", "pydantic")


def environment() -> dict[str, Any]:
    """Versions, machine and the command as it was typed, as kept with every run. Names no host or user."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": os.cpu_count(),
        "versions": versions,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


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
        self.text_measures_file = folder / "text_measures.jsonl"
        self.set_measures_file = folder / "set_measures.jsonl"
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
        """The model folder is there, whole."""
        return self.model_folder.is_dir()

    @property
    def generated(self) -> bool:
        """The continuations are there, whole."""
        return self.continuations_file.is_file()

    @property
    def measured(self) -> bool:
        """The metric rows are there, whole."""
        return self.metrics_file.is_file()

    def facts(self) -> dict[str, Any]:
        """What was in effect, by stage."""
        return read_json(self.facts_file) if self.facts_file.is_file() else {}

    def add_facts(self, stage: str, facts: dict[str, Any]) -> None:
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
    def new_part(self, number: int) -> Iterator[tuple[Callable[[Any], None], Callable[[Any], None]]]:
        """Functions that append a continuation and what was blocked in it, to files of this process's own."""
        begun = len(list(self.parts_folder.glob("continuations-*.jsonl")))
        with (
            appending(self.parts_folder / f"continuations-{begun}-{number}.jsonl") as keep,
            appending(self.parts_folder / f"blocked-{begun}-{number}.jsonl") as block,
        ):
            yield keep, block

    def parts(self) -> tuple[list[Continuation], list[Blocked]]:
        """What an unfinished generation has written, by whichever processes."""
        texts = [row for path in self._part_files("continuations") for row in read_rows(path, Continuation)]
        return texts, [row for path in self._part_files("blocked") for row in read_rows(path, Blocked)]

    def _part_files(self, kind: str) -> list[Path]:
        return sorted(self.parts_folder.glob(f"{kind}-*.jsonl"))

    def blocked(self) -> list[Blocked]:
        """What the citation blocker did; nothing where no arm has one."""
        return read_rows(self.blocked_file, Blocked) if self.blocked_file.is_file() else []

    def continuations(self) -> list[Continuation]:
        """Every context continued in every arm; the reference texts among them, as `model` reference."""
        return read_rows(self.continuations_file, Continuation)

    def keep_measures(
        self, texts: Iterable[TextMeasures], sets: Iterable[SetMeasure], rows: Iterable[MetricRow]
    ) -> None:
        """Write what was measured; the rows of the table last, since with them the run counts as measured."""
        write_rows(self.text_measures_file, texts)
        write_rows(self.set_measures_file, sets)
        write_rows(self.metrics_file, rows)

    def text_measures(self) -> list[TextMeasures]:
        """What was measured of each text by itself."""
        return read_rows(self.text_measures_file, TextMeasures)

    def set_measures(self) -> list[SetMeasure]:
        """What was measured of sets of texts as a whole."""
        return read_rows(self.set_measures_file, SetMeasure)

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
            raise RunError(f"{self.folder} holds no experiment: give the folder that `hyperfit run` wrote")
        return load_recipe(self.recipe_file)

    @classmethod
    def claim(cls, folder: Path, recipe: Recipe) -> Experiment:
        """The experiment of `recipe` in `folder`: one to begin, or the one that is there to go on with. Writes nothing.

        Raises:
            RunError: if the folder holds another recipe's experiment, or anything else.
        """
        experiment = cls(folder)
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file, and a folder is needed there: choose another --out")
        if experiment.recipe_file.is_file():
            held = experiment.recipe
            if held.digest != recipe.digest:
                raise RunError(
                    f"{folder} holds the run {held.run_name}, not {recipe.run_name}: choose another --out, or remove it"
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty and holds no experiment: choose another --out")
        return experiment

    def take_engine(self, recipe: Recipe) -> None:
        """Go on with another engine: it decides no result, so a training may change it midway."""
        if self.recipe.engine != recipe.engine:
            for file in [self.recipe_file, *self.folder.glob("*/recipe.json")]:
                write_text(file, _pretty(load_recipe(file).model_copy(update={"engine": recipe.engine})))

    def run(self, role: Role) -> Run:
        """One of the runs, begun or not."""
        return Run(self.folder / role)

    def begin(self, role: Role) -> None:
        """Make a run's folder, with its recipe."""
        run = self.run(role)
        if not run.recipe_file.is_file():
            write_text(run.recipe_file, _pretty(self.recipe.of(role)))

    def state(self) -> str:
        """How far it has come, in a word."""
        if (self.report_folder / "index.html").is_file():
            return "reported"
        runs = [self.run("pretrained")] if self.run("pretrained").folder.is_dir() else list(self.runs().values())
        steps = [("measured", "measured"), ("generated", "generated"), ("trained", "trained")]
        return next((word for word, done in steps if all(getattr(run, done) for run in runs)), "begun")

    def runs(self) -> dict[Role, Run]:
        """The recipe's runs, the original first."""
        return {role: self.run(role) for role in self.recipe.roles}

    @property
    def has_updates(self) -> bool:
        """Whether a model has been trained by at least one update."""
        return any(file.stat().st_size for file in self.folder.glob("*/updates.jsonl"))

    @property
    def drawn(self) -> bool:
        """The data are there, whole."""
        return self.manifest_file.is_file()

    def write_data(self, recipe: Recipe, sets: Iterable[TokenBlocks], manifest: dict[str, Any]) -> None:
        """Keep the recipe, the blocks drawn for it and how they were drawn."""
        write_text(self.recipe_file, _pretty(recipe))
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
        return self.data_folder / (f"{name}.npz" if name in ("train", "validation") else f"contexts-{name}.npz")


def find_run(folder: Path) -> Run:
    """The run that a user means: a run's own folder, or the hyperfitted or pretrained one of an experiment.

    Raises:
        RunError: if there is none, or it is not trained yet.
    """
    found = [Run(each) for each in (folder, folder / "hyperfitted", folder / "pretrained")]
    run = next((each for each in found if each.recipe_file.is_file() and each.trained), None)
    if run is None:
        raise RunError(f"{folder} holds no trained run: give the folder that `hyperfit run` or `hyperfit train` wrote")
    return run


def find_experiments(folder: Path) -> list[Experiment]:
    """Every experiment directly in `folder`, oldest first."""
    found = [Experiment(path.parent) for path in folder.glob("*/recipe.json") if path.parent.name not in get_args(Role)]
    return sorted(found, key=lambda each: each.recipe_file.stat().st_mtime)


def _write_blocks(path: Path, blocks: TokenBlocks) -> None:
    columns = {
        field.name: [getattr(origin, field.name) for origin in blocks.origins] for field in dataclasses.fields(Origin)
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
        raise RunError(f"{path} is damaged: {error}") from error


def _pretty(recipe: Recipe) -> str:
    return json.dumps(json.loads(recipe.canonical_json()), indent=1, ensure_ascii=False) + "\n"
