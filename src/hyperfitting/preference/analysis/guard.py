"""What cannot be computed is reported with its reason, and the rest of the analysis stands."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from hyperfitting.errors import StudyError

_Inputs = ParamSpec("_Inputs")
_Statistic = TypeVar("_Statistic")


@dataclass(frozen=True)
class NotComputed:
    """A statistic, or a part of one, that the judgements do not determine, and the reason."""

    what: str
    why: str


class StatisticsGuard:
    """Computes statistics one by one and keeps what fails."""

    def __init__(self) -> None:
        self.not_computed: list[NotComputed] = []

    def note(self, what: str, why: str) -> None:
        """Keep a statistic that is known to be missing."""
        self.not_computed.append(NotComputed(what, why))

    def attempt(
        self,
        what: str,
        otherwise: _Statistic,
        compute: Callable[_Inputs, _Statistic],
        *inputs: _Inputs.args,
        **options: _Inputs.kwargs,
    ) -> _Statistic:
        """The statistic that `compute` makes of its inputs, or `otherwise` where that fails.

        A division by zero, an overflow, a singular matrix, a search without a root and a refusal of
        the rows count as failures of the data. Any other error is one of the program.
        """
        try:
            return compute(*inputs, **options)
        except (ArithmeticError, ValueError, StudyError) as error:
            self.note(what, " ".join(str(error).split())[:300] or type(error).__name__)
            return otherwise


def without_non_finite(value: Any, where: str = "") -> tuple[Any, list[str]]:
    """A tree of records, tuples, lists and dictionaries with None in the place of every infinite or
    undefined number, and the places of these numbers.

    JSON has no such numbers, so one of them would cost the whole file.
    """
    if isinstance(value, float):
        return (value, []) if math.isfinite(value) else (None, [where])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        parts, lost = _parts({name: getattr(value, name) for name in names}, where)
        return (dataclasses.replace(value, **parts) if lost else value), lost
    if isinstance(value, dict):
        return _parts(value, where)
    if isinstance(value, tuple | list):
        parts, lost = _parts(dict(enumerate(value)), where)
        return type(value)(parts.values()), lost
    return value, []


def _parts(parts: dict[Any, Any], where: str) -> tuple[dict[Any, Any], list[str]]:
    found = {
        key: without_non_finite(part, f"{where}.{key}" if where else str(key))
        for key, part in parts.items()
    }
    lost = [place for _, places in found.values() for place in places]
    return {key: part for key, (part, _) in found.items()}, lost
