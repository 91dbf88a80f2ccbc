"""The corpora of the acceptance tests, which are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("HYPERFITTING_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="the corpora are not here: set HYPERFITTING_DATA to their folder"
)
