"""Contexts in the user's turn of a chat: what stands around them, and what a tokenizer does by
itself.
"""

import copy
import json
import shutil

import numpy as np
import pytest
import torch
from tokenizers import Regex, normalizers
from torch.nn.functional import cross_entropy

from hyperfitting.data import draw_data
from hyperfitting.errors import DataError, ModelError, RecipeError
from hyperfitting.models import load_codec, load_model, tokenizer_traits, turn_end
from hyperfitting.recipe import ModelSettings, parse_recipe
from hyperfitting.stages.draw import fit
from hyperfitting.training import join_processes
from hyperfitting.training.loop import accumulate_gradients
from hyperfitting.training.loss import add_loss, choose_loss
from tests.support.gguf_files import TEMPLATE
from tests.support.recipes import tiny_tree
from tests.support.tiny_models import make_model
from tests.support.tokenizers import byte_level, metaspace

BEGIN_TEMPLATE = "{{ bos_token }}" + TEMPLATE


def with_template(folder, tiny_tokenizer, template, **tokens):
    """A tiny model whose tokenizer has a chat template, and more special tokens."""
    make_model(folder, tiny_tokenizer)
    file = folder / "tokenizer_config.json"
    held = json.loads(file.read_text()) | {"chat_template": template} | tokens
    file.write_text(json.dumps(held))
    return folder


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory, tiny_tokenizer):
    return with_template(tmp_path_factory.mktemp("chat") / "model", tiny_tokenizer, TEMPLATE)


def codec_of(folder, begin="add"):
    return load_codec(ModelSettings(source=str(folder), beginning_of_text=begin))


def chat_recipe(model, corpus, **data):
    tree = tiny_tree(model, corpus)
    tree["data"] |= {"context_format": "chat", "chat_instruction": "go on:"} | data
    return parse_recipe(tree, source="test")


def test_the_frame_is_the_template_around_instruction_and_context(chat_model):
    codec = codec_of(chat_model, "none")
    frame = codec.chat_frame("go on:")
    ids = [*frame.before, *codec.encode("the house"), *frame.after]
    assert codec.tokenizer.decode(ids) == (
        "<|turn|>user\ngo on:\n\nthe house<|end|>\n<|turn|>assistant\n"
    )
    assert frame.after[0] == codec.end_ids[0]  # read as the special token that it is
    assert "".join(codec.shown(ids)) == codec.tokenizer.decode(ids)


INST = "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}"


@pytest.mark.parametrize("make", [byte_level, metaspace])
@pytest.mark.parametrize("template", [TEMPLATE, INST])
def test_the_ids_of_a_chat_are_those_of_its_filled_in_template(tmp_path, make, template):
    """Tokenised piece by piece, blank lines merge, and every piece gets a space in front."""
    codec = codec_of(with_template(tmp_path / "model", make(), template))
    frame = codec.chat_frame("go on:")
    text = codec.encode("the old house was far")[1:]
    space = " " if make is metaspace else ""
    turn = {"role": "user", "content": f"go on:\n\n{space}the old house was far"}
    whole = codec.tokenizer.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    ids = codec.tokenizer(whole, add_special_tokens=False)["input_ids"]
    start = [] if template == INST else list(codec.start_ids)
    assert [*frame.before, *text, *frame.after] == [*start, *ids]


def test_a_tokenizer_whose_ids_depend_on_the_context_is_refused(tmp_path):
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\Athe"), "THE")
    folder = with_template(tmp_path / "model", tokenizer, TEMPLATE)
    with pytest.raises(ModelError, match="gives the words around a context other tokens than"):
        codec_of(folder).chat_frame("go on:")


@pytest.mark.parametrize("template", [TEMPLATE, BEGIN_TEMPLATE])
def test_beginning_of_text_stands_once(tmp_path, tiny_tokenizer, template):
    folder = with_template(tmp_path / "model", tiny_tokenizer, template)
    codec = codec_of(folder)
    before = codec.chat_frame("go on:").before
    assert before[0] == codec.start_ids[0] != before[1]
    none = codec_of(folder, "none").chat_frame("go on:").before
    assert none == (before if template == BEGIN_TEMPLATE else before[1:])  # it is the template's


def test_contexts_of_a_chat_are_equally_long_and_hold_the_texts(chat_model, corpus):
    codec = codec_of(chat_model)
    size = len(codec.chat_frame("go on:"))
    plain = draw_data(chat_recipe(chat_model, corpus, context_format="plain"), codec)
    recipe = chat_recipe(chat_model, corpus, context_tokens=size + 7, block_tokens=size + 40)
    drawn = draw_data(recipe, codec)
    blocks, plain_blocks = drawn.sets[2], plain.sets[2]
    tokens = size + 7 + recipe.generate.new_tokens
    assert blocks.ids_NT.shape == (12, tokens)
    assert drawn.manifest.set_named("pieces").tokens == tokens
    frame = codec.chat_frame("go on:")
    for ids, text in zip(blocks.ids_NT.tolist(), plain_blocks.ids_NT.tolist(), strict=True):
        assert ids[: len(frame.before)] == list(frame.before)
        assert ids[len(frame.before) :][:7] == text[1:8]  # the text without beginning-of-text
        assert ids[len(frame.before) + 7 : size + 7] == list(frame.after)
        assert ids[size + 7 :][: len(text) - 8] == text[8:]
    assert drawn.sets[0].ids_NT[0, 0] == codec.start_ids[0]  # training is on plain text
    assert drawn.sets[0].ids_NT[0, 1] != frame.before[1]


def test_training_blocks_can_be_chats_too(chat_model, corpus):
    codec = codec_of(chat_model)
    frame = codec.chat_frame("go on:")
    recipe = chat_recipe(
        chat_model,
        corpus,
        context_format="plain",
        train_format="chat",
        context_tokens=len(frame) + 8,
        block_tokens=len(frame) + 40,
    )
    for blocks in draw_data(recipe, codec).sets[:2]:
        assert blocks.ids_NT.shape[1] == len(frame) + 40
        assert blocks.ids_NT[0, : len(frame.before)].tolist() == list(frame.before)
        after = blocks.ids_NT[0, len(frame.before) + 8 :][: len(frame.after)]
        assert after.tolist() == list(frame.after)


def test_a_context_without_room_for_the_template_is_refused(chat_model, corpus):
    codec = codec_of(chat_model)
    size = len(codec.chat_frame("go on:"))
    with pytest.raises(DataError, match=f"take {size} of them: set {size + 32}, for a context"):
        draw_data(chat_recipe(chat_model, corpus), codec)


def test_packed_blocks_are_no_chats(chat_model, corpus):
    with pytest.raises(RecipeError, match='"chat" is not for data'):
        chat_recipe(chat_model, corpus, train_format="chat", blocks="packed")


def test_a_model_without_a_template_is_refused(tiny_model, corpus):
    with pytest.raises(ModelError, match="no chat template: set data"):
        codec_of(tiny_model).chat_frame("go on:")


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('no') }}", "its chat template cannot be filled in"),
        ("{% if", "its chat template cannot be filled in"),
        ("{{ messages[0]['role'] }}", "does not write the user's text once"),
        ("{{ messages[0]['content'] | upper }}", "does not write the user's text once as it is"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(tmp_path, tiny_tokenizer, template, words):
    folder = with_template(tmp_path / "model", tiny_tokenizer, template)
    with pytest.raises(ModelError, match=words):
        codec_of(folder).chat_frame("go on:")


def test_a_refused_chat_names_the_model(tiny_model, corpus):
    with pytest.raises(ModelError, match=f"^{tiny_model}: its tokenizer has no chat template"):
        fit(chat_recipe(tiny_model, corpus))


def test_a_token_that_opens_turns_is_told_from_one_that_begins_texts(tmp_path, tiny_tokenizer):
    opening = TEMPLATE.replace("<|turn|>", "<|end|>")
    for template, opens in ((opening, True), (BEGIN_TEMPLATE.replace("<|end|>", ""), False)):
        folder = with_template(tmp_path / str(opens), tiny_tokenizer, template)
        traits = tokenizer_traits(codec_of(folder))
        assert (traits.opens_turns, traits.beginning) == (opens, "<|end|>")
        assert traits.adds_beginning is False
        assert traits.ends == ("<|end|>",)
        assert traits.special == {"<|end|>": 0}
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_loss_of_a_chat_is_that_of_the_assistants_turn(tmp_path, tiny_tokenizer, kind):
    folder = make_model(tmp_path / kind, tiny_tokenizer, kind)
    model = load_model(ModelSettings(source=str(folder)), torch.device("cpu"))
    add_loss(model)
    noise = np.random.default_rng(0)
    ids_NT = noise.integers(1, 300, size=(4, 24), dtype=np.int32)
    ranks = join_processes(torch.device("cpu"))
    loss_of = choose_loss(model, "fp32", ranks.device)
    loss, accuracy = accumulate_gradients(
        loss_of, ids_NT, torch.arange(4), ranks, "fp32", 3, untrained_tokens=9
    )
    gradient = model.get_input_embeddings().weight.grad.clone()
    model.zero_grad()
    ids_BT = torch.as_tensor(ids_NT).long()
    logits_NV, target_N = model(ids_BT).logits[:, 8:-1].flatten(0, 1), ids_BT[:, 9:].flatten()
    expected = cross_entropy(logits_NV, target_N)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert accuracy == pytest.approx(float((logits_NV.argmax(-1) == target_N).float().mean()))
    own = model.get_input_embeddings().weight.grad
    assert torch.allclose(gradient, own, atol=1e-6)


@pytest.mark.parametrize(
    ("template", "end"),
    [(TEMPLATE, "<|end|>"), ("{{ messages[-1]['content'] }}", None)],
)
def test_the_token_that_ends_the_assistants_turn_is_found(tiny_tokenizer, template, end):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = template
    assert turn_end(tokenizer) == (None if end is None else tokenizer.convert_tokens_to_ids(end))


def test_a_template_without_a_turn_of_the_assistant_has_no_end_of_it(tiny_tokenizer):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(ModelError, match="does not write the assistant's text"):
        turn_end(tokenizer)
