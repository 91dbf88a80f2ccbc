"""Models as they are loaded from their source, or refused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from hyperfitting.errors import ModelError
from hyperfitting.models import load_codec, load_model
from hyperfitting.recipe import ModelSettings
from tests.support.refusals import refusal

CPU = torch.device("cpu")


def model_settings(source: Any, **changes: Any) -> ModelSettings:
    return ModelSettings(source=str(source), **changes)


def load_both(source: Any, **changes: Any) -> Any:
    """Model and codec."""
    chosen = model_settings(source, **changes)
    return SimpleNamespace(model=load_model(chosen, CPU), codec=load_codec(chosen))


def problem(source: Any, load: Callable[..., Any] = load_model, **changes: Any) -> str:
    """The one line with which a source is refused."""
    device = [CPU] if load is load_model else []
    return refusal(ModelError, load, model_settings(source, **changes), *device)


def logits(model: Any, tokens: int = 24) -> torch.Tensor:
    """Of two texts of random tokens."""
    noise = torch.Generator().manual_seed(1)
    ids_BT = torch.randint(0, model.config.vocab_size, (2, tokens), generator=noise)
    with torch.no_grad():
        return model(ids_BT).logits.float()
