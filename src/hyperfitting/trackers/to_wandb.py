"""The door to Weights & Biases: a folder that `wandb sync` sends, unless WANDB_MODE says to send at
once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape

from hyperfitting.trackers.tracker import TrackedRun


class WeightsAndBiases:
    """One run in `<experiment>/wandb/`."""

    def __init__(self, run: TrackedRun):
        import wandb

        self._html = wandb.Html
        mode = os.environ.get("WANDB_MODE", "offline")
        folder = run.folder / "wandb"
        self.place = f"wandb sync {folder}/offline-run-*" if mode == "offline" else f"mode {mode}"
        self._run = wandb.init(
            project=run.project,
            group=run.group,
            name=run.name,
            id=run.id,
            resume="allow",
            mode=mode,
            dir=str(run.folder.absolute()),
            config=dict(run.settings),
            reinit="create_new",  # two variants can be trained at once
            settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
        )

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """A row of numbers."""
        self._run.log(dict(values), step=step)

    def text(self, name: str, text: str, step: int) -> None:
        """A panel with the text."""
        self._run.log({name: self._html(f"<pre>{escape(text)}</pre>")}, step=step)

    def results(self, values: Mapping[str, float], step: int) -> None:
        """The run's summary: a step before the last one takes no further row."""
        self._run.summary.update(dict(values))

    def close(self) -> None:
        """Write what is not written yet."""
        self._run.finish()
