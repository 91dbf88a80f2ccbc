"""Where the project's documents are, for messages that name one and for readers who have only some
of its files.

Wheels carry `docs/` inside the package: setup.py copies it there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container
from pathlib import Path

PUBLIC_ADDRESS = ""
"""Where the repository can be read by everybody, such as https://github.com/OWNER/hyperfitting.

It is empty as long as there is no such place. Project URLs, the absolute links of the README on a
package index, and the links of reports to documents all come from here.
"""

_RELATIVE_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s:#][^)\s:]*)\)")


def documents_folder() -> Path:
    """The folder of the documents: in the installed package, or in a clone of the project."""
    package = Path(__file__).parent
    installed = package / "docs"
    return installed if installed.is_dir() else package.parents[1] / "docs"


def document_place(page: str) -> str:
    """Where a page such as `reference/metrics.md` is read, in words that hold on any machine.

    It is a public address, or while there is none the page's name and how to find it.
    """
    if PUBLIC_ADDRESS:
        return public_link(f"docs/{page}")
    return f"{page} of hyperfitting's documents, whose folder hyperfit --help names"


def public_link(path: str, *, picture: bool = False) -> str:
    """The public address of a file of the repository."""
    return f"{PUBLIC_ADDRESS}/{'raw' if picture else 'blob'}/main/{path}"


def with_living_links(markdown: str, page: str, there: Container[str]) -> str:
    """A page of Markdown for readers who do not have the whole repository.

    A relative link to a file that they have stays. Another one leads to the public address. While
    there is none, the link's words and the file's name stay, and a picture's words.

    Args:
        markdown: the page.
        page: its path from the root of the repository.
        there: paths from the root that the readers have.
    """

    def living(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        file, hash_, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        if path in there:
            return found[0]
        if PUBLIC_ADDRESS:
            address = public_link(path, picture=bool(picture))
            return f"{picture}[{words}]({address}{hash_}{anchor})"
        return words if picture or path.endswith(words.strip("`")) else f"{words} ({path})"

    return _RELATIVE_LINK.sub(living, markdown)
