"""Fixtures of the preference study's store, on SQLite and on a PostgreSQL server; light experiments
for many cases.
"""

import pytest

from hyperfitting.preference.store import open_store
from tests.support import studies
from tests.support.postgresql import new_database


@pytest.fixture
def light(monkeypatch):
    """Reports without their pictures, and checks without the plan of memory and the timed update,
    which take longest in a tiny experiment.
    """
    from hyperfitting import training
    from hyperfitting.report.experiment import figures as pictures
    from hyperfitting.report.kit import figures

    monkeypatch.setattr(training, "memory_of", lambda *_, **__: training.Memory(1, 1, 1, 1, 1, 1))
    monkeypatch.setattr(training, "update_seconds", lambda *_: 1.0)
    monkeypatch.setattr(figures, "svg", lambda figure, name: "<svg></svg>")
    monkeypatch.setattr(figures, "save_png", lambda figure, path: path.write_bytes(b""))
    monkeypatch.setattr(pictures, "curve_svgs", lambda probes: ["<svg></svg>"] * 2)
    monkeypatch.setattr(pictures, "curves", lambda probes: None)
    monkeypatch.setattr(pictures, "coloured_texts", lambda context, texts: None)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request):
    return new_database() if request.param == "postgresql" else None


@pytest.fixture
def clock():
    return studies.Clock()


@pytest.fixture
def open_study(tmp_path, store_url, clock):
    """A function that makes a study and opens its store."""
    opened = []

    def make(**settings):
        opened.append(open_store(studies.study(tmp_path, **settings), store_url, clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()
