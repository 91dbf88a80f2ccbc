"""Which seeds decided an experiment, and what experiments that differ in seeds alone have in
common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from hyperfitting.recipe import Recipe


class Seeds(NamedTuple):
    """The seeds that decided an experiment: of everything, and of draw, order and samples, which
    follow the first unless a recipe sets them apart.
    """

    seed: int
    data_seed: int
    order_seed: int
    sampling_seed: int

    @classmethod
    def of(cls, recipe: Recipe) -> Seeds:
        """Those that were in effect."""
        return cls(recipe.seed, recipe.data_seed, recipe.order_seed, recipe.sampling_seed)

    @property
    def title(self) -> str:
        """`seed 0`, and those that are set apart: `seed 0, train.order_seed 5`."""
        return ", ".join(
            f"{setting} {value}"
            for setting, value in zip(_SETTINGS, self, strict=True)
            if setting == "seed" or value != self.seed
        )


_SETTINGS = ("seed", "data.seed", "train.order_seed", "generate.seed")


def without_seeds(recipe: Recipe) -> Recipe:
    """The recipe with all its seeds at their defaults: equal for those that differ in seeds
    alone.
    """
    parts = {"data": recipe.data, "train": recipe.train, "generate": recipe.generate}
    keys = {"data": "seed", "train": "order_seed", "generate": "seed"}
    plain = {name: part.model_copy(update={keys[name]: None}) for name, part in parts.items()}
    return recipe.model_copy(update={"seed": 0, **plain})


def settings_that(
    how: Literal["differ", "are shared", "are partly shared"], seeds: Sequence[Seeds]
) -> list[str]:
    """The seeds' settings that are different in all experiments, equal in all, or neither."""
    counts = {
        setting: len(set(values))
        for setting, values in zip(_SETTINGS, zip(*seeds, strict=True), strict=True)
    }
    kinds = {1: "are shared", len(seeds): "differ"}
    return [
        setting for setting, count in counts.items() if kinds.get(count, "are partly shared") == how
    ]


def what_differs(seeds: Sequence[Seeds]) -> str:
    """What experiments that differ in seeds alone share, and so what their spread is of; empty for
    one experiment.
    """
    if len(seeds) < 2:
        return ""
    if len(settings_that("differ", seeds)) == len(_SETTINGS):
        return "These experiments differ in all seeds: their spread is of independent draws."
    partly, shared, differing = (
        ", ".join(settings_that(how, seeds))
        for how in ("are partly shared", "are shared", "differ")
    )
    if partly:
        return (
            f"Some of these experiments share {partly} and some do not, so they are no independent "
            "draws, and no spread is given."
        )
    return f"These experiments share {shared}: they differ, and spread, by {differing} alone."


def are_one_design(seeds: Sequence[Seeds]) -> bool:
    """Whether each of the seeds differs in all experiments or is equal in all, so that a spread
    over them says something.
    """
    return not settings_that("are partly shared", seeds)
