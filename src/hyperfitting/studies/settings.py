"""A study as a frozen, strict, typed tree: which experiments it is made of, and what they are
compared with.

Settings inside one axis are zipped: the first values stand together, then the second ones. Axes are
crossed with each other and with the seeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import combinations, product
from typing import Any, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from hyperfitting.recipe import CountOrZero, Name, PathSettings, Settings, dotted
from hyperfitting.recipe.base import Threads, refuse_equal_names
from hyperfitting.recipe.tree import covers


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
        description='Where it stands: the point of an axis by name, such as `{ texts = "8" }`, '
        "another number on an axis of numbers, `none` for no training, or another coordinate, such "
        "as `{ epoch = 3 }`.",
    )
    value: float = Field(description="The number, in our metric's unit.")
    low: float | None = Field(
        None, description="Its lower bound, where the source gives a range; with `high`."
    )
    high: float | None = Field(
        None, description="Its upper bound, where the source gives a range; with `low`."
    )
    source: str = Field(
        min_length=1, description="Where it is published: paper, and table or figure."
    )
    note: str = Field("", description="How it was read, such as from a figure.")

    @model_validator(mode="after")
    def _lies_within_its_bounds(self) -> Self:
        where = f"published value of {self.metric}"
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{where}: set both low and high, or neither")
        low, high = (self.value if bound is None else bound for bound in (self.low, self.high))
        if not low <= self.value <= high:
            raise ValueError(
                f"{where}: value {self.value:g} is not between low {low:g} and high {high:g}"
            )
        return self


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
        if empty := next((key for key, count in lengths.items() if not count), None):
            raise ValueError(f"{where}: {empty} has no values: give it a list of at least one")
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{where}: values of one axis stand side by side, so their lists must be equally "
                f"long: {', '.join(f'{key} has {count}' for key, count in lengths.items())}"
            )
        self._refuse_equal_points()
        return self

    def _refuse_equal_points(self) -> None:
        refuse_equal_names([each.name for each in self.points], f"points of axis {self.name}")
        held: dict[str, Any] = {}
        for value in next(iter(self.values.values()), ()):
            name = _point_name(value)
            if name in held:
                raise ValueError(
                    f"axis {self.name}: the values {held[name]!r} and {value!r} make the same "
                    f"name, {name}: write points, each with a name of its own"
                )
            held[name] = value

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

    def has_place(self, value: str | int | float) -> bool:
        """Whether something stands at a value of it: a point, a number among numbers, or `none`."""
        names = [each.name for each in self.all_points]
        written = next(iter(self.values.values()), names)
        numbers = all(isinstance(each, int | float) or str(each).isdecimal() for each in written)
        among_numbers = numbers and not isinstance(value, str)
        return among_numbers or str(value) in (*names, "none")

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
        return self

    @model_validator(mode="after")
    def _each_setting_is_set_once(self) -> Self:
        for one, other in combinations(self.axes, 2):
            for key, more in product(sorted(one.keys), sorted(other.keys)):
                if covers(key, more) or covers(more, key):
                    both = key if key == more else f"{key} and {more}, of which one holds the other"
                    raise ValueError(
                        f"two axes set {both}: let one axis vary it ({one.name}, {other.name})"
                    )
        with_threads = [axis for axis in self.axes if any(each.threads for each in axis.all_points)]
        if len(with_threads) > 1:
            names = ", ".join(axis.name for axis in with_threads)
            raise ValueError(f"two axes set threads: let one axis vary them ({names})")
        setters = {"set": self.set.keys(), **{f"axis {axis.name}": axis.keys for axis in self.axes}}
        if where := next((name for name, keys in setters.items() if "seed" in keys), None):
            raise ValueError(f"{where} sets seed, which seeds does: write seeds = [...]")
        return self

    @model_validator(mode="after")
    def _published_values_have_a_place(self) -> Self:
        axes = {axis.name: axis for axis in self.axes}
        for each in self.published:
            for name, value in each.at.items():
                where = f"published value of {each.metric}: at {name} = {value}"
                if name not in axes and (near := get_close_matches(name, axes, n=1, cutoff=0.7)):
                    raise ValueError(f"{where}: no axis is called so; did you mean {near[0]}?")
                if name in axes and not axes[name].has_place(value):
                    points = ", ".join(point.name for point in axes[name].all_points)
                    raise ValueError(f"{where}: name {points} or none, or drop the value")
        return self


def _flat(changes: Any) -> Any:
    return dict(dotted(changes)) if isinstance(changes, Mapping) else changes


def _point_name(value: Any) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    name = re.sub("[^a-z0-9]+", "-", shown.lower()).strip("-")[:60]
    if not name:
        raise ValueError(f"the value {value!r} makes no name: write points, each with a name")
    return name
