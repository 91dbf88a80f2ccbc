"""Training: one loop, what it watches, and how it goes on after a stop."""

from hyperfitting.training.loop import Outcome, total_updates, train

__all__ = ["Outcome", "total_updates", "train"]
