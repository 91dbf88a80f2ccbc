"""Synthetic annotators: what they like is what they answer, and nobody takes them for people."""

import itertools
import math
import random
from collections import Counter

import pytest

from hyperfitting.errors import StudyError
from hyperfitting.preference.overview import better
from hyperfitting.preference.simulate import Person, Taste, answer_to, shares, simulate, truth
from hyperfitting.preference.study import Study
from tests import studies
from tests.postgresql import new_database

ARMS = studies.ARMS[:1]
STRONG = Taste(
    strengths={ARMS[0]: -1.0, "reference": 0.5}, ties=0.4, context_spread=0.0, annotator_spread=0.0
)


def simulated(folder, taste=STRONG, *, annotators=6, seed=3, contexts=10, **settings):
    rows = studies.comparisons(contexts, 4, ARMS)
    study = studies.study(folder, rows=rows, **settings)
    count = simulate(study, annotators, taste, seed)
    with study.open_store() as store:
        return count, list(store.judgements()), store.overview()


def test_davidsons_shares_by_hand():
    one, equal, other = shares(math.log(4), Taste(ties=0.5))  # strengths 4 and 1: 4, 0.5 x 2 and 1
    assert (one, equal, other) == pytest.approx((4 / 6, 1 / 6, 1 / 6))
    assert shares(0.0, Taste(ties=0.0)) == pytest.approx((0.5, 0.0, 0.5))


def test_they_work_through_the_store_until_its_quotas_are_met(tmp_path):
    count, rows, overview = simulated(tmp_path, attention_rate=0.1, repeat_rate=0.1)
    assert count == len(rows)
    assert (overview.finished, overview.answers, overview.surplus) == (20, 60, 0)
    assert {row.source for row in rows} == {"simulated"}
    assert [row.answered_at for row in rows] == sorted(row.answered_at for row in rows)
    assert {row.kind for row in rows} == {"scored", "attention", "repeat"}
    spans = sorted((row.dealt_at, row.answered_at) for row in rows if row.kind == "scored")
    assert any(later[0] < former[1] for former, later in itertools.pairwise(spans))  # side by side


def test_the_same_seed_gives_the_same_answers(tmp_path):
    def answers(folder, seed):
        _, rows, _ = simulated(tmp_path / folder, seed=seed, contexts=4)
        return [(row.annotator, row.comparison, row.answer, row.seconds) for row in rows]

    assert answers("1", 3) == answers("2", 3)
    assert answers("3", 4) != answers("1b", 3)


def test_answers_come_as_often_as_the_taste_says():
    """Three thousand answers to one comparison, both sides; the standard error is 0.9 points."""
    (row,) = studies.comparisons(1, 0, ARMS)[:1]
    random_, taste = random.Random(1), STRONG.model_copy(update={"side_bias": 0.8})
    person = Person("a", careless=False, lean=0.0)
    for one_first, pull in ((True, 0.8), (False, -0.8)):
        given = Counter(answer_to(row, one_first, taste, person, 0, random_) for _ in range(3000))
        one, equal, _ = shares(-1.5 + pull, taste)
        assert given["first" if one_first else "second"] / 3000 == pytest.approx(one, abs=0.035)
        assert given["equal"] / 3000 == pytest.approx(equal, abs=0.035)


def test_the_truth_is_what_many_answers_come_to():
    rows = studies.comparisons(1, 0, ARMS)[:1]
    taste = Taste(
        strengths={"reference": 1.0}, context_spread=0.7, annotator_spread=0.6, side_bias=0.5
    )

    class Only:
        def comparisons(self):
            return rows

    ((pair, expected),) = truth(Only(), taste).items()
    assert pair == (ARMS[0], "reference")
    assert sum(expected) == pytest.approx(1.0)
    random_, given = random.Random(2), Counter()
    for number in range(6000):
        person = Person("a", careless=False, lean=random_.gauss(0, 0.6))
        answer = answer_to(rows[0], number % 2 == 0, taste, person, number, random_)
        given["equal" if answer == "equal" else (answer == "first") == (number % 2 == 0)] += 1
    assert (given[True] / 6000, given["equal"] / 6000) == pytest.approx(expected[:2], abs=0.025)


def test_the_careless_fail_their_checks():
    """They guess among three answers, of which one is right."""
    check = studies.comparisons(1, 1, ARMS)[-1]
    random_ = random.Random(4)
    for careless, low, high in ((True, 0.25, 0.42), (False, 0.96, 1.0)):
        person = Person("a", careless=careless, lean=0.0)
        passed = sum(
            answer_to(check, True, STRONG, person, 0, random_) == "first" for _ in range(600)
        )
        assert low < passed / 600 <= high


def test_the_careless_are_fast(tmp_path):
    taste = STRONG.model_copy(update={"careless": 0.5})
    _, rows, overview = simulated(
        tmp_path, taste, seed=5, annotators=8, items=10, attention_rate=0.2
    )
    fast = {row.annotator for row in rows if row.seconds < 2}
    assert 0 < len(fast) < 8
    assert {
        person.id for person in overview.annotators if person.answers and person.seconds < 2
    } == fast


def test_the_stronger_text_wins(tmp_path):
    _, rows, _ = simulated(tmp_path, contexts=10)
    won = Counter(better(row) for row in rows)
    assert won["reference"] > 2 * won[ARMS[0]]


def test_they_are_refused_where_people_have_answered(tmp_path):
    study = studies.study(tmp_path)
    with study.open_store() as store:
        studies.work(store, studies.ready(store), 1)
    with pytest.raises(
        StudyError, match="holds real judgements, and simulated ones are never mixed with them"
    ):
        simulate(study, 2, Taste(), 0)
    with Study.find(study.folder).open_store() as store:
        assert len(list(store.judgements())) == 1
        assert len(store.overview().annotators) == 1


def test_an_arm_that_the_study_has_not(tmp_path):
    with pytest.raises(
        StudyError,
        match="strength of 'shuffled': no such arm in this study; there are: hyperfitted",
    ):
        simulate(studies.study(tmp_path), 2, Taste(strengths={"shuffled": 1.0}), 0)


def test_on_a_server_too(tmp_path):
    url = new_database()
    study = studies.study(tmp_path, rows=studies.comparisons(2, 0, ARMS), judgements=2)
    assert simulate(study, 3, STRONG, 0, url=url) == 8
    with study.open_store(url) as store:
        assert store.overview().finished == 4
