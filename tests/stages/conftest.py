"""Fixtures of the preference study, its store and its app; light experiments for many cases."""

import pytest

from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.pictures import pictures


@pytest.fixture(scope="module", autouse=True)
def drawn_if_looked_at(request):
    """Pictures are drawn for modules that are marked so. Memory stays with the process: to look for
    what could be returned takes longer than to measure a tiny experiment.
    """
    from hyperfitting import models

    with (
        pictures(drawn=request.node.get_closest_marker("pictures") is not None),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(models, "return_freed_memory", lambda: None)
        yield


@pytest.fixture(autouse=True)
def drawn_in_this_test(request):
    """Pictures are drawn in tests that are marked so by themselves."""
    with pictures(drawn=request.node.get_closest_marker("pictures") is not None):
        yield


@pytest.fixture
def light(monkeypatch):
    """Reports without the figures of curves and texts, and checks without the plan of memory and
    the timed update, which take longest in a tiny experiment.
    """
    from hyperfitting import training
    from hyperfitting.report.experiment import figures

    monkeypatch.setattr(training, "memory_of", lambda *_, **__: training.Memory(1, 1, 1, 1, 1, 1))
    monkeypatch.setattr(training, "update_seconds", lambda *_: 1.0)
    monkeypatch.setattr(figures, "curve_svgs", lambda probes: ["<svg></svg>"] * 2)
    monkeypatch.setattr(figures, "curves", lambda probes: None)
    monkeypatch.setattr(figures, "coloured_texts", lambda context, texts: None)


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


@pytest.fixture
def place(tmp_path):
    """A function that makes a study and its app; returns store, app and the admin's token."""
    from hyperfitting.preference.web.app import make_app

    opened = []

    def make(rows=None, open_link=False, address=None, **settings):
        protocol = studies.protocol(open_link=open_link, **settings)
        study, token = Study.create(
            tmp_path / "study", protocol, studies.comparisons() if rows is None else rows
        )
        opened.append(open_store(study))
        app = make_app(study, opened[-1], address=address, open_link=open_link)
        return opened[-1], app, token

    yield make
    for store in opened:
        store.close()
