"""The time left: of a stage at its own pace, of a whole job from its first step on."""

import io
import signal
import sys
import threading
import time
from contextlib import suppress

import pytest

from hyperfitting import progress
from hyperfitting.progress import (
    Console,
    Job,
    NoProgress,
    Pace,
    StageWork,
    sigterm_interrupts,
    time_in_words,
)
from tests.support.waiting import wait_until


class Hand:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


class Notes(NoProgress):
    """Keeps labels and what stands beside the bars."""

    def __init__(self):
        self.labels, self.notes = [], []

    def bar(self, label, total, start=0):
        self.labels.append(label)
        return super().bar(label, total, start)

    def advance(self, steps=1, note=""):
        self.notes.append(note)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (7200, "2.0 h")]
)
def test_time_is_told_as_a_person_reads_it(seconds, words):
    assert time_in_words(seconds) == words


def test_a_pace_leaves_out_what_came_before_the_first_step():
    clock = Hand()
    pace = Pace(clock)
    assert pace.step_seconds is None
    clock.now += 60  # a first probe, say
    pace.advance(1)
    assert pace.step_seconds == 60
    for _ in range(3):
        clock.now += 2
        pace.advance(1)
    assert pace.step_seconds == 2


def job_of(clock, notes):
    work = [StageWork("train", 10, 4.0), StageWork("generate", 20, 2.0), StageWork("report", 0, 0)]
    return Job(notes, work, clock)


def test_a_job_tells_the_time_left_for_all_stages_from_the_first_step_on():
    clock, notes = Hand(), Notes()
    job = job_of(clock, notes)
    assert job.seconds_left is None
    with job.stage("train").bar("training", 10) as bar:
        for _ in range(2):
            clock.now += 8
            bar.advance(note="loss 2.000")
        # 8 updates at 8 s; 20 texts at half the cost of an update
        assert job.seconds_left == 8 * 8 + 20 * 4
        assert notes.notes[-1] == "loss 2.000, about 2 min left in all"
    assert job.seconds_left == 20 * 4  # it stopped before its last update
    with job.stage("generate").bar("continuing", 20) as bar:
        for _ in range(2):
            clock.now += 1
            bar.advance(5)
        assert job.seconds_left == pytest.approx(10 * 0.2)  # at its own pace
    assert notes.labels == ["training (stage 1 of 3)", "continuing (stage 2 of 3)"]
    job.stage("report")
    assert job.seconds_left == 0


def test_work_that_was_done_before_is_not_counted_as_left():
    clock = Hand()
    job = job_of(clock, NoProgress())
    with job.stage("train").bar("training", 10, start=6) as bar:
        clock.now += 8
        bar.advance()
        assert job.seconds_left == 3 * 8 + 20 * 4


def test_where_no_terminal_is_a_plain_line_comes_every_half_minute(monkeypatch):
    said, clock = io.StringIO(), Hand()
    monkeypatch.setattr(sys, "stderr", said)
    with Console(clock).bar("training", 1000, start=10) as bar:
        for _ in range(7):
            clock.now += 10
            bar.advance(note="loss 1.234")
    assert said.getvalue().splitlines() == [
        "training: 13 of 1,000, loss 1.234",
        "training: 16 of 1,000, loss 1.234",
    ]


def test_a_plain_line_comes_also_while_a_step_lasts_and_never_after_the_end(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0.05)
    monkeypatch.setattr(progress, "LONG_STEP_SECONDS", 0.0)
    running = threading.active_count()
    with Console().bar("loading", 0):
        wait_until(lambda: "loading ... (for 0 s now)" in said.getvalue(), 20)
    with suppress(KeyboardInterrupt), Console().bar("measuring", 4) as bar:
        bar.advance(note="about 9 min left in all")
        wait_until(lambda: said.getvalue().count("left in all (for") >= 2, 20)
        raise KeyboardInterrupt
    assert threading.active_count() == running
    lines = said.getvalue().splitlines()
    last = "measuring: 1 of 4, about 9 min left in all (for 0 s now)"
    assert lines[-1] == last
    time.sleep(0.2)
    assert said.getvalue().splitlines() == lines


def test_a_step_that_has_just_begun_is_not_said_to_last(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(progress, "PLAIN_LINE_SECONDS", 0.05)
    with Console().bar("measuring", 4) as bar:
        bar.advance(note="about 9 min left in all")
        wait_until(lambda: said.getvalue().count("left in all") >= 2, 20)
    assert "now)" not in said.getvalue()


def test_sigterm_interrupts_while_other_processes_work():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
