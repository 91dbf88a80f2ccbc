"""Any request that the schema allows, and many that it does not: never an error of ours
(schemathesis).
"""

import pytest

from tests.support.postgresql import new_database

pytest.importorskip("schemathesis", reason="needs schemathesis: pip install 'hyperfitting[dev]'")
from tests.support.fuzzing import Target, fuzz


def run(folder, database, examples):
    target = Target(folder, database)
    try:
        pages = fuzz(target, examples)
    finally:
        target.store.close()
    assert len(pages) > 30, sorted(pages)
    assert target.statuses >= {200, 401, 403, 422}
    return target


def test_a_few_requests_to_every_page(tmp_path):
    run(tmp_path, None, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_requests_to_every_page(tmp_path, kind):
    target = run(tmp_path, new_database() if kind == "postgresql" else None, 150)
    assert target.statuses >= {200, 401, 403, 404, 409, 422}
