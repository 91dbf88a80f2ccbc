"""What must hold whatever the model: against plain transformers, against no cache, against other
batches.
"""

import pytest
import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from hyperfitting.decoding import Ending, continue_texts, make_sampler, uniform_noise
from hyperfitting.models import load_model, stepper
from hyperfitting.recipe import GREEDY, PAPER_NUCLEUS, ModelSettings, Strategy
from tests.support.tiny_models import make_model

CPU = torch.device("cpu")
NEVER = Ending((0,), stop=False)
SHAPES = ["llama", "qwen2", "mistral", "gpt2", "gpt_neox"]
CONTEXTS = torch.randint(1, 300, (5, 9), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module", params=SHAPES)
def folder(request, tmp_path_factory, tiny_tokenizer):
    return make_model(
        tmp_path_factory.mktemp("shapes") / request.param, tiny_tokenizer, request.param
    )


def ours(folder):
    return load_model(ModelSettings(source=str(folder)), CPU)


def texts(model, contexts, strategy=GREEDY, keys="abcde", new_tokens=20, blocker=None):
    uniform = uniform_noise(list(keys), new_tokens) if strategy.method == "sample" else None
    choose = make_sampler(strategy, uniform, context_tokens=contexts.shape[1], blocker=blocker)
    return continue_texts(stepper(model), contexts, choose, new_tokens=new_tokens, ending=NEVER)


def test_greedy_equals_transformers_generate(folder):
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    config = GenerationConfig(
        max_new_tokens=20,
        do_sample=False,
        suppress_tokens=[0],
        pad_token_id=0,
        eos_token_id=None,
        use_cache=True,
    )
    with torch.inference_mode():
        theirs = plain.generate(
            CONTEXTS, attention_mask=torch.ones_like(CONTEXTS), generation_config=config
        )[:, 9:].tolist()
    assert texts(ours(folder), CONTEXTS) == theirs


def test_logits_equal_plain_transformers(folder):
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        assert torch.equal(ours(folder)(CONTEXTS).logits, plain(CONTEXTS).logits)


def test_the_cache_changes_nothing_but_rounding(folder):
    model = ours(folder)
    cached = stepper(model)
    extended = torch.stack(
        [cached.start(CONTEXTS[:, :4]), *(cached.extend(CONTEXTS[:, i]) for i in range(4, 9))],
        dim=1,
    )
    with torch.inference_mode():
        whole = model(CONTEXTS).logits[:, 3:].float()
    assert torch.allclose(extended, whole, atol=1e-5)


def test_memory_that_grows_holds_what_transformers_own_cache_holds(folder):
    model = ours(folder)
    cached, past = stepper(model), None
    ids = torch.randint(1, 300, (3, 110), generator=torch.Generator().manual_seed(5))
    cached.start(ids[:, :40])
    with torch.inference_mode():
        past = model(ids[:, :40], use_cache=True).past_key_values
        for i in range(40, 110):  # past the first memory, and the second
            theirs = model(ids[:, i : i + 1], past_key_values=past, use_cache=True).logits[:, -1]
            assert torch.allclose(cached.extend(ids[:, i]), theirs, atol=1e-6)
    layers = cached._cache.layers
    for one, other in zip(layers, past.layers, strict=True):
        assert torch.allclose(one.keys, other.keys, atol=1e-6)
        assert torch.allclose(one.values, other.values, atol=1e-6)
    assert all(layer.keys.shape[2] == 110 for layer in layers)
    assert all(layer._room[0].shape[2] == 128 for layer in layers)


def test_attention_to_the_cache_is_torchs_own_in_bfloat16_too(folder):
    model = load_model(ModelSettings(source=str(folder), dtype="bfloat16"), CPU)
    cached, ids = (
        stepper(model),
        torch.randint(1, 300, (3, 60), generator=torch.Generator().manual_seed(6)),
    )
    cached.start(ids[:, :20])
    with torch.inference_mode():
        past = model(ids[:, :20], use_cache=True).past_key_values
        for i in range(20, 60):
            theirs = (
                model(ids[:, i : i + 1], past_key_values=past, use_cache=True).logits[:, -1].float()
            )
            ours_BV = cached.extend(ids[:, i])
            assert (ours_BV - theirs).norm() <= 2**-6 * theirs.norm()
    assert model.config._attn_implementation == "sdpa"


def test_one_context_alone_is_as_in_a_batch(folder):
    model = ours(folder)
    together = texts(model, CONTEXTS)
    assert [texts(model, CONTEXTS[i : i + 1])[0] for i in range(5)] == together


def test_a_sample_depends_on_its_own_key_and_context_alone(folder):
    model = ours(folder)
    together = texts(model, CONTEXTS, PAPER_NUCLEUS)
    order = [3, 0, 4]
    assert texts(model, CONTEXTS[order], PAPER_NUCLEUS, keys="dae") == [together[i] for i in order]
    assert texts(model, CONTEXTS, PAPER_NUCLEUS, keys="vwxyz") != together


@pytest.mark.parametrize("temperature", [1e-3, 0.3, 0.59, 1.0, 5.0, 7.0])
def test_greedy_at_any_temperature_is_equal_to_the_bit(tiny_model, temperature):
    model = ours(tiny_model)
    warm = Strategy(name="warm", method="greedy", temperature=temperature)
    assert texts(model, CONTEXTS, warm) == texts(model, CONTEXTS)


def test_nucleus_of_one_and_top_k_of_all_change_nothing(tiny_model):
    model = ours(tiny_model)
    plain = Strategy(name="plain", method="sample")
    open_ = Strategy(name="open", method="sample", top_p=1.0, top_k=10_000)
    assert texts(model, CONTEXTS, open_) == texts(model, CONTEXTS, plain)


def test_the_checkpoints_generation_config_does_not_leak(tiny_model, tmp_path, tiny_tokenizer):
    folder = make_model(tmp_path / "m", tiny_tokenizer)
    GenerationConfig(
        do_sample=True, temperature=2.0, repetition_penalty=5.0, top_k=3
    ).save_pretrained(folder)
    assert texts(ours(folder), CONTEXTS) == texts(ours(tiny_model), CONTEXTS)


def test_a_saved_run_in_plain_transformers_gives_our_logits_and_text(finished):
    assert set(finished.runs()) == {"original", "hyperfitted"}
    for name, run in finished.runs().items():
        plain = AutoModelForCausalLM.from_pretrained(run.model_source, dtype=torch.float32).eval()
        ids = torch.as_tensor(finished.blocks("pieces").ids_NT).long()[:5, :8]
        model = load_model(ModelSettings(source=str(run.model_source)), CPU)
        with torch.inference_mode():
            assert torch.equal(plain(ids).logits, model(ids).logits)
        config = GenerationConfig(
            max_new_tokens=24,
            do_sample=False,
            suppress_tokens=[0],
            pad_token_id=0,
            eos_token_id=None,
        )
        theirs = plain.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)[
            :, 8:
        ].tolist()
        written = [
            t.ids for t in run.continuations() if t.variant == name and t.strategy == "greedy"
        ]
        assert [list(each) for each in written[:5]] == theirs  # batches of five: the same shape
