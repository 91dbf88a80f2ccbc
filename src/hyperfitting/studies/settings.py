"""A study as a frozen, strict, typed tree: which experiments it is made of, and what they are
compared with.

Settings inside one axis are zipped: the first values stand together, then the second ones. Axes are
crossed with each other and with the seeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from hyperfitting.recipe import CountOrZero, Name, PathSettings, Settings, dotted
from hyperfitting.recipe.base import Threads, refuse_equal_names


class PaperAccount(Settings):
    """What a paper did, and where this study differs."""

    source: str = Field(
        min_length=1,
        description="Paper, section and figure, such as `Carlsson et al. 2025, sec. 5`.",
    )
    did: str = Field("", description="What the paper did.")
    silent: str = Field("", description="What the paper does not say.")
    adds: str = Field("", description="What this study does that the paper did not.")


class PublishedValue(Settings):
    """One number that a paper gives."""

    metric: str = Field(
        min_length=1, description="What was measured: the name of our metric, where there is one."
    )
    at: dict[str, str | int | float] = Field(
        {},
        description='Where it stands: the point of an axis by name, such as `{ texts = "8" }`, or '
        "another coordinate, such as `{ epoch = 3 }`.",
    )
    value: float = Field(description="The number, in our metric's unit.")
    low: float | None = Field(None, description="Its lower bound, where the source gives a range.")
    high: float | None = Field(None, description="Its upper bound, where the source gives a range.")
    source: str = Field(
        min_length=1, description="Where it is published: paper, and table or figure."
    )
    note: str = Field("", description="How it was read, such as from a figure.")


class AxisPoint(Settings):
    """One value of an axis: the settings that make it."""

    name: Name = Field(description="The point's name in folders, tables and pictures.")
    set: dict[str, Any] = Field(
        {},
        description="Settings of the recipe by dotted key, as in `[set]`; none: those of the base.",
    )
    threads: Threads | None = Field(
        None, description="Threads of its cells; none: the study's `threads`."
    )
    repeat: CountOrZero = Field(
        0,
        description="Tells cells apart that have equal settings, such as a training that is done "
        "a second time to see what differs by itself.",
    )

    @field_validator("set", mode="before")
    @classmethod
    def _by_dotted_key(cls, changes: Any) -> Any:
        return _flat(changes)


class Axis(Settings):
    """Something that a study varies."""

    name: Name = Field(description="The axis' name in tables and pictures.")
    description: str = Field("", description="What varies, in words, with its unit.")
    values: dict[str, list[Any]] = Field(
        {},
        description="Settings by dotted key with the values that they take, all lists equally "
        'long: `{ "data.train_blocks" = [8, 32], "train.epochs" = [80, 20] }` has two points. A '
        "point is named after the value of the first setting.",
    )
    points: tuple[AxisPoint, ...] = Field(
        (), description="In the place of `values`: named points, each with its settings."
    )

    @field_validator("values", mode="before")
    @classmethod
    def _by_dotted_key(cls, values: Any) -> Any:
        return _flat(values)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        where = f"axis {self.name}"
        if bool(self.values) == bool(self.points):
            raise ValueError(f"{where}: set one of values and points")
        lengths = {key: len(values) for key, values in self.values.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(
                f"{where}: values of one axis stand side by side, so their lists must be equally "
                f"long: {', '.join(f'{key} has {count}' for key, count in lengths.items())}"
            )
        refuse_equal_names([each.name for each in self.all_points], f"points of axis {self.name}")
        return self

    @property
    def all_points(self) -> tuple[AxisPoint, ...]:
        """The points, whichever way they are written.

        Raises:
            ValueError: a value makes no name.
        """
        return self.points or tuple(
            AxisPoint(name=_point_name(row[0]), set=dict(zip(self.values, row, strict=True)))
            for row in zip(*self.values.values(), strict=True)
        )

    @property
    def keys(self) -> set[str]:
        """The settings that it varies, by dotted key."""
        return {key for point in self.all_points for key in point.set}


class StudySettings(PathSettings):
    """A grid of experiments, the analysis of them, and the published values beside them."""

    PATHS = ("base",)
    name: Name = Field(description="The study's name: its folder, and how verbs call it.")
    description: str = Field("", description="One line for lists.")
    paper: PaperAccount | None = Field(
        None, description="The experiment of a paper that it reproduces; none: one of yours."
    )
    base: str = Field(
        min_length=1,
        description="The recipe that all cells are made of: the name of a shipped one, or a file; "
        "a relative path counts from the study's folder, as do paths in `set` and `axes`.",
    )
    set: dict[str, Any] = Field(
        {},
        description="Settings of the base that are changed for all cells, by dotted key; "
        '`"none"` switches a setting off.',
    )
    seeds: tuple[CountOrZero, ...] = Field(
        (0,), min_length=1, description="Values of `seed`: every point is made with each of them."
    )
    axes: tuple[Axis, ...] = Field((), description="What varies; axes are crossed.")
    threads: Threads | None = Field(
        None,
        description="Threads of each cell; none: the cores, divided among the workers. A cell "
        "keeps the number that it began with.",
    )
    predictions: bool = Field(
        False,
        description="Keep which token each model finds most probable at every position of the "
        "true texts, and how probable, so that models can be compared when their weights are gone.",
    )
    analysis: Name | None = Field(
        None, description="The analysis of the report; none: the table of all cells alone."
    )
    published: tuple[PublishedValue, ...] = Field(
        (), description="Published values, which stand beside ours."
    )

    _loaded_as: str = PrivateAttr("")

    def was_loaded_as(self, name_or_path: str) -> None:
        """Say once, of a study that has just been read, how its reader called it."""
        self._loaded_as = name_or_path

    @property
    def called(self) -> str:
        """What a verb is given to mean this study: its file, or the name of a shipped one."""
        return self._loaded_as or self.name

    @field_validator("set", mode="before")
    @classmethod
    def _by_dotted_key(cls, changes: Any) -> Any:
        return _flat(changes)

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        refuse_equal_names([axis.name for axis in self.axes], "axes")
        if "seed" in {axis.name for axis in self.axes}:
            raise ValueError("seed cannot name an axis: seeds are set by seeds")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds holds the same seed twice")
        for number, axis in enumerate(self.axes):
            others = {key for each in self.axes[:number] for key in each.keys}
            if both := sorted(axis.keys & others):
                raise ValueError(f"two axes set {both[0]}: let one axis vary it")
            if "seed" in axis.keys:
                raise ValueError(f"axis {axis.name} sets seed, which seeds does")
        return self


def _flat(changes: Any) -> Any:
    return dict(dotted(changes)) if isinstance(changes, Mapping) else changes


def _point_name(value: Any) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    name = re.sub("[^a-z0-9]+", "-", shown.lower()).strip("-")[:60]
    if not name:
        raise ValueError(f"the value {value!r} makes no name: write points, each with a name")
    return name
