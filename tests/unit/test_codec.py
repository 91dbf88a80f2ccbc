"""What turns text into ids: its fingerprint, the ids that end a text, and ids that the model has no
row for.
"""

import json
from functools import lru_cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from hyperfitting.errors import ModelError
from hyperfitting.models import TextCodec, load_codec, load_scoring_model
from hyperfitting.recipe import ModelSettings
from tests.support import loading
from tests.support.folders import edit_json, without_ends
from tests.support.loading import model_settings
from tests.support.own_code import OWN_TOKENIZER
from tests.support.tiny_models import make_model, tiny_config
from tests.support.tokenizers import KINDS, POLICIES, byte_level, unigram


def load(folder, **changes):
    return load_codec(model_settings(folder, **changes))


def problem(folder):
    message = loading.problem(folder, load_codec)
    assert message.startswith(f"{folder}: ")
    return message.removeprefix(f"{folder}: ")


# The fingerprint.


def test_the_fingerprint_tells_policies_and_tokenizers_apart(tiny_model):
    added, none = load(tiny_model), load(tiny_model, beginning_of_text="none")
    assert len({added.fingerprint, none.fingerprint, load("asset:reference-lm").fingerprint}) == 3
    bare = TextCodec(AutoTokenizer.from_pretrained(tiny_model), [0], beginning_of_text="add")
    assert added.fingerprint == bare.fingerprint


TRUNCATION = {"direction": "Right", "max_length": 7, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 12},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "<|end|>",
}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "<|end|>", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [0], "tokens": ["<|end|>"]}},
}


@pytest.mark.parametrize(
    "beside",
    [{"truncation": TRUNCATION}, {"padding": PADDING}, {"post_processor": TEMPLATE}],
    ids=lambda each: next(iter(each)),
)
def test_what_does_not_turn_text_into_ids_is_not_in_the_fingerprint(model_copy, tiny_model, beside):
    edit_json(model_copy / "tokenizer.json", **beside)
    changed, plain = load(model_copy), load(tiny_model)
    text = "the river was looked at again and again"
    assert changed.fingerprint == plain.fingerprint
    assert changed.encode(text) == plain.encode(text)
    assert changed.fingerprint == load(model_copy).fingerprint
    assert len(changed.encode(text)) > 7


def normaliser(rules):
    rules["normalizer"] = {"type": "Lowercase"}


def pre_tokeniser(rules):
    rules["pre_tokenizer"]["add_prefix_space"] = True


def decoder(rules):
    rules["decoder"] = {"type": "Fuse"}


def merges(rules):
    rules["model"]["merges"] = rules["model"]["merges"][::-1]


def vocabulary(rules):
    words = rules["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]


def added_token(rules):
    rules["added_tokens"].append(
        {**rules["added_tokens"][0], "id": rules["model"]["vocab"]["x"], "content": "x"}
    )


@pytest.mark.parametrize(
    "change", [normaliser, pre_tokeniser, decoder, merges, vocabulary, added_token]
)
def test_what_turns_text_into_ids_is_in_the_fingerprint(model_copy, tiny_model, change):
    rules = json.loads((model_copy / "tokenizer.json").read_text())
    change(rules)
    (model_copy / "tokenizer.json").write_text(json.dumps(rules))
    assert load(model_copy).fingerprint != load(tiny_model).fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_does_not_change_the_fingerprint(tmp_path, kind):
    tokenizer = KINDS[kind]()
    edited = make_model(tmp_path / "model", tokenizer)
    edit_json(edited / "tokenizer.json", truncation=TRUNCATION)
    codec, before = load(edited), load(edited).fingerprint
    codec.encode("the river")
    codec.decode([5, 6])
    codec.tokenizer(
        "the river",
        truncation=True,
        max_length=3,
        padding="max_length" if tokenizer.pad_token else False,
    )
    assert codec.fingerprint == before


def test_what_is_switched_off_is_told(model_copy):
    edit_json(model_copy / "tokenizer.json", truncation=TRUNCATION, padding=PADDING)
    rules = json.loads((model_copy / "tokenizer.json").read_text())
    rules["model"]["dropout"] = 0.5
    (model_copy / "tokenizer.json").write_text(json.dumps(rules))
    codec = load(model_copy)
    assert codec.switched_off == (
        "truncation to 7 tokens",
        "padding",
        "random merges (dropout 0.5)",
    )
    assert len({tuple(codec.encode("the window of the house in winter")) for _ in range(9)}) == 1
    assert load(model_copy).fingerprint == codec.fingerprint


# What ends a text.


@pytest.mark.parametrize(
    ("tokenizer", "config", "generation", "expected"),
    [
        ("<|end|>", 0, None, (0,)),
        ("<|end|>", 0, [7, 9], (0, 7, 9)),
        ("<|end|>", [5, 0], 7, (0, 5, 7)),
        (None, 3, None, (3,)),
        (None, None, 4, (4,)),
        ("<|end|>", None, [], (0,)),
    ],
)
def test_end_ids_are_the_union_of_what_the_three_name(
    model_copy, tokenizer, config, generation, expected
):
    without_ends(model_copy)
    edit_json(model_copy / "tokenizer_config.json", eos_token=tokenizer)
    if config is not None:
        edit_json(model_copy / "config.json", eos_token_id=config)
    edit_json(model_copy / "generation_config.json", eos_token_id=generation, temperature=0.3)
    assert load(model_copy).end_ids == expected


def test_without_a_generation_config_the_others_count(model_copy):
    (model_copy / "generation_config.json").unlink()
    assert load(model_copy).end_ids == (0,)


def test_no_end_of_text_anywhere(model_copy):
    assert "the tokenizer has no end-of-text token, and the model's configs name none" in problem(
        without_ends(model_copy)
    )


@pytest.mark.parametrize("text", ["{bad", "", "[1]", "null", '"x"'])
def test_a_damaged_generation_config(model_copy, text):
    (model_copy / "generation_config.json").write_text(text)
    assert problem(model_copy).startswith("generation_config.json is damaged (")


@pytest.mark.parametrize("value", ["x", [0, "x"], 1.5, True, {"a": 1}, [[0]]])
def test_an_end_that_is_no_id(model_copy, value):
    edit_json(model_copy / "generation_config.json", eos_token_id=value)
    expected = (
        f"generation_config.json: eos_token_id = {json.dumps(value)} is neither a token id nor a "
        "list of them"
    )
    assert problem(model_copy) == expected


def test_the_default_of_a_configs_class_ends_no_text(model_copy):
    """Llama's class says 2, which is its own tokenizer's end and another one's word."""
    edit_json(model_copy / "config.json", eos_token_id=None)
    assert load_codec(ModelSettings(source=str(model_copy))).end_ids == (0,)
    assert "no end-of-text token, and the model's configs name none" in problem(
        without_ends(model_copy)
    )


@pytest.mark.parametrize("value", [320, -1, [0, 9999]])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_an_end_that_the_model_has_no_row_for(model_copy, name, value):
    edit_json(model_copy / name, eos_token_id=value)
    last = value[-1] if isinstance(value, list) else value
    assert problem(model_copy) == f"{name}: eos_token_id = {last}, and the model's ids are 0 to 319"


def test_ends_are_shown_with_their_tokens(model_copy):
    edit_json(model_copy / "generation_config.json", eos_token_id=[0, 319, 321])
    edit_json(model_copy / "config.json", vocab_size=330)
    last = next(token for token, each in byte_level().get_vocab().items() if each == 319)
    assert load(model_copy).ends_in_words() == f"0 '<|end|>', 319 {last!r}, 321"


# Special tokens in texts.


def codec_of(tokenizer, policy="add"):
    return TextCodec(tokenizer, [tokenizer.eos_token_id], beginning_of_text=policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_string_of_a_special_token_is_text(kind, policy):
    tokenizer = KINDS[kind]()
    codec = codec_of(tokenizer, policy)
    for token in (tokenizer.bos_token, tokenizer.eos_token):
        ids = codec.encode(f"old {token} river{token}")
        assert ids[: len(codec.start_ids)] == list(codec.start_ids)
        assert not {tokenizer.bos_token_id, tokenizer.eos_token_id} & set(
            ids[len(codec.start_ids) :]
        )
        assert "".join(codec.pieces(ids)) == codec.decode(ids)


def test_a_special_tokens_string_comes_back_as_it_was():
    codec = codec_of(byte_level())
    assert codec.decode(codec.encode("one <|end|> two<|end|>")) == "one <|end|> two<|end|>"


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_texts_without_special_tokens_are_the_tokenizers_own(kind):
    tokenizer = KINDS[kind]()
    tokenizer.add_tokens(["Mr. River"])  # ordinary, and kept whole
    codec = codec_of(tokenizer, "none")
    for text in ("the river", "Mr. River was old", "  two\n\nlines", "日本語 <s", "naïve 🙂"):
        assert codec.encode(text) == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(tokenizer) - 1 in codec.encode("Mr. River was old")


@pytest.mark.parametrize("text", ["a </s> b", "<s>old</s>"])
def test_a_tokenizer_that_cannot_read_it_as_text_refuses_it(text):
    codec = codec_of(unigram())
    assert 0 not in codec.encode("an old river")
    with pytest.raises(
        ModelError, match=r"the text holds '</?s>', which this tokenizer can read only as a special"
    ):
        codec.encode(text)


def test_python_tokenizers_read_it_as_text_or_refuse_it(tmp_path):
    """One character a token: the letters of </s> that it knows; one word a token: the word is the
    special token.
    """
    namespace = {}
    exec(OWN_TOKENIZER, namespace)  # the code that a model folder holds
    characters = codec_of(namespace["OwnTokenizer"](), "none")
    assert characters.decode(characters.encode("a</s>b")) == "asb"
    assert characters.tokenizer.eos_token_id not in characters.encode("a</s>b")

    class Words(namespace["OwnTokenizer"]):
        def _tokenize(self, text, **_):
            return text.split()

    with pytest.raises(ModelError, match="the text holds '</s>'"):
        codec_of(Words(), "none").encode("a </s> b")


def test_an_end_that_the_tokenizer_takes_for_an_ordinary_added_token_is_refused():
    """As in models whose generation_config.json alone says that it ends a text."""
    tokenizer = byte_level()
    tokenizer.add_tokens(["<|eot|>"])
    codec = TextCodec(tokenizer, [0, 320], beginning_of_text="add")
    with pytest.raises(
        ModelError, match=r"the text holds '<\|eot\|>', which this tokenizer can read only as"
    ):
        codec.encode("the river <|eot|> again")
    ids = [*codec.encode("the river"), 320, 0, 5]
    assert "".join(codec.pieces(ids)) == codec.decode(ids)
    assert "<|eot|>" in codec.decode(ids)


def test_unknown_characters_are_no_special_tokens_even_where_one_id_stands_for_both():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({"<e>": 0, "the": 1, "river": 2}, unk_token="<e>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    codec = codec_of(
        PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<e>", eos_token="<e>")
    )
    assert codec.encode("the naïve river") == [0, 1, 0, 2]


@pytest.mark.parametrize("make", [*KINDS.values(), unigram])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_pieces_join_to_the_decoded_text_with_special_tokens_anywhere(make, data):
    codec = _codecs(make)
    ids = data.draw(
        st.lists(st.integers(0, len(codec.tokenizer) - 1) | st.sampled_from([0, 1, 2]), max_size=12)
    )
    pieces = codec.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == codec.decode(ids)


@lru_cache
def _codecs(make):
    return codec_of(make())


# Rows of the embeddings.


def save_with(folder, **added):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if "tokens" in added:
        tokenizer.add_tokens(added.pop("tokens"))
    tokenizer.add_special_tokens(added)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "added", [{"tokens": ["Mr."]}, {"eos_token": "<e>"}, {"pad_token": "<p>"}, {"bos_token": "<b>"}]
)
def test_a_token_more_than_the_model_has_rows(model_copy, added):
    token = next(iter(added.values()))
    token = token[0] if isinstance(token, list) else token
    message = problem(save_with(model_copy, **added))
    assert message.startswith(
        f"the tokenizer has 321 tokens (the last is {token!r}), the model 320: resize_token_emb"
    )
    with pytest.raises(ModelError, match="the tokenizer has 321 tokens"):
        load_scoring_model(str(model_copy), torch.device("cpu"))


def test_what_counts_is_the_largest_id_not_how_many_there_are(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordLevel({"<e>": 0, "the": 1, "river": 500}, unk_token="<e>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<e>", eos_token="<e>")
    LlamaForCausalLM(tiny_config("llama", 320)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert problem(tmp_path).startswith(
        "the tokenizer has ids up to 500 (the last is 'river'), the model 320: "
    )
    edit_json(tmp_path / "config.json", vocab_size=501)
    codec = load(tmp_path)
    assert codec.encode("the river") == [0, 1, 500]
    assert len(codec.word_boundaries.ends_V) == 501
    assert codec.word_boundaries.ends_V[500]


def test_a_model_may_have_rows_that_no_token_uses(model_copy):
    edit_json(model_copy / "config.json", vocab_size=384)
    codec = load(model_copy)
    assert codec.rows == len(codec.word_boundaries.begins_V) == 384
    assert not codec.word_boundaries.begins_V[320:].any()
    assert codec.decode([*codec.encode("the river"), 383]) == "the river"


def test_a_token_that_its_class_alone_adds_is_in_no_ones_way(tmp_path):
    """transformers gives every tokenizer of a Qwen2 model an <|endoftext|>, in its files or not."""
    source = make_model(tmp_path / "model", byte_level(), "qwen2")
    codec = load(source)
    assert len(codec.tokenizer) == 321
    assert max(codec.encode("the river")) < 320
    assert max(codec.encode("the river<|endoftext|>")) < 320


@pytest.mark.parametrize("policy", POLICIES)
def test_qwen_as_it_is_published(tmp_path, policy):
    """Its chats end with one token, its texts with another, and only generation_config.json names
    both.
    """
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})
    config = Qwen2Config(
        vocab_size=384,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        eos_token_id=320,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    edit_json(
        tmp_path / "generation_config.json",
        eos_token_id=[320, 321],
        do_sample=True,
        temperature=0.7,
    )
    codec = load(tmp_path, beginning_of_text=policy)
    assert codec.end_ids == (320, 321)
    assert codec.ends_in_words() == "320 '<|im_end|>', 321 '<|endoftext|>'"
