"""Markdown from settings as safe HTML: no HTML of its own, no images, plain links.

The door to markdown-it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

_LOWER_BY = 2  # headings: a page has its h1, and the section around the text its h2


def _open_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer")
    tokens[index].attrSet("target", "_blank")
    return renderer.renderToken(tokens, index, options, env)


def _heading(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any
) -> str:
    tokens[index].tag = f"h{min(6, int(tokens[index].tag[1:]) + _LOWER_BY)}"
    return renderer.renderToken(tokens, index, options, env)


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable(
    ["image", "html_block", "html_inline"]
)
_MARKDOWN.add_render_rule("link_open", _open_link)
_MARKDOWN.add_render_rule("heading_open", _heading)
_MARKDOWN.add_render_rule("heading_close", _heading)


def markdown(text: str) -> Markup:
    """A text in Markdown (CommonMark) as HTML. HTML in it is shown as it is typed."""
    return Markup(_MARKDOWN.render(text))
