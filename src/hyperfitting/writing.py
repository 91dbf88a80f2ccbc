"""Continue a prompt with a run's model: the one place where a run is loaded to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from hyperfitting import generate, models
from hyperfitting.errors import InputError, RunError
from hyperfitting.recipe import (
    GREEDY,
    ContextFormat,
    Dtype,
    ModelSettings,
    Strategy,
    checked_number,
    is_unicode,
)
from hyperfitting.runs import Run, find_run


def write(
    folder: str | Path,
    prompt: str,
    *,
    strategy: Strategy | str = GREEDY,
    new_tokens: int = 200,
    seed: int = 0,
    device: str = "auto",
    context_format: ContextFormat | None = None,
    dtype: Dtype | None = None,
) -> Iterator[str]:
    """Continue one prompt with a run's model, piece by piece. End-of-text stops it.

    Examples:
        >>> text = "".join(hyperfitting.write("runs/mine", "the old house", new_tokens=8))
        >>> len(text) > 0
        True

    Args:
        folder: a run's folder, or an experiment's, whose hyperfitted model is taken.
        prompt: the text to continue; in a chat, what the user says after the instruction.
        strategy: how the next token is chosen; by its name one of the run's recipe.
        new_tokens: at most so many tokens are written, 1 or more.
        seed: decides the samples of a strategy that samples.
        device: `auto` (the accelerator if there is one), `cpu`, `cuda`, ...
        context_format: `plain`, or `chat`: the prompt stands in the user's turn of the model's own
            chat template, after the recipe's `data.chat_instruction`, and the model writes the
            assistant's. None: the recipe's `data.context_format`.
        dtype: dtype of the weights; None: that with which the recipe continues contexts.

    Raises:
        RunError: the folder holds no trained run.
        InputError: the prompt and the new tokens do not fit the model, `new_tokens` or `seed` is
            out of range, or the run's recipe has no strategy of that name.
        ModelError: a chat is asked for, and the tokenizer has no chat template.
    """
    run = find_run(Path(folder))
    if isinstance(strategy, str):
        strategy = _strategy_of(run, strategy)
    writer = PromptWriter(run, device=device, context_format=context_format, dtype=dtype)
    return writer.write(prompt, strategy, new_tokens=new_tokens, seed=seed)


def _strategy_of(run: Run, name: str) -> Strategy:
    known = {each.name: each for each in (GREEDY, *run.recipe.generate.strategies)}
    if name not in known:
        raise InputError(f"{run.folder}: its recipe has no strategy {name!r}: {', '.join(known)}")
    return known[name]


class PromptWriter:
    """A run's model, loaded at the first prompt, for any number of prompts."""

    def __init__(
        self,
        run: Run,
        *,
        device: str = "auto",
        context_format: ContextFormat | None = None,
        dtype: Dtype | None = None,
    ):
        recipe = run.recipe
        self._run, self._device = run, device
        self._format = context_format or recipe.data.context_format
        self._dtype = dtype or recipe.generating_dtype
        self._codec: models.ModelCodec | None = None
        self._model: Any = None

    def write(
        self, prompt: str, strategy: Strategy = GREEDY, *, new_tokens: int = 200, seed: int = 0
    ) -> Iterator[str]:
        """Continue one prompt, as the function `write` does.

        Raises:
            InputError: as of `write`: the prompt is no text, empty, or too long for the model; or a
                number is out of range.
        """
        if not is_unicode(prompt):
            raise InputError("the prompt holds bytes that are not UTF-8")
        checked_number("new_tokens", new_tokens, 1)
        checked_number("seed", seed)
        codec = self._codec = self._codec or load_run_codec(self._run)
        context = self._context(codec, prompt)
        if not context:
            raise InputError(
                "the prompt is empty, and this model's texts begin with no special token: give it "
                "a word"
            )
        models.check_length(
            _model_settings(self._run),
            len(context) + new_tokens,
            texts="the prompt and the new tokens",
            remedy="ask for fewer tokens (--tokens), or give a shorter prompt",
        )
        if self._model is None:
            device, tokens = models.resolve_device(self._device), len(context) + new_tokens
            self._model, _ = load_run(
                self._run, device, dtype=self._dtype, tokens=tokens, codec=codec
            )
            models.prefer_packed_steps(self._model, texts=1, tokens=tokens)
        return generate.stream(
            models.stepper(self._model),
            codec,
            context,
            strategy,
            new_tokens=new_tokens,
            key=f"{seed}\n{prompt}",
        )

    def _context(self, codec: models.ModelCodec, prompt: str) -> list[int]:
        """The ids that the model continues: those of the prompt, in a chat within the template."""
        ids = codec.encode(prompt)
        if self._format == "plain":
            return ids
        recipe = self._run.recipe
        frame = models.chat_frame(recipe.model, codec, recipe.data.chat_instruction)
        return frame.around(ids, len(frame) + len(ids))


def load_run(
    run: Run,
    device: torch.device,
    *,
    dtype: Dtype | None = None,
    tokens: int | None = None,
    exact_head: bool = True,
    codec: models.ModelCodec | None = None,
) -> tuple[Any, models.ModelCodec]:
    """A run's model, in the recipe's dtype or another, its head exact or not, for texts of so many
    tokens; and its codec, which is loaded unless it is given.

    Raises:
        RunError: the run is not trained, or its model has changed.
    """
    codec, settings = codec or load_run_codec(run), _model_settings(run)
    if dtype is not None:
        settings = settings.model_copy(update={"dtype": dtype})
    if device.type == "cpu":
        models.keep_freed_memory()
    model = models.load_model(settings, device, tokens=tokens or run.recipe.text_tokens)
    if exact_head:
        models.keep_head_exact(model)
    return model, codec


def load_run_codec(run: Run) -> models.ModelCodec:
    """A run's codec, which is the one that it was trained with.

    Raises:
        RunError: the run is not trained, or its tokenizer has changed.
    """
    run.refuse_untrained()
    settings = _model_settings(run)
    codec = models.load_codec(settings)
    if codec.fingerprint != run.train_facts.codec:
        raise RunError(
            f"{settings.source} has another tokenizer than when it was trained: put its own back"
        )
    return codec


def run_positions(run: Run) -> int | None:
    """The number of tokens that a run's model was built for; None if its config names no limit."""
    return models.positions_of(models.load_config(_model_settings(run)))


def _model_settings(run: Run) -> ModelSettings:
    """The run's own model as it was saved or named, under the recipe's dtype and beginning-of-text
    policy.
    """
    update = {
        "source": str(run.model_source.resolve()),
        "revision": None,
        "initialise": "pretrained",
    }
    return run.recipe.model.model_copy(update=update)
