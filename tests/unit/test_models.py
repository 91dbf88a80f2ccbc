from pathlib import Path

import pytest
import torch

from hyperfitting.errors import InputError, ModelError
from hyperfitting.models import (
    TextCodec,
    check_length,
    count_parameters,
    load_codec,
    load_model,
    resolve_device,
    resolve_precision,
)
from hyperfitting.recipe import ModelSettings
from tests.support.folders import edit_json
from tests.support.loading import CPU, problem
from tests.support.tiny_models import make_model

REFERENCE = ModelSettings(source="asset:reference-lm")


def test_weights_are_loaded_at_the_named_dtype_whatever_they_were_saved_in(
    tmp_path, tiny_tokenizer
):
    folder = make_model(tmp_path / "bf16", tiny_tokenizer, dtype="bfloat16")
    assert {w.dtype for w in load_model(ModelSettings(source=str(folder)), CPU).parameters()} == {
        torch.float32
    }
    half = ModelSettings(source=str(folder), dtype="bfloat16")
    assert {w.dtype for w in load_model(half, CPU).parameters()} == {torch.bfloat16}


def test_the_reference_model_ships_and_counts():
    assert count_parameters(REFERENCE) == 5_868_800
    assert load_codec(REFERENCE).end_ids == (0,)


def test_a_missing_folder(tmp_path):
    assert "no such model folder" in problem(tmp_path / "gone")


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "weights").write_text("")
    assert "it is a file, and no GGUF file: name a folder" in problem(tmp_path / "weights")


def test_a_folder_without_a_model(tmp_path):
    assert "it has no config.json" in problem(tmp_path)


def test_pickled_weights_are_refused(model_copy):
    (model_copy / "model.safetensors").rename(model_copy / "pytorch_model.bin")
    assert "pickled weights can run code and are not read" in problem(model_copy)


@pytest.mark.parametrize("keep", [0, 100, -50])
def test_corrupt_safetensors(model_copy, keep):
    weights = model_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    assert "the weight file is damaged" in problem(weights.parent)


def test_weights_that_do_not_fit_the_config(model_copy):
    edit_json(model_copy / "config.json", num_hidden_layers=3)
    assert "weights are missing or of another shape: model.layers.2" in problem(model_copy)


def test_a_tokenizer_without_beginning_of_text(model_copy):
    edit_json(model_copy / "tokenizer_config.json", bos_token=None)
    assert 'set model.beginning_of_text = "none"' in problem(model_copy, load_codec)
    codec = load_codec(ModelSettings(source=str(model_copy), beginning_of_text="none"))
    assert codec.encode("the house")[0] != 0


def test_a_hub_name_offline_is_one_line():
    assert "nobody/nothing: no such folder here, and the hub cannot be reached" in problem(
        "nobody/nothing"
    )


def test_a_gated_repository_is_one_line(monkeypatch):
    import httpx2
    from huggingface_hub.errors import GatedRepoError
    from transformers import AutoConfig

    def gated(*_, **__):
        response = httpx2.Response(403, request=httpx2.Request("GET", "https://hub.invalid"))
        raise OSError("You are trying to access a gated repo.") from GatedRepoError(
            "gated", response=response
        )

    monkeypatch.setattr(AutoConfig, "from_pretrained", gated)
    words = problem("owner/gated", initialise="random")
    assert words.endswith(
        "the repository is gated: accept its terms on the hub and log in with `hf auth login`"
    )


def test_a_mistyped_path_never_asks_the_hub():
    for source in ("./models/llama", "a/b/c"):
        tried = Path(source).absolute()
        assert problem(source).endswith(f"no such model folder (tried {tried})")


def test_code_that_comes_with_a_model_is_not_run_unasked(model_copy):
    classes = {"AutoConfig": "strange.Config", "AutoModelForCausalLM": "strange.Model"}
    edit_json(model_copy / "config.json", model_type="strange", auto_map=classes)
    (model_copy / "strange.py").write_text("raise SystemExit('ran')")
    assert "set model.trust_remote_code = true" in problem(model_copy)


def test_an_asset_that_does_not_ship():
    with pytest.raises(
        InputError,
        match="nothing named 'asset:nope' ships with hyperfitting; there is asset:reference",
    ):
        load_model(ModelSettings(source="asset:nope"), CPU)


def test_texts_longer_than_the_model(tiny_model):
    check_length(ModelSettings(source=str(tiny_model)), 128)
    with pytest.raises(ModelError, match="texts have 129 tokens, the model has 128 positions"):
        check_length(ModelSettings(source=str(tiny_model)), 129)


def test_random_initialisation_is_fixed_by_the_seed(tiny_model):
    settings = ModelSettings(source=str(tiny_model), initialise="random")
    one, same, other = (load_model(settings, CPU, seed=seed) for seed in (1, 1, 2))
    first = [next(model.parameters()) for model in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_devices_and_precision():
    assert resolve_device("cpu") == CPU
    with pytest.raises(InputError, match="--device cuda:99: not available here"):
        resolve_device("cuda:99")
    with pytest.raises(InputError, match="--device toaster: not available here"):
        resolve_device("toaster")
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("bf16-autocast", CPU) == "bf16-autocast"
    assert resolve_precision("auto", CPU) in ("fp32", "bf16-autocast")


def test_auto_is_whatever_accelerator_torch_has(monkeypatch):
    for found in (torch.device("mps"), torch.device("cuda")):
        monkeypatch.setattr(
            torch.accelerator, "current_accelerator", lambda check_available, found=found: found
        )
        assert resolve_device("auto") == found
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert resolve_device("auto") == CPU
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_beginning_of_text_comes_exactly_once():
    codec = load_codec(REFERENCE)
    ids = codec.encode("It was late.")
    assert ids[0] == 0
    assert 0 not in ids[1:]
    assert codec.decode(ids) == "It was late."


TEXTS = [
    "It was late, and the rain had\nnot stopped.",
    "naïve café — “quoted” 日本語 🙂 end",
    "",
    " leading  and   trailing ",
]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text(text):
    codec = load_codec(REFERENCE)
    ids = codec.encode(text)
    pieces = codec.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == codec.decode(ids) == text


def test_pieces_keep_the_spaces_of_a_tokenizer_that_drops_them():
    """Llama-2-like: decoding one token alone loses its leading space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({"<e>": 0, "▁one": 1, "▁two": 2, "<u>": 3}, unk_token="<u>"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<e>", eos_token="<e>")
    codec = TextCodec(tokenizer, [0], beginning_of_text="add")
    assert codec.pieces([1, 2, 1]) == ["one", " two", " one"]


def test_a_long_text_gives_the_same_first_tokens_as_whole():
    codec = load_codec(REFERENCE)
    text = "The lamp burned low in the window of the inn. " * 400
    assert codec.encode(text, at_most=64)[:64] == codec.encode(text)[:64]
    assert len(codec.encode(text, at_most=64)) < len(codec.encode(text))
