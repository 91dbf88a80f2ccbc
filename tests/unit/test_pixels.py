"""One image -> pixels: what is converted, and what is refused with its remedy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hyperfitting.data.pixels import (
    PictureProblem,
    decode_picture,
    pixels_of_array,
    resized,
    square_in_the_middle,
)
from tests.support.images import encoded, noise

PIXELS = noise(1)[0]
GRAY = PIXELS[..., 0]
FIRST = tuple(PIXELS[0, 0].tolist())


def with_alpha(alpha: int) -> Image.Image:
    return Image.fromarray(np.dstack([PIXELS, np.full(GRAY.shape, alpha, np.uint8)]))


def test_an_rgb_png_is_its_pixels():
    found = decode_picture(encoded(Image.fromarray(PIXELS)))
    assert (found.pixels_HWC == PIXELS).all()
    assert found.converted == ""


def test_a_jpeg_is_as_pillow_reads_it():
    data = encoded(Image.fromarray(PIXELS), "JPEG", quality=95)
    assert (decode_picture(data).pixels_HWC == np.asarray(Image.open(io.BytesIO(data)))).all()


@pytest.mark.parametrize(
    ("image", "said", "expected"),
    [
        (Image.fromarray(GRAY), "grayscale", np.dstack([GRAY] * 3)),
        (Image.fromarray(PIXELS).quantize(256), "palette", None),
        (with_alpha(255), "opaque alpha", PIXELS),
        (with_alpha(255).convert("LA"), "grayscale, opaque alpha", None),
        (Image.fromarray(GRAY > 127), "black and white", np.dstack([(GRAY > 127) * 255] * 3)),
    ],
    ids=["gray", "palette", "alpha", "gray and alpha", "black and white"],
)
def test_what_loses_nothing_is_converted_and_said(image, said, expected):
    found = decode_picture(encoded(image))
    assert found.converted == said
    assert (found.pixels_HWC == (image.convert("RGB") if expected is None else expected)).all()


def test_a_jpeg_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    data = encoded(Image.fromarray(PIXELS), "JPEG", exif=exif, quality=95)
    found = decode_picture(data)
    assert found.converted == "turned as its EXIF data say"
    assert (found.pixels_HWC == np.asarray(Image.open(io.BytesIO(data)))[::-1, ::-1]).all()


def animated() -> bytes:
    frames = [Image.fromarray(each) for each in noise(2)]
    return encoded(frames[0], save_all=True, append_images=frames[1:])


def two_photos() -> bytes:
    return encoded(
        Image.fromarray(PIXELS), "MPO", save_all=True, append_images=[Image.fromarray(PIXELS)]
    )


def with_exif(exif: bytes) -> bytes:
    """A JPEG with these bytes as its first application segment, past what Pillow would write."""
    plain = encoded(Image.fromarray(PIXELS), "JPEG")
    return plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]


def png_of_16_bits_rgb() -> bytes:
    """A PNG of 16 bits and three channels, which Pillow reads as 8 bits without a word."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(12) for _ in range(2)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", r"it is empty \(0 bytes\)"),
        (b"GIF89a" + bytes(40), "it is damaged, or neither PNG nor JPEG"),
        (encoded(Image.fromarray(PIXELS))[:-30], "it is damaged"),
        (encoded(Image.fromarray(PIXELS), "JPEG")[:300], "it is damaged"),
        (encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"), "its colours are CMYK: save it"),
        (encoded(Image.fromarray(GRAY.astype(np.uint16))), "16 bits a channel"),
        (png_of_16_bits_rgb(), "16 bits a channel"),
        (animated(), r"it holds 2 pictures \(animated\): save one of them"),
        (two_photos(), r"it holds 2 pictures \(several photos in one JPEG file, MPO\): save one"),
        (with_exif(b"Exif\0\0garbage"), "its EXIF data are damaged.*: turn it upright, and save"),
        (with_exif(b"Exif\0\0II*\0\x08\0\0\0\xff\xff"), "damaged"),
        (encoded(with_alpha(254)), "transparent pixels"),
        (
            encoded(Image.fromarray(PIXELS), transparency=tuple(PIXELS[0, 0].tolist())),
            "transparent pixels",
        ),
    ],
    ids=[
        "empty",
        "GIF",
        "cut PNG",
        "cut JPEG",
        "CMYK",
        "16-bit gray",
        "16-bit RGB",
        "animated",
        "MPO",
        "EXIF that is not TIFF",
        "EXIF that is cut",
        "alpha",
        "one transparent colour",
    ],
)
def test_what_would_lose_something_is_refused(data, said):
    with pytest.raises(PictureProblem, match=said):
        decode_picture(data)


@pytest.mark.parametrize("error", [IndexError, TypeError, AttributeError, OverflowError])
@pytest.mark.parametrize("place", ["PIL.Image.Image.convert", "PIL.ImageOps.exif_transpose"])
def test_whatever_pillow_raises_of_a_file_is_a_problem_of_the_file(place, error, monkeypatch):
    def fails(*_):
        raise error

    monkeypatch.setattr(place, fails)
    with pytest.raises(PictureProblem, match="damaged"):
        decode_picture(encoded(Image.fromarray(PIXELS)))


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1)])
def test_a_gray_array_is_converted(shape):
    found = pixels_of_array(GRAY.reshape(shape))
    assert found.converted == "grayscale"
    assert (found.pixels_HWC == np.dstack([GRAY] * 3)).all()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (PIXELS.astype(np.float32), "it holds float32: store 0 to 255 as uint8"),
        (PIXELS.astype(np.uint16), "it holds uint16"),
        (np.moveaxis(PIXELS, 2, 0), "the channels must come last"),
        (PIXELS[..., :2], r"its shape is \(8, 8, 2\)"),
        (np.dstack([PIXELS, GRAY]), "transparent pixels"),
    ],
)
def test_an_array_of_another_form_is_refused(value, said):
    with pytest.raises(PictureProblem, match=said):
        pixels_of_array(value)


def test_the_square_is_from_the_middle():
    wide = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    assert (square_in_the_middle(wide) == wide[:, 2:6]).all()


def test_resizing_is_that_of_transformers_image_processor():
    from transformers import ImageGPTImageProcessorPil

    size = {"height": 16, "width": 16}
    processor = ImageGPTImageProcessorPil(size=size, do_color_quantize=False, do_normalize=False)
    image = noise(1, side=32)[0]
    theirs = processor(Image.fromarray(image))["pixel_values"][0]
    assert np.allclose(resized(image, 16) / 255, np.moveaxis(theirs, 0, 2), atol=1e-6)
    assert resized(image, 32) is not None
    assert (resized(image, 32) == image).all()
