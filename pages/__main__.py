"""`python -m pages` writes the generated pages of docs/reference anew; `python -m pages verbs` one
of them.
"""

from __future__ import annotations

import sys

from pages import PAGES, REFERENCE


def main(names: list[str]) -> None:
    """Write the pages of these names, or all."""
    if unknown := set(names) - set(PAGES):
        sys.exit(f"no page {', '.join(sorted(unknown))}: {', '.join(PAGES)}")
    for name in names or PAGES:
        (REFERENCE / f"{name}.md").write_text(PAGES[name](), encoding="utf-8")
        print(REFERENCE / f"{name}.md")


if __name__ == "__main__":
    main(sys.argv[1:])
