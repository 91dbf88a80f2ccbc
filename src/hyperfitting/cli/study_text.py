"""What the verbs of studies found out, in lines for a reader."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hyperfitting.cli.options import Options, progress
from hyperfitting.progress import NO_PROGRESS

if TYPE_CHECKING:
    from hyperfitting.studies.estimate import StudyEstimate
    from hyperfitting.studies.status import CellStatus, StudyStatus


def status_lines(status: StudyStatus, *, most: int | None = None) -> list[str]:
    """A line for each cell that runs or has failed, at most so many, and one for the study."""
    from hyperfitting.studies.page import status_summary

    told = [*status.in_state("running"), *status.in_state("failed")]
    lines = [cell_line(each) for each in told[:most]]
    more = [f"          and {len(told) - len(lines)} more"] if len(told) > len(lines) else []
    return [*lines, *more, f"{status.name}: {status_summary(status)}"]


def cell_line(each: CellStatus) -> str:
    """How far one cell has come, or why it failed."""
    if each.state == "failed":
        return f"failed    {each.cell.title}: {each.words}"
    update = f"update {each.update:,} of {each.updates:,}" if each.update else ""
    loss = "" if each.loss is None else f"loss {each.loss:.3f}"
    ttr = "" if each.ttr is None else f"TTR {each.ttr:.2f}"
    return f"{each.state:9s} {update:20s} {loss:11s} {ttr:9s} {each.cell.title}: {each.words}"


class StatusTable:
    """Shows how far a study has come on standard error: a table that is written over where that is
    a terminal that can move its cursor, else a line when a cell ends.
    """

    def __init__(self) -> None:
        self._drawn, self._told = 0, ""

    def show(self, status: StudyStatus) -> None:
        """Draw it anew."""
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._draw(status)
        else:
            self._tell(status)

    def _draw(self, status: StudyStatus) -> None:
        size = shutil.get_terminal_size()
        lines = [line[: size.columns - 1] for line in status_lines(status, most=size.lines - 4)]
        above = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        print(above + "\n".join(lines), file=sys.stderr, flush=True)
        self._drawn = len(lines)

    def _tell(self, status: StudyStatus) -> None:
        ended = [*status.in_state("finished"), *status.in_state("failed")]
        key = " ".join(sorted(each.cell.folder_name for each in ended))
        if key != self._told:
            print(status_lines(status)[-1], file=sys.stderr, flush=True)
            self._told = key


def on_status(options: Options) -> Callable[[StudyStatus], None]:
    """What shows how far a study has come, as loud as `loudness` asks: nothing where it is to be
    quiet.
    """
    return _say_nothing if progress(options) is NO_PROGRESS else StatusTable().show


def _say_nothing(_: StudyStatus) -> None:
    pass


def estimate_lines(estimate: StudyEstimate) -> str:
    """How many trainings, what is shared, time and disk."""
    from hyperfitting.cli.text import in_gib
    from hyperfitting.progress import time_in_words

    updates = estimate.training_seconds / estimate.workers
    others = estimate.other_seconds / estimate.workers
    lines = [
        f"cells     {estimate.cells:,}: {estimate.finished:,} finished, {estimate.reusable:,} "
        f"finished elsewhere, {estimate.to_make:,} to make",
        f"trainings {estimate.trainings:,}",
        f"shared    data are drawn {estimate.draws:,} times, originals measured "
        f"{estimate.originals:,} times",
        f"time      {time_in_words(updates)} of updates with {estimate.workers} at once, at "
        f"{estimate.tokens_per_second:,.0f} tokens/s as timed here",
        f"          roughly {time_in_words(others)} of writing and measuring; probes come on top",
    ]
    if estimate.finished_seconds is not None:
        whole = estimate.finished_seconds * estimate.to_make / estimate.workers
        lines.append(
            f"          {time_in_words(whole)} in all, as the finished cells took "
            f"{time_in_words(estimate.finished_seconds)} each"
        )
    disk = f"disk      {in_gib(estimate.weights_bytes)} of weights and checkpoints at once"
    if estimate.results_bytes is not None:
        disk += f"; {in_gib(estimate.results_bytes * estimate.to_make)} of results"
    return "\n".join([*lines, f"{disk}; --keep-weights leaves {in_gib(estimate.kept_bytes)}"])
