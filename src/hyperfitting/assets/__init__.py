"""Files that a setting names: those that ship with this package (models, tales, pictures, the
papers' model configurations), those inside other installed packages, and paths.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from hyperfitting.errors import InputError

_FOLDER = Path(__file__).parent
PREFIX = "asset:"
PACKAGE = "package:"
"""Begins the name of a file inside an installed Python package: `package:NAME/FILE`."""


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
    models = [f"{PREFIX}reference-lm", f"{PREFIX}reference-imagegpt"]
    return [*models, *shapes, f"{PREFIX}pictures/drawn.npz", *tales]


def package_path(name: str) -> Path:
    """The file or folder behind `package:NAME/FILE`. The package is found without importing it.

    `NAME` is the name by which Python imports the package. So a package serves whose own
    dependencies are not installed.

    Raises:
        InputError: there is no such package or no such file in it; the message says what to do.
    """
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    folders = _package_folders(name, package)
    # By their names: an installer may link every file of a package to its cache.
    paths = [(folder, Path(os.path.normpath(folder / inside))) for folder in folders]
    found = [path for folder, path in paths if folder in path.parents and path.exists()]
    if not found:
        held = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
        files = sorted(path.name for path in held if path.suffix.lower() == ".gguf")
        there = f"; it has {', '.join(files)}" if files else ""
        raise InputError(f"{name}: the package {package} has no such file{there}")
    return found[0]


def _package_folders(name: str, package: str) -> list[Path]:
    """The folders of a package, which is not imported."""
    if not package:
        raise InputError(f"{name}: it names no package: write {PACKAGE}NAME/FILE")
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except ValueError:  # __main__, and modules that a program made itself
        spec = None
    if spec is None:
        raise InputError(
            f"{name}: no Python package {package!r} is installed: pip install --no-deps "
            f"{package.replace('_', '-')}, or correct the name, which is the one for `import`"
        )
    if not spec.submodule_search_locations:
        raise InputError(f"{name}: {package} is one file of Python and holds no others: correct it")
    return [Path(os.path.normpath(each)) for each in spec.submodule_search_locations]


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
    if name.startswith(PACKAGE):
        return package_path(name)
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
    return not name.startswith((PREFIX, PACKAGE, "~")) and not os.path.isabs(name)


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
    ".gguf",
    ".npz",
    ".png",
    ".jpg",
    ".jpeg",
)
