"""What makes a recipe one of images, and the lengths of blocks and contexts that follow from it:
`[data.images]`.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from hyperfitting.recipe.base import Count, Settings

_PROBE_TOKENS = 96


class ImageSettings(Settings):
    """Images instead of texts: one token for each pixel, row after row, after a start token."""

    side: Annotated[int, Field(ge=4, le=256)] = Field(
        32,
        description="Images have this many rows and columns: the square root of the model's "
        "positions.",
    )
    context_rows: Count | None = Field(
        None, description="Rows of an image that are the context; none: a quarter of them."
    )
    sizes: Literal["equal", "crop", "stretch"] = Field(
        "equal",
        description="`equal` refuses images that are not square, or not as large as the others of "
        "their source. `crop` takes the square in the middle, `stretch` changes the proportions. "
        "Then each is resized to `side`.",
    )
    mirrored: bool = Field(
        False,
        description="Train on the mirror image of each training image too, as one of "
        "`data.train_blocks`.",
    )

    @property
    def rows(self) -> int:
        """Rows of a context."""
        return self.context_rows or max(1, self.side // 4)

    @property
    def block_tokens(self) -> int:
        """Tokens of an image: the start token and one for each pixel."""
        return self.side * self.side + 1

    @property
    def context_tokens(self) -> int:
        """Tokens of a context, the start token included."""
        return self.rows * self.side + 1

    @property
    def new_tokens(self) -> int:
        """Tokens of what follows a context."""
        return self.block_tokens - self.context_tokens

    def refuse_other_lengths(self, block: int, context: int, new: int) -> None:
        """Refuse lengths that are not those of these images.

        Raises:
            ValueError: names the setting, and the length that it must have.
        """
        if self.rows >= self.side:
            raise ValueError(
                f"data.images.context_rows = {self.rows}: an image has {self.side} rows, and some "
                "must be left to continue"
            )
        for name, given, needed in (
            ("data.block_tokens", block, self.block_tokens),
            ("data.context_tokens", context, self.context_tokens),
            ("generate.new_tokens", new, self.new_tokens),
        ):
            if given != needed:
                raise ValueError(
                    f"{name} = {given}: images of {self.side} x {self.side} with contexts of "
                    f"{self.rows} rows need {needed}: set that, or leave it out"
                )


def with_image_lengths(tree: dict[str, Any]) -> dict[str, Any]:
    """A recipe as plain values, with the settings that follow from `data.images` where they are not
    set: the lengths of blocks, contexts and continuations, and `image` as the column of a source.

    A recipe of texts, and one whose `data.images` is wrong, stays as it is.
    """
    data = tree.get("data")
    images = _images_in(data)
    if images is None or images.rows >= images.side or not isinstance(data, dict):
        return tree
    made = {
        "block_tokens": images.block_tokens,
        "context_tokens": images.context_tokens,
        **{key: _with_column(each) for key, each in data.items()},
    }
    new = {"new_tokens": images.new_tokens}
    watched = {"new_tokens": max(1, min(_PROBE_TOKENS, images.new_tokens))}
    return {
        **tree,
        "data": made,
        "generate": _laid_under(tree.get("generate", {}), new),
        "probe": _laid_under(tree.get("probe", {}), watched),
    }


def _images_in(data: Any) -> ImageSettings | None:
    held = data.get("images") if isinstance(data, dict) else None
    if not isinstance(held, dict):
        return None
    try:
        return ImageSettings.model_validate_json(json.dumps(held))
    except (ValidationError, TypeError, ValueError):
        return None


def _laid_under(section: Any, more: dict[str, Any]) -> Any:
    return {**more, **section} if isinstance(section, dict) else section


def _with_column(held: Any) -> Any:
    """A source, or a list of domains with sources, whose column is `image` where none is named."""
    if isinstance(held, list):
        return [
            {**each, "source": _with_column(each["source"])}
            if isinstance(each, dict) and "source" in each
            else each
            for each in held
        ]
    return {"column": "image", **held} if isinstance(held, dict) and "path" in held else held
