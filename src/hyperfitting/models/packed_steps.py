"""Our own step of one token through layers of Llama's form, for bfloat16 weights on CPUs.

transformers' forward calls some hundred operations a layer, and torch's product of few rows with
bfloat16 weights reads them at a third of the memory's speed. Here a layer is a score of operations.
Its weights are packed once: for few texts as float16, which is read at the memory's speed, with
inputs and outputs in float32; for many in bfloat16, in the layout that oneDNN chooses. The head is
always packed as float16, so that its logits are float32. bfloat16 weights fit into float16 exactly
from 6e-5 on, and below to within 3e-8.

The stream between the layers is float32. Of queries and keys, the weights' rows are reordered so
that two units that rotate together are neighbours: a rotation is one complex product in place.

Shapes: B texts, T tokens, R tokens of room, H hidden units, A heads of queries, G of keys,
Q = A / G, N = A + G, M = N + G, D units of a head, C = D / 2 pairs of them, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from transformers.cache_utils import DynamicLayer

from hyperfitting.models.devices import Precision, device_of, memory_bytes
from hyperfitting.models.kv_cache import ROOM_TOKENS
from hyperfitting.models.stepping import CannotStep

FEW_TEXTS = 4
"""Up to so many, float16 is faster."""
_MANY_TEXTS = 64
"""oneDNN's layout is chosen for so many."""
_LARGEST_HALF = 65504.0
_SHARE_OF_MEMORY = 4
"""The weights are held a second time; a model of more than a quarter of the memory is not."""
_FORMS = (
    transformers.LlamaForCausalLM,
    transformers.MistralForCausalLM,
    transformers.Qwen2ForCausalLM,
    transformers.Qwen3ForCausalLM,
)

Product = Callable[[Tensor], Tensor]
"""(B, inputs) -> (B, outputs): what a linear module computes."""
Pack = Callable[[Tensor, Tensor | None], Product]
"""Makes a product of weights and biases."""
Attend = Callable[[Tensor, Tensor, int], Tensor]
"""Attention of scaled queries (B, G, Q, D) to so many of the keys and values held, (B, A D)."""


class PackedSteps:
    """A model as a `NextToken`: contexts are read by its own forward, later tokens by ours.

    The weights are packed as they are now; a model whose weights change needs a new one. `few`
    tells how many texts it reads well.

    Raises:
        CannotStep: the model is of another form, or too large to be held twice.
    """

    def __init__(self, model: nn.Module, precision: Precision = "fp32", *, few: bool):
        if precision != "fp32" or not can_be_packed(model):
            raise CannotStep("it is no bfloat16 model of Llama's form on a CPU with enough memory")
        self._model = cast("Any", model)
        pack, self._dtype, attend = (
            (_packed_half, torch.float32, attend_few)
            if few
            else (_packed_bfloat16, torch.bfloat16, attend_held)
        )
        body = self._model.model
        self._layers = [_Layer(each, pack, attend) for each in body.layers]
        self._final = _norm(body.norm)
        self._head = _packed_half(*_joined(self._model.lm_head))
        self._held: list[_Held] = []
        self._tokens = 0

    @torch.no_grad()
    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts; logits (B, V), float32."""
        self._tokens = context_BT.shape[1]
        output = self._model(context_BT, use_cache=True, logits_to_keep=1)
        kept = output.past_key_values.layers
        if any(type(each) is not DynamicLayer for each in kept):
            raise CannotStep("it keeps the keys of some tokens only")
        self._held = [
            _Held(torch.stack([_as_neighbours(each.keys), each.values]).to(self._dtype))
            for each in kept
        ]
        logits_BV: Tensor = output.logits[:, -1].float()
        return logits_BV

    @torch.no_grad()
    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        body = self._model.model
        x_BH = body.embed_tokens(ids_B).float()
        turn_C = _turn(body.rotary_emb, x_BH, self._tokens)
        turn_NC = turn_C * self._layers[0].scale_N1
        for layer, held in zip(self._layers, self._held, strict=True):
            x_BH = layer.step(x_BH, turn_NC, held)
        self._tokens += 1
        return self._head(self._final(x_BH))


def can_be_packed(model: nn.Module) -> bool:
    """Whether this is a bfloat16 model of Llama's form, on a CPU with memory for a second copy."""
    known = cast("Any", model)
    if type(model) not in _FORMS or device_of(model).type != "cpu":
        return False
    size = sum(each.numel() * each.element_size() for each in model.parameters())
    return (
        known.config.hidden_act == "silu"
        and all(each.dtype == torch.bfloat16 for each in known.model.parameters())
        and not any("forward" in vars(each) for each in model.modules())
        and size * _SHARE_OF_MEMORY <= memory_bytes(torch.device("cpu"))
    )


class _Held:
    """Keys and values (2, B, G, T, D) of one layer in a buffer (2, B, G, R, D) that grows."""

    def __init__(self, both_2BGTD: Tensor):
        self.tokens = both_2BGTD.shape[3]
        self.both = _with_room(both_2BGTD)

    def append(self, both_B2GD: Tensor) -> None:
        if self.tokens == self.both.shape[3]:
            self.both = _with_room(self.both)
        self.both.select(3, self.tokens).copy_(both_B2GD.transpose(0, 1))
        self.tokens += 1


def _with_room(both_2BGTD: Tensor) -> Tensor:
    """A buffer with room for more tokens, with the held ones at its start."""
    two, texts, heads, tokens, units = both_2BGTD.shape
    room = (tokens // ROOM_TOKENS + 1) * ROOM_TOKENS
    buffer_2BGRD = both_2BGTD.new_zeros(two, texts, heads, room, units)
    buffer_2BGRD[:, :, :, :tokens] = both_2BGTD
    return buffer_2BGRD


class _Norm(NamedTuple):
    """An RMS norm, computed in float32."""

    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight.shape, self.weight, self.epsilon)


def _norm(module: Any) -> _Norm:
    return _Norm(module.weight.float(), module.variance_epsilon)


class _Layer:
    """A packed layer: queries, keys and values are one product, gate and up another.

    `scale_N1` are the factors of queries, which are attention's, and of keys, which are 1.
    """

    def __init__(self, layer: Any, pack: Pack, attend: Attend):
        attention, mlp = layer.self_attn, layer.mlp
        self._units, self._attend_to = attention.head_dim, attend
        self._queries, self._keys = (
            each.out_features // self._units for each in (attention.q_proj, attention.k_proj)
        )
        self._project = pack(*self._joined_heads(attention))
        self._output = pack(*_joined(attention.o_proj))
        self._gate_up, self._down = (
            pack(*_joined(mlp.gate_proj, mlp.up_proj)),
            pack(*_joined(mlp.down_proj)),
        )
        self._before, self._between = map(
            _norm, (layer.input_layernorm, layer.post_attention_layernorm)
        )
        norms = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        self._head_norms = [
            _Norm(_as_neighbours(weight), epsilon)
            for weight, epsilon in map(_norm, filter(None, norms))
        ]
        self.scale_N1 = torch.ones(self._queries + self._keys, 1)
        self.scale_N1[: self._queries] = attention.scaling

    def _joined_heads(self, attention: Any) -> tuple[Tensor, Tensor | None]:
        """Weights and biases of queries, keys and values, the rows of the first two reordered."""
        weight, bias = _joined(attention.q_proj, attention.k_proj, attention.v_proj)
        rows, turned = torch.arange(len(weight)), (self._queries + self._keys) * self._units
        rows[:turned] = _as_neighbours(rows[:turned].view(-1, self._units)).flatten()
        return weight[rows], None if bias is None else bias[rows]

    def step(self, x_BH: Tensor, turn_NC: Tensor, held: _Held) -> Tensor:
        """One token of each text; what it adds to the keys and values is appended to `held`."""
        x_BH = x_BH + self._output(self._attend(self._before(x_BH), turn_NC, held))
        gate, up = self._gate_up(self._between(x_BH)).chunk(2, -1)
        return x_BH + self._down(silu(gate).mul_(up))

    def _attend(self, h_BH: Tensor, turn_NC: Tensor, held: _Held) -> Tensor:
        queries, keys, texts = self._queries, self._keys, len(h_BH)
        heads_BMD = self._project(h_BH).view(texts, -1, self._units).float()
        if self._head_norms:
            heads_BMD = self._normed(heads_BMD)
        _turn_in_place(heads_BMD, turn_NC)
        held.append(heads_BMD[:, queries:].view(texts, 2, keys, self._units))
        query_BGQD = heads_BMD[:, :queries].view(texts, keys, queries // keys, self._units)
        return self._attend_to(query_BGQD, held.both, held.tokens)

    def _normed(self, heads_BMD: Tensor) -> Tensor:
        for_queries, for_keys = self._head_norms
        turned = self._queries + self._keys
        queries, keys = heads_BMD[:, : self._queries], heads_BMD[:, self._queries : turned]
        return torch.cat([for_queries(queries), for_keys(keys), heads_BMD[:, turned:]], 1)


def attend_few(query_BGQD: Tensor, both_2BGRD: Tensor, tokens: int) -> Tensor:
    """Attention of one new token of each text to the first `tokens` of the room, (B, A D).

    The queries, which are scaled, that read the same keys are taken for tokens of one text.
    """
    keys_BGTD, values_BGTD = both_2BGRD.narrow(3, 0, tokens).unbind()
    return scaled_dot_product_attention(query_BGQD, keys_BGTD, values_BGTD, scale=1.0).flatten(1)


def attend_held(query_BGQD: Tensor, both_2BGRD: Tensor, tokens: int) -> Tensor:
    """As `attend_few`, in the dtype of what is held, by products over the whole room: a product
    over a part of it would copy it first.
    """
    keys_BGRD, values_BGRD = both_2BGRD.unbind()
    score_BGQR = query_BGQD.to(keys_BGRD.dtype) @ keys_BGRD.transpose(-1, -2)
    score_BGQR[..., tokens:] = -torch.inf
    return (score_BGQR.softmax(-1) @ values_BGRD).flatten(1)


def _turn(rotary: Any, x_BH: Tensor, position: int) -> Tensor:
    """The model's own rotation at a position, as complex numbers (C,)."""
    at = torch.full((1, 1), position, device=x_BH.device)
    cosine_11D, sine_11D = rotary(x_BH, at)
    pairs = cosine_11D.shape[-1] // 2
    return torch.complex(cosine_11D[0, 0, :pairs], sine_11D[0, 0, :pairs])


def _turn_in_place(heads_BMD: Tensor, turn_NC: Tensor) -> None:
    """Rotate the first N heads, whose units that rotate together are neighbours."""
    texts, heads, units = heads_BMD.shape
    pairs_BMC = torch.view_as_complex(heads_BMD.view(texts, heads, units // 2, 2))
    pairs_BMC[:, : len(turn_NC)].mul_(turn_NC)


def _as_neighbours(each_D: Tensor) -> Tensor:
    """Units (..., D) of which the first and the second half rotate together, as neighbours."""
    return torch.stack(each_D.chunk(2, -1), -1).flatten(-2)


def _joined(*modules: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of modules of one input, one below the other."""
    weight = torch.cat([each.weight.detach() for each in modules])
    biases = [each.bias.detach() for each in modules if each.bias is not None]
    if biases and len(biases) < len(modules):
        raise CannotStep("some of its products have a bias, and others have none")
    return weight, torch.cat(biases) if biases else None


def _packed_half(weight: Tensor, bias: Tensor | None) -> Product:
    """A product of float32 inputs and outputs with float16 weights."""
    if weight.abs().amax() > _LARGEST_HALF:
        raise CannotStep("a weight is too large for float16")
    ops, added = torch.ops.quantized, None if bias is None else bias.float()
    packed = ops.linear_prepack_fp16(weight.float(), added)
    multiply = ops.linear_dynamic_fp16.default  # the overload is not sought at every call
    return lambda x_BH: multiply(x_BH, packed)


def _packed_bfloat16(weight: Tensor, bias: Tensor | None) -> Product:
    """A product of bfloat16 weights and outputs."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _MANY_TEXTS)
    multiply = torch.ops.mkldnn._linear_pointwise.default
    return lambda x_BH: multiply(x_BH.bfloat16(), packed, bias, "none", [], "")
