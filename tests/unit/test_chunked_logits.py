"""Logits in chunks against the model's own. Shapes as in models/chunked_logits.py."""

from types import SimpleNamespace

import pytest
import torch
import transformers

from hyperfitting.metrics.token_scores import TokenScores, rank_under
from hyperfitting.models import chunked_logits as heads
from hyperfitting.models import keep_head_exact, last_hidden_states, score_rows, score_texts
from hyperfitting.models.adapt.head import head_accepts_chunks
from tests.support.largest_tensor import Largest
from tests.support.scores import token_scores

WORDS = 64
COMMON = {
    "vocab_size": WORDS,
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
GPT = {"n_embd": 32, "n_layer": 1, "n_head": 4, "n_positions": 64}
CAP = 0.5
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**COMMON, **SHAPE),
    "gpt2": lambda: transformers.GPT2Config(**COMMON, **GPT),
    "cap": lambda: transformers.Gemma2Config(
        **COMMON, **SHAPE, head_dim=8, final_logit_softcapping=CAP
    ),
    "bias": lambda: transformers.PhiConfig(**COMMON, **SHAPE),
    "scale": lambda: transformers.CohereConfig(**COMMON, **SHAPE),
    "divisor": lambda: transformers.GraniteConfig(**COMMON, **SHAPE, logits_scaling=8.0),
    "experts": lambda: transformers.MixtralConfig(
        **COMMON, **SHAPE, num_local_experts=2, output_router_logits=True
    ),
    "a head narrower than the embeddings": lambda: transformers.ImageGPTConfig(
        **COMMON | {"vocab_size": 65}, **GPT
    ),
}


def make(kind):
    """A model whose logits are as large as a trained one's, so that a cap is reached; a head's bias
    is not zero.
    """
    torch.manual_seed(0)
    config = CONFIGS[kind]()
    image = config.model_type == "imagegpt"
    model = (
        transformers.ImageGPTForCausalImageModeling
        if image
        else transformers.AutoModelForCausalLM.from_config
    )(config).eval()
    head = model.get_output_embeddings()
    with torch.no_grad():
        head.weight *= 30
        if head.bias is not None:
            head.bias.normal_()
    return model


def texts(count=3, tokens=12, *, seed=1, words=WORDS):
    return torch.randint(words, (count, tokens), generator=torch.Generator().manual_seed(seed))


def in_chunks_of(monkeypatch, tokens, words=WORDS):
    monkeypatch.setattr(heads, "_CHUNK_BYTES", 4 * words * tokens)


def whole_logits(model, ids_BT, precision="fp32"):
    with (
        torch.no_grad(),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-autocast"),
    ):
        return model(ids_BT, use_cache=False).logits


def assert_equal_to_whole(scores: TokenScores, logits_BTV, ids_BT, bound=1e-5):
    whole = token_scores(logits_BTV, ids_BT)
    for name in ("loss", "entropy", "top1", "top3", "top5"):
        assert getattr(scores, name).dtype == torch.float32
        assert torch.allclose(getattr(scores, name), getattr(whole, name), rtol=0, atol=bound), name
    # A rank may change where two logits are as near as rounding.
    logits_BSV = logits_BTV[:, :-1].float()
    true_BS1 = logits_BSV.gather(-1, ids_BT[:, 1:, None])
    low, high = (1 + (logits_BSV > true_BS1 + sign * bound).sum(-1) for sign in (1, -1))
    assert ((low <= scores.rank) & (scores.rank <= high)).all()
    chosen_BS = logits_BSV.gather(-1, scores.top1_id[..., None])[..., 0]
    assert (chosen_BS >= logits_BSV.amax(-1) - bound).all()
    assert scores.rank.dtype == scores.top1_id.dtype == torch.int64


@pytest.mark.parametrize(
    "tokens", [1, 5, 1000]
)  # 22 are predicted in a batch of two texts; 5 does not divide it
@pytest.mark.parametrize("kind", CONFIGS)
def test_scores_in_chunks_equal_those_of_all_the_logits(monkeypatch, kind, tokens):
    in_chunks_of(monkeypatch, tokens)
    model, ids_NT = make(kind), texts()
    assert head_accepts_chunks(model, ids_NT, "fp32")
    logits_NTV = whole_logits(model, ids_NT)
    assert_equal_to_whole(score_texts(model, ids_NT.numpy(), batch_blocks=2), logits_NTV, ids_NT)
    assert "forward" not in vars(model.base_model)  # what stood in for the body is gone
    assert logits_NTV.abs().max() <= CAP if kind == "cap" else logits_NTV.abs().max() > 0.9
    assert torch.equal(whole_logits(model, ids_NT), logits_NTV)


def test_autocast_takes_the_products_in_bfloat16_and_the_scores_in_float32(monkeypatch):
    in_chunks_of(monkeypatch, 5)
    model, ids_NT = make("llama"), texts()
    scores = score_texts(model, ids_NT, batch_blocks=2, precision="bf16-autocast")
    logits_NTV = whole_logits(model, ids_NT, "bf16-autocast")
    assert logits_NTV.dtype == torch.bfloat16
    assert_equal_to_whole(scores, logits_NTV, ids_NT, bound=0.05)
    assert not torch.allclose(
        scores.loss, score_texts(model, ids_NT, batch_blocks=2).loss, atol=1e-5
    )


def test_the_body_reads_each_batch_once(monkeypatch):
    in_chunks_of(monkeypatch, 5)
    model, read = make("llama"), []
    model.model.layers[0].register_forward_hook(
        lambda module, inputs, output: read.append(inputs[0].shape[:2])
    )
    score_texts(model, texts(), batch_blocks=2)
    assert read == [(1, 8), (1, 8), (2, 12), (1, 12)]  # the first two are the trial


@pytest.mark.parametrize("kind", [transformers.LlamaConfig, transformers.CohereConfig])
def test_the_logits_of_all_tokens_are_never_made(monkeypatch, kind):
    wide, tokens = 20_000, 17  # a chunk of logits is larger than the head's 8 x V
    in_chunks_of(monkeypatch, tokens, wide)
    shape = {
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 8,
    }
    model = transformers.AutoModelForCausalLM.from_config(
        kind(**COMMON | {"vocab_size": wide}, **shape)
    ).eval()
    ids_NT = texts(2, 33)
    with Largest() as ours:
        score_texts(model, ids_NT, batch_blocks=2)
    assert ours.elements == tokens * wide
    with Largest() as plain:
        token_scores(whole_logits(model, ids_NT), ids_NT)
    assert plain.elements == 2 * 33 * wide  # the count does count


def test_a_chunk_is_128_mib_and_at_least_a_token():
    assert heads.chunk_tokens(128_256) == 261
    assert heads.chunk_tokens(16_384) == 2_048
    assert heads.chunk_tokens(10**9) == 1


class Mixing(transformers.LlamaForCausalLM):
    """Logits that depend on every position: a head of which no chunk says what the whole says."""

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = output.logits - output.logits.mean(1, keepdim=True)
        return output


class Twice(transformers.LlamaForCausalLM):
    """A forward that goes through its body a second time."""

    def forward(self, ids_BT, **kwargs):
        self.model(ids_BT)
        return super().forward(ids_BT, **kwargs)


class Bodiless(torch.nn.Module):
    """A model that is its own body."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(WORDS, WORDS)

    @property
    def base_model(self):
        return self

    def forward(self, ids_BT, use_cache):
        return SimpleNamespace(logits=self.table(ids_BT))


class Tuples(torch.nn.Module):
    """A body that answers with a tuple."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(WORDS, 8)
        self.base_model = torch.nn.Sequential(self.table)
        self.base_model.forward = lambda ids_BT: (self.table(ids_BT),)
        self.head = torch.nn.Linear(8, WORDS)

    def forward(self, ids_BT, use_cache):
        return SimpleNamespace(logits=self.head(self.base_model(ids_BT)[0]))


@pytest.mark.parametrize("kind", [Mixing, Twice, Bodiless, Tuples])
def test_a_model_that_cannot_be_fed_falls_back_to_its_own_logits(monkeypatch, kind):
    in_chunks_of(monkeypatch, 5)
    torch.manual_seed(0)
    model = (
        kind(CONFIGS["llama"]()) if issubclass(kind, transformers.LlamaForCausalLM) else kind()
    ).eval()
    ids_NT = texts()
    body = vars(model.base_model).get("forward")
    assert not head_accepts_chunks(model, ids_NT, "fp32")
    assert vars(model.base_model).get("forward") is body

    assert_equal_to_whole(
        score_texts(model, ids_NT, batch_blocks=2), whole_logits(model, ids_NT), ids_NT
    )


def test_a_forward_that_was_set_before_is_set_again():
    model, ids_NT = make("llama"), texts()
    plain = score_texts(model, ids_NT, batch_blocks=2)
    own, calls = model.model.forward, []

    def watched(*args, **kwargs):
        calls.append(1)
        return own(*args, **kwargs)

    model.model.forward = watched
    assert torch.equal(score_texts(model, ids_NT, batch_blocks=2).loss, plain.loss)
    assert model.model.forward is watched
    assert len(calls) == 4


def test_texts_of_one_token_have_no_scores():
    assert score_texts(make("llama"), texts(3, 1), batch_blocks=2).loss.shape == (3, 0)


def test_choices_are_ranked_under_another_model(monkeypatch):
    in_chunks_of(monkeypatch, 5)
    one, other, ids_NT = make("llama"), make("gpt2"), texts()
    choices_NS = score_texts(other, ids_NT, batch_blocks=2).top1_id

    def ranks(model, *choices):
        found = score_rows(model, list(ids_NT), batch_texts=2, choices=[list(c) for c in choices])
        return [torch.stack(each) for each in zip(*(t.choice_ranks for t in found), strict=True)]

    [rank_NS, true_NS] = ranks(one, choices_NS, ids_NT[:, 1:])
    assert rank_NS.shape == (3, 11)
    assert torch.equal(rank_NS, rank_under(whole_logits(one, ids_NT)[:, :-1], choices_NS))
    assert (rank_NS > 1).any()
    assert (ranks(other, choices_NS)[0] == 1).all()
    assert torch.equal(true_NS, score_texts(one, ids_NT, batch_blocks=2).rank)


def test_choices_that_are_not_one_a_predicted_token_are_refused():
    with pytest.raises(ValueError, match="12 choices for 11 predicted tokens of a text"):
        score_rows(make("llama"), texts().tolist(), batch_texts=2, choices=[list(texts())])


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bias"])
def test_texts_of_other_lengths_are_scored_as_each_alone(kind):
    """Padding is not scored; texts come back in the order in which they were given."""
    model, lengths = make(kind), (3, 12, 0, 7, 1, 12, 2)
    rows = [texts(1, length, seed=length)[0].tolist() for length in lengths]
    read, told = [], []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda _, inputs, __: read.append(tuple(inputs[0].shape))
    )
    found = score_rows(model, rows, batch_texts=2, keep_last=True, advance=told.append)
    hook.remove()
    assert read == [(1, 8), (1, 8), (2, 12), (2, 7), (1, 2)]  # the first two are the trial
    assert told == [2, 2, 1]
    for row, text in zip(rows, found, strict=True):
        assert len(text.scores.loss) == max(0, len(row) - 1)
        if len(row) > 1:
            alone = score_texts(model, torch.tensor([row]), batch_blocks=1)
            assert torch.allclose(text.scores.loss, alone.loss[0], atol=1e-5)
            assert torch.equal(text.scores.top1_id, alone.top1_id[0])
            [last_H] = last_hidden_states(model, [row], batch_texts=1)
            assert torch.allclose(text.last_H, torch.tensor(last_H), atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bias"])
def test_a_bfloat16_models_head_multiplies_in_float32(kind):
    model, ids = make(kind).bfloat16(), texts()
    shared = model.get_input_embeddings().weight.clone()
    with torch.no_grad():
        rounded = model(ids).logits
        hidden = model.base_model(ids).last_hidden_state.float()
        head = model.get_output_embeddings()
        bias = None if head.bias is None else head.bias.float()
        expected = torch.nn.functional.linear(hidden, head.weight.float(), bias)
        keep_head_exact(model)
        exact = model(ids).logits
    assert exact.dtype == torch.float32
    assert torch.equal(exact, expected)
    assert torch.allclose(exact, rounded.float(), rtol=2**-7, atol=2**-7)
    assert torch.equal(model.get_input_embeddings().weight, shared)
    assert shared.dtype == torch.bfloat16


def test_a_float32_models_head_is_left_alone():
    model, ids = make("llama"), texts()
    before = whole_logits(model, ids)
    keep_head_exact(model)
    assert torch.equal(whole_logits(model, ids), before)
    assert not model.get_output_embeddings()._forward_pre_hooks
