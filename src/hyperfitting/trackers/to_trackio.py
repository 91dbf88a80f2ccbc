"""The door to trackio: a database on this machine, in `TRACKIO_DIR`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout

from hyperfitting.trackers.tracker import TrackedRun


class Trackio:
    """One run in trackio's local database, which `trackio show` draws."""

    def __init__(self, run: TrackedRun):
        import trackio
        from trackio import context_vars

        self.place = f"trackio show --project {run.project}"
        self._markdown = trackio.Markdown
        with _silence():
            self._run = trackio.init(
                run.project,
                name=run.name,
                group=run.group,
                config=dict(run.settings),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        # The next `init` would finish this run, and two variants can be trained at once.
        context_vars.current_run.set(None)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """A row of numbers."""
        self._run.log(dict(values), step=step)

    def text(self, name: str, text: str, step: int) -> None:
        """A report."""
        self._run.log({name: self._markdown(text)}, step=step)

    def results(self, values: Mapping[str, float], step: int) -> None:
        """A row of numbers."""
        self.numbers(values, step)

    def close(self) -> None:
        """Write what is not written yet."""
        with _silence():
            self._run.finish()


@contextmanager
def _silence() -> Iterator[None]:
    """trackio prints what it does; our verbs print results alone."""
    with redirect_stdout(io.StringIO()):
        yield
