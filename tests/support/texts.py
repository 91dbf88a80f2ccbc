"""Text sources for tests: written in any format, read, or refused."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import lzma

import pytest

from hyperfitting.data.sources import read_texts
from hyperfitting.errors import HyperfittingError
from hyperfitting.recipe import TextSource

PACKERS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".GZ": gzip.compress}


def zstd():
    try:
        return importlib.import_module("compression.zstd")
    except ModuleNotFoundError:
        return pytest.importorskip("backports.zstd")


def read(path, **settings):
    return [
        document.text for document in read_texts(TextSource(path=str(path), **settings)).documents
    ]


def facts(path, **settings):
    return read_texts(TextSource(path=str(path), **settings)).facts


def problem(path, **settings):
    """The one line with which a source is refused."""
    with pytest.raises(HyperfittingError) as caught:
        read(path, **settings)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def table(rows, delimiter=","):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([["id", "text"], *enumerate(rows)])
    return file.getvalue()


def parquet(path, rows):
    pyarrow = pytest.importorskip("pyarrow")
    importlib.import_module("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def written(kind, texts):
    rows = [{"text": text} for text in texts]
    return {
        ".txt": lambda: texts[0],
        ".md": lambda: texts[0],
        ".jsonl": lambda: lines(rows),
        ".json": lambda: json.dumps(rows, ensure_ascii=False, indent=1),
        ".csv": lambda: table(texts),
        ".tsv": lambda: table(texts, "\t"),
        ".CSV": lambda: table(texts, ";"),
    }[kind]()
