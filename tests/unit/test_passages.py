"""Long texts cut into passages: nothing overlaps, nothing is lost sight of, and whole stretches are
held out.
"""

import json
import re
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfitting.data import draw_data
from hyperfitting.data.passages import Stretch, chapters, cut, paragraph_starts, split
from hyperfitting.errors import DataError, RecipeError
from hyperfitting.models import TextCodec
from hyperfitting.recipe import parse_recipe
from hyperfitting.records import Document
from tests.support.novels import HEADING, novel, write_novel
from tests.support.refusals import refusal
from tests.support.tokenizers import KINDS
from tests.support.words import WORDS, write_corpus

not_drawn = partial(refusal, DataError, draw_data)


def document(text, row=1):
    return Document("novel.txt", row, text, f"novel.txt:{row}", "A Novel")


def stretch(text):
    return Stretch(document(text), 0, len(text), "g")


def recipe_of(tree, path, **data):
    tree["data"] |= {"train": {"path": str(path)}, "blocks": "passages", **data}
    return parse_recipe(tree, source="test")


def places(blocks, codec, text):
    """Where in the text each block of a set stands, checked to be word for word what its ids decode
    to.
    """
    found = []
    for ids in blocks.ids_NT.tolist():
        assert ids[0] == 0
        part = codec.decode(ids)
        assert text.count(part) == 1
        found.append((text.index(part), text.index(part) + len(part)))
    return sorted(found)


def apart(*sets):
    """Sets of places that neither overlap nor interleave."""
    ordered = sorted(place for each in sets for place in each)
    assert all(one[1] <= other[0] for one, other in pairwise(ordered))
    spans = sorted((each[0][0], each[-1][1]) for each in sets)
    return all(one[1] <= other[0] for one, other in pairwise(spans))


# Cutting.


@pytest.mark.parametrize("blank_lines", [True, False])
def test_passages_follow_each_other_and_begin_with_paragraphs_where_they_can(codec, blank_lines):
    text = novel(blank_lines=blank_lines)
    found = list(cut(codec, stretch(text), 128))
    assert [len(each.ids) for each in found] == [128] * len(found)
    assert [codec.decode(each.ids) for each in found] == [
        text[each.start : each.end] for each in found
    ]
    assert apart([(each.start, each.end) for each in found])
    starts = set(paragraph_starts(text))
    assert sum(each.start in starts for each in found) > 0.3 * len(found)
    assert all(each.start in starts or text[each.start - 1].isspace() for each in found)
    between = [other.start - one.end for one, other in pairwise(found)]
    assert max(between) <= 128 * 5 // 4 + 40
    assert sum(each.characters for each in found) > 0.85 * len(text)


def test_a_text_without_any_paragraph_goes_on_at_the_next_word(codec):
    text = " ".join(f"{WORDS[i % 30]}{i}" for i in range(900))
    found = list(cut(codec, stretch(text), 64))
    assert all(other.start - one.end <= 12 for one, other in pairwise(found))
    assert all(text[each.start - 1] == " " for each in found[1:])


@pytest.mark.parametrize("text", ["人人生而自由在尊严和权利上一律平等" * 60, "🙂🙃" * 300])
def test_a_script_without_spaces_goes_on_at_the_next_character(codec, text):
    found = list(cut(codec, stretch(text), 32))
    for one, other in pairwise(found):
        assert (
            0 <= other.start - one.end <= 1
        )  # a character whose bytes the block's end cuts is in neither
        assert codec.decode(one.ids).rstrip("\ufffd") == text[one.start : one.end]
    assert len(text) - found[-1].end < 32


@pytest.mark.parametrize("kind", KINDS)
def test_passages_do_not_overlap_under_tokenizers_that_lose_characters(kind):
    tokenizer = KINDS[kind]()
    codec = TextCodec(tokenizer, [tokenizer.eos_token_id], beginning_of_text="add")
    text = novel(chapters=3).replace(". ", "… % ").replace("the", "The  Naïve")
    found = list(cut(codec, stretch(text), 48))
    assert len(found) > 10
    assert apart([(each.start, each.end) for each in found])
    for each in found:
        again = codec.encode(text[each.start : each.end])
        assert abs(len(again) - 48) <= 2
        assert again[:40] == each.ids[:40]


@given(st.text("ab .\n", max_size=400), st.integers(2, 20))
@settings(max_examples=100, deadline=None)
def test_any_text_is_cut_without_overlap(codec, text, tokens):
    found = list(cut(codec, stretch(text), tokens))
    assert not found or apart([(each.start, each.end) for each in found])
    assert [codec.decode(each.ids) for each in found] == [
        text[each.start : each.end] for each in found
    ]
    if not found:
        assert len(codec.encode(text.strip())) < tokens or not text.strip()


def test_paragraphs_stand_behind_blank_lines_or_are_lines():
    wrapped = "one\ntwo\n\nthree\nfour\n \n\nfive\n"
    assert [wrapped[i:].split()[0] for i in paragraph_starts(wrapped)] == ["one", "three", "five"]
    lines = "\n".join(f"w{i}" for i in range(100))
    assert len(paragraph_starts(lines)) == 100
    assert (
        len(paragraph_starts("one\n\n" + lines)) == 101
    )  # a blank line behind the title changes nothing


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
@settings(deadline=None)
def test_a_split_leaves_nothing_out_and_begins_with_words(one, two, three):
    text = novel(chapters=2)
    parts = split(document(text), [one, two, three])
    assert parts[0][0] == 0
    assert parts[-1][1] == len(text)
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    for (start, end), share in zip(parts, (one, two, three), strict=True):
        assert start == len(text) or start == 0 or text[start - 1].isspace()
        assert (end - start) / len(text) == pytest.approx(share / (one + two + three), abs=0.1)


def test_chapters_have_their_headings_and_what_stands_before_them():
    text = "A title\n\nChapter One\nfirst\n  Chapter  Two \nsecond\n"
    found = chapters(document(text), re.compile("Chapter"))
    assert [each.heading for each in found] == ["", "Chapter One", "Chapter Two"]
    assert "".join(text[each.start : each.end] for each in found) == text
    assert len({each.group for each in found}) == 3


# Drawing.


@pytest.mark.parametrize("blank_lines", [True, False])
@pytest.mark.parametrize("shares", [None, [0.6, 0.2, 0.2]])
def test_one_novel_is_trained_on_and_held_out_without_overlap(
    tree, tmp_path, codec, blank_lines, shares
):
    path = write_novel(tmp_path / "novel.txt", blank_lines=blank_lines)
    text = path.read_text()
    drawn = draw_data(recipe_of(tree, path, shares=shares), codec)
    train, validation, contexts = (places(blocks, codec, text) for blocks in drawn.sets)
    assert (len(train), len(validation), len(contexts)) == (16, 4, 12)
    assert apart(train, validation, contexts)
    kept = [each.passages.kept_characters for each in drawn.manifest.sets]
    assert sum(kept) == pytest.approx(len(text), rel=0.01)
    if shares:
        assert [each / len(text) for each in kept] == pytest.approx(shares, abs=0.03)
    taken = [each.passages.taken_characters for each in drawn.manifest.sets]
    assert taken == [
        sum(end - start for start, end in each) for each in (train, validation, contexts)
    ]
    assert [len(set(each.groups)) for each in drawn.sets] == [1, 1, 1]


def test_draws_follow_the_seed(tree, tmp_path, codec):
    path = write_novel(tmp_path / "novel.txt")
    one, again = (draw_data(recipe_of(tree, path), codec).sets[0] for _ in range(2))
    assert (one.ids_NT == again.ids_NT).all()
    tree["seed"] = 1
    assert not (one.ids_NT == draw_data(recipe_of(tree, path), codec).sets[0].ids_NT).all()


def test_whole_chapters_are_held_out_and_are_the_groups(tree, tmp_path, codec):
    path = write_novel(tmp_path / "novel.txt", chapters=30)
    drawn = draw_data(recipe_of(tree, path, chapter_pattern=HEADING, shares=[0.4, 0.1, 0.5]), codec)
    groups = [set(blocks.groups) for blocks in drawn.sets]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert len(groups[2]) > 5
    text = path.read_text()
    for blocks in drawn.sets:
        for origin, ids in zip(blocks.origins, blocks.ids_NT.tolist(), strict=True):
            chapter = (
                text[: text.index(codec.decode(ids)) + len("CHAPTER 10")]
                .rpartition("CHAPTER ")[2]
                .split()[0]
            )
            assert re.fullmatch(rf"CHAPTER {chapter}, passage \d+", origin.title)


def test_a_passage_is_cited_by_title_row_and_number(tree, tmp_path, codec):
    path = tmp_path / "books.jsonl"
    path.write_text(
        "".join(json.dumps({"title": f"Book {i}", "text": novel(seed=i)}) + "\n" for i in range(3))
    )
    drawn = draw_data(recipe_of(tree, path), codec)
    for blocks in drawn.sets:
        for origin in blocks.origins:
            assert re.fullmatch(rf"Book {origin.row - 1}, passage \d+", origin.title)
        assert len({(origin.row, origin.title) for origin in blocks.origins}) == len(blocks)
    numbers = [{(origin.row, origin.title) for origin in blocks.origins} for blocks in drawn.sets]
    assert not numbers[0] & numbers[1] | numbers[0] & numbers[2] | numbers[1] & numbers[2]
    assert len({origin.row for origin in drawn.sets[0].origins}) == 3


def test_short_documents_are_held_out_whole(tree, tmp_path, codec):
    path = write_corpus(tmp_path / "short.jsonl", documents=60, words=60)
    sets = draw_data(recipe_of(tree, path), codec).sets
    rows = [{origin.row for origin in blocks.origins} for blocks in sets]
    assert not rows[0] & rows[1] | rows[0] & rows[2] | rows[1] & rows[2]


def test_groups_are_never_split_by_passages(tree, tmp_path, codec):
    path = tmp_path / "books.jsonl"
    rows = [
        {"book": f"book {i // 2}", "text": novel(chapters=1, paragraphs=3, seed=i)}
        for i in range(16)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    train = {"path": str(path), "group": "book"}
    sets = draw_data(recipe_of(tree, path, train=train, shares=[0.5, 0.25, 0.25]), codec).sets
    groups = [set(blocks.groups) for blocks in sets]
    assert [len(each) for each in groups] == [4, 2, 2]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


def test_sets_with_sources_of_their_own_take_passages_of_all_of_it(tree, tmp_path, codec):
    path, other = write_novel(tmp_path / "a.txt"), write_novel(tmp_path / "b.txt", seed=1)
    third = write_novel(tmp_path / "c.txt", seed=2)
    contexts = [
        {"name": name, "count": 5, "source": {"path": str(other)}} for name in ("odd", "even")
    ]
    drawn = draw_data(
        recipe_of(tree, path, domains=contexts, validation={"path": str(third)}), codec
    )
    odd, even = (places(blocks, codec, other.read_text()) for blocks in drawn.sets[2:])
    apart(odd, even)  # no passage twice
    assert len({*odd, *even}) == 10
    assert drawn.manifest.sets[0].passages.kept_characters >= len(path.read_text()) - 2


def test_a_folder_of_novels(tree, tmp_path, codec):
    for seed in range(2):
        write_novel(tmp_path / f"{seed}.txt", seed=seed)
    drawn = draw_data(recipe_of(tree, tmp_path), codec)
    assert {origin.source.rsplit("/", 1)[1] for origin in drawn.sets[0].origins} == {
        "0.txt",
        "1.txt",
    }
    assert [each.passages.documents for each in drawn.manifest.sets] == [2, 2, 2]


# What is refused.


def test_too_few_passages_says_how_many_there_are(tree, tmp_path, codec):
    path = write_novel(tmp_path / "novel.txt", chapters=2)
    message = not_drawn(recipe_of(tree, path, train_blocks=1000), codec)
    assert re.search(
        r"the set 'train' needs 1000 passages of 32 tokens, and there are \d\d+ in the [\d,]+ char",
        message,
    )
    assert message.endswith("lower data.train_blocks, change data.shares, or give it more text")


def test_a_document_that_cannot_be_split_says_so(tree, tmp_path, codec):
    (tmp_path / "short.txt").write_text("the river of the house " * 8)
    message = not_drawn(recipe_of(tree, tmp_path / "short.txt"), codec)
    assert "1 document(s) of about 91 tokens in all cannot be split into 3 parts" in message


def test_a_pattern_that_matches_nothing(tree, tmp_path, codec):
    path = write_novel(tmp_path / "novel.txt")
    message = not_drawn(recipe_of(tree, path, chapter_pattern="Kapitel"), codec)
    assert message == f"{path}: data.chapter_pattern = 'Kapitel' matches no line of it"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"chapter_pattern": "("}, "data.chapter_pattern = '(' is not a pattern"),
        (
            {"chapter_pattern": "x", "blocks": "first"},
            'data.chapter_pattern is for data.blocks = "passages"',
        ),
        (
            {"chapter_pattern": "x", "train": {"path": "p", "group": "g"}},
            "both say what is held out",
        ),
        (
            {"shares": [0.0, 0.5, 0.5]},
            "data.shares leaves nothing for a set that is drawn from data.train",
        ),
        (
            {"shares": [0.5, 0.5, 0.0]},
            "data.shares leaves nothing for a set that is drawn from data.train",
        ),
    ],
)
def test_settings_that_do_not_go_together(tree, data, words):
    with pytest.raises(RecipeError) as caught:
        recipe_of(tree, "p", **data)
    assert words in str(caught.value)


def test_too_short_paragraphs_name_the_median_and_the_setting_that_helps(tree, tmp_path, codec):
    path = write_novel(tmp_path / "novel.txt")
    message = not_drawn(
        recipe_of(tree, path, blocks="first", train_blocks=100, block_tokens=128), codec
    )
    assert re.search(r"the median length of the source's documents is \d+ tokens: ", message)
    assert 'data.blocks = "passages"' in message
    assert "lower data.block_tokens" in message
    recipe = recipe_of(tree, path, train_blocks=40, block_tokens=128, validation_blocks=4)
    assert len(draw_data(recipe, codec).sets[0]) == 40


def test_one_document_that_packed_blocks_use_up_is_to_be_cut_into_passages(tree, tmp_path, codec):
    (tmp_path / "folder").mkdir()
    path = write_novel(tmp_path / "folder" / "novel.txt").parent
    message = not_drawn(recipe_of(tree, path, blocks="packed"), codec)
    assert (
        "the set 'validation' needs 4 blocks of 32 tokens, and the documents make 0, end to end, "
        "of the 0" in message
    )
    assert 'data.blocks = "passages"' in message


def test_documents_of_one_block_each_are_not_to_be_cut(tree, tmp_path, codec):
    path = write_corpus(tmp_path / "short.jsonl", documents=20, words=20)
    message = not_drawn(
        recipe_of(tree, path, blocks="first", train_blocks=19, validation_blocks=4), codec
    )
    assert "passages" not in message
    assert message.endswith("lower data.validation_blocks, or give it more text")


def test_passages_of_a_chosen_book_that_leak_are_passed_over_and_counted(tree, tmp_path, codec):
    path, other = write_novel(tmp_path / "a.txt"), tmp_path / "b.txt"
    other.write_text(path.read_text() + novel(seed=1))
    contexts = [{"name": "other", "count": 20, "source": {"path": str(other)}}]
    drawn = draw_data(
        recipe_of(
            tree, path, domains=contexts, train_blocks=100, block_tokens=96, shares=[0.9, 0.1, 0.0]
        ),
        codec,
    )
    facts = drawn.manifest.sets[2]
    assert facts.leaked == len(facts.leaks_left_out) > 0
    trained = " ".join(codec.decode(ids) for ids in drawn.sets[0].ids_NT.tolist())
    assert all(codec.decode(ids) not in trained for ids in drawn.sets[2].ids_NT.tolist())


def test_a_chosen_book_without_such_headings_is_one_chapter(tree, tmp_path, codec):
    path, other = write_novel(tmp_path / "a.txt"), tmp_path / "b.txt"
    other.write_text(novel(seed=1).replace("CHAPTER", "Part"))
    contexts = [{"name": "other", "count": 20, "source": {"path": str(other)}}]
    recipe = recipe_of(tree, path, domains=contexts, chapter_pattern=HEADING)
    assert len(set(draw_data(recipe, codec).sets[2].groups)) == 1
