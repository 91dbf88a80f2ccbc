"""Studies whose cells are files written by hand, so that every value of an analysis is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from hyperfitting.environment import Environment
from hyperfitting.facts import DataManifest, RunFacts, TrainFacts, write_facts
from hyperfitting.files import make_folder, write_rows, write_text
from hyperfitting.metrics.specs import metric
from hyperfitting.recipe import stored_recipe
from hyperfitting.records import MetricRow, Origin, ProbeRow, TokenBlocks, UpdateRow
from hyperfitting.runs import Experiment
from hyperfitting.runs.blocks import write_blocks
from hyperfitting.studies import (
    Cell,
    CellFacts,
    FinishedCell,
    Predictions,
    StudyFolder,
    StudyResults,
    load_study,
    study_cells,
)
from hyperfitting.studies.predictions import write_predictions
from hyperfitting.traits import ModelTraits


def row(
    name: str,
    value: float,
    *,
    variant: str = "hyperfitted",
    domain: str = "fiction",
    strategy: str | None = "greedy",
    position: int | None = None,
) -> MetricRow:
    """A metric row of ten texts with an interval of 0.1 around it."""
    spec = metric(name)
    return MetricRow(
        variant,
        domain,
        strategy,
        name,
        value,
        value - 0.05,
        value + 0.05,
        10,
        10,
        spec.unit,
        spec.target,
        "run",
        position=position,
    )


def results_of(
    folder: Path,
    study: str,
    rows: Callable[[Cell], Iterable[MetricRow]] = lambda cell: (),
    *,
    trainings: Callable[[Cell, str], tuple[Sequence[UpdateRow], Sequence[ProbeRow]]] | None = None,
    predictions: Callable[[Cell], dict[str, Predictions]] | None = None,
    threads: Callable[[Cell], int] = lambda cell: cell.threads or 1,
    device: Callable[[Cell], str] = lambda cell: "cpu",
    without: Callable[[Cell], bool] = lambda cell: False,
) -> StudyResults:
    """The results of a study whose cells hold these metric rows, and these rows of training by
    variant, and these predictions of the hyperfitted model on the texts of each domain, each a
    group of its own, and were made on this device; cells `without` are not finished.
    """
    file = folder / "study.toml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(study)
    read = load_study(file)
    root = StudyFolder(folder / "study")
    finished, missing = [], []
    for cell in study_cells(read):
        if without(cell):
            missing.append(cell)
            continue
        experiment = Experiment(root.cell_folder(cell))
        write_text(experiment.recipe_file, stored_recipe(cell.recipe, experiment.folder))
        held = list(rows(cell))
        for variant, run in experiment.runs().items():
            own = [each for each in held if each.variant == variant]
            beside = [each for each in held if each.variant not in experiment.runs()]
            write_rows(run.metrics_file, own + (beside if variant == "original" else []))
            if trainings is not None:
                updates, probes = trainings(cell, variant)
                write_rows(run.updates_file, updates)
                write_rows(run.probes_file, probes)
        for domain, predicted in (predictions(cell) if predictions else {}).items():
            _write_texts(experiment, domain, *predicted.top1_NS.shape)
        if predictions is not None:
            run = experiment.run("hyperfitted")
            write_predictions(run, predictions(cell))
            write_facts(run.facts_file, _facts(cell, threads(cell), device(cell)))
        facts = CellFacts(
            hyperfitting="x",
            coordinates=cell.coordinates,
            threads=threads(cell),
            repeat=cell.repeat,
            at_default=(),
            finished=True,
        )
        finished.append(FinishedCell(cell, experiment, facts))
    return StudyResults(read, root.folder, tuple(finished), tuple(missing))


def _write_texts(experiment: Experiment, domain: str, texts: int, steps: int) -> None:
    origins = tuple(Origin("x", n, f"book {n}", "") for n in range(texts))
    ids_NT = np.zeros((texts, steps + 1), np.int32)
    make_folder(experiment.data_folder)
    manifest = DataManifest(codec="x", seed=0, sources=(), sets=())
    write_facts(experiment.manifest_file, manifest)
    file = experiment.data_folder / f"contexts-{domain}.npz"
    write_blocks(file, TokenBlocks(domain, "x", ids_NT, origins))


def _facts(cell: Cell, threads: int, device: str) -> RunFacts:
    """Facts of a training of which device and threads alone are true."""
    recipe = cell.recipe
    train = TrainFacts(
        environment=Environment("3", "Linux", 1, {}, ()),
        device=device,
        threads=threads,
        processes=1,
        precision="float32",
        weights_dtype="float32",
        seed=cell.seed,
        order_seed=recipe.order_seed,
        batch_blocks=recipe.train.batch_blocks,
        block_tokens=recipe.data.block_tokens,
        engine=recipe.engine,
        attention="sdpa",
        loss="x",
        beginning_of_text="none",
        codec="x",
        parameters_trained=1,
        trained=(),
        without_adapters=(),
        updates=1,
        kept_update=1,
        ended="x",
        train_seconds=1.0,
        model=ModelTraits("x", 1, 2, True, False, "sdpa", "x", "x"),
    )
    return RunFacts(weights=None, train=train)
