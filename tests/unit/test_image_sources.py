"""Images of folders, .npz files and data sets: what is read, and what is refused in one line."""

from __future__ import annotations

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
        (no_images, "the folder holds no .png, .jpg, .jpeg, .npz, .parquet file; it holds notes"),
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
        ({"images": noise(2)[:, 0, 0]}, r"has the shape \(2, 3\)"),
        ({"images": noise(2), "labels": np.zeros(3)}, "no field 'labels'; there are: images"),
        ({"images": noise(0)}, "no image in it"),
    ],
)
def test_a_npz_file_with_a_mistake_is_refused(arrays, said, tmp_path):
    np.savez(tmp_path / "a.npz", **arrays)
    group = "labels" if "labels" in arrays else None
    with pytest.raises(DataError, match=said):
        read(tmp_path / "a.npz", column="images", group=group)


def test_a_damaged_or_pickled_npz_file_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK not a zip file")
    np.savez(tmp_path / "b.npz", images=np.array([{"a": 1}], dtype=object))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(DataError, match=r"not a \.npz file of plain arrays, or damaged"):
            read(tmp_path / name, column="images")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        read(tmp_path / "none.npz")
