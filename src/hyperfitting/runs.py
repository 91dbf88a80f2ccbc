"""Experiment and Run folders: the only module that knows file names.

    EXPERIMENT/                     default: runs/<name>-<digest8>
      recipe.json                   the resolved recipe
      data/                         drawn once, read by both runs
        manifest.json  train.npz  validation.npz  contexts-<set>.npz
      original/  hyperfitted/       two Runs
        recipe.json  run.json       what was asked for; what was in effect (device, precision, versions, hashes)
        updates.jsonl  probes.jsonl one row an update; one a probe
        checkpoint/                 only while training is unfinished (training/checkpoint.py says what is in it)
        model/                      an ordinary Hugging Face folder
        continuations.jsonl         contexts x arms
        metrics.jsonl
      report/
        index.html  report.md  table.csv  summary.json  *.png

A stage is done when its last file is there; every file and the model folder appear whole or not at all.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import typing
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from hyperfitting.errors import RunError
from hyperfitting.recipe import Recipe
from hyperfitting.recipes import load_recipe
from hyperfitting.records import Continuation, MetricRow, Origin, ProbeRow, TokenBlocks, UpdateRow

Role = Literal["original", "hyperfitted", "pretrained"]
Row = TypeVar("Row")
ROLES: tuple[Role, Role] = ("original", "hyperfitted")
"""The two runs of an experiment; `pretrained` is the only run of a pretraining."""
_PACKAGES = ("hyperfitting", "torch", "transformers", "tokenizers", "safetensors", "datasets", "numpy", "pydantic")


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing."""
    with _replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(text)


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclass rows as JSON lines, the whole file or nothing."""
    with _replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(_json_line(row) for row in rows)


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Any], None]]:
    """A function that adds a dataclass row to a file and hands it to the system at once: a kill loses no row."""
    make_folder(path.parent)
    with path.open("a", encoding="utf-8") as file:

        def append(row: Any) -> None:
            file.write(_json_line(row))
            file.flush()

        yield append


def _json_line(row: Any) -> str:
    return json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n"


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read what `write_rows` wrote; a last line cut off by a kill is left out.

    Raises:
        RunError: if the file is missing or a line is not such a row.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the stage that writes it has not finished") from error
    try:
        return [_build(kind, json.loads(line)) for line in lines[:-1]]
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _build(kind: Any, values: Any) -> Any:
    """A dataclass from plain values: lists become tuples, and inner dataclasses are built."""
    hints = typing.get_type_hints(kind)
    return kind(**{key: _fit(hints[key], value) for key, value in values.items()})


def _fit(hint: Any, value: Any) -> Any:
    if isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_fit(inner, item) for item in value)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value)
    return value


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path to write to beside `path`, which takes its place only if the block ends well."""
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` only if the block ends well."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial)
    try:
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder against a second process that would write to it: the system lets go when this one ends, however.

    Raises:
        RunError: another process holds it.
    """
    make_folder(folder)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder}: another process is training there: wait for it, or stop it") from error
        yield
    (folder / ".lock").unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Raises:
        RunError: if a file stands where a folder should be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        blocker = next(each for each in (path, *path.parents) if each.is_file())
        raise RunError(f"{blocker} is a file, and a folder is needed there: choose another --out") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def environment() -> dict[str, Any]:
    """Versions and machine, as kept with every run. Names no host, user or path."""
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
        self.continuations_file = folder / "continuations.jsonl"
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
        return _read_json(self.facts_file) if self.facts_file.is_file() else {}

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

    def continuations(self) -> list[Continuation]:
        """Every context continued in every arm; the reference texts among them, as `model` reference."""
        return read_rows(self.continuations_file, Continuation)

    def metrics(self) -> list[MetricRow]:
        """The run's share of the table."""
        return read_rows(self.metrics_file, MetricRow)


class Experiment:
    """A recipe's folder: its data, its two runs and its report."""

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
        """One of the two runs; its folder and recipe are made on first use."""
        run = Run(self.folder / role)
        if not run.recipe_file.is_file():
            write_text(run.recipe_file, _pretty(self.recipe.original() if role == "original" else self.recipe))
        return run

    def state(self) -> str:
        """How far it has come, in a word."""
        runs = [Run(self.folder / role) for role in ROLES]
        if (self.report_folder / "index.html").is_file():
            return "reported"
        steps = [("measured", "measured"), ("generated", "generated"), ("trained", "trained")]
        return next((word for word, done in steps if all(getattr(run, done) for run in runs)), "begun")

    def runs(self) -> dict[Role, Run]:
        """Both runs, the original first."""
        return {role: self.run(role) for role in ROLES}

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
        return _read_json(self.manifest_file)

    def blocks(self, name: str) -> TokenBlocks:
        """The drawn blocks of `train`, `validation` or a set of contexts."""
        return _read_blocks(self._blocks_file(name), name, self.manifest()["codec"])

    def _blocks_file(self, name: str) -> Path:
        return self.data_folder / (f"{name}.npz" if name in ("train", "validation") else f"contexts-{name}.npz")


def find_run(folder: Path) -> Run:
    """The run that a user means: a run's own folder, or an experiment's hyperfitted run.

    Raises:
        RunError: if there is neither, or it is not trained yet.
    """
    run = Run(folder) if folder.name in ROLES and (folder / "recipe.json").is_file() else Run(folder / "hyperfitted")
    if not run.trained:
        raise RunError(f"{folder} holds no trained run: give the folder that `hyperfit run` or `hyperfit train` wrote")
    return run


def find_experiments(folder: Path) -> list[Experiment]:
    """Every experiment directly in `folder`, oldest first."""
    found = [Experiment(path.parent) for path in folder.glob("*/recipe.json") if path.parent.name not in ROLES]
    return sorted(found, key=lambda each: each.recipe_file.stat().st_mtime)


def _write_blocks(path: Path, blocks: TokenBlocks) -> None:
    columns = {
        field.name: [getattr(origin, field.name) for origin in blocks.origins] for field in dataclasses.fields(Origin)
    }
    with _replacing(path) as partial, partial.open("wb") as file:
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return typing.cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the stage that writes it has not finished") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
