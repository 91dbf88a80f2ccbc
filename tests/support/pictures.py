"""Figures that no test looks at are made and not drawn: to draw them takes a third of the time of
a tiny experiment. Tests and modules marked `pictures` draw theirs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hyperfitting.report.experiment import figures as of_experiments
from hyperfitting.report.kit import figures

_TRUE = {name: getattr(figures, name) for name in ("svg", "save_svg", "save_png")}
_SVG = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_EMPTY = {
    "svg": lambda figure, name: _SVG,
    "save_svg": lambda figure, path: path.write_text(_SVG),
    "save_png": lambda figure, path: path.write_bytes(_PNG),
}


@contextmanager
def pictures(*, drawn: bool) -> Iterator[None]:
    """Figures as files that users get, or as empty files of the same kind. They are made in both
    cases.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, function in (_TRUE if drawn else _EMPTY).items():
            patch.setattr(figures, name, function)
        patch.setattr(of_experiments, "svg", figures.svg)
        yield
