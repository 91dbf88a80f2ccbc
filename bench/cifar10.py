"""The claims on CIFAR-10 (results/claims.md, section 12) by one command.

python -m bench.cifar10 DATA OUT --images 128 --seeds 0 1 2

DATA holds `cifar10_jpeg75_train10000_test2000.npz` and `cifar10_train_first4000_lossless.npz`. OUT
gets the pretrained model and one experiment for each seed. What is there already is skipped, and
what was stopped goes on.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import hyperfitting
from hyperfitting.assets import asset_path
from hyperfitting.files import replacing
from hyperfitting.progress import default_progress
from hyperfitting.stages.train import pretrain

JPEG, LOSSLESS = "cifar10_jpeg75_train10000_test2000.npz", "cifar10_train_first4000_lossless.npz"
RECIPE = Path(__file__).parents[1] / "results" / "cifar10" / "recipe.toml"
LONGER: dict[int, dict[str, Any]] = {
    128: {},
    500: {"data.train_blocks": 500, "train.epochs": 150, "probe.every_updates": 315},
    2000: {"data.train_blocks": 2000, "train.epochs": 100, "probe.every_updates": 1250},
}
"""What an experiment on so many images changes in the recipe."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cifar10",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--images", type=int, choices=LONGER, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    data = options.data.resolve()
    if absent := [name for name in (JPEG, LOSSLESS) if not (data / name).is_file()]:
        parser.error(f"{data} holds no {absent[0]}: name the folder that does")
    options.out.mkdir(parents=True, exist_ok=True)
    os.chdir(options.out)  # the recipes name what lies there
    prepare(data)
    for seed in options.seeds:
        recipe = hyperfitting.load_recipe("recipe.toml", LONGER[options.images] | {"seed": seed})
        made = hyperfitting.run(recipe, f"{options.images}-seed-{seed}")
        print(f"report   {made.report_folder.resolve() / 'index.html'}", flush=True)


def prepare(data: Path) -> None:
    """The images, and a model of the shipped one's form that is pretrained on 9,900 of them."""
    if not Path("pictures.npz").is_file():
        unpack(data / JPEG, Path("pictures.npz"))
    shutil.copyfile(data / LOSSLESS, "cifar10.npz")
    shutil.copyfile(RECIPE, "recipe.toml")
    Path("shape").mkdir(exist_ok=True)  # without colours: they are fitted to the images
    shutil.copyfile(asset_path("asset:reference-imagegpt") / "config.json", "shape/config.json")
    changes = {
        "model.source": "shape",
        "data.train.path": "pictures.npz",
        "data.train_blocks": 19_800,
        "data.validation_blocks": 64,
        "train.epochs": 2,
        "probe.every_updates": 400,
    }
    recipe = hyperfitting.load_recipe("pretrain-images", changes)
    pretrain(recipe, Path("pretrained"), progress=default_progress())


def unpack(source: Path, pictures: Path) -> None:
    """The training images of a file that holds JPEG files end to end, as one array."""
    with np.load(source) as held:
        files, offsets, labels = (held[f"train_{name}"] for name in ("jpeg", "offsets", "labels"))
    images = [
        np.asarray(Image.open(io.BytesIO(files[start:end].tobytes())).convert("RGB"))
        for start, end in pairwise(offsets)
    ]
    with replacing(pictures) as partial, partial.open("wb") as file:
        np.savez_compressed(file, image=np.stack(images), label=labels)


if __name__ == "__main__":
    main()
