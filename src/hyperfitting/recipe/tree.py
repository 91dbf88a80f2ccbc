"""Settings as plain values: from a .toml or .json file in any Unicode encoding that is marked, and
from overrides.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from hyperfitting.encoding import decode_text, encoding_of, line_of, line_of_error
from hyperfitting.errors import RecipeError

Overrides = Sequence[str] | Mapping[str, Any]
"""Changes to settings: `section.key=value` as typed after `--set`, or values by dotted key."""


def read_tree(path: Path, kind: str = "recipe") -> dict[str, Any]:
    """The settings in a .toml or .json file as plain values, not yet validated. `kind` says in
    errors what the file is.

    Raises:
        RecipeError: the file cannot be read, or holds something else; names the line.
    """
    text = read_settings_text(path, kind)
    try:
        tree = _tree(path, text)
    except ValueError as error:
        raise _unreadable(path, kind, str(error)) from error
    if not isinstance(tree, dict):
        raise _unreadable(path, kind, f"it holds {type(tree).__name__}, not settings by name")
    return tree


def _tree(path: Path, text: str) -> Any:
    """What a file holds; what is wrong with it is a `ValueError`, in words."""
    try:
        return _read_json(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}, is not JSON"
        raise ValueError(f"{where}{_quoted(text, error.lineno, error.colno)}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_toml_problem(text, str(error))) from error
    except RecursionError as error:
        raise ValueError("lists or tables are nested too deep") from error
    except ValueError as error:
        said = str(error)  # ours, or Python's on the digits of a number
        raise ValueError(_TOO_LONG if said.startswith("Exceeds the limit") else said) from error


def _unreadable(path: Path, kind: str, problem: str) -> RecipeError:
    return RecipeError(f"{path}: not a readable {kind}: {problem}")


def read_settings_text(path: Path, kind: str = "recipe") -> str:
    """The text of a file in any Unicode encoding that is marked. `kind` says in errors what it is.

    Raises:
        RecipeError: the file cannot be read, or holds no text; names the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = (error.strerror or type(error).__name__).lower()
        raise _unreadable(path, kind, problem) from error
    try:
        text = decode_text(data)
    except UnicodeDecodeError as error:
        encoding = encoding_of(data)
        problem = "not UTF-8" if encoding.startswith("utf-8") else f"damaged {encoding.upper()}"
        where = f"line {line_of_error(data, error)} is {problem}"
        raise _unreadable(path, kind, f"{where}: save the file as UTF-8") from error
    if "\0" in text:
        line = line_of(text, text.index("\0"))
        problem = f"line {line} holds a NUL character: save the file as UTF-8 text"
        raise _unreadable(path, kind, problem)
    return text


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is set twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number that a setting takes")


_TOO_LONG = "a number has thousands of digits"


def _toml_problem(text: str, said: str) -> str:
    """What is wrong with a TOML file, with the line as it stands there."""
    found = re.search(r"\(at line (\d+), column \d+\)", said)
    line = int(found[1]) if found else max(text.rstrip().count("\n") + 1, 1)
    words = next(
        (words for start, words in _TOML_PROBLEMS if said.startswith(start)), "it is not TOML"
    )
    return f"line {line}: {words}{_quoted(text, line)}"


_TOML_PROBLEMS = (
    ("Cannot overwrite", "this is set twice"),
    ("Cannot declare", "this section is there already"),
    ("Cannot mutate", "this is set twice"),
    ("Duplicate inline", "this is set twice"),
    (
        "Invalid value",
        "the value is not TOML (texts stand in quotes, true and false are small letters)",
    ),
    (
        "Expected newline or end of document",
        "something stands after the value (texts stand in quotes)",
    ),
    ("Expected '='", "a setting is written key = value"),
    ("Unclosed array", "a list is not closed"),
    ("Unterminated string", "a text is not closed"),
    ("Unescaped '\\'", "write a backslash twice, or put the text in single quotes"),
    ("Illegal character", "a text is not closed, or holds a control character"),
)
"""How messages of Python's TOML reader begin, and what to say instead."""


def _quoted(text: str, line: int, column: int = 1) -> str:
    lines = text.split("\n")
    shown = lines[line - 1][max(column - 30, 0) :].strip()[:60] if line <= len(lines) else ""
    return f": {shown}" if shown else ""


def apply_overrides(tree: dict[str, Any], overrides: Overrides) -> None:
    """Apply overrides as typed, or values by dotted key, in their order.

    As typed: `a.b=value` (TOML syntax; a bare word is a string). `strategies.0` or `strategies[0]`
    is a list's first.

    Raises:
        RecipeError: one is written in another way, or there is nothing of that name to set.
    """
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            _set(tree, key, str(value) if isinstance(value, PurePath) else value, said=key)
        return
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise RecipeError(
                f"--set {override}: write it as section.key=value, for example train.epochs=10"
            )
        _set(tree, key, _toml_value(value), said=f"--set {override}")


def by_setting(overrides: Overrides) -> Overrides:
    """Overrides in which a whole section, `{"train": {"epochs": 3}}`, stands for the settings that
    it names, and for no others.

    Raises:
        RecipeError: they are neither settings by name nor texts in a list.
    """
    _refuse_other_than_overrides(overrides)
    if not isinstance(overrides, Mapping):
        return overrides
    sections = {
        key for key, value in overrides.items() if isinstance(value, dict) and "." not in key
    }
    return dict(
        leaf
        for key, value in overrides.items()
        for leaf in (dotted(value, key) if key in sections else [(key, value)])
    )


def _refuse_other_than_overrides(overrides: Any) -> None:
    listed = isinstance(overrides, Mapping | Sequence) and not isinstance(overrides, str | bytes)
    wrong = [each for each in overrides if not isinstance(each, str)] if listed else [overrides]
    if wrong:
        raise RecipeError(
            f"overrides: {wrong[0]!r} names no setting: write them as "
            '{"train.epochs": 10}, or as ["train.epochs=10"]'
        )


def as_overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a file's table as overrides: by dotted key, also where tables are nested, and the
    text `"none"` as None, which TOML lacks.
    """
    return {key: None if value == "none" else value for key, value in dotted(settings)}


def dotted(tree: Mapping[str, Any], key: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested tables by dotted key."""
    inner = {f"{key}.{name}" if key else str(name): value for name, value in tree.items()}
    return [
        leaf
        for name, value in inner.items()
        for leaf in (dotted(value, name) if isinstance(value, dict) and value else [(name, value)])
    ]


def overridden_keys(overrides: Overrides) -> list[list[str]]:
    """The parts of the keys that overrides set."""
    keys = (
        overrides
        if isinstance(overrides, Mapping)
        else (each.partition("=")[0] for each in overrides)
    )
    return [key_parts(key) for key in keys]


def key_parts(key: str) -> list[str]:
    """The parts of a dotted key; `strategies[0]`, `strategies.0` and `strategies.00` are the
    same.
    """
    parts = re.sub(r"\[(\d+)\]", r".\1", key.strip()).split(".")
    return [str(int(part)) if part.isdecimal() else part for part in parts]


def covers(key: str, other: str) -> bool:
    """Whether setting `key` sets `other` too: the same one, or one inside it."""
    parts = key_parts(key)
    return key_parts(other)[: len(parts)] == parts


def _set(tree: dict[str, Any], key: str, value: Any, *, said: str) -> None:
    *parents, last = key_parts(key)
    node: Any = tree
    for parent in parents:
        node = node.setdefault(parent, {}) if isinstance(node, dict) else _item(node, parent, said)
    if isinstance(node, list):
        _item(node, last, said)
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError(f"{said}: {'.'.join(parents)} holds a value, not settings")


def _item(node: Any, index: str, said: str) -> Any:
    if not isinstance(node, list):
        raise RecipeError(f"{said}: there is no {index!r} to set there")
    if index.isdecimal() and int(index) < len(node):
        return node[int(index)]
    last = f"from 0 to {len(node) - 1}" if node else "of none, since the list is empty"
    raise RecipeError(f"{said}: there is no {index!r} to set there: a list, indexed {last}")


def _toml_value(text: str) -> Any:
    if text.strip() == "none":
        return None
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return read["value"] if len(read) == 1 else text.strip()
