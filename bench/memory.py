"""Memory of an update above weights, gradients and optimiser states, at the vocabulary of Llama
3.
"""

from __future__ import annotations

import gc
import tempfile

import numpy as np
import torch
import transformers

from bench.baselines import public_loop
from bench.training import SHAPES, fresh, recipe_tree, run_loop
from hyperfitting.models import count_parameters
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import ProbeRow
from hyperfitting.training.memory_plan import LiveBytes

VOCABULARY = 128_256


def report_memory(device: torch.device, vocabulary: int = VOCABULARY) -> float:
    """The peak of live bytes in the second update, ours divided by the public loop's, with equal
    weights and tokens.
    """
    with tempfile.TemporaryDirectory() as folder:
        transformers.LlamaConfig(
            **{**SHAPES["17M Llama"], "vocab_size": vocabulary}
        ).save_pretrained(folder)
        recipe = parse_recipe(
            recipe_tree(folder, updates=2, probe={"every_updates": 2}), source="bench"
        )
        ids_NT = np.random.default_rng(0).integers(1, vocabulary, (16, 256), dtype=np.int32)
        held = 4 * 4 * count_parameters(recipe.model)
        with LiveBytes() as live:
            run_loop(
                recipe,
                ids_NT,
                device,
                lambda state, epoch, variants: ProbeRow(
                    state.update, epoch, None, *[0.5] * 7, "", ""
                ),
            )
            ours = live.peak - held
        gc.collect()
        with LiveBytes() as live:
            plain = public_loop(fresh(recipe, device), ids_NT, 1e-5)
            next(plain), next(plain)
            theirs = live.peak - held
    print(
        f"memory at a vocabulary of {vocabulary:,}, above weights, gradients and states: "
        f"{ours / 2**30:.2f} GiB, the public loop {theirs / 2**30:.2f} GiB: {ours / theirs:.2f} of "
        "it",
        flush=True,
    )
    return ours / theirs
