"""How a model is trained and watched: `[train]`, `[engine]` and `[probe]`."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.recipe.base import (
    Count,
    CountOrZero,
    Decay,
    Positive,
    Settings,
    Share,
    Threads,
    Trained,
)

Float32 = Annotated[float, Field(gt=0, le=3e38)]
"""A positive number that is taken into float32 arithmetic, which ends at 3.4e38."""


TrackerName = Literal["tensorboard", "trackio", "wandb"]
"""A program that draws the curves of trainings, by the name of its Python package and our extra."""


class LoraSettings(Settings):
    """Low-rank adapters, where `train.parameters` asks for them."""

    rank: Count = Field(16, description="Rank of each adapter.")
    alpha: Float32 = Field(32.0, description="An adapter's output is scaled by alpha / rank.")
    targets: tuple[str, ...] | None = Field(
        None,
        description="Last parts of the names of the adapted modules; none: every linear module of "
        "the layers.",
    )


class TrainSettings(Settings):
    """The loop. Hyperfitting leaves schedule, decay and clipping off."""

    learning_rate: Float32 = Field(
        description="Adam's learning rate, constant unless warm-up or decay are set."
    )
    batch_blocks: Count = Field(8, description="Blocks in one update, over all devices.")
    order_seed: CountOrZero | None = Field(
        None,
        description="Decides the order of the training blocks in each epoch; none: `seed`.",
    )
    swapped_blocks: tuple[CountOrZero, CountOrZero] | None = Field(
        None,
        description="Two training blocks, counted from 0, that change places in the order of every "
        "epoch: the smallest change of an order; none: off.",
    )
    parameters: Trained = Field(
        "all",
        description="What is trained: `all`, `last:K` layers, `lora`, or `late-lora:K` (the last "
        "K layers).",
    )
    embeddings: bool | None = Field(
        None, description="Train the embeddings too; none: only with `all`."
    )
    head: bool | None = Field(None, description="Train the output head too; none: only with `all`.")
    lora: LoraSettings = LoraSettings()
    epochs: CountOrZero | None = Field(
        None,
        description="Most passes over the training blocks; 0 leaves the model as it is.",
    )
    updates: CountOrZero | None = Field(
        None, description="Most optimiser steps, instead of epochs."
    )
    minutes: Positive | None = Field(
        None, description="Stop after this many minutes of training, probes not counted; none: off."
    )
    stop: Literal["end", "train-loss", "token-accuracy", "best-validation", "auto"] = Field(
        "end",
        description="When to stop before that. `train-loss`: after an epoch whose mean loss is "
        "below `stop_loss`. `token-accuracy`: after an epoch whose mean token accuracy, the share "
        "of training tokens that were the most probable, is at least `stop_token_accuracy`. "
        "`best-validation`: once validation loss has not fallen "
        "for `patience_probes`, keeping the best weights (as the variant "
        "`early-stopped` of recipe `every-arm`). `auto`: below `stop_loss`, and "
        "greedy TTR has not risen for `patience_probes`.",
    )
    stop_loss: Positive | None = Field(
        None, description="Nats per token that `train-loss` and `auto` ask for."
    )
    stop_token_accuracy: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="Share of the training tokens, in (0, 1], that `token-accuracy` asks for."
    )
    patience_probes: Count = Field(
        3, description="Probes without progress that `best-validation` and `auto` wait."
    )
    precision: Literal["auto", "fp32", "bf16-autocast", "bf16-stochastic", "bf16"] = Field(
        "auto",
        description="`bf16-autocast` computes in bfloat16 over float32 weights; `bf16-stochastic` "
        "keeps weights and Adam's states in bfloat16, rounded stochastically, for "
        "memory; `auto` is `bf16-autocast` where the hardware gains by it, else "
        "`fp32`. Plain `bf16` needs `force_plain_bf16`.",
    )
    force_plain_bf16: bool = Field(
        False,
        description="Train bfloat16 weights that round to nearest, which loses most small steps.",
    )
    least_step_share: Share = Field(
        0.5,
        description="Stop where less than this share of the intended step reaches the weights; 0: "
        "never.",
    )
    betas: tuple[Decay, Decay] = Field(
        (0.9, 0.999), description="Adam's decay rates of the two moments."
    )
    epsilon: Float32 = Field(1e-8, description="Adam's epsilon.")
    weight_decay: Annotated[float, Field(ge=0, le=3e38)] = Field(
        0.0, description="Decoupled weight decay (AdamW); 0 is plain Adam."
    )
    dropout: bool = Field(
        False, description="Keep the dropout of the model's config while training."
    )
    warmup_updates: CountOrZero = Field(
        0, description="Updates over which the learning rate rises from 0."
    )
    decay_share: Share = Field(
        0.0,
        description="The last share of the updates falls linearly to `final_learning_rate_share`.",
    )
    final_learning_rate_share: Share = Field(
        0.0, description="Where the decay ends, as a share of the learning rate."
    )
    clip_norm: Positive | None = Field(
        None, description="Largest global gradient norm; none: no clipping."
    )

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        if (self.epochs is None) == (self.updates is None):
            raise ValueError("set one of train.epochs and train.updates")
        if self.stop in ("train-loss", "auto") and self.stop_loss is None:
            raise ValueError(f'train.stop = "{self.stop}" needs train.stop_loss, in nats per token')
        if self.stop == "token-accuracy" and self.stop_token_accuracy is None:
            raise ValueError(
                'train.stop = "token-accuracy" needs train.stop_token_accuracy, a share in (0, 1]'
            )
        if self.swapped_blocks is not None and len(set(self.swapped_blocks)) == 1:
            raise ValueError("train.swapped_blocks names one block twice: name two")
        if self.precision == "bf16" and not self.force_plain_bf16:
            raise ValueError(
                'train.precision = "bf16": most steps are smaller than half a unit in the last '
                'place of a bfloat16 weight and round to nothing: use "bf16-stochastic" or '
                '"bf16-autocast", or set train.force_plain_bf16'
            )
        return self

    def epoch_updates(self, blocks: int) -> int:
        """Updates of an epoch of so many blocks."""
        return math.ceil(blocks / self.batch_blocks)

    def total_updates(self, blocks: int) -> int:
        """Updates of the whole training on so many blocks, if nothing stops it sooner."""
        if self.updates is not None:
            return self.updates
        return (self.epochs or 0) * self.epoch_updates(blocks)


class EngineSettings(Settings):
    """Speed and memory. These change nothing but rounding, so the digest leaves them out and they
    may change midway.
    """

    micro_batch_blocks: Count | None = Field(
        None,
        description="Blocks computed at once on a device; none: all of the update's. Less memory, "
        "same update.",
    )
    activation_checkpointing: bool = Field(
        False,
        description="Compute each layer again in the backward pass instead of keeping its "
        "activations.",
    )
    compile: bool = Field(
        False, description="Compile the training step with torch.compile; pays in long trainings."
    )
    deterministic: bool = Field(
        False,
        description="Train with deterministic kernels only; an operation that has none is an "
        "error. Slower on a GPU.",
    )
    attention: Literal["auto", "products", "sdpa", "eager"] = Field(
        "auto",
        description="Attention kernel while training: our products, torch's fused one, or the "
        "model's own. `auto` is `products` for short blocks on a CPU, else `sdpa`.",
    )
    threads: Threads | None = Field(
        None,
        description="Threads that compute on a CPU; none: as many as there are cores, or as "
        "OMP_NUM_THREADS says. Beside another busy process 1 is faster.",
    )
    checkpoint_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5.0,
        description="Least time between two resumable checkpoints, written after a probe; Ctrl-C "
        "always writes one.",
    )
    checkpoint_updates: Count | None = Field(
        None, description="Write one after every this many updates too; none: off."
    )
    keep_last: Count = Field(
        2,
        description="Resumable checkpoints kept: a damaged one is passed over for the one before.",
    )
    keep_best: bool = Field(
        False,
        description="Keep the checkpoint of the lowest validation loss too (`best-validation` "
        "always does).",
    )


class ProbeSettings(Settings):
    """What is watched on validation texts: before the first epoch, after each, and after the
    last.
    """

    contexts: Count = Field(
        16,
        description="Validation contexts that are continued greedily (at most the validation "
        "blocks).",
    )
    new_tokens: Count = Field(96, description="Tokens continued.")
    every_updates: Count | None = Field(
        None, description="Updates between two probes; none: an epoch."
    )
