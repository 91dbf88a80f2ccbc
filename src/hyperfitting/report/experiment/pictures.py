"""Continued images as a page and files show them: enlarged pixels, a line below the given rows, and
a map of where they repeat themselves.

Shapes: H rows, W columns, C = 3 channels, M training images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from hyperfitting.measuring import ImageBaselines
from hyperfitting.metrics.images.grids import ContinuedImage, colours_of
from hyperfitting.metrics.images.recitation import NearestImage, nearest_in_colours
from hyperfitting.metrics.repetition import repeated_run_lengths
from hyperfitting.png import png_address, png_bytes
from hyperfitting.recipe import HYPERFITTED
from hyperfitting.records import REFERENCE, Arm
from hyperfitting.report.kit.heat import heat_step

ENLARGED = 8
"""How many pixels a pixel of a saved picture is wide."""


@dataclass(frozen=True, eq=False)
class ExamplePicture:
    """One image of an example. `runs_HW` is the length of each written token's longest repeated
    run, 0 in given rows, and None for an image that nobody continued. `note` stands below it.
    """

    title: str
    pixels_HWC: NDArray[np.uint8]
    runs_HW: NDArray[np.int64] | None
    given_rows: int
    note: str = ""

    @property
    def png(self) -> bytes:
        """The image as a file, each pixel a square."""
        return png_bytes(self.pixels_HWC, enlarged=ENLARGED)

    @property
    def address(self) -> str:
        """The image as an address that a page holds in itself."""
        return png_address(self.png)

    @property
    def given_percent(self) -> str:
        """Where the line stands that ends the given rows, from the top."""
        return f"{100 * self.given_rows / len(self.pixels_HWC):.4g}%"

    @property
    def steps(self) -> NDArray[np.int64]:
        """The step of colour, 0 to 4, of each pixel of the map."""
        runs_HW = np.zeros(self.pixels_HWC.shape[:2], dtype=np.int64)
        each_step = np.vectorize(heat_step, otypes=[np.int64])
        steps_HW: NDArray[np.int64] = each_step(runs_HW if self.runs_HW is None else self.runs_HW)
        return steps_HW

    @property
    def map_paths(self) -> dict[int, str]:
        """For each step of colour the pixels of the map as one SVG path, a rectangle for each run
        of equal steps in a row.
        """
        paths: dict[int, str] = {}
        for row, steps in enumerate(self.steps.tolist()):
            column = 0
            for step, run in groupby(steps):
                width = len(list(run))
                if step:
                    paths[step] = paths.get(step, "") + f"M{column} {row}h{width}v1h-{width}z"
                column += width
        return dict(sorted(paths.items()))

    @property
    def repeated_percent(self) -> str:
        """The share of written pixels that the map colours."""
        return f"{100 * float((self.steps[self.given_rows :] > 0).mean()):.0f} %"


def example_pictures(
    images: Mapping[Arm, ContinuedImage], baselines: ImageBaselines, sources: Sequence[str]
) -> list[ExamplePicture]:
    """The images of one context by arm, in their order, and the training image that is nearest to
    what the hyperfitted model drew first; `sources` cite the training images.
    """
    titles = {arm: "the true image" if arm.variant == REFERENCE else arm.title for arm in images}
    shown = [continued_picture(titles[arm], each, baselines) for arm, each in images.items()]
    first = next((arm for arm in images if arm.variant == HYPERFITTED), None)
    if first is not None:
        shown.append(nearest_picture(titles[first], images[first], baselines, sources))
    return shown


def continued_picture(
    title: str, image: ContinuedImage, baselines: ImageBaselines
) -> ExamplePicture:
    """An image that somebody continued, with the map of its written rows."""
    columns = image.ids_HW.shape[1]
    runs = repeated_run_lengths(
        image.written.ravel().tolist(),
        context=image.ids_HW[: image.given_rows].ravel().tolist(),
    )
    given = np.zeros((image.given_rows, columns), dtype=np.int64)
    runs_HW = np.concatenate([given, np.reshape(runs, (-1, columns))])
    pixels_HWC = colours_of(image.ids_HW, baselines.colours_KC)
    return ExamplePicture(title, pixels_HWC, runs_HW, image.given_rows)


def nearest_picture(
    of: str, image: ContinuedImage, baselines: ImageBaselines, sources: Sequence[str]
) -> ExamplePicture:
    """The training image whose written rows are nearest to those of an image, called `of`;
    `sources` cite the training images.
    """
    rows = slice(image.given_rows, len(image.ids_HW))
    [nearest] = nearest_in_colours(
        colours_of(image.written[None], baselines.colours_KC),
        colours_of(baselines.training_MHW[:, rows], baselines.colours_KC),
    )
    pixels_HWC = colours_of(baselines.training_MHW[nearest.index], baselines.colours_KC)
    note = _distance_note(of, nearest, sources[nearest.index])
    return ExamplePicture("nearest training image", pixels_HWC, None, image.given_rows, note)


def _distance_note(of: str, nearest: NearestImage, source: str) -> str:
    away = "a copy of" if nearest.distance == 0 else f"{nearest.distance:.1f} of 255 from"
    return f"{away} {of}; {source}"
