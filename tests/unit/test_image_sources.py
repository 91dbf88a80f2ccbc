"""Images of folders, .npz files and data sets: what is read, and what is refused in one line."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from hyperfitting.data.image_sources import read_images
from hyperfitting.errors import DataError
from hyperfitting.recipe import ImageSettings, TextSource
from tests.support.images import noise


def write_files(folder, images, *, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}{suffix}")
    return folder


def read(path, *, side=8, sizes="equal", **fields):
    source = TextSource(**{"path": str(path), "column": "image", **fields})
    return read_images(source, ImageSettings(side=side, sizes=sizes))


def test_a_folder_of_files_grouped_by_folder(tmp_path):
    images = noise(5)
    write_files(tmp_path / "in" / "cats", images[:2])
    write_files(tmp_path / "in" / "dogs", images[2:])
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    found = read(tmp_path / "in", group="folder")
    assert [each.group for each in found.documents] == ["cats"] * 2 + ["dogs"] * 3
    assert [each.title for each in found.documents[:2]] == ["0.png", "1.png"]
    assert found.documents[2].source.endswith("in/dogs/0.png")
    assert (found.documents[4].pixels_HWC == images[4]).all()
    assert found.facts.images.sizes == {"8x8": 5}
    assert found.facts.files_passed_over.names == ("notes.txt",)
    assert len(found.facts.sha256) == 5


def test_a_single_file(tmp_path):
    Image.fromarray(noise(1)[0]).save(tmp_path / "one.jpeg")
    assert len(read(tmp_path / "one.jpeg").documents) == 1


def test_arrays_with_their_labels_as_groups(tmp_path):
    images = noise(4, side=16)
    labels = np.array([3, 1, 3, 1], np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=labels, names=np.array(["x", "y"]))
    found = read(tmp_path / "a.npz", column="images", group="labels")
    assert [each.group for each in found.documents] == ["3", "1", "3", "1"]
    assert found.facts.images.sizes == {"16x16": 4}
    small = Image.fromarray(images[1]).resize((8, 8), Image.Resampling.BILINEAR)
    assert (found.documents[1].pixels_HWC == np.asarray(small)).all()


def test_gray_arrays_are_converted_and_counted(tmp_path):
    np.savez(tmp_path / "a.npz", images=noise(3)[..., 0])
    found = read(tmp_path / "a.npz", column="images")
    assert found.facts.images.converted == {"grayscale": 3}


def test_a_saved_data_set_with_a_column_of_images(tmp_path):
    import datasets

    images = noise(3)
    features = datasets.Features(img=datasets.Image(), label=datasets.Value("int64"))
    held = datasets.Dataset.from_dict(
        {"img": [Image.fromarray(each) for each in images], "label": [0, 1, 0]}, features=features
    )
    held.save_to_disk(tmp_path / "set")
    found = read(tmp_path / "set", column="img", group="label")
    assert [each.group for each in found.documents] == ["0", "1", "0"]
    assert all((a.pixels_HWC == b).all() for a, b in zip(found.documents, images, strict=True))
    held.to_parquet(tmp_path / "set.parquet")
    again = read(tmp_path / "set.parquet", column="img", group="label")
    assert all((a.pixels_HWC == b).all() for a, b in zip(again.documents, images, strict=True))


def one(folder, image, name="0.png"):
    folder.mkdir(exist_ok=True)
    Image.fromarray(image).save(folder / name)
    return folder


def test_other_sizes_are_refused_unless_asked_for(tmp_path):
    folder = one(one(tmp_path / "in", noise(1, side=16)[0]), noise(1, side=12)[0], "1.png")
    said = r"in/1\.png: it is 12x12, and images before it are 16x16: set data\.images\.sizes"
    with pytest.raises(DataError, match=said):
        read(folder)
    found = read(folder, sizes="crop")
    assert found.facts.images.sizes == {"16x16": 1, "12x12": 1}


def test_an_image_that_is_not_square_is_cropped_or_stretched_or_refused(tmp_path):
    wide = np.concatenate([noise(1)[0], noise(1, seed=1)[0]], axis=1)
    folder = one(tmp_path / "in", wide)
    with pytest.raises(DataError, match=r"it is 16x8, not square: set data\.images\.sizes"):
        read(folder)
    assert (read(folder, sizes="crop").documents[0].pixels_HWC == wide[:, 4:12]).all()
    stretched = Image.fromarray(wide).resize((8, 8), Image.Resampling.BILINEAR)
    assert (read(folder, sizes="stretch").documents[0].pixels_HWC == np.asarray(stretched)).all()


def empty_file(folder):
    (one(folder, noise(1)[0]) / "1.png").touch()
    return {}


def broken_file(folder):
    (one(folder, noise(1)[0]) / "1.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    return {}


def other_group(folder):
    one(folder, noise(1)[0])
    return {"group": "label"}


def too_small(folder):
    one(folder, noise(1, side=4)[0])
    return {}


def no_images(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("text")
    return {}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (empty_file, r"in/1\.png: it is empty \(0 bytes\): make or download it again"),
        (broken_file, r"in/1\.jpg: it is damaged, or neither PNG nor JPEG"),
        (other_group, "no field 'label': an image file has only its `folder` as a group"),
        (too_small, "it is 4x4, smaller than data.images.side = 8"),
        (
            no_images,
            "the folder holds no .png, .jpg, .jpeg, .npz, .parquet file .*; it holds notes",
        ),
    ],
)
def test_a_folder_with_a_mistake_is_refused(make, said, tmp_path):
    fields = make(tmp_path / "in")
    with pytest.raises(DataError, match=said) as error:
        read(tmp_path / "in", **fields)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": noise(2)}, "no array 'images'; there are: pictures: name one as the source"),
        ({"images": noise(2).astype(float)}, "row 1: it holds float64: store 0 to 255 as uint8"),
        (
            {"images": noise(2)[:, 0, 0]},
            r"has the shape \(2, 3\).*: name another as the",
        ),
        (
            {"images": np.uint8(1)},
            r"'images' has the shape \(\).*: name another",
        ),
        (
            {"images": noise(2), "labels": np.zeros(3)},
            r"'labels' has the shape \(3,\), and there are 2 images: name one of a label for each",
        ),
        ({"images": noise(2), "labels": np.zeros((2, 1))}, r"'labels' has the shape \(2, 1\), and"),
        ({"images": noise(2), "labels": np.zeros(())}, r"'labels' has the shape \(\), and"),
        (
            {"images": noise(2), "labels": np.zeros(2, complex)},
            "row 1: the field 'labels' holds complex, not text or a number: .* the source's group",
        ),
        ({"images": noise(0)}, "no image in it: name a source that holds some"),
    ],
)
def test_a_npz_file_with_a_mistake_is_refused(arrays, said, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    group = "labels" if "labels" in arrays else None
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.npz", column="images", group=group)


def test_an_array_of_groups_that_is_not_there_is_named_beside_all_that_are(tmp_path):
    np.savez(tmp_path / "a.npz", images=noise(2), classes=np.zeros(2))
    said = "no array 'labels'; there are: images, classes: name one as the source's group"
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.npz", column="images", group="labels")


def damaged_stream():
    """A compressed array with bytes in the middle of its stream replaced."""
    file = io.BytesIO()
    np.savez_compressed(file, images=noise(60))
    held = bytearray(file.getvalue())
    held[60:90] = bytes(30)
    return bytes(held)


def single_array():
    file = io.BytesIO()
    np.save(file, noise(2))
    return file.getvalue()


def pickled():
    file = io.BytesIO()
    np.savez(file, images=np.array([{"a": 1}], dtype=object))
    return file.getvalue()


def member(data, **changes):
    """A zip file of one member called as an array, with changes to its entry."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("images.npy", data)
    held = file.getvalue()
    for place, value in changes.items():
        for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = held.index(start) + offset + {"flags": 0, "method": 2}[place]
            held = held[:at] + bytes([value]) + held[at + 1 :]
    return held


def header_of(shape):
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"PK not a zip file",
        pickled,
        damaged_stream,
        single_array,
        lambda: member("text"),
        lambda: member(single_array(), flags=1),
        lambda: member(single_array(), method=99),
        lambda: member(single_array()[:-100]),
    ],
    ids=["no zip", "pickled", "stream", "one array", "text", "encrypted", "compression", "cut"],
)
def test_a_damaged_npz_file_is_refused(make, tmp_path):
    (tmp_path / "a.npz").write_bytes(make())
    with pytest.raises(DataError, match=r"a\.npz: not a \.npz file of plain arrays, or damaged: m"):
        read(tmp_path / "a.npz", column="images")


def test_an_array_that_no_memory_holds_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(member(header_of((2**40, 32, 32, 3))))
    with pytest.raises(DataError, match=r"a\.npz: its arrays do not fit into memory, or it is dam"):
        read(tmp_path / "a.npz", column="images")


@pytest.mark.parametrize("ending", [".npz", ".png"])
def test_packed_files_are_unpacked(ending, tmp_path):
    plain = tmp_path / f"a{ending}"
    if ending == ".npz":
        np.savez(plain, image=noise(1))
    else:
        Image.fromarray(noise(1)[0]).save(plain)
    packed = tmp_path / f"a{ending}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert (read(packed).documents[0].pixels_HWC == noise(1)[0]).all()
    packed.write_bytes(plain.read_bytes())
    with pytest.raises(DataError, match=f"a{ending}.gz: cannot be read: .*not a .gz file"):
        read(packed)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"bytes": None, "path": "a\0b.png"}, r"'a\\x00b\.png' cannot be read \(it names no plain"),
        ({"bytes": None, "path": "a\nb.png"}, r"'a\\nb\.png' cannot be read \(No such file or d"),
        ({"bytes": None, "path": "/dev/null"}, r"'/dev/null' cannot be read \(it names no plain"),
        ({"bytes": None, "path": "/"}, r"'/' cannot be read \(it names no plain file\): correct"),
        ({"bytes": None, "path": "none.png"}, "correct the path, or store the bytes in the data"),
        ({"bytes": None, "path": None}, "neither the bytes of an image nor the path of a file"),
        ([1, 2], "'image' holds list, not an image: name another as the source's column"),
        ("text", "'image' holds str, not an image: name another as the source's column"),
        (None, "no image in it: the field 'image' of all its 1 rows is null: name another"),
    ],
    ids=["NUL", "line end", "device", "folder", "missing", "neither", "list", "text", "null"],
)
def test_a_field_without_an_image_is_refused(held, said, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table({"image": [held]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=said) as error:
        read(tmp_path / "a.parquet")
    assert "\n" not in str(error.value)


def test_a_column_that_is_not_there_is_named_with_its_setting(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    parquet.write_table(pyarrow.table({"img": [b""], "label": [1]}), tmp_path / "a.parquet")
    said = "no field 'image'; there are: img, label: name one as the source's column"
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.parquet")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "none.npz")
