"""Bytes and formats: whatever people keep texts in comes back as it is, or is refused in one
line.
"""

import codecs
import gzip
import json
import lzma
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.texts import PACKERS, parquet, problem, read, table, written, zstd

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(TEXT, min_size=1, max_size=4),
    kind=st.sampled_from([".txt", ".md", ".jsonl", ".json", ".csv", ".tsv", ".CSV"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-32-be"]),
    packing=st.sampled_from(list(PACKERS)),
)
@example(texts=["A\x0cB\x0bC\x85D\u2028E\x1cF\u2029G"], kind=".txt", encoding="utf-8", packing="")
@example(texts=["A\r\nB\rC", "\r"], kind=".jsonl", encoding="utf-16", packing=".GZ")
@example(texts=[" indented\x0c ", ""], kind=".csv", encoding="utf-8-sig", packing=".xz")
def test_a_text_comes_back_from_each_format_and_encoding_up_to_line_ends(
    texts, kind, encoding, packing
):
    mark = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-32-be": codecs.BOM_UTF32_BE}.get(encoding, b"")
    plain = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    if encoding == "utf-8" and kind in (".txt", ".md") and texts[0].startswith("\ufeff"):
        plain[0] = plain[0][1:]  # written so, it is a mark
    if kind in (".txt", ".md"):
        plain = [plain[0].strip("\n")] if plain[0].strip() else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{kind}{packing}"
        path.write_bytes(PACKERS[packing](mark + written(kind, texts).encode(encoding)))
        if plain:
            assert read(path, **({"documents": "file"} if kind in (".txt", ".md") else {})) == plain
        else:
            assert problem(path).endswith("no text in it: name a source that holds some")


def test_all_formats_and_packings_lie_side_by_side_in_a_folder(tmp_path):
    packers = {**PACKERS, ".zst": zstd().compress, ".Xz": lzma.compress}
    for number, (packing, pack) in enumerate(packers.items()):
        for kind in (".txt", ".MD", ".jsonl", ".Json", ".csv", ".TSV"):
            text = f"{kind} {number}"
            same = {".MD": ".md", ".Json": ".json", ".TSV": ".tsv"}.get(kind, kind)
            (tmp_path / f"{number}{kind}{packing}").write_bytes(
                pack(written(same, [text]).encode("utf-8-sig"))
            )
    parquet(tmp_path / "p.PARQUET", [{"text": "parquet"}])
    assert len(set(read(tmp_path))) == len(packers) * 6 + 1


def test_a_file_of_several_packed_parts_is_read_to_its_end(tmp_path):
    for packing, pack in {
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".zst": zstd().compress,
    }.items():
        path = tmp_path / f"a.txt{packing}"
        path.write_bytes(pack(b"one\n\n") + pack(b"two"))
        assert read(path) == ["one", "two"]


# Encodings and line ends


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text",
    ["It was late.\nThe end\n" * 9, "Поздний вечер, и дождь\n" * 9, "我喜欢在海边散步\n" * 9],
)
def test_a_wide_encoding_without_its_mark_is_refused_with_the_command_that_converts_it(
    tmp_path, encoding, text
):
    path = tmp_path / "un marked.txt"
    path.write_bytes(text.encode(encoding))
    words = problem(path)
    assert f"un marked.txt, line 1: it looks like {encoding[:6].upper()} without a mark" in words
    convert(words)
    assert read(tmp_path / "un marked-utf8.txt", documents="file") == [text.strip()]


def convert(words):
    """Run the command that a message ends in, in the folder of the file."""
    command = words[words.index("iconv") :] if "| iconv" not in words else words.rpartition(": ")[2]
    path = (
        next(Path(part) for part in words.split("'") if part.startswith("/"))
        if "'" in command
        else None
    )
    folder = (
        path.parent
        if path
        else Path(next(part for part in command.split() if part.startswith("/"))).parent
    )
    subprocess.run(["sh", "-c", command], cwd=folder, check=True)


@pytest.mark.skipif(not os.path.exists("/usr/bin/iconv"), reason="no iconv here")
@pytest.mark.parametrize("packing", ["", ".gz", ".xz"])
def test_a_file_of_windows_is_refused_with_the_command_that_converts_it(tmp_path, packing):
    path = tmp_path / f"old.txt{packing}"
    path.write_bytes(PACKERS[packing](b"fine\r\nand a caf\xe9 \x93quoted\x94\r\n"))
    words = problem(path)
    assert f"old.txt{packing}, line 2: not UTF-8: convert the file" in words
    assert "iconv -f WINDOWS-1252 -t UTF-8" in words
    convert(words)
    assert read(tmp_path / "old-utf8.txt") == ["fine\nand a café “quoted”"]


def test_other_bytes_that_are_no_text(tmp_path):
    def of(data):
        (tmp_path / "a.txt").write_bytes(data)
        return problem(tmp_path / "a.txt")

    assert "line 3: it holds a NUL character, which is not text" in of(
        b"one\rtwo\r\nthr\0ee and more\n" + b"x" * 99
    )
    assert "a.txt, line 1: it looks like UTF-16 without a mark" in of(b"I\0c\0e\0")
    assert "line 1: it holds a NUL" in of(b"A\0B")
    assert "line 1: it holds a NUL" in of("\ufeffa\0bc".encode())
    assert "line 2: it holds a NUL" in of("a\nb\0".encode("utf-16"))
    assert "line 2: damaged UTF-16" in of("a\nb".encode("utf-16") + b"\x00")
    assert "line 1: damaged UTF-32" in of("ab".encode("utf-32") + b"\xff\xff\xff\xff")
    assert "line 1: it ends in the middle of a UTF-8 character" in of("été café".encode()[:-1])
    assert "iconv -f WINDOWS-1252" in of(
        b"one caf\xe9"
    )  # the first half of two bytes in UTF-8, whole elsewhere
    assert "line 1: not UTF-8: convert the file, from the encoding in which it was saved" in of(
        "日本語".encode("shift_jis") + b"\x81"
    )


def test_a_utf16_table_of_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("text\ttitle\nété, hiver\tA\n", encoding="utf-16")
    (tmp_path / "b.jsonl.gz").write_bytes(
        gzip.compress(b"\xef\xbb\xbf" + b'{"text": "one"}\r\n{"text": "two"}\r\n')
    )
    assert read(tmp_path / "a.csv") == ["été, hiver"]
    assert read(tmp_path / "b.jsonl.gz") == ["one", "two"]


def test_line_ends_are_newlines_and_all_else_stays_alone_and_in_a_folder(tmp_path):
    text = "A\x0cB\r\nC\x85D\rE\u2028F\x0bG\x1cH\x0c\nI"
    plain = "A\x0cB\nC\x85D\nE\u2028F\x0bG\x1cH\x0c\nI"
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (tmp_path / "a.txt", folder / "a.txt", folder / "b.md"):
        path.write_bytes(text.encode())
    (folder / "c.jsonl").write_text(json.dumps({"text": text}))
    (folder / "d.csv").write_bytes(table([text]).encode())
    parquet(folder / "e.parquet", [{"text": text}])
    assert read(tmp_path / "a.txt") == [plain]
    assert read(folder) == [plain] * 5


def test_nul_and_halves_of_characters_written_as_escapes_are_refused_by_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n{"text": "a\\u0000b"}\n')
    assert problem(path).startswith(f"{path}, row 2: the field 'text': it holds a NUL")
    path.write_text('{"text": "fine", "title": "\\u0000"}\n')
    assert "row 1: the field 'title': it holds a NUL" in problem(path)
    path.write_text('{"text": "fine", "title": "\\ud800"}\n')
    assert "row 1: the field 'title' holds half of a surrogate pair" in problem(path)
    parquet(tmp_path / "b.parquet", [{"text": "one"}, {"text": "a\0b"}])
    assert "b.parquet, row 2: the field 'text': it holds a NUL" in problem(tmp_path / "b.parquet")


# Formats


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a"}, {"text": "b"}]',
        '{"version": 1, "names": ["x"], "rows": [{"text": "a"}, {"text": "b"}]}',
        '{"text": "a"}\n\n{"text": "b"}\n',
    ],
)
def test_json_is_an_array_or_an_object_with_one_or_lines(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert read(tmp_path / "a.json") == ["a", "b"]


def test_one_json_object_is_a_row_of_its_own(tmp_path):
    (tmp_path / "a.json").write_text('{\n "text": "a",\n "notes": [{"by": "me"}]\n}')
    assert read(tmp_path / "a.json") == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.json",
            '{"a": [{"text": "x"}], "b": [{"text": "y"}]}',
            "give an array of objects, an object with one such",
        ),
        ("a.json", '"text"', "a.json: not JSON with rows"),
        ("a.json", '["x"]', "a.json, row 1: not a JSON object with named fields"),
        (
            "a.json",
            '[\n{"text": "x"},\n{"text": y}]',
            "a.json, line 3: not JSON, from character 10 on",
        ),
        ("a.json", "[" * 100_000, "a.json: not JSON that can be read"),
        ("a.json", "", "a.json: no text in it"),
        ("a.json", '{"rows": []}', "row 1: no field 'text'; there are: rows"),
        (
            "a.jsonl",
            '[\n{"text": "x"}]',
            "row 1: not a JSON object with named fields, but a JSON array: give one object a",
        ),
        ("a.jsonl", '[{"text": "x"}]', "or name the file .json"),
        (
            "a.jsonl",
            '{"text": "x"}\n{"text": "y"',
            "a.jsonl, row 2: not JSON, from character 13 on",
        ),
        (
            "a.jsonl",
            '{"text": ' + "9" * 5000 + "}",
            "row 1: not JSON that can be read: a number too long",
        ),
        (
            "a.csv",
            "text\nHello, world\n",
            "a.csv, row 1: more fields than the header names: put texts that hold the",
        ),
        (
            "a.csv",
            'text\n"a" b\n',
            "a.csv, line 2: not CSV: a quotation mark is not closed, or text follows it",
        ),
        ("a.csv", "text,text\nx,y\n", "row 1: the field 'text' holds list, not text"),
        ("a.csv", "", "a.csv: no text in it"),
        ("a.csv", "text\n", "a.csv: no text in it"),
        ("a.txt", " \n\x0c\n\u3000\n", "a.txt: no text in it"),
        (
            "a.parquet",
            "PAR1 no table",
            "a.parquet, after row 0: not a complete Parquet file, or damaged",
        ),
        ("a.tar.gz", "", "a.tar.gz: not a .txt, .md, .jsonl, .json"),
        ("a", "x", "a: not a .txt, .md, .jsonl, .json"),
    ],
)
def test_what_is_not_of_its_format_is_refused_by_file_and_row(tmp_path, name, content, words):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert words in problem(tmp_path / name)


def test_a_table_tells_its_delimiter_by_its_header(tmp_path):
    path = tmp_path / "a.csv"
    for content in (
        "id;text\n1;one, two, three\n",
        'id\ttext\n1\t"one, two, three"\n',
        'id,text\n1,"one, two, three"\n',
    ):
        path.write_text(content)
        assert read(path) == ["one, two, three"]
    path.write_text('"a;b;c",text\nx,one\n')
    assert read(path) == ["one"]
    path.write_text("text\none\n")
    assert read(path) == ["one"]


def test_parquet_is_read_with_the_columns_that_are_asked_for(tmp_path):
    rows = [
        {"data": {"text": f"{n}", "more": 1}, "n": n, "a.b": "literal", "list": ["x"]}
        for n in range(2500)
    ]
    path = parquet(tmp_path / "a.parquet", rows)
    assert read(path, column="data.text") == [str(n) for n in range(2500)]
    assert read(path, column="a.b")[:2] == ["literal", "literal"]
    assert "row 1: no field 'text'; there are: data, n, a.b, list" in problem(path)
    assert "row 1: the field 'n' holds int, not text" in problem(path, column="n")
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert len(read(tmp_path / "b.parquet.gz", column="data.text")) == 2500
    path.write_bytes(path.read_bytes()[:-40])
    assert "not a complete Parquet file, or damaged" in problem(path)


@pytest.mark.parametrize("packing", [".gz", ".xz", ".zst"])
def test_a_damaged_or_cut_packed_file_is_one_line(tmp_path, packing):
    whole = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd().compress}[packing](
        os.urandom(3000)
    )
    spoilt = (
        [whole[:50] + b"\xff" * 60 + whole[110:]] if packing != ".zst" else []
    )  # which may come without checksum
    for data in (whole[:-100], whole[:5], b"not packed", *spoilt):
        path = tmp_path / f"a.jsonl{packing}"
        path.write_bytes(data)
        assert (
            f"a.jsonl{packing}: cannot be read: damaged, truncated, or not a {packing} file"
            in problem(path)
        )


def test_a_missing_extra_is_one_line(tmp_path):
    for name, module, extra in (("a.txt.zst", "backports", "zst"), ("a.parquet", "pyarrow", "hub")):
        (tmp_path / name).write_bytes(b"x")
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _WITHOUT.format(modules=[module, "compression"]),
                "measure",
                str(tmp_path / name),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            done.stderr == f"hyperfit: this needs {module}, which is not installed: pip install "
            f"'hyperfitting[{extra}]'\n"
        )


_WITHOUT = """
import sys
from hyperfitting.cli import main
for name in {modules}:
    sys.modules.update({{name: None, name + ".zstd": None, name + ".parquet": None}})
sys.exit(main())
"""
