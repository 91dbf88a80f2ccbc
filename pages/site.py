"""The hook of mkdocs.yml: pages that are outside docs/, and links to what is no page.

In the repository a link names a file. On the site results/, CHANGELOG.md and others stand beside
the pages of docs/, so links to them are changed; a link to a file that is not on the site, such as
a module, becomes its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE_DOCS = ("CHANGELOG.md", "CONTRIBUTING.md", "LOG.md", "results/*.*", "results/smollm2/*.*")
"""Files of the repository that are on the site under the same path."""

STANDS_FOR = {"README.md": "docs/index.md"}
"""A file that is not on the site, and the page that takes its place."""

_FENCED = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.M | re.S)
_LIST_IN_PARAGRAPH = re.compile(r"(?<=\n\n)((?: {0,3}(?![-|>#\s]).+\n)+)(?=- )")
"""GitHub begins a list after a line of a paragraph, Python-Markdown only after a blank one."""

_LINK = re.compile(
    r"(!?\[((?:[^\[\]]|\[[^\]]*\])*)\])\((?!https?:|mailto:)([^)\s#]+)((?:#[^)\s]*)?)\)"
)
"""Its label in brackets, its text, the file and the anchor."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of docs/, and those outside of it."""
    root = Path(config.config_file_path).parent
    for path in sorted(path for pattern in OUTSIDE_DOCS for path in root.glob(pattern)):
        name = path.relative_to(root).as_posix()
        files.append(File(name, str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's text with links that hold on the site; a broken one stays, and fails the build."""
    if page.parent is None:  # it is alone in its tab
        page.meta["hide"] = ["navigation"]
    root = Path(config.config_file_path).parent
    docs = Path(config.docs_dir).relative_to(root).as_posix()
    here = Path(page.file.abs_src_path or "").relative_to(root).as_posix()
    folder = posixpath.dirname(page.file.src_uri)
    on_site = {file.src_uri for file in files}

    def changed(link: re.Match[str]) -> str:
        label, text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        path = STANDS_FOR.get(path, path)
        uri = path.removeprefix(f"{docs}/")
        if uri in on_site:
            return f"{label}({posixpath.relpath(uri, folder)}{anchor})"
        return text if (root / path).exists() else link.group()

    parts = _FENCED.split(markdown)
    parts[::2] = [_LINK.sub(changed, _LIST_IN_PARAGRAPH.sub(r"\1\n", part)) for part in parts[::2]]
    return "".join(parts)
