"""`python -m bench [WHAT ...]`: ours against named baselines, taken in turn in one run, medians.

training   tokens/s of an update, against A's public loop and transformers' Trainer, and as a share of the best product
sooner     seconds from the start of a process to a training loss below 0.1, against A's public loop
memory     step peak at a vocabulary of 128,256, against A's public loop
decoding   tokens/s of greedy decoding, against transformers' generate
measures   the citation blocker, its index, overlap and Self-BLEU, against their bounds and sacrebleu
"""

from __future__ import annotations

import argparse
import platform

import torch

from bench import decoding, measures, memory, sooner, training
from hyperfitting.models import resolve_device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        nargs="*",
        metavar="WHAT",
        default=["training", "memory", "decoding", "measures", "sooner"],
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contexts", type=int, default=96)
    options = parser.parse_args()
    device = resolve_device(options.device)
    cpu = f"{platform.processor() or 'CPU'}, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    print(f"{name}; torch {torch.__version__}", flush=True)
    if "training" in options.what:
        training.report(device, options.rounds)
    if "memory" in options.what:
        memory.report(device)
    if "decoding" in options.what:
        decoding.decoding(device, options.rounds, options.contexts)
    if "measures" in options.what:
        measures.report(device, options.rounds)
    if "sooner" in options.what:
        sooner.report(device, rounds=min(3, options.rounds))


if __name__ == "__main__":
    main()
