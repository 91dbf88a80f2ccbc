"""Progress that keeps what it is told, and can stop the work."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext

from hyperfitting.progress import NoProgress


class Listener(NoProgress):
    """Keeps the lines, counts the steps, and presses Ctrl-C, or what else is named, after one
    update.
    """

    def __init__(self, stop_after=None, by=signal.SIGINT):
        self.stop_after, self.by, self.update = stop_after, by, 0
        self.lines, self.total, self.made = [], 0, 0

    def log(self, line):
        self.lines.append(line)

    def bar(self, label, total, start=0):
        self.update = start
        self.total += total
        return nullcontext(self)

    def advance(self, steps=1, note=""):
        self.update += steps
        self.made += steps
        if self.update == self.stop_after:
            os.kill(os.getpid(), self.by)


class StopsAfter(NoProgress):
    """Stops the work after so many steps, as Ctrl-C or a kill does."""

    def __init__(self, steps):
        self.left = steps

    def advance(self, steps=1, note=""):
        self.left -= steps
        if self.left <= 0:
            raise KeyboardInterrupt
