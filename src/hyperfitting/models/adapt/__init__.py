"""What a model is, found out by trying, and every change that is made to one.

A model is loaded as transformers writes it. What of ours takes the place of a part of it - a cache, attention, norms,
the loss in chunks - is let in only after a comparison with the model's own plain forward.

parts.py     the config, embeddings, head and layers of a model, as far as it tells them
compare.py   two ways of computing a model's logits, compared on a few tokens
decoding.py  is it causal, and which way of reading it token by token equals its plain forward
patches.py   attention, norms and rotations for training: each compared before it is put in
head.py      the head, fed in chunks or kept exact or given the loss: compared too
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from torch import nn

from hyperfitting.models.adapt.compare import plain, texts_to_try
from hyperfitting.models.adapt.decoding import (
    NO_CACHE,
    STEPPINGS,
    choose_stepping,
    equals_plain,
    refuse_if_length_matters,
    refuse_unless_causal,
)
from hyperfitting.models.adapt.parts import attention_of, has_experts, has_tied_head, layer_count
from hyperfitting.models.devices import Precision
from hyperfitting.models.stepping import ByContext, Stepper
from hyperfitting.records import ModelTraits


def inspect_model(model: nn.Module, tokens: int | None = None) -> ModelTraits:
    """Try a loaded model on two texts, and remember what was found for as long as the model lives.

    `tokens` is the length of the longest text that it is wanted for; None: some ten tokens are tried.

    Raises:
        ModelError: it does not continue texts: its forward fails or gives no finite logits, or a token's logits depend
            on what follows it.
    """
    short, long = texts_to_try(model), texts_to_try(model, tokens or 0)
    vocabulary = plain(model, short[0]).shape[-1]
    refuse_unless_causal(model, *short)
    for ids_BT in (short[0], long[0]):
        refuse_if_length_matters(model, ids_BT, short[1])
    decoding = choose_stepping(model, *long)
    found = ModelTraits(
        architecture=type(model).__name__,
        layers=layer_count(model),
        vocabulary=vocabulary,
        tied=has_tied_head(model),
        experts=has_experts(model),
        attention=attention_of(model),
        decoding=decoding,
        decoding_one_token=decoding
        if equals_plain(model, decoding, short[0][:, :3], 1)
        else NO_CACHE,
    )
    return remember_traits(model, found)


_TRAITS: WeakKeyDictionary[nn.Module, ModelTraits] = WeakKeyDictionary()


def remember_traits(model: nn.Module, traits: ModelTraits) -> ModelTraits:
    """Keep what was found out about this model elsewhere, such as in another process."""
    _TRAITS[model] = traits
    return traits


def traits_of(model: nn.Module) -> ModelTraits:
    """What was found out about the model; it is tried now if it was not before."""
    return _TRAITS.get(model) or inspect_model(model)


def stepper(
    model: nn.Module, precision: Precision = "fp32", *, decoding: str | None = None
) -> Stepper:
    """The model behind the `NextToken` protocol: as its traits say, or in another of the `STEPPINGS`.

    `decoding = "no cache"` is the plain forward over the whole text at each step, the reference.
    """
    if decoding is not None:
        return STEPPINGS[decoding](model, precision)
    found = traits_of(model)
    reader = STEPPINGS[found.decoding](model, precision)
    if found.decoding_one_token == found.decoding:
        return reader
    return ByContext(reader, STEPPINGS[found.decoding_one_token](model, precision))
