"""Fixtures of the preference study's store, on SQLite and on a PostgreSQL server."""

import pytest

from hyperfitting.preference.store import open_store
from tests.support import studies
from tests.support.postgresql import new_database


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
