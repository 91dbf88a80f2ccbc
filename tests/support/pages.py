"""What the pages of the documents hold."""

from __future__ import annotations

import re


def code_blocks(text: str, language: str) -> list[str]:
    """The code of a page in a language, block by block."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)
