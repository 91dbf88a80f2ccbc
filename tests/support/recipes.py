"""Recipes of tiny experiments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tiny_tree(model: Path, corpus: Path) -> dict[str, Any]:
    """A recipe that trains in a second: 16 blocks of 32 tokens."""
    return {
        "name": "tiny",
        "model": {"source": str(model)},
        "data": {
            "train": {"path": str(corpus)},
            "train_blocks": 16,
            "validation_blocks": 4,
            "block_tokens": 32,
            "context_tokens": 8,
            "domains": [{"name": "pieces", "count": 12}],
        },
        "train": {"learning_rate": 3e-3, "epochs": 3, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 2, "new_tokens": 8},
        "generate": {
            "new_tokens": 24,
            "batch_contexts": 5,
            "strategies": [
                {"name": "greedy", "method": "greedy"},
                {
                    "name": "nucleus",
                    "method": "sample",
                    "temperature": 0.7,
                    "top_k": 50,
                    "top_p": 0.9,
                },
            ],
        },
        "measure": {"bootstrap_draws": 200},
        "report": {"examples": 1},
    }


def write_recipe(tree: dict[str, Any], path: Path) -> Path:
    """The recipe as the .json that a run keeps."""
    path.write_text(json.dumps(tree))
    return path
