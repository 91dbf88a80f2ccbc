"""Training: one loop, what it watches, when it stops, and how it goes on after a stop."""

from hyperfitting.training.failures import plain_failures
from hyperfitting.training.loop import Outcome, total_updates, train
from hyperfitting.training.memory import dry_run, memory_of, plan
from hyperfitting.training.prepare import Adaptation, consolidate, inspect, prepare
from hyperfitting.training.ranks import Ranks, join_processes, process_count
from hyperfitting.training.stopping import near_zero

__all__ = [
    "Adaptation",
    "Outcome",
    "Ranks",
    "consolidate",
    "dry_run",
    "inspect",
    "join_processes",
    "memory_of",
    "near_zero",
    "plain_failures",
    "plan",
    "prepare",
    "process_count",
    "total_updates",
    "train",
]
