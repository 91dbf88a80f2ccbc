"""All inspection and patching of a loaded model.

A model is loaded as transformers defines it. A part of it is replaced by ours (cache, attention,
norms, loss in chunks) only after a comparison with the model's own plain forward.

parts.py     config, embeddings, head and layers of a model
compare.py   compare two ways of computing a model's logits on a few tokens
decoding.py  whether the model is causal, and which token-by-token reading equals its plain forward
patches.py   attention, norms and rotary embeddings for training
head.py      the head: given chunks of hidden states, kept in float32, or computing the loss
"""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

from torch import nn

from hyperfitting.models.adapt.compare import plain_forward, texts_to_try
from hyperfitting.models.adapt.decoding import (
    FOR_FEW,
    FOR_MANY,
    NO_CACHE,
    STEPPINGS,
    choose_stepping,
    equals_plain,
    refuse_if_length_matters,
    refuse_unless_causal,
)
from hyperfitting.models.adapt.parts import attention_of, has_experts, has_tied_head, layer_count
from hyperfitting.models.devices import Precision
from hyperfitting.models.packed_steps import FEW_TEXTS, can_be_packed
from hyperfitting.models.stepping import ByContext, Stepper
from hyperfitting.traits import ModelTraits


def inspect_model(model: nn.Module, tokens: int | None = None) -> ModelTraits:
    """Run a loaded model on two texts, and keep its traits for as long as the model exists.

    `tokens` is the length of the longest text that the model will get; None: about ten tokens are
    tried.

    Raises:
        ModelError: the model does not continue texts: its forward fails, its logits are not finite,
            or a token's logits depend on later tokens.
    """
    short, long = texts_to_try(model), texts_to_try(model, tokens or 0)
    vocabulary = plain_forward(model, short[0]).shape[-1]
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
    """Keep traits of this model that were found elsewhere, for example in another process; returns
    them.
    """
    _TRAITS[model] = traits
    return traits


def traits_of(model: nn.Module) -> ModelTraits:
    """The traits of the model; it is inspected now if it was not before."""
    return _TRAITS.get(model) or inspect_model(model)


def prefer_packed_steps(model: nn.Module, texts: int, tokens: int | None = None) -> None:
    """Let `stepper` read this model by packed weights, if they give its plain forward's logits on
    texts of so many tokens; `texts` are read side by side. Not for a model whose weights change.

    Only in bfloat16: texts in float32 stay as they are to the bit.
    """
    name, found = FOR_FEW if texts <= FEW_TEXTS else FOR_MANY, traits_of(model)
    if can_be_packed(model) and equals_plain(model, name, *texts_to_try(model, tokens or 0)):
        # Contexts are read as with the cache before.
        one = name if found.decoding_one_token == found.decoding else found.decoding_one_token
        remember_traits(model, replace(found, decoding=name, decoding_one_token=one))


def stepper(
    model: nn.Module, precision: Precision = "fp32", *, decoding: str | None = None
) -> Stepper:
    """The model as a `NextToken`: with the stepping of its traits, or with the one named by
    `decoding`.

    `decoding = "no cache"` runs the plain forward over the whole text at each step: the reference.
    """
    if decoding is not None:
        return STEPPINGS[decoding](model, precision)
    found = traits_of(model)
    usual = STEPPINGS[found.decoding](model, precision)
    if found.decoding_one_token == found.decoding:
        return usual
    return ByContext(usual, STEPPINGS[found.decoding_one_token](model, precision))
