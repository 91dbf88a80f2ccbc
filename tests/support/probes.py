"""Probes of a training with made-up values."""

from __future__ import annotations

from hyperfitting.records import ProbeRow


def probe_row(
    update: int,
    epoch: float,
    train_loss: float | None = 1.0,
    validation_loss: float = 1.0,
    ttr: float = 0.5,
) -> ProbeRow:
    """The row of a probe; the values that are not named are the same in all rows."""
    return ProbeRow(
        update, epoch, train_loss, validation_loss, 1.0, 0.1, 0.2, 0.3, ttr, 0.7, "", ""
    )
