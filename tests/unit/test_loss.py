"""The loss in chunks against plain cross-entropy. N tokens, H hidden units, V words."""

from types import SimpleNamespace

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from hyperfitting.training import loss as module
from hyperfitting.training.loss import add_loss, choose_loss, next_token_loss
from tests.support.largest_tensor import Largest
from tests.support.nearness import near
from tests.support.tiny_models import make_model
from tests.support.training_loop import train_once

CPU = torch.device("cpu")
B, T, H, V = 3, 9, 16, 50


class HeadOnly(torch.nn.Module):
    """A model whose hidden states are a tensor of our own."""

    def __init__(self, hidden_BTH, weight_VH):
        super().__init__()
        self.hidden_BTH = hidden_BTH
        self.head = torch.nn.Linear(*weight_VH.T.shape, bias=False)
        self.head.weight = torch.nn.Parameter(
            weight_VH.detach(), requires_grad=weight_VH.requires_grad
        )
        self.weight_VH = self.head.weight
        add_loss(self)

    def base_model(self, ids_BT, use_cache):
        return SimpleNamespace(last_hidden_state=self.hidden_BTH)

    def get_output_embeddings(self):
        return self.head


def case(dtype=torch.float32, *, seed=0, hidden=True, head=True, scale=1.0, vocabulary=V):
    noise = torch.Generator().manual_seed(seed)
    hidden_BTH = torch.randn(B, T, H, generator=noise).to(dtype).requires_grad_(hidden)
    weight_VH = (scale * torch.randn(vocabulary, H, generator=noise)).to(dtype).requires_grad_(head)
    ids_BT = torch.randint(vocabulary, (B, T), generator=noise)
    return HeadOnly(hidden_BTH, weight_VH), ids_BT


def plain_in_float64(model, ids_BT, weight_B):
    """The definition: the loss, and its gradients by autograd, from all the logits at once."""
    hidden, weight = (
        each.detach().double().requires_grad_() for each in (model.hidden_BTH, model.weight_VH)
    )
    logits_NV = (hidden[:, :-1] @ weight.T).flatten(0, 1)
    loss_N = cross_entropy(logits_NV, ids_BT[:, 1:].flatten(), reduction="none")
    loss = (loss_N * weight_B.double().repeat_interleave(T - 1)).sum()
    loss.backward()
    return loss.detach(), hidden.grad, weight.grad


def in_chunks_of(monkeypatch, tokens, vocabulary=V):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 4 * vocabulary * tokens)


@pytest.mark.parametrize("tokens", [1, 5, 8, 24, 1000])  # N is 24; 5 does not divide it
@pytest.mark.parametrize(
    "scale", [1.0, 30.0]
)  # 30: logits of some hundreds, where exp without care overflows
def test_loss_and_gradients_equal_plain_cross_entropy(monkeypatch, tokens, scale):
    in_chunks_of(monkeypatch, tokens)
    model, ids_BT = case(scale=scale)
    weight_B = torch.tensor([1.0, 0.0, 1.0])
    loss, _ = next_token_loss(model, ids_BT, weight_B)
    (0.25 * loss).backward()
    exact, of_hidden, of_weight = plain_in_float64(model, ids_BT, weight_B)
    assert loss.dtype == torch.float32
    assert near(loss.detach(), exact, 1e-6)
    assert near(model.hidden_BTH.grad, 0.25 * of_hidden, 1e-5)
    assert near(model.weight_VH.grad, 0.25 * of_weight, 1e-5)
    assert not model.hidden_BTH.grad[1].any()  # weight 0
    assert not model.hidden_BTH.grad[:, -1].any()  # nothing is predicted after the last token


@pytest.mark.parametrize("tokens", [1, 7, 1000])
def test_bfloat16_rounds_products_and_gradients_only(monkeypatch, tokens):
    in_chunks_of(monkeypatch, tokens)
    model, ids_BT = case(torch.bfloat16)
    loss, _ = next_token_loss(model, ids_BT, torch.ones(B))
    loss.backward()
    exact, of_hidden, of_weight = plain_in_float64(model, ids_BT, torch.ones(B))
    assert near(loss.detach(), exact, 2e-3)
    # Logits and slopes carry 2^-9 each; sums over chunks are in float32, so small chunks are no
    # worse.
    assert near(model.hidden_BTH.grad, of_hidden, 1e-2)
    assert near(model.weight_VH.grad, of_weight, 1e-2)
    assert model.weight_VH.grad.dtype == torch.bfloat16


def test_autocast_takes_the_product_in_bfloat16_and_keeps_float32_gradients():
    model, ids_BT = case()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = next_token_loss(model, ids_BT, torch.ones(B))
    loss.backward()
    exact, of_hidden, of_weight = plain_in_float64(model, ids_BT, torch.ones(B))
    assert loss.dtype == model.hidden_BTH.grad.dtype == model.weight_VH.grad.dtype == torch.float32
    assert near(loss.detach(), exact, 2e-3)
    assert near(model.hidden_BTH.grad, of_hidden, 1e-2)
    assert near(model.weight_VH.grad, of_weight, 1e-2)


def test_weights_of_blocks_are_factors():
    model, ids_BT = case()
    parts = [next_token_loss(model, ids_BT, torch.eye(B)[row]).loss for row in range(B)]
    whole = next_token_loss(model, ids_BT, torch.ones(B)).loss
    assert torch.allclose(torch.stack(parts).sum(), whole, rtol=1e-6)
    assert next_token_loss(model, ids_BT, torch.zeros(B)).loss == 0


@pytest.mark.parametrize("tokens", [1, 5, 1000])
def test_hits_are_the_targets_that_are_the_argmax(monkeypatch, tokens):
    in_chunks_of(monkeypatch, tokens)
    model, ids_BT = case()
    best_BT = (model.hidden_BTH[:, :-1] @ model.weight_VH.T).argmax(-1)
    ids_BT[0, 1:] = best_BT[0]  # all right, none right, two right
    ids_BT[1, 1:] = (best_BT[1] + 1) % V
    ids_BT[2, 1:] = (best_BT[2] + 1) % V
    ids_BT[2, [3, 8]] = best_BT[2, [2, 7]]
    assert next_token_loss(model, ids_BT, torch.ones(B)).hits == T - 1 + 2
    assert next_token_loss(model, ids_BT, torch.tensor([0.0, 1.0, 1.0])).hits == 2
    assert not next_token_loss(model, ids_BT, torch.ones(B)).hits.requires_grad


def test_the_lowest_id_of_a_tie_is_the_argmax_as_in_greedy_decoding():
    model, ids_BT = case()
    model.head.weight.data.zero_()
    ids_BT[0] = 0
    ids_BT[1:] = torch.arange(1, T + 1)
    assert next_token_loss(model, ids_BT, torch.ones(B)).hits == T - 1


class OverLogits(TorchDispatchMode):
    """Names the operations that read or make a tensor of at least so many elements."""

    def __init__(self, elements):
        super().__init__()
        self.elements, self.names = elements, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in (*args, made) if isinstance(each, torch.Tensor)]
        if max(sizes, default=0) >= self.elements:
            self.names.append(func.__name__)
        return made


def test_counting_hits_reads_no_logits_again(monkeypatch):
    """The operations over a whole chunk's logits are those of the loss and its gradients."""
    wide = 20_000
    in_chunks_of(monkeypatch, 1000, wide)
    model, ids_BT = case(vocabulary=wide)
    tokens = B * (T - 1)
    with OverLogits(tokens * wide) as seen:
        next_token_loss(model, ids_BT, torch.ones(B)).loss.backward()
    reads = [name.split(".")[0] for name in seen.names]
    assert reads.count("mm") == 2  # logits and hidden units; the head's gradient comes in parts
    once = ("max", "gather", "sub_", "exp_", "sum", "mul_", "scatter_add_")
    assert [name for name in reads if name in once] == list(once)
    assert not {"amax", "argmax", "eq", "argsort", "topk"} & set(reads)


def test_what_is_frozen_gets_no_gradient():
    model, ids_BT = case(head=False)
    next_token_loss(model, ids_BT, torch.ones(B)).loss.backward()
    assert model.weight_VH.grad is None
    assert near(model.hidden_BTH.grad, plain_in_float64(model, ids_BT, torch.ones(B))[1], 1e-5)
    model, ids_BT = case(hidden=False)
    next_token_loss(model, ids_BT, torch.ones(B)).loss.backward()
    assert model.hidden_BTH.grad is None
    assert near(model.weight_VH.grad, plain_in_float64(model, ids_BT, torch.ones(B))[2], 1e-5)
    model, ids_BT = case(hidden=False, head=False)
    assert not next_token_loss(model, ids_BT, torch.ones(B)).loss.requires_grad


@pytest.mark.parametrize(
    ("tokens", "vocabulary", "chunk"),
    [(2040, 8192, 2040), (2040, 49_152, 680), (2040, 128_256, 256), (5, 49_152, 8), (7, 10**9, 1)],
)
def test_chunks_are_few_and_equally_long(tokens, vocabulary, chunk):
    assert module._chunk_tokens(tokens, vocabulary) == chunk
    assert chunk == 1 or 4 * vocabulary * chunk <= module._CHUNK_BYTES


def test_the_logits_of_all_tokens_are_never_made(monkeypatch):
    wide, tokens = 20_000, 16  # chunks of 16 and 8 tokens, and a head of 16 x V
    in_chunks_of(monkeypatch, tokens + 1, wide)
    model, ids_BT = case(vocabulary=wide)
    with Largest() as ours:
        next_token_loss(model, ids_BT, torch.ones(B)).loss.backward()
    assert ours.elements == tokens * wide
    with Largest() as plain:
        plain_in_float64(model, ids_BT, torch.ones(B))
    assert (
        plain.elements == B * T * wide or plain.elements == B * (T - 1) * wide
    )  # the count does count


COMMON = {
    "vocab_size": 64,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "num_hidden_layers": 1,
}
SHAPE = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
}
HEADS = {
    "one product": (lambda: transformers.LlamaConfig(**COMMON, **SHAPE), "next_token_loss"),
    "scale": (lambda: transformers.CohereConfig(**COMMON, **SHAPE), "plain_next_token_loss"),
    "scale of 1": (
        lambda: transformers.CohereConfig(**COMMON, **SHAPE, logit_scale=1.0),
        "next_token_loss",
    ),
    "divisor": (
        lambda: transformers.GraniteConfig(**COMMON, **SHAPE, logits_scaling=8.0),
        "plain_next_token_loss",
    ),
    # At random weights a cap is not reached and a bias is zero: the losses are equal, and yet the
    # heads do more.
    "cap": (
        lambda: transformers.Gemma2Config(**COMMON, **SHAPE, head_dim=8),
        "plain_next_token_loss",
    ),
    "bias": (lambda: transformers.PhiConfig(**COMMON, **SHAPE), "plain_next_token_loss"),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16-autocast", "bf16"])
@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_does_more_than_one_product_falls_back_to_its_own_logits(head, precision):
    make, expected = HEADS[head]
    torch.manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = transformers.AutoModelForCausalLM.from_config(make(), dtype=dtype).eval()
    add_loss(model)
    chosen = choose_loss(model, precision, CPU)
    assert chosen.__name__ == expected
    assert not model.get_output_embeddings()._forward_hooks  # what choosing hung up is taken down
    ids_BT = torch.randint(64, (2, 12), generator=torch.Generator().manual_seed(1))
    loss, hits = chosen(ids_BT, torch.tensor([1.0, 0.0]))
    loss.backward()
    logits = model(ids_BT[:1]).logits[0, :-1].float()
    assert hits == (logits.argmax(-1) == ids_BT[0, 1:]).sum()
    expected_loss = cross_entropy(logits, ids_BT[0, 1:], reduction="sum")
    assert torch.allclose(loss, expected_loss, rtol=1e-5 if precision == "fp32" else 1e-2)
    assert all(weight.grad is not None for weight in model.parameters())  # a head's bias among them


def test_the_outcome_names_the_loss(tree, finished, tmp_path, tiny_tokenizer):
    ids = finished.blocks("train").ids_NT
    tree["train"]["epochs"] = 1
    assert train_once(tree, ids, tmp_path / "a").outcome.loss == "next_token_loss"
    config = transformers.CohereConfig(**COMMON | {"vocab_size": len(tiny_tokenizer)}, **SHAPE)
    folder = make_model(tmp_path / "cohere", tiny_tokenizer)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tree["model"]["source"] = str(folder)
    assert train_once(tree, ids, tmp_path / "b").outcome.loss == "plain_next_token_loss"
