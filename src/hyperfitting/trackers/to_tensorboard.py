"""The door to TensorBoard: event files in the experiment's folder."""

from __future__ import annotations

from collections.abc import Mapping

from hyperfitting.trackers.tracker import TrackedRun


class TensorBoard:
    """One run as event files in `<experiment>/tensorboard/<variant>/`."""

    def __init__(self, run: TrackedRun):
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        self.place = f"tensorboard --logdir {folder}"
        self._writer = SummaryWriter(str(folder / run.variant))

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, name: str, text: str, step: int) -> None:
        """A text; what was told so far is on the disk afterwards."""
        self._writer.add_text(name, text, step)
        self._writer.flush()

    def results(self, values: Mapping[str, float], step: int) -> None:
        """Scalars with a single point."""
        self.numbers(values, step)

    def close(self) -> None:
        """Write what is not written yet."""
        self._writer.close()
