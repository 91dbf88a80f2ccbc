"""Files that ship with the package, by name and usable offline: a model, tales, the papers' model
configurations.
"""

import os
import re
from pathlib import Path

from hyperfitting.errors import InputError

_FOLDER = Path(__file__).parent
PREFIX = "asset:"


def asset_path(name: str) -> Path:
    """The file or folder behind `asset:NAME`, for example `asset:reference-lm` or
    `asset:tales/fiction.jsonl`.

    Raises:
        InputError: nothing of that name ships; the message lists all names.
    """
    path = _FOLDER / name.removeprefix(PREFIX)
    if path.exists() and _FOLDER in path.resolve().parents:
        return path
    raise InputError(
        f"nothing named {name!r} ships with hyperfitting; there is {', '.join(asset_names())}"
    )


def asset_names() -> list[str]:
    """Every name that `asset_path` accepts."""
    tales = sorted(f"{PREFIX}tales/{path.name}" for path in (_FOLDER / "tales").glob("*.jsonl"))
    shapes = sorted(
        f"{PREFIX}architectures/{path.name}" for path in (_FOLDER / "architectures").iterdir()
    )
    return [f"{PREFIX}reference-lm", *shapes, *tales]


def local_path(name: str, folder: Path | None = None) -> Path | None:
    """The absolute path of a `path` or `source` setting on this machine; None if it can only be a
    hub name.

    A relative path is relative to `folder` (None: the working folder), and `~` is the home folder.
    A setting is a hub name if it has the form `name` or `owner/name` and no such file or folder
    exists. Everything else is a path, so a mistyped path is reported as missing without a request
    to the network.
    """
    if name.startswith(PREFIX):
        return asset_path(name)
    path = tried_path(name, folder)
    return (
        None
        if _HUB_NAME.fullmatch(name)
        and Path(name).suffix.lower() not in _FILE_ENDINGS
        and not os.path.exists(path)
        else path
    )


def tried_path(name: str, folder: Path | None = None) -> Path:
    """The absolute path of a local file or folder of this name, whether it exists or not."""
    return ((folder or Path()) / os.path.expanduser(name)).absolute()


def is_relative(name: str) -> bool:
    """Whether a `path` or `source` setting is relative to a folder."""
    return not name.startswith((PREFIX, "~")) and not os.path.isabs(name)


_HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?", re.ASCII)
_FILE_ENDINGS = (
    ".txt",
    ".md",
    ".jsonl",
    ".json",
    ".csv",
    ".tsv",
    ".parquet",
    ".gz",
    ".xz",
    ".zst",
    ".toml",
)
