"""Our own step of one token through layers of Llama's form, for bfloat16 weights on CPUs.

transformers' forward calls some hundred operations a layer, and torch's product of few rows with
bfloat16 weights reads them at a third of the memory's speed. Here a layer is a score of operations.
Its weights are packed once: for few texts as float16, which is read at the memory's speed, with
inputs and outputs in float32; for many in bfloat16, in the layout that oneDNN chooses. The head is
always packed as float16, so that its logits are float32. bfloat16 weights fit into float16 exactly
from 6e-5 on, and below to within 3e-8.

The stream between the layers is float32. Each head's units are kept as pairs that rotate together,
in queries and keys alike, so that a rotation is one complex product.

Shapes: B texts, T tokens, R tokens of room, H hidden units, A heads of queries, G of keys,
Q = A / G, N = A + G, D units of a head, C = D / 2 pairs of them, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu
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
        pack, self._dtype = (
            (_packed_half, torch.float32) if few else (_packed_bfloat16, torch.bfloat16)
        )
        body = self._model.model
        self._layers = [_Layer(each, pack) for each in body.layers]
        self._final, self._head = _norm(body.norm), _packed_half(self._model.lm_head)
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
        dtype = self._dtype
        self._held = [_Held(_as_pairs(each.keys).to(dtype), each.values.to(dtype)) for each in kept]
        logits_BV: Tensor = output.logits[:, -1].float()
        return logits_BV

    @torch.no_grad()
    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        body = self._model.model
        x_BH = body.embed_tokens(ids_B).float()
        turn_C = _turn(body.rotary_emb, x_BH, self._tokens)
        for layer, held in zip(self._layers, self._held, strict=True):
            x_BH = layer.step(x_BH, turn_C, held)
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
    """Keys and values (B, G, T, D) of one layer in buffers (B, G, R, D) that grow."""

    def __init__(self, keys_BGTD: Tensor, values_BGTD: Tensor):
        self.tokens = keys_BGTD.shape[2]
        self.keys, self.values = _with_room(keys_BGTD), _with_room(values_BGTD)

    def append(self, keys_BGD: Tensor, values_BGD: Tensor) -> None:
        if self.tokens == self.keys.shape[2]:
            self.keys, self.values = _with_room(self.keys), _with_room(self.values)
        self.keys.select(2, self.tokens).copy_(keys_BGD)
        self.values.select(2, self.tokens).copy_(values_BGD)
        self.tokens += 1


def _with_room(held_BGTD: Tensor) -> Tensor:
    """A buffer with room for more tokens, with the held ones at its start."""
    texts, heads, tokens, units = held_BGTD.shape
    room = (tokens // ROOM_TOKENS + 1) * ROOM_TOKENS
    buffer_BGRD = held_BGTD.new_zeros(texts, heads, room, units)
    buffer_BGRD[:, :, :tokens] = held_BGTD
    return buffer_BGRD


class _Norm(NamedTuple):
    """An RMS norm, computed in float32."""

    weight: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight.shape, self.weight, self.epsilon)


def _norm(module: Any) -> _Norm:
    return _Norm(module.weight.float(), module.variance_epsilon)


class _Layer:
    """A packed layer: queries, keys and values are one product, gate and up another."""

    def __init__(self, layer: Any, pack: Callable[..., Product]):
        attention, mlp = layer.self_attn, layer.mlp
        self._project = pack(attention.q_proj, attention.k_proj, attention.v_proj)
        self._output = pack(attention.o_proj)
        self._gate_up, self._down = pack(mlp.gate_proj, mlp.up_proj), pack(mlp.down_proj)
        self._before, self._between = map(
            _norm, (layer.input_layernorm, layer.post_attention_layernorm)
        )
        self._units = attention.head_dim
        self._queries, self._keys = (
            each.out_features // self._units for each in (attention.q_proj, attention.k_proj)
        )
        norms = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        self._head_norms = [_norm(each) for each in norms if each is not None]
        self._scale = attention.scaling

    def step(self, x_BH: Tensor, turn_C: Tensor, held: _Held) -> Tensor:
        """One token of each text; what it adds to the keys and values is appended to `held`."""
        x_BH = x_BH + self._output(self._attend(self._before(x_BH), turn_C, held))
        gate, up = self._gate_up(self._between(x_BH)).chunk(2, -1)
        return x_BH + self._down(silu(gate).mul_(up))

    def _attend(self, h_BH: Tensor, turn_C: Tensor, held: _Held) -> Tensor:
        queries, keys, units = self._queries, self._keys, self._units
        texts, turned = len(h_BH), queries + keys
        projected = self._project(h_BH).view(texts, turned + keys, units)
        both_BND = projected[:, :turned].float()
        if self._head_norms:
            for_queries, for_keys = self._head_norms
            parts = for_queries(both_BND[:, :queries]), for_keys(both_BND[:, queries:])
            both_BND = torch.cat(parts, 1)
        both_BND = _turned(both_BND, turn_C).to(held.keys.dtype)
        held.append(both_BND[:, queries:], projected[:, turned:])
        query_BGQD = both_BND[:, :queries].view(texts, keys, queries // keys, units)
        return attend_held(query_BGQD, held.keys, held.values, held.tokens, self._scale)


def attend_held(
    query_BGQD: Tensor, keys_BGRD: Tensor, values_BGRD: Tensor, tokens: int, scale: float
) -> Tensor:
    """Attention of one new token of each text to the first `tokens` of the room, (B, A D).

    By products over the whole room, since a product over a part of it would copy it first.
    """
    score_BGQR = (query_BGQD * scale) @ keys_BGRD.transpose(-1, -2)
    score_BGQR[..., tokens:] = -torch.inf
    return (score_BGQR.softmax(-1) @ values_BGRD).flatten(1)


def _turn(rotary: Any, x_BH: Tensor, position: int) -> Tensor:
    """The model's own rotation at a position, as complex numbers (C,)."""
    at = torch.full((1, 1), position, device=x_BH.device)
    cosine_11D, sine_11D = rotary(x_BH, at)
    pairs = cosine_11D.shape[-1] // 2
    return torch.complex(cosine_11D[0, 0, :pairs], sine_11D[0, 0, :pairs])


def _turned(each_BND: Tensor, turn_C: Tensor) -> Tensor:
    """Queries or keys whose halves rotate together, rotated, as pairs of neighbours."""
    texts, heads, units = each_BND.shape
    first_BNC, second_BNC = each_BND.view(texts, heads, 2, units // 2).unbind(2)
    turned_BNC = torch.complex(first_BNC, second_BNC) * turn_C
    return torch.view_as_real(turned_BNC).view(texts, heads, units)


def _as_pairs(keys_BGTD: Tensor) -> Tensor:
    """Keys whose first and second halves rotate together, unit by unit, as neighbours."""
    return torch.stack(keys_BGTD.chunk(2, -1), -1).flatten(-2)


def _joined(modules: tuple[nn.Linear, ...]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of modules of one input, one below the other."""
    weight = torch.cat([each.weight.detach() for each in modules])
    biases = [each.bias.detach() for each in modules if each.bias is not None]
    if biases and len(biases) < len(modules):
        raise CannotStep("some of its products have a bias, and others have none")
    return weight, torch.cat(biases) if biases else None


def _packed_half(*modules: nn.Linear) -> Product:
    """The product of modules of one input, of float32 inputs and outputs, with float16 weights."""
    weight, bias = _joined(modules)
    if weight.abs().amax() > _LARGEST_HALF:
        raise CannotStep("a weight is too large for float16")
    ops, added = torch.ops.quantized, None if bias is None else bias.float()
    packed = ops.linear_prepack_fp16(weight.float(), added)
    multiply = ops.linear_dynamic_fp16.default  # the overload is not sought at every call
    return lambda x_BH: multiply(x_BH, packed)


def _packed_bfloat16(*modules: nn.Linear) -> Product:
    """The product of modules of one input, with bfloat16 weights and outputs."""
    weight, bias = _joined(modules)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _MANY_TEXTS)
    multiply = torch.ops.mkldnn._linear_pointwise.default
    return lambda x_BH: multiply(x_BH.bfloat16(), packed, bias, "none", [], "")
