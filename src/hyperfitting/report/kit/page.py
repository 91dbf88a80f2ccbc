"""The door to jinja2: how a page is filled, and the style that all pages share."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

_REPORT = Path(__file__).parents[1]


def style(*more: str) -> str:
    """The style sheet that all pages share, and further ones below this room after it."""
    names = ("kit/colours.css", "kit/style.css", *more)
    return "".join((_REPORT / name).read_text(encoding="utf-8") for name in names)


def light_and_dark() -> tuple[str, str]:
    """The colours of all pages as CSS declarations, on a light and on a dark ground."""
    colours = (_REPORT / "kit" / "colours.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", colours, re.S)
    return light, dark


def templates() -> jinja2.Environment:
    """The templates of this room: everything is escaped, and a name that is not there is an error.

    Raises:
        ModuleNotFoundError: the extra `report` is not installed.
    """
    import jinja2  # noqa: F401

    return _environment()


@cache
def _environment() -> jinja2.Environment:
    """One for all pages, since each compiles its templates anew."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_REPORT),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = marked_code
    return made


def marked_code(text: str) -> Markup:
    """HTML of a plain text, in which what stands in backquotes is code."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
