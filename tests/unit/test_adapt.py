"""What is found out about a model when it is loaded: is it causal, and which way of reading it
equals the model.
"""

from pathlib import Path

import pytest
import torch
import transformers as t
from safetensors.torch import load_file

from hyperfitting.decoding import Ending, continue_texts, make_sampler
from hyperfitting.errors import ModelError
from hyperfitting.models import load_model, load_scoring_model, stepper, traits_of
from hyperfitting.models.adapt import compare
from hyperfitting.models.adapt.compare import enlarged
from hyperfitting.recipe import GREEDY, ModelSettings
from tests.support import loading
from tests.support.folders import edit_json, rewrite_weights
from tests.support.loading import CPU
from tests.support.own_forwards import make_own_model

SMALL = {
    "vocab_size": 320,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
FALCON = {
    key: SMALL[key] for key in ("vocab_size", "bos_token_id", "eos_token_id", "hidden_size")
} | {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
FALCONS = {
    "multi-query": {},
    "multi-head": {"multi_query": False},
    "new decoder": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "alibi": {"alibi": True},
    "not parallel": {"parallel_attn": False},
}


@pytest.fixture
def save(tmp_path, tiny_tokenizer):
    def save(model):
        model.save_pretrained(tmp_path / "model")
        tiny_tokenizer.save_pretrained(tmp_path / "model")
        return ModelSettings(source=str(tmp_path / "model"))

    torch.manual_seed(0)
    return save


def problem(source, **changes):
    return loading.problem(source, **changes).removeprefix(f"{source}: ")


def greedy(model, **options):
    contexts_BT = torch.randint(1, 320, (4, 8), generator=torch.Generator().manual_seed(1))
    ending = Ending((0,), stop=False)
    return continue_texts(
        stepper(model, **options), contexts_BT, make_sampler(GREEDY), new_tokens=32, ending=ending
    )


def assert_texts_are_the_models(model):
    """Ours, those of the plain forward without a cache, and those of transformers' generate."""
    ids_BT = torch.randint(1, 320, (4, 8), generator=torch.Generator().manual_seed(1))
    theirs = model.generate(
        ids_BT,
        attention_mask=torch.ones_like(ids_BT),
        max_new_tokens=32,
        do_sample=False,
        suppress_tokens=[0],
    )
    assert greedy(model) == greedy(model, decoding="no cache") == theirs[:, 8:].tolist()


@pytest.mark.parametrize("form", FALCONS)
@pytest.mark.parametrize(
    "size", [0.02, 0.5]
)  # at 0.02 every score is near zero, and a missing mask hardly shows
def test_a_falcon_writes_its_own_texts(save, form, size):
    """It reads `config._attn_implementation` by name: under a kernel of another name it forgets its
    mask.
    """
    settings = save(
        t.FalconForCausalLM(t.FalconConfig(**FALCON, initializer_range=size, **FALCONS[form]))
    )
    model = load_model(settings, CPU)
    assert traits_of(model).decoding == "cache"
    assert_texts_are_the_models(model)


def test_a_state_space_model_is_read_in_its_own_steps(save):
    sizes = {
        "vocab_size": 320,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "state_size": 4,
        "initializer_range": 0.5,
    }
    model = load_model(
        save(t.MambaForCausalLM(t.MambaConfig(**sizes, bos_token_id=0, eos_token_id=0))), CPU
    )
    assert traits_of(model).decoding == "own stepping"
    assert_texts_are_the_models(model)


def test_an_ordinary_model_keeps_our_cache(tiny_model):
    model = load_model(ModelSettings(source=str(tiny_model)), CPU)
    found = traits_of(model)
    assert (found.architecture, found.layers, found.vocabulary) == ("LlamaForCausalLM", 2, 320)
    assert (found.tied, found.experts, found.attention, found.decoding) == (
        True,
        False,
        "sdpa",
        "cache",
    )


def test_trying_a_model_leaves_its_weights_as_they_were(tiny_model):
    model = load_model(ModelSettings(source=str(tiny_model)), CPU)
    on_disk = load_file(tiny_model / "model.safetensors")
    held = model.state_dict()
    assert len(on_disk) > 10
    assert [name for name in on_disk if not torch.equal(held[name], on_disk[name])] == []


def test_weights_that_were_made_large_are_the_same_to_the_bit_afterwards():
    torch.manual_seed(0)
    linear = torch.nn.Linear(8, 8)
    with torch.no_grad():
        linear.weight[0, :3] = torch.tensor([1e-40, -3e-45, 0.0])  # below the least normal number
    model = torch.nn.Sequential(torch.nn.Embedding(4, 8), linear)
    before = linear.weight.detach().clone()
    with enlarged(model):
        assert linear.weight.std() > 2 * before.std()
    assert torch.equal(linear.weight, before)


def test_a_small_sliding_window_is_crossed_when_a_model_is_tried(save, monkeypatch):
    """A cache that forgets one token too late is told from the model only beyond the window."""
    seen, whole = [], compare.plain_logits

    def watch(model, ids_BT, last):
        seen.append(ids_BT.shape[1])
        return whole(model, ids_BT, last)

    monkeypatch.setattr(compare, "plain_logits", watch)
    config = t.MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=20)
    model = load_model(save(t.MistralForCausalLM(config)), CPU)
    assert max(seen) > 20
    assert_texts_are_the_models(model)


def test_what_shows_beyond_some_length_only_is_seen_at_the_length_that_is_wanted(save):
    """Rotations that are others for long texts: a model wanted for short ones is as good as any."""
    factors = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 4,
        "long_factor": [8.0] * 4,
    }
    config = t.Phi3Config(
        **SMALL | {"initializer_range": 0.5},
        original_max_position_embeddings=24,
        rope_parameters=factors,
    )
    settings = save(t.Phi3ForCausalLM(config))
    assert traits_of(load_model(settings, CPU, tokens=20)).decoding == "cache"
    for tokens in (25, 60):
        with pytest.raises(
            ModelError,
            match=f"its logits for a beginning of 6 tokens are others in a text of {tokens}",
        ):
            load_model(settings, CPU, tokens=tokens)


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Electra", "RoFormer"])
def test_a_masked_model_is_refused(save, kind):
    config = getattr(t, f"{kind}Config")(**SMALL)
    said = problem(save(getattr(t, f"{kind}ForMaskedLM")(config)).source)
    assert (
        "reads both ways: it does not continue texts; a config with is_decoder = true does" in said
    )


def test_a_masked_model_is_no_scorer_either(save):
    settings = save(t.BertForMaskedLM(t.BertConfig(**SMALL)))
    with pytest.raises(ModelError, match="reads both ways"):
        load_scoring_model(settings.source, CPU)


def test_a_model_of_that_kind_that_decodes_is_not(save):
    model = load_model(
        save(t.BertLMHeadModel(t.BertConfig(**SMALL, is_decoder=True, initializer_range=0.5))), CPU
    )
    assert greedy(model) == greedy(model, decoding="no cache")


@pytest.mark.parametrize("forward", ["tensor", "tuple", "forgetful"])
def test_a_model_with_its_own_code_is_read_whole_at_each_step(tmp_path, tiny_tokenizer, forward):
    folder = make_own_model(tmp_path / "own", tiny_tokenizer, forward)
    model = load_model(ModelSettings(source=str(folder), trust_remote_code=True), CPU)
    assert traits_of(model).decoding == "no cache"
    assert len({tuple(text) for text in greedy(model)}) > 1


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        ("masked", "OwnModel reads both ways: it does not continue texts"),
        (
            "dice",
            "OwnModel does not continue texts: its logits for one text are not the same twice",
        ),
        (
            "demanding",
            "OwnModel does not continue texts: given tokens alone, its forward fails (TypeError",
        ),
        (
            "last",
            "OwnModel does not continue texts: given tokens alone, it gives no logits for the "
            "tokens of a text",
        ),
    ],
)
def test_own_code_that_does_not_continue_texts_is_refused(tmp_path, tiny_tokenizer, forward, words):
    folder = make_own_model(tmp_path / "own", tiny_tokenizer, forward)
    assert problem(folder, trust_remote_code=True).startswith(words)


def test_an_encoder_and_decoder_is_refused(save):
    sizes = {
        "vocab_size": 320,
        "d_model": 16,
        "d_ff": 32,
        "num_layers": 1,
        "num_heads": 2,
        "d_kv": 8,
    }
    said = problem(save(t.T5ForConditionalGeneration(t.T5Config(**sizes))).source)
    assert said == "transformers has no causal language model of the type 't5'"


def test_weights_that_the_config_does_not_know_are_refused(model_copy):
    edit_json(model_copy / "config.json", num_hidden_layers=1)
    said = problem(model_copy)
    assert said.startswith("its config.json knows nothing of 9 of its weights, model.layers.1.")


def test_biases_that_the_config_does_not_know_are_refused(save):
    settings = save(t.LlamaForCausalLM(t.LlamaConfig(**SMALL, attention_bias=True)))
    edit_json(Path(settings.source) / "config.json", attention_bias=False)
    assert (
        "knows nothing of 8 of its weights, model.layers.0.self_attn.k_proj.bias first"
        in problem(settings.source)
    )


def test_a_buffer_of_older_versions_is_passed_over(tiny_model, model_copy):
    rewrite_weights(
        model_copy / "model.safetensors",
        lambda held: held.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}),
    )
    loaded = load_model(ModelSettings(source=str(model_copy)), CPU)
    assert (
        loaded.state_dict().keys()
        == load_model(ModelSettings(source=str(tiny_model)), CPU).state_dict().keys()
    )


def test_a_tied_head_that_is_in_the_file_too(model_copy):
    rewrite_weights(
        model_copy / "model.safetensors",
        lambda held: held.update({"lm_head.weight": held["model.embed_tokens.weight"].clone()}),
    )
    assert traits_of(load_model(ModelSettings(source=str(model_copy)), CPU)).tied
    rewrite_weights(
        model_copy / "model.safetensors",
        lambda held: held.update({"lm_head.weight": held["model.embed_tokens.weight"] + 1}),
    )
    assert "set tie_word_embeddings = false in config.json" in problem(model_copy)


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("name", ["model.norm.weight", "model.embed_tokens.weight"])
def test_weights_that_are_no_numbers_are_refused_by_name(model_copy, name, value):
    rewrite_weights(
        model_copy / "model.safetensors", lambda held: held[name].view(-1)[5:6].fill_(float(value))
    )
    wrong = {"nan": "NaN", "inf": "infinite"}[value]
    assert problem(model_copy).startswith(f"the weight {name} holds values that are {wrong}")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
def test_an_adapter_beside_the_weights_is_refused(model_copy):
    import peft

    base = t.AutoModelForCausalLM.from_pretrained(model_copy)
    adapter = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    peft.get_peft_model(base, adapter).save_pretrained(model_copy)
    assert "it holds an adapter (adapter_config.json) beside the weights" in problem(model_copy)


def test_quantised_weights_are_refused(model_copy):
    edit_json(model_copy / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    assert problem(model_copy).startswith("its weights are quantised (gptq)")


def test_a_folder_with_a_damaged_gguf_file_says_so(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert "the GGUF file is damaged or truncated: download it again" in problem(tmp_path)
