"""Pixels as PNG: lossless, and enlarged without smoothing. The door to Pillow for writing."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray


def png_bytes(pixels_HWC: NDArray[np.uint8], *, enlarged: int = 1) -> bytes:
    """The bytes of a PNG file of pixels (H, W, 3), or (H, W, 4) with opacity; `enlarged` makes each
    pixel a square of so many.

    Raises:
        ModuleNotFoundError: Pillow is not installed.
    """
    from PIL import Image

    large = np.repeat(np.repeat(pixels_HWC, enlarged, axis=0), enlarged, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(large)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def png_address(png: bytes) -> str:
    """A PNG file as an address that a page holds in itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
