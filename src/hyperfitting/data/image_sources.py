"""Read the images of a source: PNG and JPEG files, the arrays of a .npz file, or a data set with a
column of images.

Shapes: N images, H rows, W columns, C = 3 channels.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperfitting.data.decode import PACKED, optional, read_bytes
from hyperfitting.data.formats import (
    IMAGE_FILES,
    IMAGE_FORMATS,
    SourceRow,
    format_of,
    parquet_rows,
)
from hyperfitting.data.pixels import (
    Picture,
    PictureProblem,
    Pixels,
    decode_picture,
    pixels_of_array,
    resized,
    square_in_the_middle,
)
from hyperfitting.data.rows import RowError, is_null, label_of, value_of
from hyperfitting.data.sources import SourceKind, SourceTexts, read_source, title_of
from hyperfitting.errors import DataError
from hyperfitting.facts import ImageFacts
from hyperfitting.recipe import ImageSettings, TextSource


class _FileRow(dict[str, Any]):
    """The row of a file that is one image: its bytes as `image`, its names as `folder` and
    `title`.
    """


def read_images(source: TextSource, images: ImageSettings) -> SourceTexts:
    """Read every image of a source, at the recipe's size; its facts tell the sizes and kinds that
    were found.

    Raises:
        DataError: one line that names the file or row, and the remedy.
        MissingExtra: Pillow, or a library of the format, is not installed.
    """
    reader = _ImageReader(source, images)
    kind = SourceKind(
        what="image",
        formats=IMAGE_FORMATS,
        in_words=f"{', '.join(IMAGE_FORMATS)} file (also {', '.join(PACKED)})",
        read_rows=reader.rows,
        document=reader.picture,
        prepare=reader.without_decoding,
    )
    read = read_source(source, kind)
    facts = ImageFacts(sizes=dict(reader.sizes), converted=dict(reader.converted))
    return SourceTexts(read.documents, read.facts.model_copy(update={"images": facts}))


class _ImageReader:
    """The rows of a source's files, and the image of each row; counts what it finds."""

    def __init__(self, source: TextSource, images: ImageSettings):
        self._source, self._images = source, images
        self.sizes, self.converted = Counter[str](), Counter[str]()

    def rows(self, file: Path, name: str, inside: bool) -> Iterable[SourceRow]:
        """The rows of one file."""
        kind, data = format_of(file), read_bytes(file, name)
        if kind in IMAGE_FILES:
            folder = file.parent.name if inside else ""
            return [(1, _FileRow(image=data, folder=folder, title=file.name))]
        if kind == ".parquet":
            return parquet_rows(data, name, self._source)
        return _array_rows(data, name, self._source)

    def without_decoding(self, loaded: Any) -> Any:
        """A data set whose images are given as bytes: they are decoded here."""
        image, column = optional("datasets").Image, self._source.column
        if isinstance(getattr(loaded, "features", {}).get(column), image):
            return loaded.cast_column(column, image(decode=False))
        return loaded

    def picture(self, row: Any, name: str, number: int) -> Picture | None:
        """The image of a row; None if its field is null."""
        is_file = isinstance(row, _FileRow)
        column = "image" if is_file else self._source.column
        value = value_of(row, column, name, number)
        if is_null(value):
            return None
        try:
            found = _pixels_of(value, column)
            pixels_HWC = self._fitted(found.pixels_HWC)
        except PictureProblem as problem:
            where = name if is_file else f"{name}, row {number}"
            raise DataError(f"{where}: {problem}") from problem
        if found.converted:
            self.converted[found.converted] += 1
        group, title = self._group(row, name, number), title_of(row, self._source, name, number)
        return Picture(name, number, pixels_HWC, group, title)

    def _group(self, row: dict[str, Any], name: str, number: int) -> str:
        group = self._source.group
        if group is None:
            return f"{name}:{number}"
        if isinstance(row, _FileRow) and group != "folder":
            raise RowError(
                name, number, f"no field {group!r}: an image file has only its `folder` as a group"
            )
        return label_of(row, group, name, number)

    def _fitted(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image at the recipe's size."""
        rows, columns = pixels_HWC.shape[:2]
        size, side, sizes = f"{columns}x{rows}", self._images.side, self._images.sizes
        if min(rows, columns) < side:
            raise PictureProblem(
                f"it is {size}, smaller than data.images.side = {side}: take a model of smaller "
                "images, or leave it out"
            )
        if sizes == "equal":
            self._refuse_other_size(rows, columns, size)
        self.sizes[size] += 1
        return resized(square_in_the_middle(pixels_HWC) if sizes == "crop" else pixels_HWC, side)

    def _refuse_other_size(self, rows: int, columns: int, size: str) -> None:
        ways = (
            'set data.images.sizes = "crop" (the square in the middle) or "stretch", or make all '
            "alike"
        )
        if rows != columns:
            raise PictureProblem(f"it is {size}, not square: {ways}")
        if self.sizes and size not in self.sizes:
            first = next(iter(self.sizes))
            raise PictureProblem(f"it is {size}, and images before it are {first}: {ways}")


def _pixels_of(value: Any, column: str) -> Pixels:
    """The pixels of a field: the bytes of a file, bytes and path as data sets hold them, or an
    array.
    """
    if isinstance(value, dict) and value.keys() >= {"bytes", "path"}:
        value = value["bytes"] if value["bytes"] is not None else _bytes_at(value["path"])
    if isinstance(value, bytes):
        return decode_picture(value)
    if isinstance(value, np.ndarray):
        return pixels_of_array(value)
    raise PictureProblem(
        f"the field {column!r} holds {type(value).__name__}, not an image: name another as the "
        "source's column"
    )


def _bytes_at(path: Any) -> bytes:
    """The bytes of the file that a data set names in the place of bytes."""
    if not isinstance(path, str):
        raise PictureProblem(
            "its field holds neither the bytes of an image nor the path of a file: store the bytes "
            "in the data set"
        )
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a device may never end
            raise ValueError(path)
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError too
        why = getattr(error, "strerror", None) or "it names no plain file"
        raise PictureProblem(
            f"its file {path[:200]!r} cannot be read ({why}): correct the path, or store the bytes "
            "in the data set"
        ) from error


def _array_rows(data: bytes, name: str, source: TextSource) -> Iterator[SourceRow]:
    """The rows of a .npz file: one for each image, with the fields that are arrays of as many
    rows.

    Raises:
        DataError: the file is damaged, or its arrays are not those of the source.
    """
    held = _arrays(data, name, source)
    images = held[source.column]
    _refuse_shapes(held, name, source)
    fields = {key: each for key, each in held.items() if each.shape == images.shape[:1]}
    for number, image in enumerate(images, 1):
        beside = {key: each[number - 1].item() for key, each in fields.items()}
        yield number, {source.column: image, **beside}


def _arrays(data: bytes, name: str, source: TextSource) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file that its source names.

    numpy and zipfile raise errors of nearly every class for damaged bytes, so all of them count.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            _refuse_missing(arrays.files, name, source)
            asked = {source.column, source.group, source.title}
            held = {key: arrays[key] for key in arrays.files if key in asked}
        if not all(isinstance(each, np.ndarray) for each in held.values()):
            raise TypeError("a member of the file is no array")  # numpy gives its bytes then
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(
            f"{name}: its arrays do not fit into memory, or it is damaged: make it again, or make "
            "several smaller ones"
        ) from error
    except Exception as error:
        raise DataError(
            f"{name}: not a .npz file of plain arrays, or damaged: make or download it again"
        ) from error
    return held


def _refuse_missing(there: list[str], name: str, source: TextSource) -> None:
    """Refuse a .npz file without the array of the images, or that of the groups.

    Raises:
        DataError: names the arrays that there are, and the setting.
    """
    for setting, wanted in (("column", source.column), ("group", source.group)):
        if wanted is not None and wanted not in there:
            raise DataError(
                f"{name}: no array {wanted!r}; there are: {', '.join(there)[:300] or 'none'}: name "
                f"one as the source's {setting}"
            )


def _refuse_shapes(held: dict[str, NDArray[Any]], name: str, source: TextSource) -> None:
    """Refuse arrays that are no list of images, or not one label for each.

    Raises:
        DataError: names the array and its shape.
    """
    shape = held[source.column].shape
    if len(shape) < 3:
        raise DataError(
            f"{name}: the array {source.column!r} has the shape {shape}: images, rows, columns and "
            "channels are needed: name another as the source's column, or reshape it"
        )
    group = held.get(source.group or "")
    if group is not None and source.group != source.column and group.shape != shape[:1]:
        raise DataError(
            f"{name}: the array {source.group!r} has the shape {group.shape}, and there are "
            f"{shape[0]:,} images: name one of a label for each as the source's group"
        )
