"""What is saved is the model, loads as such, and writes elsewhere what it writes here."""

import json
import os
import re
import shutil
import stat
from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from hyperfitting import pipeline
from hyperfitting.errors import ModelError
from hyperfitting.models import load_codec, load_model, save_model
from hyperfitting.recipe import ModelSettings
from hyperfitting.recipes import parse_recipe
from tests.conftest import make_model, tiny_config, tiny_tree
from tests.support.folders import edit_json
from tests.support.tokenizers import KINDS, POLICIES

CPU = torch.device("cpu")
HALF = "\N{REPLACEMENT CHARACTER}"
"""A character whose last bytes are still to come: `write` waits for them."""
PROMPT = "the river was"


def make_vivid(folder, tokenizer, **changes):
    """A random Llama whose greedy texts vary: its weights are large."""
    torch.manual_seed(0)
    config = tiny_config("llama", len(tokenizer))
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config.update({"initializer_range": 0.4, **ids, **changes})
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train_original(model, corpus, out, **settings):
    """Load and save a model, untouched, as the first run of an experiment."""
    tree = tiny_tree(model, corpus)
    tree["model"] |= settings
    experiment = pipeline.draw(parse_recipe(tree, source="t"), out, device="cpu")
    return pipeline.train(experiment, "original", device="cpu")


def write_elsewhere(folder, prompt=PROMPT):
    """Ids that transformers' pipeline gives for a text, prompt included, with nothing set."""
    return transformers.pipeline("text-generation", model=str(folder))(prompt, return_tensors=True)[0][
        "generated_token_ids"
    ]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_pipeline_writes_what_hyperfit_write_does(tmp_path, corpus, kind, policy):
    source = make_vivid(tmp_path / "model", KINDS[kind]())
    run = train_original(source, corpus, tmp_path / "out", beginning_of_text=policy)
    codec = load_codec(ModelSettings(source=str(source), beginning_of_text=policy))
    ours = "".join(pipeline.write(run.folder, PROMPT, new_tokens=20, device="cpu"))
    context, ids = codec.encode(PROMPT), write_elsewhere(run.model_folder)
    assert ids[: len(context)] == context
    assert context.count(codec.tokenizer.bos_token_id) == (policy == "add")
    text = codec.decode(ids[: len(context) + 20])
    assert len(set(ids)) > 5
    assert text[len(codec.decode(context)) :].rstrip(HALF) == ours.rstrip(HALF)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_shipped_model_writes_the_same_in_transformers_pipeline(tmp_path, corpus, policy):
    run = train_original("asset:reference-lm", corpus, tmp_path / "out", beginning_of_text=policy)
    prompt = "It was late when the carriage stopped, and"
    ours = "".join(pipeline.write(run.folder, prompt, new_tokens=20, device="cpu"))
    write = transformers.pipeline("text-generation", model=str(run.model_folder))
    assert write(prompt)[0]["generated_text"].startswith(prompt + ours)
    assert write.tokenizer.model_max_length == 512


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_tokenizer_begins_texts_by_itself(tmp_path, kind, policy):
    source = make_vivid(tmp_path / "model", KINDS[kind]())
    settings = ModelSettings(source=str(source), beginning_of_text=policy)
    codec = load_codec(settings)
    save_model(load_model(settings, CPU), codec, new(tmp_path / "saved"), card="")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in ("the river", "The  Léa 日本\n", ""):
        assert loaded(text)["input_ids"] == codec.encode(text)
    pair = loaded("the", "river")["input_ids"]
    assert pair == codec.encode("the") + codec.encode("river")[policy == "add" :]
    assert loaded.model_max_length == 128


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("metaspace", "LlamaTokenizer"),
        ("metaspace", "CodeLlamaTokenizer"),  # adds <s> whatever its file says
        ("byte_level", "GPTNeoXTokenizer"),  # never adds any
        ("byte_level", "RobertaTokenizer"),  # adds one at both ends
        ("word_piece", "BertTokenizer"),
    ],
)
def test_a_tokenizer_whose_class_has_a_will_of_its_own(tmp_path, kind, name, policy):
    tokenizer = KINDS[kind]()
    source = make_vivid(tmp_path / "model", tokenizer, vocab_size=len(tokenizer) + 9)
    edit_json(source / "tokenizer_config.json", tokenizer_class=name)
    settings = ModelSettings(source=str(source), beginning_of_text=policy)
    codec = load_codec(settings)
    assert type(codec.tokenizer).__name__ == name
    save_model(load_model(settings, CPU), codec, new(tmp_path / "saved"), card="")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert loaded("the river")["input_ids"] == codec.encode("the river")
    assert load_codec(settings.model_copy(update={"source": str(tmp_path / "saved")})).fingerprint == codec.fingerprint


def test_a_beginning_with_a_colon_and_a_space_in_it(tmp_path):
    tokenizer = KINDS["byte_level"]()
    tokenizer.add_special_tokens({"bos_token": "<start: $A>"})
    settings = ModelSettings(source=str(make_vivid(tmp_path / "model", tokenizer)))
    codec = load_codec(settings)
    save_model(load_model(settings, CPU), codec, new(tmp_path / "saved"), card="")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")("the")["input_ids"] == codec.encode("the")
    assert codec.encode("the")[0] == 320


def new(folder):
    folder.mkdir()
    return folder


def test_nothing_of_the_sources_sampling_is_saved(tmp_path, tiny_tokenizer):
    source = make_vivid(tmp_path / "model", tiny_tokenizer)
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.3, "eos_token_id": [0, 7]}
    (source / "generation_config.json").write_text(json.dumps(sampling | {"max_new_tokens": 3}))
    settings = ModelSettings(source=str(source))
    save_model(load_model(settings, CPU), load_codec(settings), new(tmp_path / "saved"), card="")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    del saved["transformers_version"]
    expected = {"do_sample": False, "bos_token_id": 0, "eos_token_id": [0, 7], "pad_token_id": 0, "max_length": 128}
    assert saved == expected
    assert load_codec(ModelSettings(source=str(tmp_path / "saved"))).end_ids == (0, 7)


def test_generation_settings_that_transformers_would_not_save_are_no_hindrance(tmp_path, tiny_tokenizer):
    source = make_vivid(tmp_path / "model", tiny_tokenizer)
    (source / "generation_config.json").write_text(json.dumps({"do_sample": False, "temperature": 0.6}))
    settings = ModelSettings(source=str(source))
    save_model(load_model(settings, CPU), load_codec(settings), new(tmp_path / "saved"), card="")
    assert "temperature" not in (tmp_path / "saved" / "generation_config.json").read_text()


def test_a_model_of_many_positions_is_not_held_to_them(tmp_path, tiny_tokenizer):
    source = make_vivid(tmp_path / "model", tiny_tokenizer, max_position_embeddings=512)
    settings = ModelSettings(source=str(source))
    save_model(load_model(settings, CPU), load_codec(settings), new(tmp_path / "saved"), card="")
    assert "max_length" not in json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    assert len(write_elsewhere(tmp_path / "saved")) <= len(load_codec(settings).encode(PROMPT)) + 256


def test_every_saved_file_has_the_users_own_mode(tmp_path, tiny_model):
    settings = ModelSettings(source=str(tiny_model))
    model, codec = load_model(settings, CPU), load_codec(settings)
    for number, mask in enumerate((0o022, 0o077, 0o002)):
        before = os.umask(mask)
        try:
            save_model(model, codec, new(tmp_path / str(number)), card="")
        finally:
            os.umask(before)
        modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / str(number)).iterdir()}
        assert modes == {0o666 & ~mask}


# What is compared.


@pytest.fixture
def loaded(tiny_model):
    settings = ModelSettings(source=str(tiny_model))
    return SimpleNamespace(model=load_model(settings, CPU), codec=load_codec(settings))


def refused(loaded, folder):
    with pytest.raises(ModelError) as caught:
        save_model(loaded.model, loaded.codec, new(folder), card="")
    assert "\n" not in str(caught.value)
    return str(caught.value)


SAVE = transformers.PreTrainedModel.save_pretrained


def spoiling(change):
    """transformers' save_pretrained, with something done to the folder after it."""

    def save(self, folder, **settings):
        SAVE(self, folder, **settings)
        change(folder)

    return save


def change_weights(change):
    def spoil(folder):
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def change_config(**values):
    return lambda folder: edit_json(folder / "config.json", **values)


NORM = "model.norm.weight"


def flip(weights):
    weights[NORM][5] += 1e-6


def drop(weights):
    del weights[NORM]


def add(weights):
    weights["model.other.weight"] = torch.ones(3)


def shorten(weights):
    weights[NORM] = weights[NORM][:-1].clone()


def halve(weights):
    weights[NORM] = weights[NORM].bfloat16()


def negate_zero(weights):
    weights["model.layers.0.input_layernorm.weight"][0] = -0.0


def cut(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])


WRONG_FOLDERS = {
    "a value": (change_weights(flip), f"the saved {NORM} is not the model's"),
    "a tensor less": (change_weights(drop), f"the saved {NORM} is not the model's"),
    "a tensor more": (change_weights(add), "the saved model.other.weight is not the model's"),
    "another shape": (change_weights(shorten), f"the saved {NORM} is not the model's"),
    "another dtype": (change_weights(halve), f"the saved {NORM} is not the model's"),
    "the sign of a zero": (change_weights(negate_zero), "the saved model.layers.0.input_layernorm.weight is not"),
    "layers fewer in the config": (change_config(num_hidden_layers=1), "the saved model.layers.1."),
    "another width": (change_config(intermediate_size=96), "the saved model.layers.0.mlp."),
    "no tie in the config": (change_config(tie_word_embeddings=False), "the saved lm_head.weight is not the model's"),
    "other heads of the same width": (
        change_config(num_attention_heads=8, head_dim=4, num_key_value_heads=4),
        "the saved config (num_",
    ),
    "another base of rotations": (change_config(rope_parameters=None, rope_theta=5.0), "the saved config (rope_"),
    "a file cut short": (cut, "a saved file of weights is damaged"),
    "another architecture": (change_config(model_type="qwen2"), "the saved config (Qwen2ForCausalLM) is not"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "the saved config builds no model"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "is not the model's"),
}


@pytest.mark.parametrize("what", WRONG_FOLDERS)
def test_a_folder_that_is_not_the_model_is_refused(loaded, tmp_path, monkeypatch, what):
    change, words = WRONG_FOLDERS[what]
    with torch.no_grad():
        loaded.model.model.layers[0].input_layernorm.weight[0] = 0.0
    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", spoiling(change))
    message = refused(loaded, tmp_path / "saved")
    assert words in message
    assert message.endswith(": nothing was kept, the checkpoints are")


def test_an_adapter_that_was_loaded_into_the_model_is_noticed(tmp_path, tiny_model, tiny_tokenizer):
    import peft

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder)
    base.add_adapter(peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    codec = load_codec(ModelSettings(source=str(folder)))
    assert "is not the model's" in refused(SimpleNamespace(model=base, codec=codec), tmp_path / "saved")


def test_weights_that_are_not_numbers_are_compared_by_their_bits(loaded, tmp_path):
    with torch.no_grad():
        loaded.model.model.norm.weight[:2] = torch.tensor([torch.nan, torch.inf])
    save_model(loaded.model, loaded.codec, new(tmp_path / "saved"), card="")


def test_a_tie_that_is_in_the_memory_only_is_refused(tmp_path, tiny_tokenizer):
    folder = make_model(tmp_path / "model", tiny_tokenizer, "qwen2")  # its head is a weight of its own
    settings = ModelSettings(source=str(folder))
    model = load_model(settings, CPU)
    model.lm_head.weight = model.model.embed_tokens.weight
    message = refused(SimpleNamespace(model=model, codec=load_codec(settings)), tmp_path / "saved")
    assert message == "the saved lm_head.weight is not the model's: nothing was kept, the checkpoints are"


def test_a_failed_save_keeps_the_checkpoints_and_leaves_no_model(tree, tmp_path, monkeypatch):
    tree["engine"] = {"checkpoint_minutes": 0}
    experiment = pipeline.draw(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    pipeline.train(experiment, "original", device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(transformers.PreTrainedModel, "save_pretrained", spoiling(change_weights(flip)))
        with pytest.raises(ModelError, match=f"the saved {NORM} is not the model's: nothing was kept, the checkpoints"):
            pipeline.train(experiment, "hyperfitted", device="cpu")
    run = experiment.run("hyperfitted")
    assert not run.trained
    assert [each.name for each in run.folder.iterdir() if "partial" in each.name] == []
    kept = sorted(each.name for each in run.checkpoint_folder.iterdir())
    assert kept
    updates = run.updates()
    pipeline.train(experiment, "hyperfitted", device="cpu")
    assert run.trained
    assert run.updates() == updates  # gone on from the last checkpoint, not trained again
    assert not run.checkpoint_folder.exists()


# Kinds of models.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neox", "qwen2", "mistral"])
def test_a_saved_model_is_the_model(tmp_path, tiny_tokenizer, kind, dtype):
    settings = ModelSettings(source=str(make_model(tmp_path / "model", tiny_tokenizer, kind)), dtype=dtype)
    model = load_model(settings, CPU)
    save_model(model, load_codec(settings), new(tmp_path / "saved"), card="")
    again = load_model(settings.model_copy(update={"source": str(tmp_path / "saved")}), CPU).state_dict()
    held = model.state_dict()
    assert held.keys() == again.keys()
    assert all(held[name].equal(again[name]) and held[name].dtype == again[name].dtype for name in held)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == dtype


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_many_files_are_compared_as_one(tmp_path, tiny_tokenizer, kind, monkeypatch):
    settings = ModelSettings(source=str(make_model(tmp_path / "model", tiny_tokenizer, kind)))
    model, codec = load_model(settings, CPU), load_codec(settings)
    save_model(model, codec, new(tmp_path / "saved"), card="", max_shard_size="50KB")
    files = sorted((tmp_path / "saved").glob("*.safetensors"))
    assert len(files) > 2
    assert all(stat.S_IMODE(each.stat().st_mode) & 0o400 for each in files)
    again = load_model(settings.model_copy(update={"source": str(tmp_path / "saved")}), CPU).state_dict()
    assert all(held.equal(again[name]) for name, held in model.state_dict().items())

    def lose_one(folder):
        sorted(folder.glob("*.safetensors"))[1].unlink()

    def name_another(folder):
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        index["weight_map"][NORM] = files[0].name if index["weight_map"][NORM] != files[0].name else files[1].name
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    for number, change in enumerate((lose_one, name_another)):
        monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", spoiling(change))
        with pytest.raises(ModelError, match=r"the saved \S+ is not the model's: nothing was kept"):
            save_model(model, codec, new(tmp_path / str(number)), card="", max_shard_size="50KB")


def test_experts_that_are_saved_apart_are_compared_as_loaded(tmp_path, tiny_tokenizer, monkeypatch):
    config = transformers.MixtralConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=3,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    folder = new(tmp_path / "model")
    transformers.MixtralForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    settings = ModelSettings(source=str(folder))
    model, codec = load_model(settings, CPU), load_codec(settings)
    save_model(model, codec, new(tmp_path / "saved"), card="")
    stored = load_file(tmp_path / "saved" / "model.safetensors")
    assert set(stored) != set(model.state_dict())  # else this test shows nothing
    name = next(name for name in stored if "experts.1." in name)

    def spoil(weights):
        weights[name][0, 0] += 1

    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", spoiling(change_weights(spoil)))
    message = refused(SimpleNamespace(model=model, codec=codec), tmp_path / "wrong")
    assert re.match(r"the saved model\.layers\.0\.\S+\.experts\.1\.\S+ is not the model's", message)


def test_merged_adapters_are_saved_as_plain_weights(tree, tmp_path):
    tree["train"] |= {"parameters": "lora", "epochs": 1}
    experiment = pipeline.train_all(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    folder = experiment.run("hyperfitted").model_folder
    stored, plain = (
        load_file(each / "model.safetensors") for each in (folder, experiment.run("original").model_folder)
    )
    assert stored.keys() == plain.keys()
    assert any(not stored[name].equal(plain[name]) for name in stored)
    assert not (folder / "adapter_config.json").exists()


# Code that comes with a model.

OWN_CONFIG = """
from transformers import PreTrainedConfig


class OwnConfig(PreTrainedConfig):
    model_type = "own"

    def __init__(self, vocab_size=320, hidden_size=16, num_hidden_layers=1, max_position_embeddings=128, **more):
        self.vocab_size, self.hidden_size, self.num_hidden_layers = vocab_size, hidden_size, num_hidden_layers
        self.max_position_embeddings = max_position_embeddings
        super().__init__(**more)
"""
OWN_MODEL = """
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .own_config import OwnConfig


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(nn.Linear(config.hidden_size, config.hidden_size) for _ in range(1))
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.register_buffer("scale", torch.full((1,), 2.0))
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_ids):
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return CausalLMOutput(logits=self.head(hidden) * self.scale)
"""


OWN_TOKENIZER = """
from transformers import PreTrainedTokenizer


class OwnTokenizer(PreTrainedTokenizer):
    \"\"\"A character a token; like some, it adds its own ends where special tokens are asked for.\"\"\"

    def __init__(self, letters="abcdefghijklmnopqrstuvwxyz ,.", **more):
        self.letters = letters
        super().__init__(letters=letters, **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<u>", **more})

    @property
    def vocab_size(self):
        return len(self.letters)

    def get_vocab(self):
        return {**{letter: i for i, letter in enumerate(self.letters)}, **self.added_tokens_encoder}

    def _tokenize(self, text, **_):
        return list(text)

    def _convert_token_to_id(self, token):
        return self.letters.find(token) if token in self.letters else self.unk_token_id

    def _convert_id_to_token(self, index):
        return self.letters[index] if index < len(self.letters) else self.unk_token

    def convert_tokens_to_string(self, tokens):
        return "".join(tokens)

    def save_vocabulary(self, folder, filename_prefix=None):
        return ()
"""


def make_own(folder, tokenizer):
    """A folder as people publish them whose model is Python code beside the weights."""
    folder.mkdir()
    (folder / "own_config.py").write_text(OWN_CONFIG)
    (folder / "own_model.py").write_text(OWN_MODEL)
    config = {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own_config.OwnConfig", "AutoModelForCausalLM": "own_model.OwnModel"},
        "architectures": ["OwnModel"],
        "eos_token_id": 0,
        "vocab_size": 320,
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    sizes = {"embed.weight": (320, 16), "layers.0.weight": (16, 16), "layers.0.bias": (16,), "head.weight": (320, 16)}
    weights = {name: torch.randn(size) for name, size in (sizes | {"head.bias": (320,), "scale": (1,)}).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """Where transformers keeps the code that it was given, for this test alone."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))


def test_a_model_of_its_own_code_is_saved_with_it(tmp_path, tiny_tokenizer, own_modules):
    source = make_own(tmp_path / "model", tiny_tokenizer)
    settings = ModelSettings(source=str(source), trust_remote_code=True)
    model = load_model(settings, CPU)
    save_model(model, load_codec(settings), new(tmp_path / "saved"), card="")
    shutil.rmtree(source)
    assert {"own_config.py", "own_model.py"} <= {each.name for each in (tmp_path / "saved").iterdir()}
    again = load_model(settings.model_copy(update={"source": str(tmp_path / "saved")}), CPU).state_dict()
    assert all(held.equal(again[name]) for name, held in model.state_dict().items())
    assert again["scale"].item() == model.scale.item() != 2.0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_tokenizer_of_its_own_code_is_saved_with_it(tmp_path, tiny_tokenizer, own_modules, policy):
    source = make_own(tmp_path / "model", tiny_tokenizer)
    (source / "tokenizer.json").unlink()
    (source / "own_tokenizer.py").write_text(OWN_TOKENIZER)
    about = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own_tokenizer.OwnTokenizer", None]}}
    (source / "tokenizer_config.json").write_text(json.dumps(about))
    settings = ModelSettings(source=str(source), trust_remote_code=True, beginning_of_text=policy)
    codec = load_codec(settings)
    save_model(load_model(settings, CPU), codec, new(tmp_path / "saved"), card="")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved", trust_remote_code=True)
    assert loaded("the river, 日")["input_ids"] == codec.encode("the river, 日")
    again = load_codec(settings.model_copy(update={"source": str(tmp_path / "saved")}))
    assert again.fingerprint == codec.fingerprint


def test_a_tokenizer_that_cannot_be_made_to_begin_texts_is_refused(tmp_path, tiny_tokenizer, own_modules):
    source = make_own(tmp_path / "model", tiny_tokenizer)
    (source / "tokenizer.json").unlink()
    stubborn = (
        OWN_TOKENIZER + "\n    def build_inputs_with_special_tokens(self, ids, more=None):\n        return [*ids, 3]\n"
    )
    (source / "own_tokenizer.py").write_text(stubborn)
    about = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own_tokenizer.OwnTokenizer", None]}}
    (source / "tokenizer_config.json").write_text(json.dumps(about))
    settings = ModelSettings(source=str(source), trust_remote_code=True)
    message = refused(SimpleNamespace(model=load_model(settings, CPU), codec=load_codec(settings)), tmp_path / "saved")
    assert 'the saved tokenizer (OwnTokenizer) gives other ids than this one with model.beginning_of_text = "add"' in (
        message
    )


# The card.


def test_the_five_lines_of_the_card_write_what_hyperfit_write_does(tmp_path, corpus, tiny_tokenizer, capsys):
    source = make_vivid(tmp_path / "model", tiny_tokenizer, max_position_embeddings=512)
    run = train_original(source, corpus, tmp_path / "out")
    card = (run.model_folder / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.S)[1]
    assert len(code.splitlines()) == 5
    exec(compile(code, "README.md", "exec"), {})
    ours = "".join(pipeline.write(run.folder, "It was late when", new_tokens=100, device="cpu"))
    assert len(ours) > 100
    assert capsys.readouterr().out == f"It was late when{ours}\n"
