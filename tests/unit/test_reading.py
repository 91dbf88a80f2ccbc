"""One reader: whatever people keep texts in comes back as it is, or is refused in one line that
says what to do.
"""

import os
import socket

import pytest

from hyperfitting.cli import main
from hyperfitting.data.sources import read_texts
from hyperfitting.errors import DataError, HyperfittingError
from hyperfitting.facts import PassedOver
from hyperfitting.recipe import TextSource, parse_settings
from tests.support.texts import facts, lines, parquet, problem, read

# Fields, nulls, and at most three lines for one mistake


def test_fields_inside_fields(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(lines([{"data": {"text": "inner"}, "resps": [["first", "second"]]}]))
    assert read(path, column="data.text") == ["inner"]
    assert read(path, column="resps.0.1") == ["second"]
    assert "no field 'resps.0.2'; there are: data, resps" in problem(path, column="resps.0.2")
    assert "the field 'data' holds dict, not text" in problem(path, column="data")
    path.write_text(
        lines(
            [{"data.text": "literal", "data": {"text": "inner"}}, {"data": None, "data.text": "x"}]
        )
    )
    assert read(path, column="data.text") == ["literal", "x"]


def test_a_group_or_title_may_be_a_number(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        lines([{"text": "a", "book": group, "title": 1984} for group in (7, 7.5, "x", True)])
    )
    documents = read_texts(TextSource(path=str(path), group="book")).documents
    assert [each.group for each in documents] == ["7", "7.5", "x", "true"]
    assert {each.title for each in documents} == {"1984"}
    for group, kind in ((None, "null"), ([1], "list"), ({}, "dict")):
        path.write_text(lines([{"text": "a", "book": group}]))
        assert f"row 1: the field 'book' holds {kind}, not text or a number" in problem(
            path, group="book"
        )
    path.write_text(lines([{"text": "a", "title": title} for title in (None, [1], {})]))
    assert [each.title for each in read_texts(TextSource(path=str(path))).documents] == ["", "", ""]


def test_nulls_are_counted_and_passed_over(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(lines([{"text": "a"}, {"text": None}, {"text": float("nan")}, {"text": ""}]))
    assert read(path) == ["a", ""]
    found = facts(path)
    assert (found.rows, found.nulls, found.documents) == (4, 2, 2)
    parquet(tmp_path / "b.parquet", [{"text": "a"}, {"text": None}])
    assert facts(tmp_path / "b.parquet").nulls == 1
    (tmp_path / "c.csv").write_text("title,text\nA,one\nB\n")
    assert facts(tmp_path / "c.csv").nulls == 1
    path.write_text(lines([{"text": None}] * 3))
    assert problem(path).endswith(
        "no text in it: the field 'text' of all its 3 rows is null: name another as the source's "
        "column"
    )


def test_one_mistake_in_many_rows_is_at_most_three_lines(tmp_path):
    def told(rows):
        path, said = tmp_path / "a.jsonl", []
        path.write_text(lines([{"text": "fine"}, *rows]))
        assert len(read_texts(TextSource(path=str(path)), on_warning=said.append).documents) == 1
        return said

    many = told([{"body": "x"}] * 5000)
    assert [line.partition("a.jsonl")[2] for line in many[:2]] == [
        f", row {row}: no field 'text'; there are: body: name one as the source's column"
        for row in (2, 3)
    ]
    assert many[2:] == ["... and 4,998 more rows: no field 'text'"]
    three = told([{"body": "x"}, {"other": "x"}, {}])
    assert [line.partition("row ")[2][0] for line in three] == ["2", "3", "4"]
    assert len(told([{"body": "x"}] * 9 + [{"text": 1}] * 9 + [[1]] * 9)) == 9


def test_one_mistake_in_each_of_many_files_is_three_lines_too(tmp_path):
    for number in range(20):
        (tmp_path / f"{number:02d}.jsonl").write_text('{"text": "a"}\n{"text": "b"\n')
    said = []
    assert len(read_texts(TextSource(path=str(tmp_path)), on_warning=said.append).documents) == 20
    assert len(said) == 3
    assert said[2] == "... and 18 more rows: not JSON"


# Folders


def test_a_folder_is_what_a_person_sees_in_it(tmp_path):
    folder, real = tmp_path / "f", tmp_path / "real"
    for path in (folder / ".ipynb_checkpoints", folder / ".git", folder / "v1.txt", real):
        path.mkdir(parents=True)
    (folder / "a.txt").write_text("one\n")
    (folder / ".ipynb_checkpoints" / "a-checkpoint.txt").write_text("old")
    (folder / ".git" / "x.txt").write_text("git")
    (folder / "._a.txt").write_bytes(b"\0\5\26\7")
    (folder / "B.TXT").write_text("two")
    (folder / "c.JSONL").write_text('{"text": "three"}')
    (real / "d.txt").write_text("four")
    (folder / "linked").symlink_to(real)
    (folder / "again.txt").symlink_to(real / "d.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (folder / "lost.txt").symlink_to(tmp_path / "nowhere")
    (folder / "notes.docx").write_text("x")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # a socket's name is short
        made.bind("socket.txt")
    assert read(folder) == ["one", "four", "two", "three"]  # a.txt, again.txt, B.TXT, c.JSONL
    found = facts(folder)
    assert found.files_read == 4
    assert found.files_passed_over == PassedOver(
        count=4, names=("lost.txt", "notes.docx", "pipe.txt", "socket.txt")
    )
    assert set(found.sha256) == {"B.TXT", "a.txt", "c.JSONL", "again.txt"}
    assert read(folder / "B.TXT") == ["two"]
    assert "pipe.txt: not a .txt" in problem(folder / "pipe.txt")


def test_a_hidden_folder_that_is_named_is_read(tmp_path):
    folder = tmp_path / ".cache" / "texts"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    assert read(folder) == ["one"]
    assert read(tmp_path / ".cache" / "texts" / "a.txt") == ["one"]
    assert "the folder holds no .txt" in problem(tmp_path)


def test_equal_names_in_two_folders_keep_a_hash_each(tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(name)
    found = facts(tmp_path).sha256
    assert set(found) == {"x/1.txt", "y/1.txt"}
    assert len(set(found.values())) == 2


def test_no_more_than_twenty_names_are_kept_of_what_is_passed_over(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    for number in range(50):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    passed = facts(tmp_path).files_passed_over
    assert (passed.count, len(passed.names)) == (50, 20)
    (tmp_path / "a.txt").unlink()
    assert problem(tmp_path).endswith("(also .gz, .xz, .zst); it holds 0.png, 1.png, 10.png, ...")


def test_empty_files_in_a_folder_hold_no_document(tmp_path):
    for name in ("a.txt", "b.jsonl", "c.csv", "d.json", "e.txt.gz"):
        (tmp_path / name).write_bytes(b"")
    assert problem(tmp_path).endswith("no text in it: name a source that holds some")
    (tmp_path / "f.txt").write_text("one")
    assert read(tmp_path) == ["one"]
    assert facts(tmp_path).files_read == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "a.txt").chmod(0)
    assert problem(tmp_path).endswith("a.txt: cannot be read: Permission denied")


# What a document is


STORY = "<|endoftext|>\nOne.\n\nStill one.\n<|endoftext|>\r\nTwo.\n<|endoftext|>"


def test_a_document_is_a_paragraph_a_file_or_what_stands_between_separators(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    path.parent.mkdir()
    path.write_bytes(STORY.encode())
    paragraphs = ["<|endoftext|>\nOne.", "Still one.\n<|endoftext|>\nTwo.\n<|endoftext|>"]
    whole = [STORY.replace("\r", "")]
    assert (
        read(path)
        == read(path, documents="paragraph")
        == read(path.parent, documents="paragraph")
        == paragraphs
    )
    assert read(path.parent) == read(path, documents="file") == whole
    between = {"documents": "separator", "separator": "<|endoftext|>"}
    assert read(path, **between) == read(path.parent, **between) == ["One.\n\nStill one.", "Two."]
    assert read(path, documents="separator", separator="\r\nTwo.") == [
        part.strip("\n") for part in whole[0].split("\nTwo.")
    ]


def test_a_separator_that_stands_nowhere_is_a_mistake(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo")
    between = {"documents": "separator", "separator": "<|eot|>"}
    words = problem(tmp_path / "a.txt", **between)
    assert words.endswith("a.txt: the separator '<|eot|>' does not occur in it: check `separator`")
    (tmp_path / "b.txt").write_text("three<|eot|>four")
    assert read(tmp_path, **between) == ["one\n\ntwo", "three", "four"]


def test_what_a_document_is_cannot_be_said_of_rows(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    assert 'documents = "file" is for .txt and .md files, and there is none' in problem(
        tmp_path, documents="file"
    )


@pytest.mark.parametrize(
    "tree",
    [{"documents": "separator"}, {"separator": "x"}, {"documents": "file", "separator": "x"}],
)
def test_a_separator_and_its_use_go_together(tree):
    with pytest.raises(
        HyperfittingError, match='documents = "separator" and separator = '
    ) as caught:
        parse_settings(TextSource, {"path": "a.txt", **tree}, "r.toml")
    assert caught.value.exit_code == 2


def test_text_without_fields_has_no_groups(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    assert problem(tmp_path / "a.txt", group="book").endswith(
        "no field 'book': a .txt or .md file has no fields"
    )


def test_a_reader_of_locked_or_missing_things_never_ends_in_another_error(tmp_path):
    for name in (
        "a\0b.txt",
        "x" * 5000 + ".txt",
        "~nobody-of-that-name/a.txt",
        "no such\nname/at all.txt",
    ):
        with pytest.raises(DataError, match="no such file or folder"):
            read(name)


def test_a_file_name_that_is_no_text_is_one_line(tmp_path, capsys):
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.write_text("one")
    assert problem(tmp_path).endswith(r": the file name 'caf\udce9.txt' is not UTF-8: rename it")
    assert main(["measure", str(path)]) == 2
    assert "is not text in utf-8" in capsys.readouterr().err
    path.rename(tmp_path / os.fsdecode(b"caf\xe9.pdf"))
    (tmp_path / "a.txt").write_text("one")
    assert facts(tmp_path).files_passed_over.names == ("caf?.pdf",)


def test_a_file_is_of_the_format_of_the_name_that_it_is_given_by(tmp_path, capsys):
    (tmp_path / "blob").write_text(lines([{"text": "one two"}, {"text": None}]))
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "blob")
    assert read(tmp_path / "a.jsonl") == ["one two"]
    assert main(["measure", str(tmp_path / "a.jsonl")]) == 0
    assert (
        "a.jsonl: 1 of 2 rows hold a null for a text, and are passed over"
        in capsys.readouterr().err
    )


def test_empty_texts_of_a_measured_file_are_at_most_three_lines(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_text(lines([{"text": "one two"}, *[{"text": " "}] * 5000]))
    assert main(["measure", str(path)]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "empty" in line]
    assert said == [
        f"{path}, row 2: an empty text",
        f"{path}, row 3: an empty text",
        "... and 4,998 more rows: an empty text",
    ]
