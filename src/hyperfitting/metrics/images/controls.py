"""What stands beside images in every table and knows no model: a copied row, and the nearest
training image pasted in. True images and their tokens in random order stand there as for texts
(`metrics.controls.shuffled_texts`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hyperfitting.metrics.images.grids import ColourIds, ContinuedImage, colours_of
from hyperfitting.metrics.images.recitation import nearest_in_colours


def row_above_copied(image: ContinuedImage) -> ColourIds:
    """The written rows (h, W) of an image that goes on with copies of its last given row: as
    repetitive as can be.

    Raises:
        ValueError: no row was given.
    """
    if not image.given_rows:
        raise ValueError("an image of which no row is given has no row to copy")
    return np.repeat(
        image.ids_HW[image.given_rows - 1 : image.given_rows], len(image.written), axis=0
    )


def nearest_training_pasted(
    ids_NHW: ColourIds, given_rows: int, training_MHW: ColourIds, colours_KC: NDArray[np.uint8]
) -> ColourIds:
    """The written rows (N, h, W) of images that go on with those of the training image whose given
    rows are nearest in colour: as recited as can be.

    Raises:
        ValueError: there is no training image, or the shapes differ.
    """
    given, training = (
        colours_of(each[:, :given_rows], colours_KC) for each in (ids_NHW, training_MHW)
    )
    nearest = [each.index for each in nearest_in_colours(given, training)]
    return training_MHW[nearest, given_rows:]
