"""CIFAR-10's JPEG files, end to end in one .npz file, as an array of images.

python -m bench.cifar10 cifar10_jpeg75_train10000_test2000.npz pictures.npz
"""

from __future__ import annotations

import argparse
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    with np.load(options.source) as held:
        files, offsets, labels = (held[f"train_{name}"] for name in ("jpeg", "offsets", "labels"))
    images = [
        np.asarray(Image.open(io.BytesIO(files[start:end].tobytes())).convert("RGB"))
        for start, end in pairwise(offsets)
    ]
    np.savez_compressed(options.out, image=np.stack(images), label=labels)


if __name__ == "__main__":
    main()
