"""GGUF files: which one is meant, and what it holds (door to gguf)."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hyperfitting.errors import ModelError, name_the_extra

_BEGINNING = b"GGUF"
FACTORS = "rope_freqs.weight"
"""The tensor that holds factors of the frequencies of positions."""
_VERSIONS = (2, 3)
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")
"""Settings of a file's tokenizer that name a token which ends a text or a turn."""


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file holds beside its weights.

    `tensor_types` counts the tensors of each type of quantisation, `values` all numbers in them.
    `tokens` is the size of its tokenizer's vocabulary. `settings` are the file's metadata without
    its lists, and `lists` the names of these. `rope_factors` are those of the tensor
    `rope_freqs.weight`, by which Llama 3.1 and later divide the frequencies of positions.
    """

    path: Path
    tensor_types: dict[str, int]
    values: int
    tokens: int
    settings: dict[str, Any]
    lists: frozenset[str]
    rope_factors: tuple[float, ...]

    @property
    def architecture(self) -> str:
        """The architecture by llama.cpp's name, such as `llama`."""
        return str(self.settings.get("general.architecture"))

    def of_model(self, name: str) -> Any:
        """A setting of the model, such as `context_length`; None if the file has none."""
        return self.settings.get(f"{self.architecture}.{name}")

    @property
    def end_ids(self) -> dict[str, int | None]:
        """The ids that end a text or a turn, by the setting that names each."""
        names = (f"tokenizer.ggml.{name}" for name in _ENDS)
        return {name: self.settings.get(name) for name in names}


def tokenizer_in_words(file: GgufFile) -> str:
    """The kind of the file's tokenizer, and how it splits texts into words, as llama.cpp names
    them; with a warning where transformers does not know the latter.
    """
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    kind, split = (
        str(file.settings.get(f"tokenizer.ggml.{name}", "")) for name in ("model", "pre")
    )
    known = kind != "gpt2" or split in ("", "default", "gpt-2", *GGUF_PRE_TOKENIZER_SPLITS)
    return f"{kind} {split}".strip() + ("" if known else " (not known: split as GPT-2's)")


def gguf_files(folder: Path) -> list[Path]:
    """The files in a folder that are GGUF files by their names."""
    return sorted(each for each in folder.iterdir() if each.suffix.lower() == ".gguf")


def gguf_in(path: Path) -> Path | None:
    """The GGUF file that a local path means: the file itself, or the only one of a folder without a
    config.json.

    Raises:
        ModelError: the folder holds several, or one that is no file.
    """
    if path.is_file():
        return path
    if not path.is_dir() or (path / "config.json").is_file():
        return None
    named = gguf_files(path)
    files = [each for each in named if each.is_file()]
    if len(files) > 1:
        names = ", ".join(each.name for each in files)
        raise ModelError(f"it holds several GGUF files ({names}): name one of them in model.source")
    if named and not files:
        raise ModelError(
            f"{named[0].name} in it is a folder, or a link to nothing: put a file there"
        )
    return files[0] if files else None


def read_gguf(path: Path) -> GgufFile:
    """What the file holds. It is read once in a process, unless it changes.

    Raises:
        ModelError: it is no GGUF file, damaged, or one part of several; or it holds no tokenizer,
            or a quantisation that cannot be read.
        MissingExtra: the package gguf is not installed.
    """
    state = path.stat()
    return _read_once(path.resolve(), state.st_size, state.st_mtime_ns)


@cache
def _read_once(path: Path, *state: int) -> GgufFile:
    reader = _reader(path)
    lists = {name for name, field in reader.fields.items() if len(field.types) > 1}
    settings = {
        name: field.contents() for name, field in reader.fields.items() if name not in lists
    }
    if not settings.get("general.architecture"):
        raise ModelError("the GGUF file names no architecture: take another one")
    if settings.get("split.count", 1) > 1:
        raise ModelError("it is one of several GGUF files of a model: join them with llama.cpp")
    if "tokenizer.ggml.tokens" not in lists:
        raise ModelError("the GGUF file holds no tokenizer: take one that has it")
    _refuse_unknown_types(reader.tensors)
    factors = (each.data for each in reader.tensors if each.name == FACTORS)
    return GgufFile(
        path=path,
        tensor_types=dict(Counter(each.tensor_type.name for each in reader.tensors).most_common()),
        values=sum(int(each.n_elements) for each in reader.tensors),
        tokens=len(reader.fields["tokenizer.ggml.tokens"].data),
        settings=settings,
        lists=frozenset(lists),
        rope_factors=tuple(map(float, next(factors, ()))),
    )


def _reader(path: Path) -> Any:
    """The file as the package gguf reads it."""
    _refuse_other_formats(path)
    try:
        importlib.import_module("accelerate")  # transformers loads the weights through it
        from gguf import GGUFReader
    except ModuleNotFoundError as error:
        raise name_the_extra(error) from error
    try:
        return GGUFReader(path)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError, MemoryError) as error:
        raise ModelError("the GGUF file is damaged or truncated: download it again") from error


def _refuse_other_formats(path: Path) -> None:
    """Refuse what is no GGUF file by its first bytes, or one of a version that is not read."""
    with path.open("rb") as file:
        beginning, version = file.read(len(_BEGINNING)), file.read(4)
    if beginning != _BEGINNING:
        raise ModelError("it is a file, and no GGUF file: name a folder, or another file")
    if len(version) < 4 or int.from_bytes(version, "little") in _VERSIONS:
        return
    if int.from_bytes(version, "big") in (1, *_VERSIONS):
        raise ModelError("the GGUF file is big-endian, which is not read: take a little-endian one")
    number = int.from_bytes(version, "little")
    remedy = "update gguf" if number > max(_VERSIONS) else "convert the model anew with llama.cpp"
    raise ModelError(f"the GGUF file is of version {number} of the format, not read here: {remedy}")


def _refuse_unknown_types(tensors: list[Any]) -> None:
    """Dequantise a row of each type, to find those that the reader lacks."""
    from gguf import dequantize

    first = {each.tensor_type: each for each in reversed(tensors)}
    for kind, tensor in first.items():
        try:
            dequantize(tensor.data[:1], kind)
        except NotImplementedError as error:
            raise ModelError(
                f"the tensor {tensor.name} is quantised as {kind.name}, which the package gguf "
                "cannot read: take a file in another quantisation, or update gguf"
            ) from error
