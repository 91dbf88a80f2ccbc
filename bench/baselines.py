"""Baselines, written for these benchmarks: the loop of the public code of Carlsson et al. 2025, and
transformers' Trainer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import nn


def public_loop(
    model: nn.Module, ids_NT: NDArray[np.int32], learning_rate: float, seed: int = 0
) -> Iterator[float]:
    """The public loop: float32, the model's own loss, AdamW with its defaults, batch 8, shuffled
    epochs; yields losses.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    model.train()
    generator = torch.Generator().manual_seed(seed)
    while True:
        for rows in torch.randperm(len(ids_NT), generator=generator).split(8):
            ids_BT = torch.as_tensor(ids_NT[rows]).long().to(device)
            loss = model(input_ids=ids_BT, labels=ids_BT).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss.item()


class TrainerLoop:
    """transformers' Trainer with its defaults, a few updates at a time; `seconds` holds those of
    each update but the first of a call.
    """

    def __init__(self, model: nn.Module, ids_NT: NDArray[np.int32], device: torch.device):
        self.seconds: list[float] = []
        rows = [{"input_ids": row, "labels": row} for row in torch.as_tensor(ids_NT).long()]
        self._make = lambda updates: transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                tempfile.mkdtemp(),
                max_steps=updates,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=device.type == "cpu",
                dataloader_pin_memory=device.type != "cpu",
                logging_strategy="no",
            ),
            train_dataset=rows,
            callbacks=[_Clock(self.seconds)],
        )

    def run(self, updates: int) -> None:
        """Train for so many more updates, and one to warm up."""
        self._make(updates + 1).train()


class _Clock(transformers.TrainerCallback):
    def __init__(self, seconds: list[float]):
        self._seconds, self._started = seconds, 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if state.global_step > 1:
            self._seconds.append(time.perf_counter() - self._started)
