"""Run a model on a few tokens, and compare two ways of computing its logits up to rounding.

At random weights attention scores are near zero, so that a missing mask or a wrong scale changes
little. Comparisons are therefore made twice: with the weights as they are, and with the weights of
all linear layers made large.

Shapes: B texts, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from hyperfitting.errors import ModelError, is_out_of_memory, kind_of
from hyperfitting.models.adapt.parts import layer_count, output_head, text_config, vocabulary_size
from hyperfitting.models.devices import device_of
from hyperfitting.models.stepping import CannotStep, plain_logits

_CONTEXT_TOKENS, STEPS = 6, 4
_LARGEST_WINDOW = 256
"""The text that is tried is longer than a sliding window of up to this many tokens."""
_GAIN, _LARGEST_FACTOR = 2.0, 2.0**12
BOUNDS = {torch.float32: (1e-3, 2e-2), torch.bfloat16: (5e-2, 0.3)}
"""Largest relative difference of logits that rounding explains: with the weights as they are, and
made large.
"""

_BOUND_PER_ROOT_OF_LAYERS = 0.02
_MOST_ROUNDING = 0.5
"""Logits that are farther from those in float32 tell nothing."""


def texts_to_try(model: nn.Module, tokens: int | None = None) -> tuple[Tensor, int]:
    """Two texts (2, T) and the length of their context.

    Without `tokens` T is about ten, and the texts differ only after the context. With `tokens` T is
    at least that and long enough to cross a small sliding window, since some faults show beyond
    some length only; the texts then differ from the first token on, which is beginning-of-text in
    one of them, since some models count positions from there.
    """
    config, vocabulary = text_config(model), vocabulary_size(model)
    wanted = (
        _CONTEXT_TOKENS
        if tokens is None
        else max(_CONTEXT_TOKENS, _window(config) - 1, tokens - STEPS)
    )
    positions = getattr(config, "max_position_embeddings", None) or _LARGEST_WINDOW
    context = min(wanted, max(2, positions - STEPS))
    special = [getattr(config, f"{name}_token_id", None) for name in ("bos", "eos", "pad")]
    usable = torch.tensor(
        [each for each in range(min(vocabulary, 4096)) if each not in special] or [0]
    )
    noise = torch.Generator().manual_seed(0)
    ids_BT = usable[torch.randint(len(usable), (2, context + STEPS), generator=noise)]
    begin = getattr(config, "bos_token_id", None)
    if isinstance(begin, int) and 0 <= begin < vocabulary:
        ids_BT[0, 0] = begin
    if tokens is None:
        ids_BT[1, :context] = ids_BT[0, :context]
    return ids_BT.to(device_of(model)), context


def _window(config: Any) -> int:
    names = ("sliding_window", "attention_window_size", "attention_chunk_size", "window_size")
    sizes = [each for name in names if isinstance(each := getattr(config, name, None), int)]
    return max((each for each in sizes if 0 < each <= _LARGEST_WINDOW), default=0)


def plain_forward(
    model: nn.Module, ids_BT: Tensor, *, last: int | None = None, must_be_finite: bool = True
) -> Tensor:
    """The plain forward's logits (B, T, V), float32; with `last` those of the last tokens only.

    Raises:
        ModelError: the forward fails, or does not return finite logits for every token.
    """
    kind = type(model).__name__
    try:
        with torch.no_grad():
            logits_BTV = plain_logits(model, ids_BT, last).float()
    except Exception as error:  # the model may need inputs other than tokens
        refuse_full_memory(error)
        raise ModelError(
            f"{kind} does not continue texts: given tokens alone, {_reason(error)}"
        ) from error
    if logits_BTV.shape[:2] != (len(ids_BT), last or ids_BT.shape[1]):
        raise ModelError(f"{kind} does not continue texts: it gives no logits for every token")
    if must_be_finite and not logits_BTV.isfinite().all():
        raise ModelError(f"{kind}: its logits are not finite numbers")
    return logits_BTV


def refuse_full_memory(error: Exception) -> None:
    """Raise the error again if the device is out of memory, since the model is then not the
    cause.
    """
    if is_out_of_memory(error):
        raise error


def _reason(error: Exception) -> str:
    if isinstance(error, CannotStep):
        return str(error)
    return f"its forward fails ({kind_of(error)})"


def logits_match(
    logits_BTV: Tensor,
    plain_BTV: Tensor,
    model: nn.Module,
    *,
    large: bool,
    plain: Callable[[], Tensor] | None = None,
) -> bool:
    """Whether logits equal the plain forward's up to rounding at every token.

    In bfloat16 rounding depends on the model: a hyperfitted one, whose logits are sharp, was 0.13
    from itself where its original was 0.04. Beyond the bound both are therefore held against the
    plain forward in float32, from which other logits may be twice as far as the plain ones.

    Args:
        logits_BTV: computed in another way.
        plain_BTV: the plain forward's.
        model: computed both.
        large: the weights were made large.
        plain: computes the plain forward's again; none: the bound alone decides.
    """
    if logits_BTV.shape != plain_BTV.shape:
        return False
    if logits_difference(logits_BTV, plain_BTV) <= _bound(model, large):
        return True
    if plain is None or dtype_of(model) != torch.bfloat16:
        return False
    try:
        with _in_float32(model):
            exact_BTV = plain()
    except Exception as error:  # float32 does not fit, or the model's kernels lack it
        if not (isinstance(error, ModelError) or is_out_of_memory(error)):
            raise
        return False
    rounding = logits_difference(plain_BTV, exact_BTV)
    return rounding <= _MOST_ROUNDING and logits_difference(logits_BTV, exact_BTV) <= 2 * rounding


@contextmanager
def _in_float32(model: nn.Module) -> Iterator[None]:
    """Context manager: weights and buffers in bfloat16 are float32, and afterwards what they were,
    to the bit.
    """
    both = (*model.parameters(), *model.buffers())
    short = [each for each in both if each.dtype == torch.bfloat16]
    try:
        for each in short:
            each.data = each.data.float()
        yield
    finally:
        for each in short:
            each.data = each.data.bfloat16()


def _bound(model: nn.Module, large: bool) -> float:
    """What rounding explains. In bfloat16 it adds up over the layers: with the weights as they are,
    SmolLM2-135M of 30 layers was 0.063 from itself, in texts of other lengths and in steps.
    """
    bound = BOUNDS[dtype_of(model)][large]
    if dtype_of(model) != torch.bfloat16 or large:
        return bound
    return max(bound, _BOUND_PER_ROOT_OF_LAYERS * math.sqrt(layer_count(model) or 1))


def logits_difference(logits: Tensor, plain: Tensor) -> float:
    """The largest difference of a token's logits (..., V), relative to the norm of the plain ones.

    The mean of each token's logits is subtracted first: it changes no probability, and a large one
    would hide differences.
    """
    exact, other = (
        each.double() - each.double().mean(-1, keepdim=True) for each in (plain, logits)
    )
    size, far = exact.norm(dim=-1), (other - exact).norm(dim=-1)
    return float((far / size.clamp_min(1e-30)).masked_fill(far == 0, 0).nan_to_num(math.inf).max())


def dtype_of(model: nn.Module) -> torch.dtype:
    """The dtype that decides how much rounding is allowed: that of the weights, or float32 for
    other dtypes.
    """
    dtype = next(model.parameters()).dtype
    return dtype if dtype in BOUNDS else torch.float32


@contextmanager
def enlarged(model: nn.Module, large: bool = True) -> Iterator[None]:
    """Context manager: the weights of the linear layers are made large, so that queries, keys and
    gates are not near 0.

    Each is multiplied by a power of two and divided by it at the end, which is exact. Embeddings
    and head are not changed.
    """
    kept = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    kept += [head.weight] if isinstance(head := output_head(model), nn.Linear) else []
    linear = {
        id(each.weight): each for each in model.modules() if isinstance(each, nn.Linear | Conv1D)
    }
    chosen = [each for number, each in linear.items() if large and number not in set(map(id, kept))]
    factors = [(each.weight, _factor(each)) for each in chosen]
    try:
        for weight, factor in factors:
            weight.data.mul_(factor)
        yield
    finally:
        for weight, factor in factors:
            weight.data.div_(factor)


def _factor(layer: nn.Linear | Conv1D) -> float:
    """The power of two that makes the gain of a layer, the ratio of its output's size to its
    input's, at least about 2.
    """
    weight: Any = layer.weight
    inputs = weight.shape[0] if isinstance(layer, Conv1D) else weight.shape[1]
    size = torch.linalg.vector_norm(weight.detach(), dtype=torch.float32)
    gain = float(size) / math.sqrt(weight.numel()) * math.sqrt(inputs)
    return 1.0 if gain <= 0 else min(_LARGEST_FACTOR, 2.0 ** max(0, round(math.log2(_GAIN / gain))))
