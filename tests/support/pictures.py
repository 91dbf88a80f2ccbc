"""Pictures that no test looks at are not drawn: that takes a third of the time of a tiny
experiment. Modules marked `pictures` draw theirs.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from matplotlib.figure import Figure

from hyperfitting.report.experiment import figures as of_experiments
from hyperfitting.report.experiment import key_figure as of_key
from hyperfitting.report.kit import figures

_TRUE = {
    figures: {name: getattr(figures, name) for name in ("svg", "save_svg", "save_png")},
    of_experiments: {
        name: getattr(of_experiments, name)
        for name in ("svg", "curve_svgs", "curves", "coloured_texts")
    },
    of_key: {"key_figure": of_key.key_figure},
}
_SVG = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_EMPTY = {
    figures: {
        "svg": lambda figure, name: _SVG,
        "save_svg": lambda figure, path: path.write_text(_SVG),
        "save_png": lambda figure, path: path.write_bytes(_PNG),
    },
    of_experiments: {
        "svg": lambda figure, name: _SVG,
        "curve_svgs": lambda probes: [_SVG] * 2,
        "curves": lambda probes: None,
        "coloured_texts": lambda context, texts: None,
    },
    of_key: {"key_figure": lambda recipe, rows, noun: Figure()},
}


@contextmanager
def pictures(*, drawn: bool) -> Iterator[None]:
    """Pictures as users get them, or empty ones of the same kind."""
    with pytest.MonkeyPatch.context() as patch:
        for module, functions in (_TRUE if drawn else _EMPTY).items():
            for name, function in functions.items():
                patch.setattr(module, name, function)
        yield
