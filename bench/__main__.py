"""`python -m bench [WHAT ...]`: ours against named baselines, in turn in one process; medians.

training      tokens/s of an update, against the public loop and transformers' Trainer, and as a
              share of the best product
time-to-loss  seconds from a process's start to a training loss below 0.1, against the public loop
memory        step peak at a vocabulary of 128,256, against the public loop
decoding      tokens/s of greedy decoding, against transformers' generate
measuring     tokens/s of scoring texts, as a share of the model's own float32 products, and in
              bfloat16; with --experiment, what bfloat16 changes of its metrics
real-model    the shape of SmolLM2-135M: training against the public loop, writing of 100 texts at
              once against transformers' generate, one stream against llama.cpp (not by default)
busy-machine  an update alone and beside a busy process, by how threads wait (not by default)
metrics       citation blocker, index, overlap and Self-BLEU, against their bounds and sacrebleu

The public loop is that of the public code of Carlsson et al. 2025 (`baselines.py`).
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch

from bench.busy_machine import report_busy_machine
from bench.decoding import report_decoding
from bench.measuring import report_changes, report_measuring
from bench.memory import report_memory
from bench.metrics import report_metrics
from bench.real_model import report_real_model
from bench.time_to_loss import report_time_to_loss
from bench.training import report_training
from hyperfitting.models import resolve_device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        default=["training", "memory", "decoding", "measuring", "metrics", "time-to-loss"],
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contexts", type=int, default=96)
    parser.add_argument("--experiment", type=Path)
    options = parser.parse_args()
    device = resolve_device(options.device)
    cpu = f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    print(f"{name}; torch {torch.__version__}", flush=True)
    if "training" in options.what:
        report_training(device, options.rounds)
    if "memory" in options.what:
        report_memory(device)
    if "decoding" in options.what:
        report_decoding(device, options.rounds, options.contexts)
    if "measuring" in options.what:
        report_measuring(device, options.rounds)
        if options.experiment is not None:
            report_changes(options.experiment, options.device)
    if "real-model" in options.what:
        report_real_model(device, options.rounds)
    if "busy-machine" in options.what:
        report_busy_machine(options.rounds)
    if "metrics" in options.what:
        report_metrics(device, options.rounds)
    if "time-to-loss" in options.what:
        report_time_to_loss(device, rounds=min(3, options.rounds))


if __name__ == "__main__":
    main()
