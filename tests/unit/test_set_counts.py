"""What is told of each set: repeats, near repeats, leaks, characters that the tokenizer loses,
special tokens.
"""

import random
import unicodedata
from functools import partial

import pytest
from transformers import PreTrainedTokenizerFast

from hyperfitting.cli.text import check_lines
from hyperfitting.data import draw_data
from hyperfitting.errors import DataError
from hyperfitting.models import TextCodec
from hyperfitting.recipe import parse_recipe
from hyperfitting.stages.check import check_recipe
from tests.support.refusals import refusal
from tests.support.tokenizers import unigram
from tests.support.words import sentence, write_texts

not_drawn = partial(refusal, DataError, draw_data)
CHINESE = (
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。" * 8
)


@pytest.fixture(scope="module")
def english():
    """A tokenizer of lower-case words and marks that drops what it does not know, as
    TinyStories-656K does.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    letters = "abcdefghijklmnopqrstuvwxyz .,"
    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2, **{each: i for i, each in enumerate(letters, 3)}}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Split(Regex("."), "isolated"), decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    return TextCodec(tokenizer, [1], beginning_of_text="add")


def texts(count, words=60, seed=0):
    random_ = random.Random(seed)
    return [sentence(random_, words) for _ in range(count)]


def recipe_of(tree, path, **data):
    tree["data"] |= {"train": {"path": str(path)}, **data}
    return parse_recipe(tree, source="test")


def counts(drawn, name="train"):
    return next(each for each in drawn.manifest.sets if each.name == name)


# Repeats.


@pytest.mark.parametrize("blocks", ["first", "packed"])
def test_a_repeated_document_is_passed_over_and_counted(tree, tmp_path, codec, blocks):
    rows = [*texts(20), *texts(20), *texts(10)]
    path = write_texts(tmp_path / "t.jsonl", rows)
    recipe = recipe_of(
        tree,
        path,
        validation_blocks=2,
        blocks=blocks,
        train_blocks=14 if blocks == "first" else 40,
        domains=[],
    )
    drawn = draw_data(recipe, codec)
    found = counts(drawn)
    assert found.repeated > 0
    if blocks == "first":
        assert found.documents_seen == 14 + found.repeated
        assert len({tuple(ids) for ids in drawn.sets[0].ids_NT.tolist()}) == 14
    assert counts(drawn, "validation").leaked == len(counts(drawn, "validation").leaks_left_out)


def test_near_repeats_inside_a_set_are_counted_and_drawn(tree, tmp_path, codec):
    rows = texts(16)
    rows[8:] = [f"Once {row}" for row in rows[:8]]
    path = write_texts(tmp_path / "t.jsonl", rows)
    validation = {"path": str(write_texts(tmp_path / "v.jsonl", texts(9, seed=5)))}
    found = counts(draw_data(recipe_of(tree, path, validation=validation, domains=[]), codec))
    assert (found.blocks, found.repeated, found.near_repeated) == (16, 0, 8)


def test_a_held_out_text_that_nearly_repeats_a_training_text_leaks(tree, tmp_path, codec):
    rows = texts(16, words=150)
    path = write_texts(tmp_path / "t.jsonl", rows)
    changed = []
    for row in rows[:9]:  # other words in the block, so that it shares no 13, and few behind it
        words = row.split()
        words[6::50] = ["x"] * len(words[6::50])
        changed.append(" ".join(words))
    validation = {"path": str(write_texts(tmp_path / "v.jsonl", changed))}
    message = not_drawn(recipe_of(tree, path, validation=validation, domains=[]), codec)
    assert "the set 'validation' leaks: it nearly repeats" in message
    assert "t.jsonl, row " in message


@pytest.mark.parametrize("language", ["Chinese", "shorter than a run", "decomposed", "capitals"])
def test_a_chosen_set_that_leaks_is_refused_in_every_spelling(tree, tmp_path, codec, language):
    base = {
        "Chinese": ["".join(random.Random(i).sample(CHINESE, 120)) for i in range(16)],
        "shorter than a run": [
            " ".join(f"word{i}number{j}ofthisparticulartext" for j in range(4)) for i in range(16)
        ],
        "decomposed": [" ".join(f"é{i}à{j}" for j in range(60)) for i in range(16)],
        "capitals": texts(16),
    }[language]
    spelt = {"decomposed": lambda text: unicodedata.normalize("NFD", text), "capitals": str.upper}
    size = 80 if language == "decomposed" else 32  # two bytes a mark
    path = write_texts(tmp_path / "t.jsonl", base)
    other = write_texts(tmp_path / "v.jsonl", [spelt.get(language, str)(each) for each in base])
    message = not_drawn(
        recipe_of(tree, path, validation={"path": str(other)}, domains=[], block_tokens=size), codec
    )
    assert "the set 'validation' leaks: it shares" in message


# Characters that the tokenizer loses.


def test_lost_characters_are_counted_and_shown(tree, tmp_path, english):
    path = write_texts(tmp_path / "t.jsonl", [f"{'ab ' * 5}%\t{text}" for text in texts(60)])
    found = counts(draw_data(recipe_of(tree, path, lost_characters=0.2), english)).characters
    assert (found.texts, found.texts_changed, found.added) == (16, 16, 0)
    assert found.lost_most == {"%": 16, "\t": 16}
    assert found.lost_by_kind == {"punctuation": 16, "white space": 16}
    assert found.characters == 16 * 31  # a block of 32 tokens with its beginning


def test_a_set_that_loses_too_much_is_refused_unless_it_may(tree, tmp_path, english):
    rows = [f"{'ab%' * 3}{text}" for text in texts(60)]
    path = write_texts(tmp_path / "t.jsonl", rows)
    message = not_drawn(recipe_of(tree, path), english)
    assert message.startswith(f"{path}: the set 'train': the model's tokenizer loses ")
    assert "% of 496 characters" in message
    assert "('%' 48)" in message
    assert message.endswith("correct the texts, or raise data.lost_characters = 0.02")
    assert (
        counts(draw_data(recipe_of(tree, path, lost_characters=0.1), english)).characters.lost == 48
    )


@pytest.mark.parametrize("blocks", ["first", "packed", "passages"])
def test_a_script_that_the_tokenizer_does_not_know_is_named_as_the_reason(
    tree, tmp_path, english, blocks
):
    """Its unknown characters have ids or none, but no text; either way the texts are not called too
    short.
    """
    path = write_texts(tmp_path / "t.jsonl", [CHINESE[i:] for i in range(60)])
    message = not_drawn(recipe_of(tree, path, blocks=blocks), english)
    assert "loses 100.00% of " in message
    assert "too few" not in message
    assert "give it more text" not in message


@pytest.mark.parametrize("blocks", ["first", "packed", "passages"])
@pytest.mark.parametrize("documents", [1, 60])
def test_a_tokenizer_without_a_token_for_what_it_does_not_know(tree, tmp_path, blocks, documents):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    raw = Tokenizer(
        models.BPE({"<s>": 0, "</s>": 1, **{each: i for i, each in enumerate("abcdefgh ", 2)}}, [])
    )
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Metaspace(" "), decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    codec = TextCodec(tokenizer, [1], beginning_of_text="add")
    path = write_texts(tmp_path / "t.jsonl", [CHINESE[i:] for i in range(documents)])
    assert "the model's tokenizer loses" in not_drawn(recipe_of(tree, path, blocks=blocks), codec)


# Strings of special tokens.


@pytest.mark.parametrize("blocks", ["first", "packed", "passages"])
def test_strings_of_special_tokens_are_no_tokens_in_any_block(tree, tmp_path, codec, blocks):
    path = write_texts(
        tmp_path / "t.jsonl", [text.replace(" the ", " <|end|> ", 2) for text in texts(60)]
    )
    sets = draw_data(recipe_of(tree, path, blocks=blocks), codec).sets
    if blocks == "packed":
        sets = sets[2:]  # in packed blocks a document may begin anywhere
    assert sets
    for each in sets:
        assert (each.ids_NT[:, 0] == 0).all()
        assert (each.ids_NT[:, 1:] != 0).all()


@pytest.mark.parametrize("blocks", ["first", "packed", "passages"])
def test_a_row_that_holds_what_cannot_be_text_is_named(tree, tmp_path, blocks):
    rows = [text.replace("m", "n") for text in texts(60)]
    rows[11] = f"a </s> b {rows[11]}"
    path = write_texts(tmp_path / "t.jsonl", rows)
    tokenizer = unigram()
    codec = TextCodec(tokenizer, [2], beginning_of_text="add")
    recipe = recipe_of(
        tree, path, validation_blocks=2, blocks=blocks, train_blocks=50, lost_characters=1.0
    )
    message = not_drawn(recipe, codec)
    assert message.startswith(
        f"{path}, row 12: the text holds '</s>', which this tokenizer can read only as a special"
    )


# `check` says so.


def test_check_says_what_became_of_the_texts(tree, tmp_path):
    rows = [
        *texts(60),
        *texts(30),
        *(f"Once {row}" for row in texts(60)[:20]),
        *(["too short"] * 30),
    ]
    path = write_texts(tmp_path / "t.jsonl", rows)
    said = check_lines(
        check_recipe(recipe_of(tree, path, domains=[{"name": "own", "count": 5}]), tmp_path / "out")
    )
    assert "documents: " in said
    assert " too short, " in said
    assert "fewer than 10 groups: its values get no intervals" in said
    assert "near-repeated" in said


def test_check_warns_where_most_documents_are_too_short(tree, tmp_path):
    path = write_texts(tmp_path / "t.jsonl", [*texts(60), *(["too short"] * 300)])
    said = check_lines(check_recipe(recipe_of(tree, path), tmp_path / "out"))
    assert (
        "more than half are too short for a block: choose other data.blocks, or lower "
        "data.block_tokens" in said
    )
