"""Annotators at once on a real server that is killed under them. The full counts are in the
acceptance tests.
"""

from sqlalchemy import event

from hyperfitting.preference.store import open_store
from tests.support import load, studies


def test_a_few_annotators_and_one_kill(tmp_path):
    study, server, tokens = load.served_study(tmp_path, contexts=8, invited=6)
    try:
        report = load.run(server, tokens, think=lambda r: r.uniform(0, 0.02), kills=1, expected=96)
    finally:
        server.stop()
    assert report.kills == 1
    load.check_answers(study, None, report)
    assert "Traceback" not in server.log.read_text()


def test_an_answer_waits_for_the_disk_and_dealing_does_not(tmp_path):
    """A power cut may take back what was dealt last, never what was acknowledged."""
    said = []
    with open_store(studies.study(tmp_path)) as store:
        annotator = studies.ready(store)
        event.listen(
            store._context.database._engine,
            "before_cursor_execute",
            lambda *call: said.append(call[2]),
        )
        item = store.items.next(annotator)
        dealing, said[:] = list(said), []
        studies.answer(store, annotator, item)
    assert dealing[:2] == ["PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"]
    assert said[:2] == ["PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"]
