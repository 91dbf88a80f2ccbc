"""Training: one loop, what it watches, when it stops, and how it goes on after a stop."""

from hyperfitting.training.loop import Outcome, total_updates, train
from hyperfitting.training.prepare import consolidate, prepare
from hyperfitting.training.ranks import Ranks, join_processes, process_count

__all__ = ["Outcome", "Ranks", "consolidate", "join_processes", "prepare", "process_count", "total_updates", "train"]
