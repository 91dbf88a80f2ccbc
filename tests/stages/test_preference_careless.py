"""Careless annotators are replaced while a study collects, by the protocol's own rule."""

from collections import Counter

import pytest

from hyperfitting.errors import Refused
from hyperfitting.preference.analysis.protocol_adherence import check_protocol
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.store import open_store
from hyperfitting.preference.store.database import comparisons as comparison_table
from hyperfitting.preference.store.database import marks
from hyperfitting.preference.web.app import make_app
from tests.support import studies
from tests.support.stores import refusal_of, table_rows
from tests.support.visitors import Visitor

RULED = {"replace_careless": True, "attention_rate": 0.25, "judgements": 1}


def answer(store, who, item, *, right=True, seconds=9.0):
    """Answer an item, a check rightly or wrongly; returns its kind."""
    comparison, one_first = store.items.unblinded(item.assignment)
    choice = "first" if one_first else "second"
    if comparison.kind == "attention" and not right:
        choice = "equal"
    store.items.submit(who, item.assignment, choice, f"{item.number}{choice}", seconds)
    return comparison.kind


def work(store, who, most=99, **how):
    """Answer until nothing is left; returns the kinds of the items answered."""
    kinds = []
    while len(kinds) < most and (item := store.items.next(who)) is not None:
        kinds.append(answer(store, who, item, **how))
    return kinds


def until_refused(store, who, **how):
    with pytest.raises(Refused) as caught:
        work(store, who, **how)
    return caught.value.reason


def loads(store):
    """Answers, given and expected, of each scored comparison; and those that stand and count."""
    held = {row.id: row.load for row in table_rows(store, comparison_table) if row.kind == "scored"}
    rows = [row for row in store.judgements() if row.kind == "scored" and row.excluded is None]
    return held, Counter(row.comparison for row in rows)


def test_whoever_fails_too_many_checks_is_replaced(open_study):
    with open_study(**RULED) as store:
        careless, careful = studies.ready(store), studies.ready(store)
        assert until_refused(store, careless, right=False) == "excluded"
        rows = [row for row in store.judgements() if row.annotator == careless]
        assert [row.kind for row in rows].count("attention") == 2
        assert {row.excluded for row in rows} == {
            "replaced by the protocol's rule: 2 failed attention checks"
        }
        assert all(row.replaced for row in rows)
        held, counted = loads(store)
        assert set(held.values()) == {0}
        assert not counted
        work(store, careful)
        held, counted = loads(store)
        assert set(held.values()) == {1}
        assert counted == held
        assert len(store.judgements()) == len(rows) + 16 + 4  # nothing lost
        (mark,) = table_rows(store, marks)
        assert (mark.what, mark.annotator) == ("replaced", careless)
        study = store.study
        checks = check_protocol(
            study.protocol,
            study.digest,
            study.facts.created_at,
            study.comparisons(),
            store.judgements(),
            frozenset({careless}),
        )
        assert checks[-1].found == (
            "1 left out by the rule (1 replaced while collecting), 0 more by hand"
        )
        assert all(check.kept for check in checks if check.what != "order")


def test_the_last_answer_can_still_be_taken_back(open_study):
    with open_study(**RULED) as store:
        who, failed = studies.ready(store), 0
        while failed < 2:
            failed += answer(store, who, store.items.next(who), right=False) == "attention"
        item = store.items.next(who)
        assert item is not None
        again = store.items.undo(who)
        answer(store, who, again)
        assert "excluded" not in {person.state for person in store.progress().annotators}
        work(store, who)
        assert store.progress().annotators[0].state == "finished"


def test_whoever_is_too_quick_is_replaced_after_ten_answers(open_study):
    with open_study(**RULED) as store:
        who = studies.ready(store)
        assert until_refused(store, who, seconds=1.2) == "excluded"
        rows = store.judgements()
        assert len(rows) == 11  # ten that can no longer be taken back, and one more
        assert rows[0].excluded == (
            "replaced by the protocol's rule: 1.2 s on a page in the median"
        )


def test_a_short_study_is_judged_at_its_end(open_study):
    with open_study(**{**RULED, "items": 4, "attention_rate": 0.0}) as store:
        quick, careful = studies.ready(store), studies.ready(store)
        assert until_refused(store, quick, seconds=0.9) == "excluded"
        assert len(store.judgements()) == 4
        assert len(work(store, careful)) == 4
        assert store.progress().annotators[1].state == "finished"


def test_the_study_is_not_full_while_somebody_careless_fills_it(open_study, clock):
    """Those who left, or whose last page was never asked for, are replaced when room is needed."""
    with open_study(rows=studies.comparisons(1), **{**RULED, "attention_rate": 0.0}) as store:
        left, token = studies.ready(store), store.invitations.create(1)[0]
        for _ in range(4):
            answer(store, left, store.items.next(left), seconds=0.5)
        assert refusal_of(store.annotators.enter, token) == "full"
        clock.go_on(minutes=31)
        who = store.annotators.enter(token).id
        assert store.annotators.of_token(token).total == 4
        assert loads(store)[0] == dict.fromkeys(loads(store)[0], 0)
        store.annotators.consent(who)
        store.annotators.pass_test(who)
        assert len(work(store, who)) == 4
        assert set(loads(store)[0].values()) == {1}


def test_a_browser_comes_to_the_last_page(open_study):
    with open_study(**{**RULED, "attention_rate": 0.0}) as store:
        visitor = Visitor(make_app(store.study, store))
        visitor.begin(store.invitations.create(1)[0])
        while visitor.page.url.path == "/judge":
            visitor.answer("first", seconds="0.9")
        assert visitor.page.url.path == "/done"
        assert visitor.page.status_code == 200
        assert "nothing more for you to do" in visitor.page.text
        assert "completion code" not in visitor.page.text
        assert store.progress().annotators[0].state == "excluded"
        assert "Withdraw your answers" in visitor.page.text  # as the consent says
        visitor.get("/withdraw")
        assert visitor.post("/withdraw", sure="yes").url.path == "/goodbye"
        assert store.judgements() == []


def test_a_kill_in_between_changes_nothing(tmp_path, store_url, clock):
    """The answers decide anew: a rule that was not applied in time is applied later."""
    study = studies.study(tmp_path, **RULED)
    with open_store(study, store_url, clock) as store:
        who, failed = studies.ready(store), 0
        while failed < 2:
            failed += answer(store, who, store.items.next(who), right=False) == "attention"
        answer(store, who, store.items.next(who))
        kept = len(store.judgements())
    with open_store(study, store_url, clock) as store:
        assert len(store.judgements()) == kept
        assert refusal_of(store.items.next, who) == "excluded"
        assert refusal_of(store.items.next, who) == "excluded"
        assert len(store.judgements()) == kept
        assert set(loads(store)[0].values()) == {0}
        assert [mark.what for mark in table_rows(store, marks)] == ["replaced"]


def test_the_admins_word_stands(open_study):
    with open_study(**RULED) as store:
        who = studies.ready(store)
        until_refused(store, who, right=False)
        store.annotators.include(who)
        work(store, who, right=False)
        assert store.progress().annotators[0].state == "finished"
        assert {row.excluded for row in store.judgements()} == {None}


def test_a_study_without_the_setting_replaces_nobody(open_study):
    with open_study(**{**RULED, "replace_careless": False}) as store:
        who = studies.ready(store)
        work(store, who, right=False, seconds=0.5)
        assert store.progress().annotators[0].state == "finished"


def test_simulated_careless_annotators_are_replaced_and_nothing_is_doubled(tmp_path):
    study = studies.study(tmp_path, **{**RULED, "judgements": 2, "items": 14})
    record = simulate(study, 14, SimulationSettings(careless=0.6), seed=2)
    with open_store(study) as store:
        rows = store.judgements()
        held, counted = loads(store)
    assert len(rows) == record.judgements
    assert len({row.assignment for row in rows}) == len(rows)
    assert len({row.annotator for row in rows if row.replaced}) >= 4
    assert {row.seconds < 2 for row in rows if row.excluded is None} == {False}
    assert counted == held == dict.fromkeys(held, 2)
