"""The store of a study on SQLite and on a PostgreSQL server: links, annotators, who leaves, the
whole.
"""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference.store import database, open_store
from hyperfitting.preference.store.assignment import recount_loads
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.stores import refusal_of, table_rows

# Links


def test_links_are_unguessable_kept_as_hashes_and_belong_to_one_annotator(open_study):
    store = open_study()
    tokens = store.invitations.create(3, label="class 7")
    assert len({*tokens}) == 3
    assert min(map(len, tokens)) >= 43
    kept = str(table_rows(store, database.invitations))
    assert not [token for token in tokens if token in kept]
    first = store.annotators.enter(tokens[0])
    assert (first.state, first.done) == ("invited", 0)
    assert (
        store.annotators.enter(tokens[0]).id == first.id == store.annotators.of_token(tokens[0]).id
    )
    assert store.annotators.enter(tokens[1]).id != first.id
    assert [(each.label, each.annotator) for each in store.invitations.all()] == [
        ("class 7", first.id),
        ("class 7", "a0002"),
        ("class 7", None),
    ]


def test_wrong_expired_and_revoked_links_are_refused(open_study, clock):
    store = open_study()
    for forged in ("", "x" * 43, "x" * 5000, "ü\udcff", "a\x00b"):
        assert refusal_of(store.annotators.enter, forged) == "unknown"
        assert refusal_of(store.annotators.of_token, forged) == "unknown"
    early, late = store.invitations.create(
        1, expires_at=clock.now + timedelta(hours=1)
    ) + store.invitations.create(1)
    store.annotators.enter(early)
    clock.go_on(hours=1)
    assert refusal_of(store.annotators.enter, early) == "expired"
    assert refusal_of(store.annotators.of_token, early) == "expired"
    store.annotators.enter(late)
    store.invitations.revoke(2)
    assert refusal_of(store.annotators.enter, late) == "revoked"
    assert refusal_of(store.annotators.of_token, late) == "revoked"
    with pytest.raises(StudyError, match="there is no invitation 99"):
        store.invitations.revoke(99)


def test_an_expiry_without_a_zone_is_refused_and_another_zone_is_understood(open_study, clock):
    store = open_study()
    with pytest.raises(StudyError, match="a time without a zone"):
        store.invitations.create(1, expires_at=datetime(2026, 1, 1))
    far = datetime.fromisoformat("2026-03-01T14:30:00+02:00")  # half an hour from now
    (token,) = store.invitations.create(1, expires_at=far)
    store.annotators.enter(token)
    clock.go_on(minutes=31)
    assert refusal_of(store.annotators.enter, token) == "expired"


def test_the_open_link_knows_a_browser_and_has_a_cap(open_study):
    store = open_study(open_link=True, open_link_cap=2)
    assert store.annotators.join("browser-one").id == store.annotators.join("browser-one").id
    assert store.annotators.join("browser-two").id != store.annotators.join("browser-one").id
    assert refusal_of(store.annotators.join, "browser-three") == "full"
    store.annotators.enter(*store.invitations.create(1))  # a personal link does not count


def test_no_open_link_unless_the_plan_has_one(open_study):
    assert refusal_of(open_study().annotators.join, "browser") == "unknown"


def test_a_pause_refuses_newcomers_and_deals_nothing_but_keeps_answers(open_study):
    store = open_study()
    annotator, item = (a := studies.ready(store)), store.items.next(a)
    (token,) = store.invitations.create(1)
    store.pause()
    store.pause()
    assert store.progress().paused
    assert refusal_of(store.annotators.enter, token) == "paused"
    assert refusal_of(store.items.next, annotator) == "paused"
    studies.answer(store, annotator, item)
    store.resume()
    assert not store.paused
    assert store.items.next(annotator).number == 2
    assert [mark.what for mark in table_rows(store, database.marks)] == ["paused", "resumed"]


def test_nothing_is_taken_back_during_a_pause(open_study):
    store = open_study()
    annotator = studies.ready(store)
    studies.work(store, annotator, 1)
    assert store.items.can_undo(annotator)
    store.pause()
    assert refusal_of(store.items.undo, annotator) == "paused"
    assert not store.items.can_undo(annotator)
    store.resume()
    assert len(store.judgements()) == 1
    assert store.items.undo(annotator).taken_back


def test_an_item_says_whether_its_answer_was_taken_back_and_the_last_one_can_be(open_study):
    store = open_study()
    annotator = studies.ready(store)

    def shown():
        item = store.items.next(annotator)
        return item.taken_back, item.can_undo

    assert shown() == (False, False)
    studies.work(store, annotator, 1)
    assert shown() == (False, True)
    store.items.undo(annotator)
    assert shown() == shown() == (True, False)
    studies.work(store, annotator, 1, "second")
    assert shown() == (False, False)  # once for each item
    studies.work(store, annotator, 1)
    assert shown() == (False, True)


def test_to_look_at_a_link_makes_nobody(open_study):
    store = open_study(judgements=1)
    first, second = store.invitations.create(2)
    for _ in range(2):
        assert store.annotators.state_at_the_door(first) == "invited"
    assert refusal_of(store.annotators.identify, first) == "unready"
    assert refusal_of(store.annotators.identify, "x" * 43) == "unknown"
    assert store.progress().annotators == ()
    studies.work(store, studies.ready(store), 99)
    for call in (store.annotators.state_at_the_door, store.annotators.enter):
        assert refusal_of(call, second) == "full"


def test_a_study_that_has_its_answers_is_full(open_study):
    store = open_study(judgements=1)
    studies.work(store, studies.ready(store), 99)
    assert refusal_of(store.annotators.enter, *store.invitations.create(1)) == "full"


# The way to the first item


def test_consent_and_test_come_first(open_study):
    store = open_study(test_attempts=2)
    annotator = store.annotators.enter(*store.invitations.create(1)).id
    for call in (
        store.items.next,
        store.annotators.pass_test,
        store.annotators.fail_test,
        store.items.undo,
    ):
        assert refusal_of(call, annotator) == "unready"
    store.annotators.consent(annotator)
    assert refusal_of(store.items.next, annotator) == "unready"
    assert store.annotators.fail_test(annotator) == 1
    store.annotators.pass_test(annotator)
    store.annotators.consent(annotator)  # a page sent twice
    store.annotators.pass_test(annotator)
    assert store.items.next(annotator).number == 1


def test_after_the_last_attempt_the_test_is_over(open_study):
    store = open_study(test_attempts=2)
    (token,) = store.invitations.create(1)
    annotator = store.annotators.enter(token).id
    store.annotators.consent(annotator)
    assert [store.annotators.fail_test(annotator), store.annotators.fail_test(annotator)] == [1, 0]
    assert store.annotators.of_token(token).state == "failed"
    for call in (store.annotators.fail_test, store.annotators.pass_test, store.items.next):
        assert refusal_of(call, annotator) == "failed"


def test_nobody_by_that_name(open_study):
    store = open_study()
    for call in (
        store.items.next,
        store.annotators.consent,
        store.items.undo,
        store.annotators.withdraw,
    ):
        assert refusal_of(call, "a9999") == "unknown"


# Leaving


def test_an_exclusion_keeps_the_answers_marked_and_asks_others_instead(open_study):
    store = open_study(judgements=1)
    bad = studies.ready(store)
    studies.work(store, bad, 10)
    with pytest.raises(StudyError, match="needs a reason"):
        store.annotators.exclude(bad, " ")
    store.annotators.exclude(bad, "failed every check")
    assert refusal_of(store.items.next, bad) == "excluded"
    assert {row.excluded for row in store.judgements()} == {"failed every check"}
    assert store.progress().answers == 0
    assert len(studies.work(store, studies.ready(store), 99)) == 16
    store.annotators.include(bad)
    assert sum(row.surplus for row in store.judgements()) == 10
    assert store.progress().finished == 16
    assert [mark.what for mark in table_rows(store, database.marks)] == ["excluded", "included"]


def test_a_withdrawal_purges_identity_and_answers_and_leaves_a_mark(open_study):
    store = open_study(judgements=1)
    (token,) = store.invitations.create(1, label="Ann Example")
    annotator = store.annotators.enter(token).id
    store.annotators.consent(annotator)
    store.annotators.pass_test(annotator)
    studies.work(store, annotator, 5)
    store.items.undo(annotator)
    store.annotators.withdraw(annotator)
    store.annotators.withdraw(annotator)
    assert store.judgements() == []
    assert (
        table_rows(store, database.judgements)
        == table_rows(store, database.assignments)
        == table_rows(store, database.voids)
        == []
    )
    assert "Ann" not in str(
        table_rows(store, database.annotators) + table_rows(store, database.invitations)
    )
    assert (
        refusal_of(store.annotators.enter, token)
        == refusal_of(store.annotators.of_token, token)
        == "withdrawn"
    )
    assert token not in str(table_rows(store, database.facts))
    assert refusal_of(store.items.next, annotator) == "withdrawn"
    assert [
        (mark.what, mark.annotator, mark.detail) for mark in table_rows(store, database.marks)
    ] == [("withdrawn", annotator, "4 answers")]
    assert len(studies.work(store, studies.ready(store), 99)) == 16


def test_real_and_simulated_answers_are_never_mixed(open_study):
    store = open_study()
    studies.work(store, studies.ready(store), 1)
    with pytest.raises(
        StudyError, match="holds real judgements, and simulated ones are never mixed"
    ):
        store.annotators.enrol("simulated")


def test_nor_the_other_way_round(open_study):
    store = open_study()
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    simulated = store.annotators.enrol("simulated")
    assert simulated.state == "invited"
    with pytest.raises(
        StudyError, match="holds simulated judgements, and real ones are never mixed"
    ):
        studies.answer(store, annotator, item)
    assert store.judgements() == []


def test_a_store_opened_again_goes_on(open_study, tmp_path, store_url, clock):
    store = open_study()
    annotator = studies.ready(store)
    studies.work(store, annotator, 3)
    with open_store(Study.find(tmp_path / "study"), store_url, clock) as other:
        assert other.judgements() == store.judgements()
        assert other.items.next(annotator) == store.items.next(annotator)


def test_the_overview_counts_what_counts(open_study):
    store = open_study(attention_rate=0.2, repeat_rate=0.1)
    for choice in ("first", "first", "equal"):
        studies.work(store, studies.ready(store), 99, choice)
    seen = store.progress()
    assert (seen.comparisons, seen.finished, seen.answers, seen.needed, seen.surplus) == (
        16,
        16,
        48,
        48,
        0,
    )
    assert {
        group.name: (group.finished, group.answers, group.needed) for group in seen.domains
    } == {
        "fiction": (8, 24, 24),
        "news": (8, 24, 24),
    }
    assert {group.name: group.comparisons for group in seen.arms} == {
        "hyperfitted, greedy": 8,
        "original, greedy": 8,
        "reference": 16,
    }
    always_equal = seen.annotators[2]
    assert (always_equal.attention_shown, always_equal.attention_failed) == (4, 4)
    assert always_equal.repeats_shown == always_equal.repeats_kept > 0
    assert seen.annotators[0].repeats_kept == 0  # always the first: never the same text
    assert seen.annotators[0].seconds == 5.0
    pairs = Counter()
    for row in seen_pairs(store):
        pairs[row] += 1
    assert seen.agreement == pytest.approx(pairs[True] / pairs.total())


def seen_pairs(store):
    """Whether each two answers to a scored comparison agree, by hand."""
    given = {}
    for row in store.judgements():
        if row.kind == "scored":
            won = {"first": row.arm_first, "second": row.arm_second}.get(row.answer, "equal")
            given.setdefault(row.comparison, []).append(won)
    for won in given.values():
        yield from (won[a] == won[b] for a in range(len(won)) for b in range(a))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_happens_no_quota_is_exceeded_and_the_counts_are_true(tmp_path_factory, seed):
    random_walk(tmp_path_factory.mktemp("walk"), seed)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_happens_three_hundred_times(tmp_path_factory, seed):
    random_walk(tmp_path_factory.mktemp("walk"), seed)


def random_walk(folder, seed):
    """People work, get lost, come back late, undo, withdraw and are excluded, in any order."""
    random_, clock = random.Random(seed), studies.Clock()
    rows_ = studies.comparisons(2, 2)
    with open_store(
        studies.study(folder, rows=rows_, attention_rate=0.2, repeat_rate=0.1), None, clock
    ) as store:
        people = [studies.ready(store) for _ in range(4)]
        pages = []
        for _ in range(100):
            annotator = random_.choice(people)
            try:
                match random_.randrange(12):
                    case 0:
                        clock.go_on(minutes=random_.choice([1, 20, 40]))
                    case 1:
                        pages.append((annotator, store.items.undo(annotator)))
                    case 2 if random_.random() < 0.1:
                        store.annotators.withdraw(annotator)
                    case 3:
                        store.annotators.exclude(annotator, "odd")
                    case 4:
                        store.annotators.include(annotator)
                    case 5 | 6 | 7 if pages:
                        studies.answer(
                            store,
                            *random_.choice(pages),
                            random_.choice(["first", "second", "equal"]),
                        )
                    case _:
                        item = store.items.next(annotator)
                        pages += [(annotator, item)] if item else []
            except Refused:
                pass
        check_the_books(store)


def check_the_books(store):
    """What is counted as it goes along is what counting anew would give, and each judgement is
    there once.
    """
    before = {row.id: row.load for row in table_rows(store, database.comparisons)}
    with store._context.database.writing() as connection:
        recount_loads(connection)
    assert {row.id: row.load for row in table_rows(store, database.comparisons)} == before
    given = store.judgements()
    assert len({row.assignment for row in given}) == len(given)
    assert len({(row.annotator, row.comparison) for row in given}) == len(given)
    counts = Counter(
        row.comparison
        for row in given
        if row.kind == "scored" and not row.surplus and not row.excluded
    )
    assert max(counts.values(), default=0) <= store.study.protocol.judgements


def test_utc_is_what_the_clock_says_by_default(tmp_path):
    with open_store(studies.study(tmp_path)) as store:
        studies.work(store, studies.ready(store), 1)
        (row,) = store.judgements()
    assert abs(datetime.fromisoformat(row.answered_at) - datetime.now(UTC)) < timedelta(minutes=1)
