"""What the documents are made with: the generated pages of docs/reference, and the site that `make
docs` builds.

`python -m pages` writes the generated pages anew. tests/contract/test_pages.py compares them.

fields.py  every field of an experiment's files
verbs.py   every verb of the command line
models.py  the models that the shipped recipes name
site.py    the hook of mkdocs.yml
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hyperfitting.metrics.specs.reference import metrics_markdown
from hyperfitting.recipe import settings_markdown
from pages.fields import fields_markdown
from pages.models import models_markdown
from pages.verbs import verbs_markdown

__all__ = ["PAGES", "REFERENCE"]

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "verbs": verbs_markdown,
    "settings": settings_markdown,
    "metrics": metrics_markdown,
    "fields": fields_markdown,
    "models": models_markdown,
}
"""The pages by their file's name."""
