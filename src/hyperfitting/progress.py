"""How long work reports itself: stages speak to a `Progress`, and a `Console` draws it. A `Job` of
several stages adds which one is at work, and the time left for all of them.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol


class Bar(Protocol):
    """One piece of counted work."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more are done; `note` stands beside the bar."""


class Progress(Protocol):
    """Where progress goes."""

    def log(self, line: str) -> None:
        """One line that stays."""

    def bar(self, label: str, total: int, start: int = 0) -> AbstractContextManager[Bar]:
        """A bar of `total` steps, `start` of them done before."""


class NoProgress:
    """Says nothing."""

    def log(self, line: str) -> None:
        """Nothing."""

    @contextmanager
    def bar(self, label: str, total: int, start: int = 0) -> Iterator[Bar]:
        """A bar that is not drawn."""
        yield self

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nothing."""


NO_PROGRESS = NoProgress()

Clock = Callable[[], float]
"""Gives the time in seconds, from any beginning."""


def time_in_words(seconds: float) -> str:
    """Seconds as a person reads them: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Pace:
    """How many seconds a step takes.

    What passed before the first report is left out as soon as there is a second one: it holds what
    is done once, such as the first probe of a training.
    """

    def __init__(self, clock: Clock = time.monotonic):
        self._clock, self._began = clock, clock()
        self._first = (self._began, 0)
        self._last = self._began
        self.steps = 0

    def advance(self, steps: int) -> None:
        """`steps` more are done now."""
        self._last = self._clock()
        if self.steps == 0:
            self._first = (self._last, steps)
        self.steps += steps

    @property
    def step_seconds(self) -> float | None:
        """Seconds a step; None before the first report."""
        if not self.steps:
            return None
        since, before = self._first
        if self.steps == before:
            since, before = self._began, 0
        return (self._last - since) / (self.steps - before)


@dataclass(frozen=True)
class StageWork:
    """What a stage of a job will count.

    Args:
        name: the stage's name.
        steps: that its bars will count, all together.
        step_cost: what a step costs beside the steps of other stages, in any unit.
    """

    name: str
    steps: int
    step_cost: float


class Job:
    """Work of several stages, each of which reports to a `Progress` of its own.

    The time left for the whole job is that of the stages at the pace that was seen of each. Of a
    stage that has not begun it is what its steps cost, at what one unit of cost took so far.
    """

    def __init__(
        self, progress: Progress, stages: Sequence[StageWork], clock: Clock = time.monotonic
    ):
        self._progress, self._clock = progress, clock
        self._stages = {each.name: _Stage(self, each) for each in stages}

    def stage(self, name: str) -> Progress:
        """The progress of a stage that begins now; those before it are done."""
        for each in self._stages.values():
            if each.work.name == name:
                each.begin(self._clock)
                return each
            each.left = 0
        raise KeyError(name)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end of the last stage; None before anything was timed."""
        timed = {
            name: (stage.pace.step_seconds, stage.pace.steps)
            for name, stage in self._stages.items()
            if stage.pace and stage.pace.step_seconds is not None
        }
        cost = sum(steps * self._stages[name].work.step_cost for name, (_, steps) in timed.items())
        if not cost:
            return None
        unit = sum((seconds or 0) * steps for seconds, steps in timed.values()) / cost
        return sum(
            stage.left * (timed[name][0] or 0 if name in timed else stage.work.step_cost * unit)
            for name, stage in self._stages.items()
        )

    def label(self, name: str, label: str) -> str:
        """A bar's label with its stage's place among all."""
        place = list(self._stages).index(name) + 1
        return f"{label} (stage {place} of {len(self._stages)})"


class _Stage:
    """The progress of one stage of a job. `left` are the steps that are still to be done."""

    def __init__(self, job: Job, work: StageWork):
        self.work, self.left = work, work.steps
        self.pace: Pace | None = None
        self._job = job

    def begin(self, clock: Clock) -> None:
        self.pace = Pace(clock)

    def log(self, line: str) -> None:
        self._job._progress.log(line)

    @contextmanager
    def bar(self, label: str, total: int, start: int = 0) -> Iterator[Bar]:
        self.left = max(self.left - start, total - start)
        after = self.left - (total - start)
        with self._job._progress.bar(self._job.label(self.work.name, label), total, start) as bar:
            yield _JobBar(bar, self._job, self)
        self.left = after  # a training may stop before its last update


class _JobBar:
    """A bar that says the time left for the whole job beside what its stage says."""

    def __init__(self, bar: Bar, job: Job, stage: _Stage):
        self._bar, self._job, self._stage = bar, job, stage

    def advance(self, steps: int = 1, note: str = "") -> None:
        assert self._stage.pace is not None
        self._stage.pace.advance(steps)
        self._stage.left = max(self._stage.left - steps, 0)
        seconds = self._job.seconds_left
        left = "" if seconds is None else f"about {time_in_words(seconds)} left in all"
        self._bar.advance(steps, ", ".join(filter(None, (note, left))))


PLAIN_LINE_SECONDS = 30.0
LONG_STEP_SECONDS = 10.0
"""A step that lasts for less is not said to."""

WIDE_COLUMNS = 110
"""A terminal of so many columns has room for all that a bar can say."""


def _bar_format(total: int, columns: int) -> str | None:
    """What a bar shows, in tqdm's words; None for all of it.

    A narrow terminal cuts off a line's end, so there the drawn bar comes last.
    """
    if not total:
        return "{desc} ..."
    if columns >= WIDE_COLUMNS:
        return None
    return "{desc}: {n_fmt}/{total_fmt} [{remaining}{postfix}] {bar}"


class Console:
    """Progress on standard error: lines that stay, and a bar while something runs. Where standard
    error is no terminal, the bar is a plain line every half a minute, however long a step takes.
    """

    def __init__(self, clock: Clock = time.monotonic):
        self.clock, self._said = clock, clock()
        self._turn = threading.Lock()

    def log(self, line: str) -> None:
        """Print above whatever bar is drawn."""
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)

    @contextmanager
    def bar(self, label: str, total: int, start: int = 0) -> Iterator[Bar]:
        """A bar with the time left, and the loss where there is one. Gone when done."""
        if not sys.stderr.isatty():
            plain = _PlainBar(self, label, total, start)
            with plain.speaking_between_steps():
                yield plain
            return
        from tqdm import tqdm

        with tqdm(
            total=total,
            initial=start,
            desc=label,
            bar_format=_bar_format(total, shutil.get_terminal_size().columns),
            leave=False,
            dynamic_ncols=True,
            file=sys.stderr,
        ) as drawn:
            yield _DrawnBar(drawn)

    def is_due(self) -> bool:
        """Whether it is time for a plain line. If so, the next one is due half a minute later."""
        with self._turn:
            due = self.seconds_until_due <= 0
            if due:
                self._said = self.clock()
            return due

    @property
    def seconds_until_due(self) -> float:
        """Seconds until it is time for a plain line; 0 or less where it is."""
        return self._said + PLAIN_LINE_SECONDS - self.clock()


class _DrawnBar:
    def __init__(self, drawn: Any):
        self._drawn = drawn

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._drawn.set_postfix_str(note, refresh=False)
        self._drawn.update(steps)


class _PlainBar:
    """Says where the work is: after a step, or from a thread of its own while a step lasts."""

    def __init__(self, console: Console, label: str, total: int, start: int):
        self._console, self._label, self._total, self._done = console, label, total, start
        self._note, self._stepped = "", console.clock()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        self._note, self._stepped = note, self._console.clock()
        if self._console.is_due():
            self._console.log(self._state())

    def _state(self) -> str:
        counted = f": {self._done:,} of {self._total:,}" if self._total else " ..."
        said = f"{self._label}{counted}"
        return f"{said}, {self._note}" if self._note else said

    @contextmanager
    def speaking_between_steps(self) -> Iterator[None]:
        """While this lasts, a step that takes long is told of; nothing is said after it."""
        ended = threading.Event()
        thread = threading.Thread(target=self._speak_until, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _speak_until(self, ended: threading.Event) -> None:
        while not ended.wait(max(self._console.seconds_until_due, 0)):
            if self._console.is_due():
                seconds = self._console.clock() - self._stepped
                long = seconds >= LONG_STEP_SECONDS
                lasts = f" (for {time_in_words(seconds)} now)" if long else ""
                self._console.log(f"{self._state()}{lasts}")


def default_progress() -> Progress:
    """A `Console` in a terminal and in a notebook; elsewhere nothing is said."""
    in_notebook = "ipykernel" in sys.modules
    return Console() if in_notebook or sys.stderr.isatty() else NO_PROGRESS


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request that is asked for between two steps; a second one
    interrupts at once.

    So is SIGTERM, which clusters send some time before they kill; it never interrupts.
    """
    requested = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if number == signal.SIGINT and requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return
    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield requested.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, for work that other processes do."""

    def on_signal(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
