"""Fifty annotators, five thousand judgements, ten kills, on both databases. Prints what the clients
saw.
"""

import pytest

from tests.support import load
from tests.support.postgresql import new_database

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_fifty_annotators_at_once(tmp_path, kind):
    """Latency is that of every request that was answered; what a kill cut off is sent again, and
    told apart.
    """
    database = new_database() if kind == "postgresql" else None
    study, server, tokens = load.served_study(tmp_path, contexts=417, database=database, invited=50)
    try:
        report = load.run(
            server, tokens, think=lambda r: r.uniform(0.5, 1.5), kills=10, expected=5_004
        )
    finally:
        server.stop()
    print(f"\n{kind}: {report.in_words()}")
    assert len(report.acknowledged) >= 5_004
    assert report.kills == 10
    load.check_answers(study, database, report)
    assert report.milliseconds(0.5) < 50
    assert report.milliseconds(0.99) < 500
