"""Variants: models of an experiment whose training differs from the hyperfitted one's in some
settings.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from hyperfitting.recipe.base import Name, Settings
from hyperfitting.recipe.train import TrainSettings
from hyperfitting.recipe.tree import apply_overrides, as_overrides, dotted

ORIGINAL = "original"
HYPERFITTED = "hyperfitted"
PRETRAINED = "pretrained"
"""The variants that recipes do not name: the untouched model, the one that `[train]` makes, and a
pretraining's only one.
"""

_RESERVED = {
    ORIGINAL,
    HYPERFITTED,
    PRETRAINED,
    # what else stands in a table beside the models
    *("reference", "shuffled", "random", "copied-row", "nearest-training", "texts"),
    *("train", "validation"),
    *("data", "report", "tensorboard", "wandb"),  # folders of an experiment
    *("model", "checkpoint", "parts"),  # folders of a run
}
_SECTION = "train."
_ALIKE_UNTIL_STOPPED = {"stop", "stop_loss", "stop_token_accuracy", "patience_probes"}
"""Settings that only say when a training stops and which of its weights are kept."""


def _free(name: str) -> str:
    if name in _RESERVED:
        words = "this name has another meaning in an experiment: choose one of your own"
        raise PydanticCustomError("in_words", "{words}", {"words": words})
    return name


class Variant(Settings):
    """A model that is trained beside the hyperfitted one, on the same data, with other settings of
    `[train]`.
    """

    name: Annotated[Name, AfterValidator(_free)] = Field(
        max_length=30, description="The variant's name: its folder, and its column in every table."
    )
    set: dict[str, Any] = Field(
        min_length=1,
        description="Settings of `train` by dotted key, such as "
        '`{ "train.stop" = "best-validation" }`, which keeps the weights of the lowest validation '
        'loss; `"none"` switches a setting off. All else is as in the recipe, and what two '
        "trainings have in common is trained once.",
    )

    @field_validator("set", mode="before")
    @classmethod
    def _by_dotted_key(cls, changes: Any) -> Any:
        return dict(dotted(changes)) if isinstance(changes, dict) else changes

    @field_validator("set")
    @classmethod
    def _only_of_training(cls, changes: dict[str, Any]) -> dict[str, Any]:
        for key in changes:
            if not key.startswith(_SECTION):
                raise ValueError(
                    f"variants can set only train.*, not {key}: data, decoding and metrics are the "
                    "same for all variants"
                )
        return changes

    def tree(self, base: TrainSettings) -> dict[str, Any]:
        """The variant's settings of `[train]` as plain values, not yet validated."""
        tree: dict[str, Any] = base.model_dump(mode="json")
        changes = {key.removeprefix(_SECTION): value for key, value in self.set.items()}
        apply_overrides(tree, as_overrides(changes))
        return tree

    def train(self, base: TrainSettings) -> TrainSettings:
        """The variant's settings of `[train]`."""
        return TrainSettings.model_validate_json(json.dumps(self.tree(base)))


def alike_until_stopped(one: TrainSettings, other: TrainSettings) -> bool:
    """Whether two trainings make the same updates for as long as neither stops."""
    return one.model_dump(exclude=_ALIKE_UNTIL_STOPPED) == other.model_dump(
        exclude=_ALIKE_UNTIL_STOPPED
    )
