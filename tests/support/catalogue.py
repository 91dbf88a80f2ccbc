"""The messages that annotators can see, as the code and the templates hold them.

`python -m tests.support.catalogue de` adds those that a catalogue lacks, without a translation, and
drops those that are gone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from hyperfitting.preference.languages import LOCALE

ROOM = LOCALE.parent
_KEYWORDS = {"_": None, "gettext_noop": None, "ngettext": (1, 2)}
_METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
_OPTIONS = {"**.html": {"newstyle_gettext": "true", "trimmed": "false"}}


def source_messages() -> Catalog:
    """Every message of the source, in the order of files and lines."""
    catalog = Catalog(project="hyperfitting", charset="utf-8")
    found = extract_from_dir(ROOM, _METHODS, _OPTIONS, keywords=_KEYWORDS)
    for path, _, message, _, _ in sorted(found, key=lambda each: (each[0], each[1])):
        catalog.add(message, locations=[(path, 0)])
    return catalog


def catalogue(path: Path) -> Catalog:
    """A shipped catalogue."""
    with path.open("rb") as source:
        return read_po(source, locale=path.stem)


def update(path: Path) -> None:
    """Take the messages of the source into a catalogue."""
    held = catalogue(path)
    held.update(source_messages(), no_fuzzy_matching=True)
    held.obsolete.clear()
    with path.open("wb") as target:
        write_po(target, held, width=100, include_lineno=False, omit_header=False)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        update(LOCALE / f"{name}.po")
