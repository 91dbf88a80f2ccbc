"""What `check` and `run` make of drawn cases: a report, or a refusal in the same words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from hyperfitting import pipeline
from hyperfitting.cli.text import check_lines
from hyperfitting.errors import InputError
from hyperfitting.recipe import Recipe
from hyperfitting.stages.check import check_recipe

as_drawn = partial(
    settings,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""A failure is shown as it was drawn: making it smaller would take minutes."""


def outcome(recipe: Callable[[], Recipe], out: Path) -> str:
    """`reported`, or the one line that both say; anything else that happens fails the test."""
    said = _refusal(lambda: check_lines(check_recipe(recipe(), out, device="cpu")))
    assert not out.exists(), "check writes nothing"
    again = _refusal(lambda: pipeline.run(recipe(), out, device="cpu"))
    assert again == said, f"check: {said}\nrun: {again}"
    if said is None:
        assert (out / "report" / "index.html").is_file()
        return "reported"
    assert not out.exists(), "what is refused leaves no folder"
    assert "\n" not in said
    return said


def _refusal(work: Callable[[], object]) -> str | None:
    try:
        work()
    except InputError as error:
        return str(error)
    return None
