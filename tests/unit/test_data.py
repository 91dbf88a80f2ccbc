import csv
import gzip
import lzma

import numpy as np
import pytest

from hyperfitting.data import draw_data
from hyperfitting.errors import DataError
from hyperfitting.recipe import parse_recipe
from tests.support.codecs import WordCodec
from tests.support.texts import read
from tests.support.words import write_corpus, write_texts


def recipe_of(tree, **data):
    tree["data"] |= data
    return parse_recipe(tree, source="test")


def test_every_format_gives_the_same_documents(tmp_path):
    texts = ["one, two\nlines", 'a "quoted" é']
    write_texts(tmp_path / "a.jsonl", texts)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress((tmp_path / "a.jsonl").read_bytes()))
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    (tmp_path / "a.txt").write_text("\n\n\n".join(texts) + "\n", encoding="utf-8-sig")
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.xz", "a.csv", "a.txt"):
        assert read(tmp_path / name) == texts, name


def test_a_folder_is_read_whole_and_its_txt_files_are_documents(tmp_path):
    (tmp_path / "b.txt").write_text("second\n\nstill second")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "notes.docx").write_text("not text to train on")
    assert read(tmp_path) == ["first", "second\n\nstill second"]


def test_a_saved_data_set_is_read_through_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"story": ["one", "two"]}).save_to_disk(str(tmp_path / "saved"))
    assert read(tmp_path / "saved", column="story") == ["one", "two"]
    datasets.DatasetDict({"train": datasets.Dataset.from_dict({"story": ["x"]})}).save_to_disk(
        str(tmp_path / "dict")
    )
    assert read(tmp_path / "dict", column="story") == ["x"]
    with pytest.raises(DataError, match="no split 'test' in it"):
        read(tmp_path / "dict", column="story", split="test")


def test_a_hub_name_is_asked_of_the_hub_and_offline_is_one_line():
    pytest.importorskip("datasets")
    with pytest.raises(
        DataError,
        match="nobody/nothing: no such file or folder here, and the hub cannot be reached",
    ):
        read("nobody/nothing")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.jsonl", None, "gone.jsonl: no such file or folder"),
        ("empty.jsonl", b"", "empty.jsonl: no text in it"),
        ("empty.txt", b"  \n\n", "empty.txt: no text in it"),
        ("list.jsonl", b'{"text": "a"}\n[1]\n', "list.jsonl, row 2: not a JSON object"),
        ("half.jsonl", b'{"text": "a"}\n{"text": "b', "half.jsonl, row 2: not JSON"),
        (
            "other.jsonl",
            b'{"body": "a", "title": "b"}\n',
            "row 1: no field 'text'; there are: body, title",
        ),
        ("number.jsonl", b'{"text": 5}\n', "row 1: the field 'text' holds int, not text"),
        ("latin.txt", b"fine\ncaf\xe9\n", "latin.txt, line 2: not UTF-8"),
        (
            "half.jsonl",
            b'{"text": "a"}\n\n{"text": "\\ud800"}\n',
            "row 3: the field 'text' holds half of a surrogate pair",
        ),
        (
            "bits.jsonl.gz",
            gzip.compress(b"x" * 500, mtime=0)[:12] + b"\xff" * 30,
            "bits.jsonl.gz: cannot be read",
        ),
        ("cut.jsonl.gz", gzip.compress(b"x" * 500, mtime=0)[:-9], "cut.jsonl.gz: cannot be read"),
        ("false.jsonl.xz", b"not xz", "false.jsonl.xz: cannot be read"),
        (
            "picture.png",
            b"x",
            "picture.png: not a .txt, .md, .jsonl, .json, .csv, .tsv, .parquet file (also .gz",
        ),
        ("quote.csv", b'text\n"open', "quote.csv, line 2: not CSV"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_texts_says_so(tmp_path):
    with pytest.raises(
        DataError, match=r"the folder holds no \.txt, \.md, \.jsonl, \.json, \.csv, \.tsv, "
    ):
        read(tmp_path)


def test_sets_are_drawn_by_seed_and_share_no_document(tree):
    drawn = draw_data(recipe_of(tree), WordCodec())
    again = draw_data(recipe_of(tree), WordCodec())
    rows = [[origin.row for origin in blocks.origins] for blocks in drawn.sets]
    assert rows == [[origin.row for origin in blocks.origins] for blocks in again.sets]
    assert [len(each) for each in rows] == [16, 4, 12]
    assert len(set().union(*rows)) == 32
    tree["seed"] = 1
    other = draw_data(recipe_of(tree), WordCodec())
    assert rows[0] != [origin.row for origin in other.sets[0].origins]


def test_a_block_is_the_first_tokens_with_one_beginning_of_text(tree):
    train = draw_data(recipe_of(tree), WordCodec()).sets[0]
    assert train.ids_NT.shape == (16, 32)
    assert train.ids_NT.dtype == np.int32
    assert (train.ids_NT[:, 0] == 0).all()
    assert (train.ids_NT[:, 1:] != 0).all()


def test_groups_are_never_split(tree, tmp_path):
    path = write_corpus(tmp_path / "books.jsonl", documents=120, words=60, groups=12)
    recipe = recipe_of(
        tree,
        train={"path": str(path), "group": "book"},
        shares=[0.5, 0.2, 0.3],
        train_blocks=30,
        validation_blocks=10,
    )
    sets = draw_data(recipe, WordCodec()).sets
    groups = [set(blocks.groups) for blocks in sets]
    assert len(set().union(*groups)) == sum(map(len, groups))
    assert sum(map(len, groups)) <= 12
    assert len(groups[0]) == 6


def test_too_few_groups_to_split_is_one_line(tree, tmp_path):
    path = write_corpus(tmp_path / "books.jsonl", documents=60, words=60, groups=2)
    with pytest.raises(
        DataError, match="2 group\\(s\\) in the field 'book' cannot be split into 3 parts"
    ):
        draw_data(recipe_of(tree, train={"path": str(path), "group": "book"}), WordCodec())


def test_too_few_long_documents_says_how_many_there_are(tree, tmp_path):
    path = write_corpus(tmp_path / "short.jsonl", documents=40, words=10)
    with pytest.raises(
        DataError,
        match="'train' needs 16 documents of at least 32 tokens, and there are 0 among the 40",
    ):
        draw_data(recipe_of(tree, train={"path": str(path)}), WordCodec())


def test_a_leaking_text_of_our_own_split_is_left_out_and_named(tree, tmp_path):
    path = write_corpus(tmp_path / "twice.jsonl", documents=20, words=60)
    path.write_text(path.read_text() * 3)  # every document three times
    recipe = recipe_of(
        tree, train={"path": str(path)}, train_blocks=8, validation_blocks=4, domains=[]
    )
    drawn = draw_data(recipe, WordCodec())
    texts = [tuple(ids) for blocks in drawn.sets for ids in blocks.ids_NT.tolist()]
    assert len(set(texts[8:])) == len(texts[8:]) or set(texts[:8]).isdisjoint(texts[8:])
    assert set(texts[:8]).isdisjoint(texts[8:])
    left_out = drawn.manifest.sets[1].leaks_left_out
    assert left_out
    assert left_out[0].title.startswith("Piece")
    assert len(left_out[0].words.split()) == 13


def test_a_leaking_set_that_the_user_chose_fails(tree):
    path = tree["data"]["train"]["path"]
    with pytest.raises(
        DataError, match=r"row \d+: the set 'news' leaks: it shares '.*' with a text that trains"
    ):
        draw_data(
            recipe_of(tree, domains=[{"name": "news", "count": 40, "source": {"path": path}}]),
            WordCodec(),
        )


def test_leaks_of_a_set_that_the_user_chose_are_left_out_and_named_if_the_recipe_says_so(tree):
    path = tree["data"]["train"]["path"]
    news = {"name": "news", "count": 16, "source": {"path": path}, "leaks": "leave-out"}
    drawn = draw_data(recipe_of(tree, domains=[news]), WordCodec())
    train, _, held = ({tuple(ids) for ids in each.ids_NT.tolist()} for each in drawn.sets)
    assert len(held) == 16
    assert train.isdisjoint(held)
    left_out = drawn.manifest.set_named("news").leaks_left_out
    assert left_out
    assert {each.source for each in left_out} == {path}


def test_reported_contexts_do_not_stand_in_validation_either(tree, tmp_path):
    other = write_corpus(tmp_path / "other.jsonl", documents=30, words=60, seed=9)
    contexts = [{"name": "same", "count": 30, "source": {"path": str(other)}}]
    with pytest.raises(DataError, match="the set 'same' leaks"):
        draw_data(
            recipe_of(tree, validation={"path": str(other)}, validation_blocks=5, domains=contexts),
            WordCodec(),
        )


def test_two_sets_of_one_source_share_its_documents(tree, tmp_path):
    other = write_corpus(tmp_path / "other.jsonl", documents=30, words=60, seed=9)
    contexts = [
        {"name": name, "count": 15, "source": {"path": str(other)}} for name in ("odd", "even")
    ]
    odd, even = draw_data(recipe_of(tree, domains=contexts), WordCodec()).sets[2:]
    assert {origin.row for origin in odd.origins} | {origin.row for origin in even.origins} == set(
        range(1, 31)
    )


def test_packed_documents_that_leak_are_left_out_and_named(tree, tmp_path):
    path = write_corpus(tmp_path / "twice.jsonl", documents=20, words=60)
    path.write_text(path.read_text() * 3)
    packed = {
        "train": {"path": str(path)},
        "blocks": "packed",
        "train_blocks": 24,
        "validation_blocks": 4,
    }
    drawn = draw_data(recipe_of(tree, **packed, domains=[]), WordCodec())
    words = [
        set(zip(*(ids[start:] for start in range(13)), strict=False))
        for ids in drawn.sets[0].ids_NT.tolist()
    ]
    for ids in drawn.sets[1].ids_NT.tolist():
        for run in zip(*(ids[start:] for start in range(13)), strict=False):
            assert 0 in run or not any(run in each for each in words)
    assert drawn.manifest.sets[1].leaks_left_out
    assert drawn.manifest.sets[0].leaks_left_out == ()


def test_packed_blocks_run_on_and_cite_where_they_begin(tree, tmp_path):
    texts = [" ".join(f"w{d}x{i}" for i in range(15)) for d in range(12)]
    path = write_texts(tmp_path / "few.jsonl", texts)
    recipe = recipe_of(
        tree,
        train={"path": str(path)},
        blocks="packed",
        train_blocks=3,
        validation_blocks=1,
        domains=[],
    )
    train, validation = draw_data(recipe, WordCodec()).sets
    # Each document is 16 tokens with its beginning, so a block of 32 begins with every second
    # document.
    assert (train.ids_NT[:, [0, 16]] == 0).all()
    assert (
        len(
            {origin.row for origin in train.origins} | {origin.row for origin in validation.origins}
        )
        == 4
    )
    with pytest.raises(
        DataError,
        match="'train' needs 300 blocks of 32 tokens, and the documents make 6, end to end, of "
        "the 12 left",
    ):
        draw_data(recipe_of(tree, train_blocks=300), WordCodec())
