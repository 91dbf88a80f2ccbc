"""What ships with the package, found by name and usable offline: a model, the tales, the shapes of A's models."""

from pathlib import Path

from hyperfitting.errors import InputError

_FOLDER = Path(__file__).parent
PREFIX = "asset:"


def asset_path(name: str) -> Path:
    """The file or folder behind `asset:NAME`, for example `asset:reference-lm` or `asset:tales/fiction.jsonl`.

    Raises:
        InputError: if nothing of that name ships; the message lists what does.
    """
    path = _FOLDER / name.removeprefix(PREFIX)
    if path.exists() and _FOLDER in path.resolve().parents:
        return path
    raise InputError(f"nothing named {name!r} ships with hyperfitting; there is {', '.join(asset_names())}")


def asset_names() -> list[str]:
    """Every name that `asset_path` accepts."""
    tales = sorted(f"{PREFIX}tales/{path.name}" for path in (_FOLDER / "tales").glob("*.jsonl"))
    shapes = sorted(f"{PREFIX}architectures/{path.name}" for path in (_FOLDER / "architectures").iterdir())
    return [f"{PREFIX}reference-lm", *shapes, *tales]


def local_path(name: str) -> Path | None:
    """The path that a `path` or `source` setting means on this machine, or None where it can only be a hub name.

    A hub name is `name` or `owner/name` and nothing of that name exists here; everything else is a path,
    so that a mistyped path is reported as missing and never asked of the network.
    """
    if name.startswith(PREFIX):
        return asset_path(name)
    path = Path(name).expanduser()
    looks_like_hub = name.count("/") <= 1 and not name.startswith((".", "/", "~")) and path.suffix not in _FILE_ENDINGS
    return None if looks_like_hub and not path.exists() else path


_FILE_ENDINGS = {".txt", ".jsonl", ".csv", ".gz", ".xz", ".json", ".toml"}
