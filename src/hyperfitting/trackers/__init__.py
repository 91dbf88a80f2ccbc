"""Trackers that a recipe's `report_to` names: TensorBoard, trackio, Weights & Biases.

tracker.py         what a tracker is, and how a run is named to it
to_tensorboard.py  event files in the experiment's folder
to_trackio.py      trackio's database on this machine
to_wandb.py        a folder that `wandb sync` sends
reporter.py        tells them of updates, probes and metrics, each once
"""

from hyperfitting.trackers.reporter import (
    Reporter,
    refuse_missing_trackers,
    reporting,
    tell_metrics,
)

__all__ = ["Reporter", "refuse_missing_trackers", "reporting", "tell_metrics"]
