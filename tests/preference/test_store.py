"""The store on SQLite and on a PostgreSQL server: who may do what, what is dealt, what is kept."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hyperfitting.errors import Refused, StudyError
from hyperfitting.preference import database
from hyperfitting.preference.records import AGAIN
from hyperfitting.preference.study import Study
from tests import studies
from tests.postgresql import new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    return new_database() if request.param == "postgresql" else None


@pytest.fixture
def clock():
    return studies.Clock()


@pytest.fixture
def open_study(tmp_path, url, clock):
    """A function that makes a study and opens its store."""
    opened = []

    def make(**settings):
        opened.append(studies.study(tmp_path, **settings).open_store(url, clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def reason(call, *arguments):
    with pytest.raises(Refused) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def rows(store, table):
    with store._database.reading() as connection:
        return connection.execute(select(table)).all()


def test_a_study_is_found_as_it_was_made_and_never_overwritten(tmp_path):
    made = studies.study(tmp_path)
    found = Study.find(made.folder)
    assert found.comparisons() == studies.comparisons()
    assert found.plan == studies.plan()
    assert found.digest == made.digest
    with pytest.raises(StudyError, match="never overwritten"):
        studies.study(tmp_path)
    with pytest.raises(StudyError, match="holds no study"):
        Study.find(tmp_path)
    made.plan_file.write_text(
        made.plan_file.read_text().replace('"judgements": 3', '"judgements": 2')
    )
    with pytest.raises(StudyError, match="were changed after the study was made"):
        Study.find(made.folder)


def test_the_digest_names_plan_and_texts(tmp_path):
    first = studies.study(tmp_path / "1")
    same = studies.study(tmp_path / "2")
    other = studies.study(tmp_path / "3", judgements=4)
    texts = studies.study(tmp_path / "4", rows=studies.comparisons(5))
    assert first.digest == same.digest
    assert len({first.digest, other.digest, texts.digest}) == 3


def test_only_the_admins_token_opens_the_admins_page(tmp_path):
    made, token = Study.create(tmp_path / "s", studies.plan(), studies.comparisons())
    with made.open_store() as store:
        assert store.is_admin(token)
        assert not store.is_admin(token[:-1])
        assert token not in made.facts_file.read_text()
        later = made.renew_admin_token()
        assert store.is_admin(later)
        assert not store.is_admin(token)


def test_a_database_of_another_study_is_refused(tmp_path, url, clock):
    studies.study(tmp_path / "1").open_store(url, clock).close()
    other = studies.study(tmp_path / "2", judgements=4)
    theirs = url or f"sqlite:///{tmp_path / '1' / 'study' / 'study.sqlite'}"
    with pytest.raises(StudyError, match="the database holds another study"):
        other.open_store(theirs, clock)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "is no database URL"),
        ("mysql://x/y", "a study is kept in SQLite or PostgreSQL"),
        ("postgresql://tester:secret@127.0.0.1:9/none", "the study's database cannot be opened"),
        ("sqlite:////nowhere/at/all.sqlite", "the study's database cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line(tmp_path, address, words):
    with pytest.raises(StudyError, match=words) as caught:
        studies.study(tmp_path).open_store(address)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_damaged_database_is_one_line(tmp_path):
    made = studies.study(tmp_path)
    made.database_file.write_bytes(b"no database" * 100)
    with pytest.raises(StudyError, match="cannot be opened: file is not a database"):
        made.open_store()


# Links


def test_links_are_unguessable_kept_as_hashes_and_belong_to_one_annotator(open_study):
    store = open_study()
    tokens = store.invite(3, label="class 7")
    assert len({*tokens}) == 3
    assert min(map(len, tokens)) >= 43
    kept = str(rows(store, database.invitations))
    assert not [token for token in tokens if token in kept]
    first = store.enter(tokens[0])
    assert (first.state, first.done) == ("invited", 0)
    assert store.enter(tokens[0]).id == first.id == store.annotator(tokens[0]).id
    assert store.enter(tokens[1]).id != first.id
    assert [(each.label, each.annotator) for each in store.invitations()] == [
        ("class 7", first.id),
        ("class 7", "a0002"),
        ("class 7", None),
    ]


def test_wrong_expired_and_revoked_links_are_refused(open_study, clock):
    store = open_study()
    for forged in ("", "x" * 43, "x" * 5000, "ü\udcff", "a\x00b"):
        assert reason(store.enter, forged) == "unknown"
        assert reason(store.annotator, forged) == "unknown"
    early, late = store.invite(1, expires_at=clock.now + timedelta(hours=1)) + store.invite(1)
    store.enter(early)
    clock.go_on(hours=1)
    assert reason(store.enter, early) == "expired"
    assert reason(store.annotator, early) == "expired"
    store.enter(late)
    store.revoke(2)
    assert reason(store.enter, late) == "revoked"
    assert reason(store.annotator, late) == "revoked"
    with pytest.raises(StudyError, match="there is no invitation 99"):
        store.revoke(99)


def test_an_expiry_without_a_zone_is_refused_and_another_zone_is_understood(open_study, clock):
    store = open_study()
    with pytest.raises(StudyError, match="a time without a zone"):
        store.invite(1, expires_at=datetime(2026, 1, 1))
    far = datetime.fromisoformat("2026-03-01T14:30:00+02:00")  # half an hour from now
    (token,) = store.invite(1, expires_at=far)
    store.enter(token)
    clock.go_on(minutes=31)
    assert reason(store.enter, token) == "expired"


def test_the_open_link_knows_a_browser_and_has_a_cap(open_study):
    store = open_study(open_link=True, open_link_cap=2)
    assert store.join("browser-one").id == store.join("browser-one").id
    assert store.join("browser-two").id != store.join("browser-one").id
    assert reason(store.join, "browser-three") == "full"
    store.enter(*store.invite(1))  # a personal link does not count


def test_no_open_link_unless_the_plan_has_one(open_study):
    assert reason(open_study().join, "browser") == "unknown"


def test_a_pause_refuses_newcomers_and_deals_nothing_but_keeps_answers(open_study):
    store = open_study()
    annotator, item = (a := studies.ready(store)), store.next_item(a)
    (token,) = store.invite(1)
    store.pause()
    store.pause()
    assert store.overview().paused
    assert reason(store.enter, token) == "paused"
    assert reason(store.next_item, annotator) == "paused"
    studies.answer(store, annotator, item)
    store.resume()
    assert not store.paused
    assert store.next_item(annotator).number == 2
    assert [mark.what for mark in rows(store, database.marks)] == ["paused", "resumed"]


def test_a_study_that_has_its_answers_is_full(open_study):
    store = open_study(judgements=1)
    studies.work(store, studies.ready(store), 99)
    assert reason(store.enter, *store.invite(1)) == "full"


# The way to the first item


def test_consent_and_test_come_first(open_study):
    store = open_study(test_attempts=2)
    annotator = store.enter(*store.invite(1)).id
    for call in (store.next_item, store.pass_test, store.fail_test, store.undo):
        assert reason(call, annotator) == "unready"
    store.consent(annotator)
    assert reason(store.next_item, annotator) == "unready"
    assert store.fail_test(annotator) == 1
    store.pass_test(annotator)
    store.consent(annotator)  # a page sent twice
    store.pass_test(annotator)
    assert store.next_item(annotator).number == 1


def test_after_the_last_attempt_the_test_is_over(open_study):
    store = open_study(test_attempts=2)
    (token,) = store.invite(1)
    annotator = store.enter(token).id
    store.consent(annotator)
    assert [store.fail_test(annotator), store.fail_test(annotator)] == [1, 0]
    assert store.annotator(token).state == "failed"
    for call in (store.fail_test, store.pass_test, store.next_item):
        assert reason(call, annotator) == "failed"


def test_nobody_by_that_name(open_study):
    store = open_study()
    for call in (store.next_item, store.consent, store.undo, store.withdraw):
        assert reason(call, "a9999") == "unknown"


# Items


def test_an_item_shows_no_arm_and_stays_the_same_until_it_is_answered(open_study):
    store = open_study()
    annotator = studies.ready(store)
    item = store.next_item(annotator)
    assert store.next_item(annotator) == item
    assert (item.number, item.total) == (1, 16)
    assert not [name for name in (*studies.ARMS, "reference", "run") if name in str(item)]
    studies.answer(store, annotator, item)
    assert store.next_item(annotator).assignment != item.assignment


def test_one_annotator_judges_everything_once_and_gets_a_code(open_study):
    store = open_study()
    (token,) = store.invite(1)
    annotator = store.enter(token).id
    store.consent(annotator)
    store.pass_test(annotator)
    done = studies.work(store, annotator, 99)
    assert [item.number for item in done] == list(range(1, 17))
    assert {item.total for item in done} == {16}
    now = store.annotator(token)
    assert (now.state, now.done, now.total) == ("finished", 16, 16)
    assert len(now.completion_code) == 10
    assert store.next_item(annotator) is None
    assert store.annotator(token).completion_code == now.completion_code
    given = list(store.judgements())
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
    assert store.overview().finished == 16
    assert [people.answers for people in store.overview().annotators] == [16, 16, 16, 0]


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
    given = list(store.judgements())
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
    item = store.next_item(lost)
    assert store.next_item(other) is None  # the only one is held
    clock.go_on(minutes=31)
    taken = store.next_item(other)
    assert (taken.context, taken.number) == (item.context, 1)
    assert store.next_item(lost) is None
    studies.answer(store, other, taken)
    studies.answer(store, lost, item, "second")  # late: kept, and surplus
    assert [(row.annotator, row.surplus) for row in store.judgements()] == [
        (other, False),
        (lost, True),
    ]
    overview = store.overview()
    assert (overview.answers, overview.surplus, overview.finished) == (1, 1, 1)


def test_a_late_answer_counts_if_nobody_took_its_place(open_study, clock):
    store = open_study(judgements=1)
    annotator = studies.ready(store)
    item = store.next_item(annotator)
    clock.go_on(hours=5)
    studies.ready(store)
    studies.answer(store, annotator, item)
    assert [row.surplus for row in store.judgements()] == [False]
    assert len(studies.work(store, studies.ready(store), 99)) == 15


def test_who_comes_back_late_gets_the_same_item_with_the_same_sides(open_study, clock):
    store = open_study()
    annotator = studies.ready(store)
    item = store.next_item(annotator)
    clock.go_on(hours=5)
    studies.work(store, studies.ready(store), 3)
    assert store.next_item(annotator) == item


def test_whoever_is_there_keeps_the_item(open_study, clock):
    store = open_study(rows=studies.comparisons(1, 0, studies.ARMS[:1])[:1], judgements=1)
    annotator, other = studies.ready(store), studies.ready(store)
    for _ in range(3):
        store.next_item(annotator)
        clock.go_on(minutes=29)
    assert store.next_item(other) is None


# Answers


def test_a_repeated_submit_is_one_judgement(open_study):
    store = open_study()
    annotator = studies.ready(store)
    item = store.next_item(annotator)
    for choice in ("first", "second"):
        store.judge(annotator, item.assignment, choice, "attempt", 4.5)
    (row,) = store.judgements()
    assert (row.answer, row.seconds, row.source) == ("first", 4.5, "human")
    assert reason(store.judge, annotator, item.assignment, "second", "another", 1.0) == "answered"


def test_other_peoples_items_are_refused(open_study):
    store = open_study()
    one, other = studies.ready(store), studies.ready(store)
    item = store.next_item(one)
    assert reason(store.judge, other, item.assignment, "first", "x", 1.0) == "not_theirs"
    assert reason(store.judge, one, "0" * 20, "first", "x", 1.0) == "not_theirs"
    assert list(store.judgements()) == []


@pytest.mark.parametrize("strange", ["\x00", "\udcff", "a" * 10_000, "a0001\n", "' OR 1=1 --", ""])
def test_names_that_no_database_takes_are_only_unknown(open_study, strange):
    store = open_study()
    annotator = studies.ready(store)
    assert reason(store.judge, annotator, strange, "first", "x", 1.0) == "not_theirs"
    for call in (store.next_item, store.undo, store.withdraw, store.consent, store.include):
        assert reason(call, strange) == "unknown"
    store.invite(1, label=strange)
    store.exclude(annotator, f"{strange} odd")
    assert store.overview().annotators[0].excluded.endswith(("odd", "aaa"))
    for number in (0, -1, 2**31, 10**30):
        with pytest.raises(StudyError, match="there is no invitation"):
            store.revoke(number)


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
    item = store.next_item(annotator)
    with pytest.raises(StudyError, match=words):
        store.judge(annotator, item.assignment, answer, attempt, seconds)
    assert store.next_item(annotator) == item


def test_a_judgement_says_all_that_the_analysis_needs(open_study, clock):
    store = open_study()
    annotator = studies.ready(store)
    item = store.next_item(annotator)
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
    assert store.first_answer_at() == row.answered_at


def test_undo_brings_the_item_back_once_and_keeps_a_void_row(open_study):
    store = open_study()
    annotator = studies.ready(store)
    assert reason(store.undo, annotator) == "no_undo"
    first, second = studies.work(store, annotator, 2)
    waiting = store.next_item(annotator)
    back = store.undo(annotator)
    assert (back.assignment, back.first, back.second, back.number) == (
        second.assignment,
        second.first,
        second.second,
        2,
    )
    assert reason(store.undo, annotator) == "no_undo"  # only the last one
    assert store.next_item(annotator) == back
    store.judge(
        annotator, second.assignment, "first", f"try-{second.assignment}-2-first", 5.0
    )  # the old page again
    assert [row.assignment for row in store.judgements()] == [first.assignment]
    store.judge(annotator, back.assignment, "equal", "new", 3.0)
    assert [(row.assignment, row.answer) for row in store.judgements()] == [
        (first.assignment, "first"),
        (second.assignment, "equal"),
    ]
    assert len(rows(store, database.judgements)) == 3
    assert reason(store.undo, annotator) == "no_undo"  # once
    assert store.next_item(annotator).assignment == waiting.assignment


def test_the_last_answer_of_all_can_be_taken_back(open_study):
    store = open_study(items=3)
    (token,) = store.invite(1)
    annotator = store.enter(token).id
    store.consent(annotator)
    store.pass_test(annotator)
    last = studies.work(store, annotator, 99)[-1]
    code = store.annotator(token).completion_code
    assert store.undo(annotator).assignment == last.assignment
    assert store.annotator(token).state == "tested"
    studies.answer(store, annotator, last, "equal")
    assert store.next_item(annotator) is None
    assert store.annotator(token).completion_code == code


# Leaving


def test_an_exclusion_keeps_the_answers_marked_and_asks_others_instead(open_study):
    store = open_study(judgements=1)
    bad = studies.ready(store)
    studies.work(store, bad, 10)
    with pytest.raises(StudyError, match="needs a reason"):
        store.exclude(bad, " ")
    store.exclude(bad, "failed every check")
    assert reason(store.next_item, bad) == "excluded"
    assert {row.excluded for row in store.judgements()} == {"failed every check"}
    assert store.overview().answers == 0
    assert len(studies.work(store, studies.ready(store), 99)) == 16
    store.include(bad)
    assert sum(row.surplus for row in store.judgements()) == 10
    assert store.overview().finished == 16
    assert [mark.what for mark in rows(store, database.marks)] == ["excluded", "included"]


def test_a_withdrawal_purges_identity_and_answers_and_leaves_a_mark(open_study):
    store = open_study(judgements=1)
    (token,) = store.invite(1, label="Ann Example")
    annotator = store.enter(token).id
    store.consent(annotator)
    store.pass_test(annotator)
    studies.work(store, annotator, 5)
    store.undo(annotator)
    store.withdraw(annotator)
    store.withdraw(annotator)
    assert list(store.judgements()) == []
    assert (
        rows(store, database.judgements)
        == rows(store, database.assignments)
        == rows(store, database.voids)
        == []
    )
    assert "Ann" not in str(rows(store, database.annotators) + rows(store, database.invitations))
    assert reason(store.enter, token) == reason(store.annotator, token) == "unknown"
    assert reason(store.next_item, annotator) == "withdrawn"
    assert [(mark.what, mark.annotator, mark.detail) for mark in rows(store, database.marks)] == [
        ("withdrawn", annotator, "4 answers")
    ]
    assert len(studies.work(store, studies.ready(store), 99)) == 16


def test_real_and_simulated_answers_are_never_mixed(open_study):
    store = open_study()
    studies.work(store, studies.ready(store), 1)
    with pytest.raises(
        StudyError, match="holds real judgements, and simulated ones are never mixed"
    ):
        store.enrol("simulated")


def test_nor_the_other_way_round(open_study):
    store = open_study()
    annotator = studies.ready(store)
    item = store.next_item(annotator)
    simulated = store.enrol("simulated")
    assert simulated.state == "invited"
    with pytest.raises(
        StudyError, match="holds simulated judgements, and real ones are never mixed"
    ):
        studies.answer(store, annotator, item)
    assert list(store.judgements()) == []


def test_a_store_opened_again_goes_on(open_study, tmp_path, url, clock):
    store = open_study()
    annotator = studies.ready(store)
    studies.work(store, annotator, 3)
    with Study.find(tmp_path / "study").open_store(url, clock) as other:
        assert list(other.judgements()) == list(store.judgements())
        assert other.next_item(annotator) == store.next_item(annotator)


def test_the_overview_counts_what_counts(open_study):
    store = open_study(attention_rate=0.2, repeat_rate=0.1)
    for choice in ("first", "first", "equal"):
        studies.work(store, studies.ready(store), 99, choice)
    seen = store.overview()
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
        "hyperfitted · greedy": 8,
        "original · greedy": 8,
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
    with studies.study(folder, rows=rows_, attention_rate=0.2, repeat_rate=0.1).open_store(
        None, clock
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
                        pages.append((annotator, store.undo(annotator)))
                    case 2 if random_.random() < 0.1:
                        store.withdraw(annotator)
                    case 3:
                        store.exclude(annotator, "odd")
                    case 4:
                        store.include(annotator)
                    case 5 | 6 | 7 if pages:
                        studies.answer(
                            store,
                            *random_.choice(pages),
                            random_.choice(["first", "second", "equal"]),
                        )
                    case _:
                        item = store.next_item(annotator)
                        pages += [(annotator, item)] if item else []
            except Refused:
                pass
        check_the_books(store)


def check_the_books(store):
    """What is counted as it goes along is what counting anew would give, and each judgement is there once."""
    from hyperfitting.preference import dealing

    before = {row.id: row.load for row in rows(store, database.comparisons)}
    with store._database.writing() as connection:
        dealing.recount(connection)
    assert {row.id: row.load for row in rows(store, database.comparisons)} == before
    given = list(store.judgements())
    assert len({row.assignment for row in given}) == len(given)
    assert len({(row.annotator, row.comparison) for row in given}) == len(given)
    counts = Counter(
        row.comparison
        for row in given
        if row.kind == "scored" and not row.surplus and not row.excluded
    )
    assert max(counts.values(), default=0) <= store.study.plan.judgements


def test_utc_is_what_the_clock_says_by_default(tmp_path):
    with studies.study(tmp_path).open_store() as store:
        studies.work(store, studies.ready(store), 1)
        (row,) = store.judgements()
    assert abs(datetime.fromisoformat(row.answered_at) - datetime.now(UTC)) < timedelta(minutes=1)
