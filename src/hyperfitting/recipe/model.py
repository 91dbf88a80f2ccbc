"""Which model, and how its text begins: `[model]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hyperfitting.recipe.base import Dtype, PathSettings


class ModelSettings(PathSettings):
    """Which model, and how its text begins."""

    PATHS = ("source", "architecture")
    source: str = Field(
        min_length=1,
        description="Hub name, local folder, `.gguf` file, a file inside an installed Python "
        "package (`package:NAME/FILE`), folder of a PEFT adapter, or `asset:reference-lm`. A "
        "relative path counts from the recipe's folder, here as in every setting; given with "
        "--set, or in a shipped recipe, from the working folder.",
    )
    revision: str | None = Field(
        None, description="Hub branch, tag or commit; none: the default branch."
    )
    architecture: str | None = Field(
        None,
        description="Folder with the same model's config.json, for `plan` where `source` is not "
        "at hand.",
    )
    dtype: Dtype = Field(
        "float32",
        description="Dtype of the weights that generate and are measured, whatever dtype they "
        "were saved in; `train.precision` says in which they are trained, "
        "`generate.dtype` can choose another to generate.",
    )
    beginning_of_text: Literal["add", "none"] = Field(
        "add",
        description="`add` puts the tokenizer's beginning-of-text token first in every text, "
        "exactly once.",
    )
    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    initialise: Literal["pretrained", "random"] = Field(
        "pretrained",
        description="`random` takes only the architecture and the tokenizer from `source` "
        "(pretraining).",
    )
