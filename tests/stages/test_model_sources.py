"""Experiments on what is no ordinary folder: a quantised file, whose contexts stand in a chat."""

import shutil

import gguf
import pytest
import torch

from hyperfitting import pipeline
from hyperfitting.cli import main
from hyperfitting.cli.text import check_lines
from hyperfitting.errors import RunError
from hyperfitting.files import file_sha256
from hyperfitting.generate import stream
from hyperfitting.models import load_codec, load_model, stepper
from hyperfitting.recipe import GREEDY, parse_recipe
from hyperfitting.report.experiment.examples import examples
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import generate_experiment
from hyperfitting.stages.train import train_experiment, train_run
from hyperfitting.writing import write
from tests.support.gguf_files import TEMPLATE, Q, tiny_gguf_model, write_gguf
from tests.support.recipes import tiny_tree

CPU = torch.device("cpu")
OPENING = TEMPLATE.replace("<|turn|>", "<|end|>")


@pytest.fixture(scope="module")
def file(tmp_path_factory, tiny_tokenizer):
    model = tiny_gguf_model("llama", len(tiny_tokenizer))
    path = tmp_path_factory.mktemp("gguf") / "tiny-Q8_0.gguf"
    return write_gguf(path, model, tiny_tokenizer, "llama", Q.Q8_0, template=OPENING)


@pytest.fixture(scope="module")
def recipe(file, corpus):
    plain = parse_recipe(tiny_tree(file, corpus), source="t")
    size = len(load_codec(plain.model).chat_frame("go on:"))
    tree = tiny_tree(file, corpus)
    tree["data"] |= {
        "context_format": "chat",
        "train_format": "chat",
        "chat_instruction": "go on:",
        "context_tokens": size + 8,
        "block_tokens": size + 24,
        "domains": [{"name": "pieces", "count": 2}],
    }
    tree["train"]["epochs"] = 1
    tree["generate"] |= {"end_of_text": "stop", "new_tokens": 16}
    tree["generate"]["strategies"] = tree["generate"]["strategies"][:1]
    return parse_recipe(tree, source="t")


def test_check_says_what_the_model_is_made_from_and_what_it_sees(recipe, file, tmp_path):
    said = check_lines(check_recipe(recipe, tmp_path / "out", device="cpu"))
    assert "dequantised from GGUF: tensors Q8_0 15, F32 5; tokenizer gpt2 gpt-2" in said
    assert f"sha256 {file_sha256(file)[:16]}  {file.name}" in said
    assert "beginning-of-text '<|end|>', adds none by itself; a chat template" in said
    size = recipe.data.context_tokens - 8
    assert f"the template and the instruction take {size} of {size + 8} tokens" in said
    assert "the model sees, token by token: '<|end|>' | 'u' | " in said
    assert (
        "note      model.beginning_of_text = \"add\": every text begins with '<|end|>', which the "
        "chat template of this model writes before every turn" in said
    )


def test_check_warns_of_a_turn_whose_end_ends_no_text(recipe, file, tmp_path, tiny_tokenizer):
    assert not any("assistant's turn" in each for each in check_recipe(recipe, device="cpu").notes)
    model = tiny_gguf_model("llama", len(tiny_tokenizer))
    end = gguf.GGUFValue(5, gguf.GGUFValueType.UINT32)
    other = write_gguf(
        tmp_path / "other.gguf",
        model,
        tiny_tokenizer,
        "llama",
        change=lambda w: w.kv_data[0].update({"tokenizer.ggml.eos_token_id": end}),
        template=OPENING,
    )
    settings = recipe.model.model_copy(update={"source": str(other)})
    found = check_recipe(recipe.model_copy(update={"model": settings}), device="cpu")
    assert found.notes[-1].startswith(
        "the chat template ends the assistant's turn with '<|end|>', and the end-of-text ids are 5 "
    )


@pytest.fixture(scope="module")
def experiment(recipe, tmp_path_factory):
    made = train_experiment(recipe, tmp_path_factory.mktemp("chats") / "out", device="cpu")
    generate_experiment(made, device="cpu")
    return made


def test_an_experiment_in_chats_keeps_its_sources_and_shows_what_the_model_saw(
    experiment, recipe, file
):
    facts = experiment.run("hyperfitted").train_facts
    assert facts.source.sha256 == {file.name: file_sha256(file)}
    assert facts.source.tensor_types == {"Q8_0": 15, "F32": 5}
    assert facts.tokenizer.chat_template == OPENING
    assert (experiment.run("original").model_folder / "model.safetensors").is_file()
    seen = examples(experiment)[0].seen
    assert (seen[:3], len(seen)) == (["<|end|>", "u", "s"], recipe.data.context_tokens)
    assert seen.count("<|end|>") == 3  # the user's turn, its end, the assistant's turn


def test_models_that_were_trained_on_plain_texts_continue_contexts_in_a_chat(
    recipe, tmp_path, file, corpus
):
    data = recipe.data.model_copy(update={"train_format": "plain"})
    chat = recipe.model_copy(update={"data": data})
    plain_data = data.model_copy(update={"context_format": "plain", "context_tokens": 8})
    plain = recipe.model_copy(update={"data": plain_data})
    trained = pipeline.run(plain, tmp_path / "plain", device="cpu")
    held = pipeline.run(chat, tmp_path / "chat", device="cpu", models_of=trained.folder)
    assert held.run("hyperfitted").weights.sha256 == trained.run("hyperfitted").weights.sha256
    seen = examples(held)[0].seen
    assert (seen[:3], len(seen)) == (["<|end|>", "u", "s"], data.context_tokens)


def test_a_file_that_changes_between_two_runs_is_refused(recipe, file, tmp_path, tiny_tokenizer):
    place = tmp_path / file.name
    shutil.copy(file, place)
    settings = recipe.model.model_copy(update={"source": str(place)})
    drawn = draw_experiment(
        recipe.model_copy(update={"model": settings}), tmp_path / "out", device="cpu"
    )
    original = train_run(drawn, "original", device="cpu")
    other = tiny_gguf_model("llama", len(tiny_tokenizer))
    place.unlink()
    write_gguf(place, other, tiny_tokenizer, "llama", Q.F32, template=OPENING)
    words = rf"has changed \({file.name}\) since {original.folder} was made from it: put"
    with pytest.raises(RunError, match=words):
        train_run(drawn, "hyperfitted", device="cpu")
    place.unlink()
    train_run(drawn, "original", device="cpu")  # which needs nothing of it


def test_a_prompt_stands_in_the_format_of_the_experiment_or_in_the_one_that_is_named(
    experiment, capsys
):
    run = experiment.run("hyperfitted")
    codec = load_codec(run.recipe.model)
    model = load_model(run.recipe.model.model_copy(update={"source": str(run.model_folder)}), CPU)
    frame, prompt = codec.chat_frame("go on:"), codec.encode("the house")

    def continued(ids):
        how = {"new_tokens": 12, "key": ""}
        return "".join(stream(stepper(model), codec, ids, GREEDY, **how))

    in_chat = continued([*frame.before, *prompt[frame.start :], *frame.after])
    plain = continued(prompt)
    assert in_chat != plain
    for context_format, expected in ((None, in_chat), ("chat", in_chat), ("plain", plain)):
        pieces = write(run.folder, "the house", new_tokens=12, context_format=context_format)
        assert "".join(pieces) == expected
    folder = str(experiment.folder)
    for options, expected in (
        ([], f"the house\n{in_chat}\n"),
        (["--format", "plain"], f"the house{plain}\n"),
    ):
        assert main(["write", folder, "the house", "--tokens", "12", *options]) == 0
        assert capsys.readouterr().out == expected
