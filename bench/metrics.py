"""The citation blocker and the metrics of texts, against their bounds and a loop over sacrebleu."""

from __future__ import annotations

import statistics
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.timing import clock
from hyperfitting.decoding import (
    CitationBlocker,
    CitationIndex,
    Ending,
    continue_texts,
    make_sampler,
)
from hyperfitting.metrics.bleu import self_bleu
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.models import TextCodec, load_codec, load_model, stepper
from hyperfitting.recipe import GREEDY, BlockerSettings, ModelSettings, load_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.train import train_run


def report_metrics(device: torch.device, rounds: int) -> None:
    """Print one line for each claim."""
    report_blocker(device, rounds)
    report_indexes()
    report_self_bleu()


def zipf(
    random: np.random.Generator, shape: tuple[int, ...], vocabulary_size: int
) -> NDArray[np.int32]:
    """Random ids with frequencies proportional to one over their rank (Zipf's law)."""
    shares = 1 / np.arange(1, vocabulary_size + 1)
    return random.choice(vocabulary_size, size=shape, p=shares / shares.sum()).astype(np.int32)


def report_blocker(device: torch.device, rounds: int) -> None:
    """Greedy decoding with the blocker over 2,000 x 256 training tokens, against without, in turn.

    The model is the demo's, hyperfitted here; its 64 blocks are among the 2,000. It recites them
    from their own beginnings, so there is much to block; from random contexts there is little.
    """
    with tempfile.TemporaryDirectory() as folder:
        experiment = draw_experiment(load_recipe("demo"), Path(folder) / "demo", device=str(device))
        run = train_run(experiment, "hyperfitted", device=str(device))
        settings = ModelSettings(source=str(run.model_folder))
        model, codec, blocks = (
            load_model(settings, device),
            load_codec(settings),
            experiment.blocks("train").ids_NT,
        )
    random = np.random.default_rng(0)
    training = np.concatenate([blocks, zipf(random, (2000 - len(blocks), 256), 4096)])
    seconds, index = clock(lambda: CitationIndex(training, 5))
    print(f"blocker: index of 2,000 x 256 tokens in {seconds:.2f} s", flush=True)
    for label, rows in {
        "recited": blocks[:48, :32],
        "random": zipf(random, (48, 32), 4096),
    }.items():
        for mode in ("token", "word"):
            compare_blocked(model, codec, index, torch.from_numpy(rows).long(), mode, label, rounds)


def compare_blocked(
    model: nn.Module,
    codec: TextCodec,
    index: Any,
    contexts_BT: Tensor,
    mode: Any,
    label: str,
    rounds: int,
) -> None:
    """Print what the blocker adds to the time of 48 contexts x 224 new tokens, and at how many
    steps it forbade a token.

    The share of time spent inside it is less noisy than the ratio of pairs, which other work on the
    machine changes by more than the measured effect.
    """
    boundaries = codec.word_boundaries if mode == "word" else None

    def write(blocks: bool) -> tuple[int, float]:
        rule = CitationBlocker(
            index, BlockerSettings(mode=mode), context_tokens=32, word_boundaries=boundaries
        )
        inside = []

        def timed(logits_BV: Tensor, text_BT: Tensor) -> Tensor:
            seconds, ruled_BV = clock(lambda: rule(logits_BV, text_BT))
            inside.append(seconds)
            return ruled_BV

        sampler = make_sampler(GREEDY, context_tokens=32, blocker=timed if blocks else None)
        continue_texts(
            stepper(model), contexts_BT, sampler, new_tokens=224, ending=Ending((0,), stop=False)
        )
        return len(rule.record), sum(inside)

    (steps, _), _ = write(True), write(False)
    pairs = [(clock(lambda: write(True)), clock(lambda: write(False))[0]) for _ in range(rounds)]
    shares = sorted(inside / (seconds - inside) for (seconds, (_, inside)), _ in pairs)
    ratios = sorted(seconds / without - 1 for (seconds, _), without in pairs)
    inside, outside = (
        f"{statistics.median(each):+.1%} (from {each[0]:+.1%} to {each[-1]:+.1%})"
        for each in (shares, ratios)
    )
    print(
        f"blocker, {mode} mode, {label} contexts: {inside} time inside it, {outside} in {rounds} "
        f"pairs; forbade at {steps / (48 * 224):.1%} of steps",
        flush=True,
    )


def report_indexes() -> None:
    """Print the time of both indexes over 10 million training tokens."""
    random = np.random.default_rng(1)
    training, texts = zipf(random, (39_063, 256), 32_000), zipf(random, (300, 256), 32_000)
    tracemalloc.start()
    seconds, _ = clock(lambda: CitationIndex(training, 5))
    peak = tracemalloc.get_traced_memory()[1] / 2**30
    tracemalloc.stop()
    print(
        f"blocker: index of 10 million tokens in {seconds:.1f} s, at most {peak:.2f} GiB",
        flush=True,
    )

    def overlap() -> None:
        index = TrainingIndex(training)
        for shared in index.search(texts.tolist()):
            shared.recited_ngrams()

    print(
        f"overlap and recitation: 300 x 256 against 10 million tokens in {clock(overlap)[0]:.1f} s",
        flush=True,
    )


def report_self_bleu() -> None:
    """Print the time of Self-BLEU of 300 texts of 256 words, against sacrebleu text by text (five
    of them, times 60).
    """
    import sacrebleu

    random = np.random.default_rng(2)
    texts = [
        " ".join(f"w{word}" for word in row) for row in zipf(random, (300, 256), 8000).tolist()
    ]
    seconds, ours = clock(lambda: self_bleu(texts))
    loop, theirs = clock(
        lambda: [
            sacrebleu.sentence_bleu(texts[i], [*texts[:i], *texts[i + 1 :]]).score for i in range(5)
        ]
    )
    equal = np.allclose(ours[:5], theirs, atol=1e-9)
    print(
        f"Self-BLEU: {seconds:.2f} s, {60 * loop / seconds:.0f}x sacrebleu's loop, equal: {equal}",
        flush=True,
    )
