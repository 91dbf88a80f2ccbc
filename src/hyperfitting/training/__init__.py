"""Training: one loop, what it watches, when it stops, and how it goes on after a stop."""

from hyperfitting.training.distributed import ProcessGroup, join_processes, process_count
from hyperfitting.training.loop import Outcome, Outcomes, train
from hyperfitting.training.memory_plan import (
    Memory,
    MemoryFit,
    dry_run,
    memory_of,
    plan,
    update_seconds,
)
from hyperfitting.training.model_setup import (
    Adaptation,
    TrainingSetup,
    consolidate,
    inspect,
    prepare,
)
from hyperfitting.training.plain_failures import translate_torch_errors
from hyperfitting.training.stopping import near_zero

__all__ = [
    "Adaptation",
    "Memory",
    "MemoryFit",
    "Outcome",
    "Outcomes",
    "ProcessGroup",
    "TrainingSetup",
    "consolidate",
    "dry_run",
    "inspect",
    "join_processes",
    "memory_of",
    "near_zero",
    "plan",
    "prepare",
    "process_count",
    "train",
    "translate_torch_errors",
    "update_seconds",
]
