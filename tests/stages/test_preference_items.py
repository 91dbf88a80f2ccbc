"""Items of work on SQLite and on a PostgreSQL server: who gets which, time-outs, answers."""

from collections import Counter

import pytest

from hyperfitting.errors import StudyError
from hyperfitting.preference.records import AGAIN
from hyperfitting.preference.store import database
from tests.support import studies
from tests.support.stores import refusal_of, table_rows

# Items


def test_an_item_shows_no_arm_and_stays_the_same_until_it_is_answered(open_study):
    store = open_study()
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    assert store.items.next(annotator) == item
    assert (item.number, item.total) == (1, 16)
    assert not [name for name in (*studies.ARMS, "reference", "run") if name in str(item)]
    studies.answer(store, annotator, item)
    assert store.items.next(annotator).assignment != item.assignment


def test_one_annotator_judges_everything_once_and_gets_a_code(open_study):
    store = open_study()
    token, annotator = studies.ready_by_link(store)
    done = studies.work(store, annotator, 99)
    assert [item.number for item in done] == list(range(1, 17))
    assert {item.total for item in done} == {16}
    now = store.annotators.of_token(token)
    assert (now.state, now.done, now.total) == ("finished", 16, 16)
    assert len(now.completion_code) == 10
    assert store.items.next(annotator) is None
    assert store.annotators.of_token(token).completion_code == now.completion_code
    given = store.judgements()
    assert len({row.comparison for row in given}) == len(given) == 16


def test_contexts_do_not_come_twice_before_all_have_come_once(open_study):
    store = open_study()
    studies.work(store, studies.ready(store), 8)
    assert len({row.context for row in store.judgements()}) == 8


def test_comparisons_finish_evenly(open_study):
    store = open_study(items=5)
    for annotators in range(1, 11):
        assert len(studies.work(store, studies.ready(store), 99)) == min(
            5, 48 - 5 * (annotators - 1)
        )
        counts = Counter(row.comparison for row in store.judgements())
        loads = [counts[row.id] for row in store.study.comparisons() if row.kind == "scored"]
        assert max(loads) - min(loads) <= 1
        arms = Counter(
            row.arm_first if row.arm_first != "reference" else row.arm_second
            for row in store.judgements()
        )
        assert max(arms.values()) - min(arms.values()) <= 3


def test_quotas_are_met_exactly(open_study):
    store = open_study()
    for annotator in [studies.ready(store) for _ in range(4)]:
        studies.work(store, annotator, 99)
    counts = Counter(row.comparison for row in store.judgements())
    assert set(counts.values()) == {3}
    assert len(counts) == 16
    assert store.progress().finished == 16
    assert [people.answers for people in store.progress().annotators] == [16, 16, 16, 0]


def test_sides_balance_within_one_at_every_moment(open_study):
    store = open_study()
    for _ in range(3):
        studies.work(store, studies.ready(store), 99)
    balance, firsts = Counter(), Counter()
    for row in store.judgements():
        balance[row.annotator] += 1 if row.arm_first != "reference" else -1
        firsts[row.annotator] += row.arm_first == "reference"
        assert abs(balance[row.annotator]) <= 1
    assert set(firsts.values()) == {8}
    orders = {
        "".join(
            "r" if row.arm_first == "reference" else "m"
            for row in store.judgements()
            if row.annotator == annotator
        )
        for annotator in firsts
    }
    assert len(orders) == 3  # drawn for each, not one pattern for all


def test_checks_and_repeats_come_at_their_rates(open_study):
    store = open_study(attention_rate=0.2, repeat_rate=0.1)
    annotator = studies.ready(store)
    done = studies.work(store, annotator, 99)
    given = store.judgements()
    kinds = Counter(row.kind for row in given)
    assert kinds["scored"] == 16
    assert kinds["attention"] == 4  # all there are; the rate asks for five
    assert 2 <= kinds["repeat"] <= 3
    assert given[0].kind == "scored"
    for place, row in enumerate(given):
        if row.kind == "repeat":
            (earlier,) = [n for n, other in enumerate(given) if other.comparison == row.repeats]
            assert place - earlier >= 5
            assert row.comparison == row.repeats + AGAIN
            assert (row.arm_first, row.arm_second) == (
                given[earlier].arm_second,
                given[earlier].arm_first,
            )
            assert {done[place].first, done[place].second} == {
                done[earlier].first,
                done[earlier].second,
            }
    assert {frozenset((r.arm_first, r.arm_second)) for r in given if r.kind == "attention"} == {
        frozenset(("reference", "shuffled"))
    }


# Time-outs


def test_a_lost_browser_gives_its_item_back(open_study, clock):
    store = open_study(rows=studies.comparisons(1, 0, studies.ARMS[:1])[:1], judgements=1)
    lost, other = studies.ready(store), studies.ready(store)
    item = store.items.next(lost)
    assert store.items.next(other) is None  # the only one is held
    clock.go_on(minutes=31)
    taken = store.items.next(other)
    assert (taken.context, taken.number) == (item.context, 1)
    assert store.items.next(lost) is None
    studies.answer(store, other, taken)
    studies.answer(store, lost, item, "second")  # late: kept, and surplus
    assert [(row.annotator, row.surplus) for row in store.judgements()] == [
        (other, False),
        (lost, True),
    ]
    overview = store.progress()
    assert (overview.answers, overview.surplus, overview.finished) == (1, 1, 1)


def test_a_late_answer_counts_if_nobody_took_its_place(open_study, clock):
    store = open_study(judgements=1)
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    clock.go_on(hours=5)
    studies.ready(store)
    studies.answer(store, annotator, item)
    assert [row.surplus for row in store.judgements()] == [False]
    assert len(studies.work(store, studies.ready(store), 99)) == 15


def test_who_comes_back_late_gets_the_same_item_with_the_same_sides(open_study, clock):
    store = open_study()
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    clock.go_on(hours=5)
    studies.work(store, studies.ready(store), 3)
    assert store.items.next(annotator) == item


def test_whoever_is_there_keeps_the_item(open_study, clock):
    store = open_study(rows=studies.comparisons(1, 0, studies.ARMS[:1])[:1], judgements=1)
    annotator, other = studies.ready(store), studies.ready(store)
    for _ in range(3):
        store.items.next(annotator)
        clock.go_on(minutes=29)
    assert store.items.next(other) is None


# Answers


def test_a_repeated_submit_is_one_judgement(open_study):
    store = open_study()
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    for choice in ("first", "second"):
        store.items.submit(annotator, item.assignment, choice, "attempt", 4.5)
    (row,) = store.judgements()
    assert (row.answer, row.seconds, row.source) == ("first", 4.5, "human")
    assert (
        refusal_of(store.items.submit, annotator, item.assignment, "second", "another", 1.0)
        == "answered"
    )


def test_other_peoples_items_are_refused(open_study):
    store = open_study()
    one, other = studies.ready(store), studies.ready(store)
    item = store.items.next(one)
    assert refusal_of(store.items.submit, other, item.assignment, "first", "x", 1.0) == "not_theirs"
    assert refusal_of(store.items.submit, one, "0" * 20, "first", "x", 1.0) == "not_theirs"
    assert store.judgements() == []


@pytest.mark.parametrize("strange", ["\x00", "\udcff", "a" * 10_000, "a0001\n", "' OR 1=1 --", ""])
def test_names_that_no_database_takes_are_only_unknown(open_study, strange):
    store = open_study()
    annotator = studies.ready(store)
    assert refusal_of(store.items.submit, annotator, strange, "first", "x", 1.0) == "not_theirs"
    for call in (
        store.items.next,
        store.items.undo,
        store.annotators.withdraw,
        store.annotators.consent,
        store.annotators.include,
    ):
        assert refusal_of(call, strange) == "unknown"
    store.invitations.create(1, label=strange)
    store.annotators.exclude(annotator, f"{strange} odd")
    assert store.progress().annotators[0].excluded.endswith(("odd", "aaa"))
    for number in (0, -1, 2**31, 10**30):
        with pytest.raises(StudyError, match="there is no invitation"):
            store.invitations.revoke(number)


@pytest.mark.parametrize(
    ("answer", "attempt", "seconds", "words"),
    [
        ("both", "x", 1.0, "it is first, second or equal"),
        ("first", "", 1.0, "an attempt is named by 1 to 100 printable ASCII"),
        ("first", "x" * 101, 1.0, "an attempt is named by 1 to 100 printable ASCII"),
        ("first", "\x00", 1.0, "an attempt is named by 1 to 100 printable ASCII"),
        ("first", "\udcff", 1.0, "an attempt is named by 1 to 100 printable ASCII"),
        ("first", "x", -1.0, "from 0 to 10000000"),
        ("first", "x", float("nan"), "from 0 to 10000000"),
        ("first", "x", float("inf"), "from 0 to 10000000"),
    ],
)
def test_what_is_no_answer_is_refused(open_study, answer, attempt, seconds, words):
    store = open_study()
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    with pytest.raises(StudyError, match=words):
        store.items.submit(annotator, item.assignment, answer, attempt, seconds)
    assert store.items.next(annotator) == item


def test_a_judgement_says_all_that_the_analysis_needs(open_study, clock):
    store = open_study()
    annotator = studies.ready(store)
    item = store.items.next(annotator)
    clock.go_on(seconds=7)
    studies.answer(store, annotator, item, "equal")
    (row,) = store.judgements()
    shown = store.study.comparison(row.comparison)
    texts = {shown.one.arm: shown.one.text, shown.other.arm: shown.other.text}
    assert (texts[row.arm_first], texts[row.arm_second]) == (item.first, item.second)
    assert (row.study, row.assignment, row.annotator) == (
        store.study.digest,
        item.assignment,
        annotator,
    )
    assert (row.dealt_at, row.answered_at) == (
        "2026-03-01T12:00:00.000000+00:00",
        "2026-03-01T12:00:07.000000+00:00",
    )
    assert (row.domain, row.context, row.tokens) == (shown.domain, shown.context, 12)


def test_undo_brings_the_item_back_once_and_keeps_a_void_row(open_study):
    store = open_study()
    annotator = studies.ready(store)
    assert refusal_of(store.items.undo, annotator) == "no_undo"
    first, second = studies.work(store, annotator, 2)
    waiting = store.items.next(annotator)
    back = store.items.undo(annotator)
    assert (back.assignment, back.first, back.second, back.number) == (
        second.assignment,
        second.first,
        second.second,
        2,
    )
    assert refusal_of(store.items.undo, annotator) == "no_undo"  # only the last one
    assert store.items.next(annotator) == back
    store.items.submit(
        annotator, second.assignment, "first", f"try-{second.assignment}-2-first", 5.0
    )  # the old page again
    assert [row.assignment for row in store.judgements()] == [first.assignment]
    store.items.submit(annotator, back.assignment, "equal", "new", 3.0)
    assert [(row.assignment, row.answer) for row in store.judgements()] == [
        (first.assignment, "first"),
        (second.assignment, "equal"),
    ]
    assert len(table_rows(store, database.judgements)) == 3
    assert refusal_of(store.items.undo, annotator) == "no_undo"  # once
    assert store.items.next(annotator).assignment == waiting.assignment


def test_the_last_answer_of_all_can_be_taken_back(open_study):
    store = open_study(items=3)
    token, annotator = studies.ready_by_link(store)
    last = studies.work(store, annotator, 99)[-1]
    code = store.annotators.of_token(token).completion_code
    assert store.items.undo(annotator).assignment == last.assignment
    assert store.annotators.of_token(token).state == "tested"
    studies.answer(store, annotator, last, "equal")
    assert store.items.next(annotator) is None
    assert store.annotators.of_token(token).completion_code == code
