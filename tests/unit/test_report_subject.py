"""The line that says what a report is about, and its words for numbers."""

from types import SimpleNamespace

import pytest

from hyperfitting.report.kit.subject import counted, model_name, model_size


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("asset:tales-model", "tales-model"),
        ("HuggingFaceTB/SmolLM2-135M", "SmolLM2-135M"),
        ("models/SmolLM2.gguf", "SmolLM2.gguf"),
        ("/data/cifar10/pretrained/model", "cifar10/pretrained/model"),
        ("runs/tales/hyperfitted/model/", "tales/hyperfitted/model"),
        ("pretrained/model", "pretrained/model"),
        ("model", "model"),
    ],
)
def test_a_name_tells_models_apart(source, name):
    assert model_name(source) == name


@pytest.mark.parametrize(
    ("parameters", "trained", "words"),
    [
        (5_868_800, 5_868_800, "5,868,800 parameters"),
        (5_868_800, 73_728, "5,868,800 parameters, 73,728 trained"),
        (None, 73_728, "73,728 parameters trained"),  # facts of before
    ],
)
def test_the_size_is_the_models(parameters, trained, words):
    facts = SimpleNamespace(parameters=parameters, parameters_trained=trained)
    assert model_size(facts) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 texts"), (1, "1 text"), (2, "2 texts"), (2000, "2,000 texts")]
)
def test_one_is_singular(count, words):
    assert counted(count, "text") == words
