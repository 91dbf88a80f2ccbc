"""What is wrong with settings, in words: unknown names with the nearest known one, then all
else.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from hyperfitting.recipe.base import Settings
from hyperfitting.recipe.former_names import new_name
from hyperfitting.recipe.reference import settings_list

_MOST_UNKNOWN, _MOST_OTHERS = 12, 3


def problems_in_words(error: ValidationError, kind: type[Settings]) -> str:
    """All problems of a tree in one line, unknown names first; a missing setting that one of them
    meant is left out.
    """
    problems = _causes(list(_deepest(error.errors(include_url=False))))
    nearest = {
        each["loc"]: _nearest(each["loc"], kind)
        for each in problems
        if each["type"] == "extra_forbidden"
    }
    unknown = [_unknown(_key(at), near) for at, near in nearest.items()]
    meant = [near for near in nearest.values() if near]
    missing = [_key(each["loc"]) for each in problems if each["type"] == "missing"]
    missing = [
        f"{key} is not set"
        for key in missing
        if not any(f"{near}.".startswith(f"{key}.") for near in meant)
    ]
    wrong: dict[str, list[str]] = {}
    for each in problems:
        if each["type"] not in ("extra_forbidden", "missing"):
            start, words = _in_words(each)
            wrong.setdefault(start, []).append(words)
    others = [start + ", or ".join(words) for start, words in wrong.items()]
    return "; ".join([*_first(unknown, _MOST_UNKNOWN), *_first([*others, *missing], _MOST_OTHERS)])


def unknown_places(error: ValidationError) -> list[tuple[int | str, ...]]:
    """Where in a tree settings stand that are not known: names, and numbers in lists."""
    problems = _deepest(error.errors(include_url=False))
    return [each["loc"] for each in problems if each["type"] == "extra_forbidden"]


def _unknown(key: str, nearest: str | None) -> str:
    if renamed := new_name(key):
        return f"{key} is now {renamed}"
    return f"{key} is not a setting" + (f"; did you mean {nearest}?" if nearest else "")


def _deepest(problems: Sequence[Any]) -> Iterator[Any]:
    """Where a setting takes one of several types, only what came furthest: the others speak of
    types not meant.
    """
    depths: dict[str, int] = {}
    for each in problems:
        key = _key(each["loc"][: _branch(each["loc"])])
        depths[key] = max(depths.get(key, 0), len(each["loc"]))
    for each in problems:
        branch = _branch(each["loc"])
        if branch == len(each["loc"]) or len(each["loc"]) == depths[_key(each["loc"][:branch])]:
            yield {**each, "loc": (*each["loc"][:branch], *each["loc"][branch + 1 :])}


def _causes(problems: list[Any]) -> list[Any]:
    """Problems without lists that are too short only because items of theirs are wrong."""
    return [
        each
        for each in problems
        if each["type"] != "too_short"
        or not any(
            other is not each and other["loc"][: len(each["loc"])] == each["loc"]
            for other in problems
        )
    ]


def _branch(location: Sequence[int | str]) -> int:
    """Where in a location pydantic names one of several types, which is no setting; the length
    where nowhere.
    """
    found = (number for number, part in enumerate(location) if number and _TYPE.match(str(part)))
    return next(found, len(location))


_TYPE = re.compile(
    r"(tuple|list|dict|literal|union|constrained|function)[-\[]|(int|str|float|bool)$"
)


def _first(lines: Sequence[str], most: int) -> list[str]:
    return [*lines[:most], *([f"and {len(lines) - most} more"] if len(lines) > most else [])]


def _key(location: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in location) or '""'


def _nearest(location: tuple[int | str, ...], kind: type[Settings]) -> str | None:
    """The known name that an unknown one most likely stands for: one like it, or the same one of
    another section.
    """
    known, key = _known_keys(location, kind), _key(location)
    section, _, last = key.rpartition(".")
    elsewhere = [each for each in known if each.rpartition(".")[2] == last]
    beside = [each for each in known if each.rpartition(".")[0] == section]
    near = difflib.get_close_matches(key, beside, n=1, cutoff=0.8) or elsewhere[:1]
    return next(iter(near or difflib.get_close_matches(key, known, n=1, cutoff=0.5)), None)


def _known_keys(location: tuple[int | str, ...], kind: type[Settings]) -> list[str]:
    """Every setting's dotted name, with list indices as they stand in `location`."""
    index = next((str(part) for part in location if isinstance(part, int)), "0")
    keys = [key for key, _, _ in settings_list(kind)]
    keys += sorted({key.rpartition(".")[0] for key in keys} - {""})  # sections
    return [key.replace("[]", f".{index}") for key in keys]


def _in_words(problem: Any) -> tuple[str, str]:
    """Which setting a problem is about, with its value, and what is wrong with it."""
    kind, limits = problem["type"], problem.get("ctx", {})
    if kind == "value_error":  # of several settings together, which the message names
        return "", str(limits["error"])
    if kind == "literal_error":
        words = "one of " + limits["expected"].replace("' or '", "', '").replace("'", '"')
    elif kind == "in_words":
        words = problem["msg"]
    else:
        words = _WORDS.get(kind, "no value that this setting takes").format_map(limits)
    return f"{_key(problem['loc'])} = {_shown(problem['input'])}: ", words


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    text = "none" if value is None else text
    return text if len(text) <= 80 else text[:77] + "..."


_TEXT, _WHOLE, _NUMBER = (
    "a text in quotes is needed",
    "a whole number is needed",
    "a number is needed",
)
_WORDS = {
    "string_type": _TEXT,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "tuple_type": "a list is needed, such as [...]",
    "list_type": "a list is needed, such as [...]",
    "dict_type": "a table is needed, such as {{ name = value }}",
    "model_type": "a section is needed, such as {{ name = value }}",
    "model_attributes_type": "a section is needed, such as {{ name = value }}",
    "greater_than": "it must be greater than {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than": "it must be less than {lt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "too_short": "at least {min_length} are needed",
    "too_long": "at most {max_length} are taken",
    "string_too_short": "at least {min_length} characters are needed",
    "string_too_long": "at most {max_length} characters are taken",
}
"""What to say of each kind of problem that pydantic finds."""


def unusable_value(tree: Any, key: str = "") -> str | None:
    """What no setting can hold: a date, a text that is no Unicode or has a NUL; None where all is
    well.
    """
    if isinstance(tree, dict):
        inner = [(f"{key}.{name}" if key else str(name), each) for name, each in tree.items()]
        names = (unusable_value(name, "a name") for name in tree)
        return next(
            filter(None, (*names, *(unusable_value(each, name) for name, each in inner))), None
        )
    if isinstance(tree, list | tuple):
        return next(
            filter(
                None, (unusable_value(each, f"{key}.{number}") for number, each in enumerate(tree))
            ),
            None,
        )
    if isinstance(tree, str):
        if "\0" in tree:
            return f"{key} holds a NUL character"
        return None if is_unicode(tree) else f"{key} holds bytes that are not UTF-8"
    if isinstance(tree, int) and abs(tree) >= 2**63:
        return f"{key} is too large a number"
    if tree is None or isinstance(tree, bool | int | float):
        return None
    return (
        f"{key} = {tree}: settings hold no dates or times, only texts in quotes, numbers, true, "
        "false and lists"
    )


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: what Python makes of other bytes in arguments and
    paths cannot.
    """
    return not any("\ud800" <= character <= "\udfff" for character in text)
