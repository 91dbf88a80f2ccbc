"""An image as colour ids in raster order, of which the first rows were given and the rest was
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ColourIds = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ContinuedImage:
    """Colour ids (H, W) of one image. The first `given_rows` rows are the context.

    Raises:
        ValueError: the ids are not a grid, or no written row is left.
    """

    ids_HW: ColourIds
    given_rows: int

    def __post_init__(self) -> None:
        """Check the shape."""
        if self.ids_HW.ndim != 2 or not 0 <= self.given_rows < len(self.ids_HW):
            raise ValueError(
                f"{self.given_rows} given rows of ids of shape {self.ids_HW.shape} leave no image "
                "to look at"
            )

    @classmethod
    def of_ids(
        cls, context: Sequence[int], written: Sequence[int], *, columns: int
    ) -> ContinuedImage | None:
        """The image of a context and a continuation in raster order, without a start token.

        A row that the context begins counts as given, and a last row that is cut off is left out.
        None where no whole row was written.
        """
        ids = np.asarray([*context, *written], dtype=np.int64)
        rows, given_rows = len(ids) // columns, -(-len(context) // columns)
        if rows <= given_rows:
            return None
        return cls(ids[: rows * columns].reshape(rows, columns), given_rows)

    @property
    def written(self) -> ColourIds:
        """The rows that were written."""
        return self.ids_HW[self.given_rows :]

    def __len__(self) -> int:
        """The number of written tokens."""
        return self.written.size


def colours_of(ids: NDArray[np.integer[Any]], colours_KC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours (..., 3) of ids (...).

    Raises:
        ValueError: an id has no colour, or the colours are not (K, 3) of uint8.
    """
    if colours_KC.ndim != 2 or colours_KC.shape[1] != 3 or colours_KC.dtype != np.uint8:
        raise ValueError(
            f"colours are a table (K, 3) of uint8, not {colours_KC.shape} of {colours_KC.dtype}"
        )
    if ids.size and not 0 <= ids.min() <= ids.max() < len(colours_KC):
        raise ValueError(
            f"ids from {ids.min()} to {ids.max()} do not fit {len(colours_KC)} colours"
        )
    colours: NDArray[np.uint8] = colours_KC[ids]
    return colours
