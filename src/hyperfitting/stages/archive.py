"""A measured experiment as a small folder to commit: all that `report` and `compare` need.

It holds no weights. Texts and token ids are replaced by their SHA-256, unless they may be
published: training texts, true continuations and what models wrote may belong to others.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from hyperfitting import __version__
from hyperfitting.errors import RunError
from hyperfitting.facts import ArchiveFacts, DataManifest, SetFacts, write_facts
from hyperfitting.files import (
    file_hashes,
    names_in,
    new_folder,
    refuse_blocked_folder,
    text_in_hash,
    text_sha256,
    write_rows,
    write_text,
)
from hyperfitting.records import Continuation, ContinuationHash, ContinuedContext
from hyperfitting.runs import Experiment, Run
from hyperfitting.runs.answers import AnsweredItem


@dataclass(frozen=True)
class Archive:
    """An archive that was written: its folder, how many files it has, and their size in bytes."""

    folder: Path
    files: int
    size_bytes: int


def archive_experiment(folder: Path, out: Path, *, texts: bool = False) -> Archive:
    """Write the archive of the measured experiment in `folder` to `out`, or replace the one there.

    `out` opens as an `Experiment`: `report` and `compare` read it, with the numbers of the
    experiment to the bit. With `texts`, texts and token ids are kept, and the report has its
    examples too.

    Raises:
        RunError: a run is not measured, the folder is an archive itself, or something else stands
            at `out`.
    """
    experiment = Experiment(folder)
    experiment.refuse_archive()
    experiment.refuse_unmeasured()
    _refuse_other_folder(out, folder)
    with new_folder(out.resolve()) as partial:  # a link to an earlier archive stays one
        _fill(experiment, Experiment(partial), texts=texts)
    files = [each for each in out.rglob("*") if each.is_file()]
    return Archive(out, len(files), sum(each.stat().st_size for each in files))


def _refuse_other_folder(out: Path, folder: Path) -> None:
    """Writing replaces the whole folder: only an earlier archive may stand there, and no more."""
    refuse_blocked_folder(out)
    if out.resolve().is_relative_to(folder.resolve()):
        raise RunError(f"{out} lies in the experiment: choose another --out")
    held = names_in(out)
    before = Experiment(out)
    if held and before.archive is None:
        raise RunError(f"{out} is not empty and holds no archive: choose another --out")
    files = (before.archive_file, before.recipe_file, before.data_folder, before.report_folder)
    ours = {each.name for each in files} | {run.variant for run in before.begun_runs()}
    if others := sorted(held - ours):
        raise RunError(
            f"{out} holds {others[0]} beside an archive, which would be lost: choose another --out"
        )


def _fill(experiment: Experiment, made: Experiment, *, texts: bool) -> None:
    _write_recipe(experiment, made)
    write_facts(made.manifest_file, _manifest(experiment.manifest, texts=texts))
    runs = experiment.runs().values()
    for run in runs:
        _fill_run(run, made.run(run.variant), texts=texts)
    private = [
        *sorted(experiment.data_folder.glob("*.npz")),
        *filter(Path.is_file, [experiment.palette_file]),
        *(each for run in runs for each in _texts(run)),
    ]
    if texts:
        for each in private:
            _copy(each, made.folder / each.relative_to(experiment.folder))
    left_out = {} if texts else file_hashes(experiment.folder, private)
    facts = ArchiveFacts(hyperfitting=__version__, texts=texts, left_out=left_out)
    write_facts(made.archive_file, facts)


def _write_recipe(held: Experiment | Run, made: Experiment | Run) -> None:
    """The settings alone: where their paths count from on this machine is nobody's business."""
    tree = json.loads(held.recipe.canonical_json())
    write_text(made.recipe_file, json.dumps(tree, indent=1, ensure_ascii=False) + "\n")


def _manifest(manifest: DataManifest, *, texts: bool) -> DataManifest:
    """The manifest, the words that leaking texts share with training texts hashed."""
    if texts:
        return manifest
    return manifest.model_copy(update={"sets": tuple(map(_with_hashed_leaks, manifest.sets))})


def _with_hashed_leaks(facts: SetFacts) -> SetFacts:
    leaks = tuple(
        leak.model_copy(update={"words": text_in_hash(leak.words)}) for leak in facts.leaks_left_out
    )
    return facts.model_copy(update={"leaks_left_out": leaks})


def _fill_run(run: Run, made: Run, *, texts: bool) -> None:
    _write_recipe(run, made)
    kept = (
        run.facts_file,
        run.updates_file,
        run.text_metrics_file,
        run.pooled_metrics_file,
        run.metrics_file,
    )
    for file in kept:
        _copy(file, made.folder / file.name)
    for sheet in run.evaluation.finished():
        to = made.evaluation.folder
        _copy(sheet.facts_file, to / sheet.facts_file.name)
        rows = sheet.items()
        write_rows(to / sheet.items_file.name, rows if texts else map(_with_hashed_text, rows))
    if not texts:
        hashed = (
            replace(
                row,
                sample=text_in_hash(row.sample),
                sample_context=text_in_hash(row.sample_context),
            )
            for row in run.probes()
        )
        write_rows(made.probes_file, hashed)
        write_rows(made.continuation_hashes_file, map(_hash_of, run.continuations()))


def _with_hashed_text(row: AnsweredItem) -> AnsweredItem:
    return row if row.text is None else replace(row, text=text_in_hash(row.text))


def _texts(run: Run) -> Iterator[Path]:
    """The files of a run that hold texts or token ids."""
    yield from filter(Path.is_file, (run.probes_file, run.continuations_file, run.blocked_file))
    for sheet in run.evaluation.finished():
        if any(row.text is not None for row in sheet.items()):
            yield sheet.items_file


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


def _hash_of(text: Continuation) -> ContinuationHash:
    return ContinuationHash(
        **{each.name: getattr(text, each.name) for each in fields(ContinuedContext)},
        tokens=len(text.ids),
        ended=text.ended,
        ids_sha256=text_sha256(json.dumps(text.ids)),
        text_sha256=text_sha256(text.text),
    )
