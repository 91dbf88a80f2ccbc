"""What all settings share: frozen, strict trees without unknown keys, and the types of their
values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from pydantic_core import PydanticCustomError

from hyperfitting.assets import PREFIX, is_relative, local_path, tried_path


def _like(pattern: str, words: str) -> AfterValidator:
    """Only texts that are wholly so; `words` say how, to whoever wrote another."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise PydanticCustomError("in_words", "{words}", {"words": words})
        return text

    return AfterValidator(check)


NAME_CHARACTERS = 60
"""Most characters of a name."""
Name = Annotated[
    str,
    Field(max_length=NAME_CHARACTERS),
    _like(
        "[a-z0-9][a-z0-9_-]*", "small letters, digits, - and _, beginning with a letter or digit"
    ),
]
Trained = Annotated[
    str,
    _like(
        "all|lora|(last|late-lora):[1-9][0-9]*",
        '"all", "lora", "last:K" or "late-lora:K", where K layers are the last',
    ),
]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrZero = Annotated[int, Field(ge=0, le=10**9)]
Threads = Annotated[int, Field(ge=1, le=1024)]  # a process that asks for millions of them dies
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Dtype = Literal["float32", "bfloat16"]
ContextFormat = Literal["plain", "chat"]


class Settings(BaseModel):
    """Frozen, no coercion, no unknown keys, no infinite numbers."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False
    )

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to change a setting, in words.

        Raises:
            AttributeError: if `name` is a setting.
        """
        if name in type(self).model_fields:
            raise AttributeError(
                f"{name}: settings do not change once they are read; load the recipe with others: "
                'load_recipe(NAME, {"train.epochs": 8})'
            )
        super().__setattr__(name, value)


def refuse_equal_names(names: Sequence[str], what: str) -> None:
    """Refuse two parts of a recipe, `what`, with the same name.

    Raises:
        ValueError: there are two.
    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two {what} have the same name, {twice}: rename or drop one")


class PathSettings(Settings):
    """Settings of which some name files or folders.

    A name stays as it is written, in the recipe and its digest. The folder that a relative one
    counts from is kept beside it and decides nothing else: a recipe is the same wherever it and its
    reader stand.
    """

    PATHS: ClassVar[tuple[str, ...]] = ()
    _folders: dict[str, Path] = PrivateAttr(default_factory=dict)

    def place(self, setting: str) -> Path | None:
        """The absolute path that a setting of `PATHS` means; None where it can only be a hub name,
        or is not set.
        """
        name = getattr(self, setting)
        return None if name is None else local_path(name, self.folder_of(setting))

    def tried(self, setting: str) -> Path:
        """The absolute path at which what a setting names would stand, whether it does or not."""
        return tried_path(getattr(self, setting), self.folder_of(setting))

    @property
    def folders(self) -> dict[str, Path]:
        """The absolute folder of each setting that holds a relative path, as `count_from` was
        told.
        """
        return dict(self._folders)

    def folder_of(self, setting: str) -> Path:
        """The absolute folder that a setting's relative path counts from: the working folder where
        none was given.
        """
        return self._folders.get(setting, Path()).absolute()

    def count_from(self, folder_of: Callable[[str], Path]) -> None:
        """Say once, of a recipe that has just been read, which folder the relative path in each
        setting counts from.
        """
        self._folders = {
            each: folder_of(each)
            for each in self.PATHS
            if is_relative(getattr(self, each) or PREFIX)
        }
