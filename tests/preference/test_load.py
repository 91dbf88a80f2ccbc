"""Annotators at once on a real server that is killed under them. The full counts are in the acceptance tests."""

from collections import Counter

from sqlalchemy import event

from hyperfitting.preference.study import Study
from tests import load, studies
from tests.serving import Server


def make(folder, *, contexts, database=None, invited, **settings):
    """A study, its server and the tokens of its annotators."""
    plan = studies.plan(attention_rate=0.05, repeat_rate=0.05, items=150, **settings)
    study, _ = Study.create(folder / "study", plan, studies.comparisons(contexts, 8))
    with study.open_store(database) as store:
        tokens = store.invite(invited)
    options = [] if database is None else ["--database", database]
    return study, Server(study.folder, folder / "log", *options), tokens


def check(study, database, report):
    """None lost, none twice, quotas exact, sides balanced: the store against what the clients were told."""
    with study.open_store(database) as store:
        rows = list(store.judgements())
        overview = store.overview()
    assert Counter(row.assignment for row in rows).most_common(1)[0][1] == 1
    assert {row.assignment: row.answer for row in rows} == report.acknowledged
    scored = [row for row in rows if row.kind == "scored"]
    quota = study.plan.judgements
    each = Counter(row.comparison for row in scored)
    assert set(each.values()) == {quota}
    assert len(each) == overview.comparisons == overview.finished
    assert not any(row.surplus for row in rows)
    for annotator in {row.annotator for row in scored}:
        sides = Counter(
            row.arm_first == "reference" for row in scored if row.annotator == annotator
        )
        assert abs(sides[True] - sides[False]) <= 1, annotator
    assert {person.state for person in overview.annotators} == {"finished"}


def test_a_few_annotators_and_one_kill(tmp_path):
    study, server, tokens = make(tmp_path, contexts=8, invited=6)
    try:
        report = load.run(server, tokens, think=lambda r: r.uniform(0, 0.02), kills=1, expected=96)
    finally:
        server.stop()
    assert report.kills == 1
    check(study, None, report)
    assert "Traceback" not in server.log.read_text()


def test_an_answer_waits_for_the_disk_and_dealing_does_not(tmp_path):
    """A power cut may take back what was dealt last, never what was acknowledged."""
    said = []
    with studies.study(tmp_path).open_store() as store:
        annotator = studies.ready(store)
        event.listen(
            store._database._engine, "before_cursor_execute", lambda *call: said.append(call[2])
        )
        item = store.next_item(annotator)
        dealing, said[:] = list(said), []
        studies.answer(store, annotator, item)
    assert dealing[:2] == ["PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"]
    assert said[:2] == ["PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"]
