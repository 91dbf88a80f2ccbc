"""Synthetic annotators: what they like is what they answer, and nobody takes them for people."""

import itertools
import math
import random
from collections import Counter

import pytest

from hyperfitting.cli import main
from hyperfitting.errors import StudyError
from hyperfitting.preference.judges.simulated import (
    SimulatedAnnotator,
    SimulationSettings,
    answer_to,
    davidson_shares,
    read_simulations,
    simulate,
    true_shares,
)
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.progress import Console, NoProgress
from tests.support import studies
from tests.support.listening import StopsAfter
from tests.support.postgresql import new_database

ARMS = studies.ARMS[:1]
STRONG = SimulationSettings(
    strengths={ARMS[0]: -1.0, "reference": 0.5}, ties=0.4, context_spread=0.0, annotator_spread=0.0
)


def simulated(folder, settings=STRONG, *, annotators=6, seed=3, contexts=10, **protocol):
    rows = studies.comparisons(contexts, 4, ARMS)
    study = studies.study(folder, rows=rows, **protocol)
    count = simulate(study, annotators, settings, seed=seed).judgements
    with open_store(study) as store:
        return count, store.judgements(), store.progress()


def test_davidsons_shares_by_hand():
    one, equal, other = davidson_shares(
        math.log(4), SimulationSettings(ties=0.5)
    )  # strengths 4 and 1: 4, 0.5 x 2 and 1
    assert (one, equal, other) == pytest.approx((4 / 6, 1 / 6, 1 / 6))
    assert davidson_shares(0.0, SimulationSettings(ties=0.0)) == pytest.approx((0.5, 0.0, 0.5))


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
    random_, settings = random.Random(1), STRONG.model_copy(update={"side_bias": 0.8})
    person = SimulatedAnnotator("a", careless=False, offset=0.0)
    for one_first, pull in ((True, 0.8), (False, -0.8)):
        given = Counter(
            answer_to(row, one_first, settings, person, 0, random_) for _ in range(3000)
        )
        one, equal, _ = davidson_shares(-1.5 + pull, settings)
        assert given["first" if one_first else "second"] / 3000 == pytest.approx(one, abs=0.035)
        assert given["equal"] / 3000 == pytest.approx(equal, abs=0.035)


def test_the_truth_is_what_many_answers_come_to():
    rows = studies.comparisons(1, 0, ARMS)[:1]
    settings = SimulationSettings(
        strengths={"reference": 1.0}, context_spread=0.7, annotator_spread=0.6, side_bias=0.5
    )

    class Only:
        def comparisons(self):
            return rows

    (found,) = true_shares(Only(), settings)
    expected = found.shares
    assert (found.one, found.other) == (ARMS[0], "reference")
    assert sum(expected) == pytest.approx(1.0)
    random_, given = random.Random(2), Counter()
    for number in range(6000):
        person = SimulatedAnnotator("a", careless=False, offset=random_.gauss(0, 0.6))
        answer = answer_to(rows[0], number % 2 == 0, settings, person, number, random_)
        given["equal" if answer == "equal" else (answer == "first") == (number % 2 == 0)] += 1
    assert (given[True] / 6000, given["equal"] / 6000) == pytest.approx(expected[:2], abs=0.025)


def test_the_careless_fail_their_checks():
    """They guess among three answers, of which one is right."""
    check = studies.comparisons(1, 1, ARMS)[-1]
    random_ = random.Random(4)
    for careless, low, high in ((True, 0.25, 0.42), (False, 0.96, 1.0)):
        person = SimulatedAnnotator("a", careless=careless, offset=0.0)
        passed = sum(
            answer_to(check, True, STRONG, person, 0, random_) == "first" for _ in range(600)
        )
        assert low < passed / 600 <= high


def test_the_careless_are_fast(tmp_path):
    settings = STRONG.model_copy(update={"careless": 0.5})
    _, rows, overview = simulated(
        tmp_path, settings, seed=5, annotators=8, items=10, attention_rate=0.2
    )
    fast = {row.annotator for row in rows if row.seconds < 2}
    assert 0 < len(fast) < 8
    assert {
        person.id for person in overview.annotators if person.answers and person.seconds < 2
    } == fast


def test_the_stronger_text_wins(tmp_path):
    _, rows, _ = simulated(tmp_path, contexts=10)
    won = Counter(row.preferred_arm for row in rows)
    assert won["reference"] > 2 * won[ARMS[0]]


def test_they_are_refused_where_people_have_answered(tmp_path):
    study = studies.study(tmp_path)
    with open_store(study) as store:
        studies.work(store, studies.ready(store), 1)
    with pytest.raises(
        StudyError, match="holds real judgements, and simulated ones are never mixed with them"
    ):
        simulate(study, 2, SimulationSettings())
    with open_store(Study.find(study.folder)) as store:
        assert len(store.judgements()) == 1
        assert len(store.progress().annotators) == 1
    assert read_simulations(study) == ()


def test_an_arm_that_the_study_has_not(tmp_path):
    with pytest.raises(
        StudyError,
        match="strength of 'shuffled': no such arm in this study; there are: hyperfitted",
    ):
        simulate(studies.study(tmp_path), 2, SimulationSettings(strengths={"shuffled": 1.0}))


def test_on_a_server_too(tmp_path):
    url = new_database()
    study = studies.study(tmp_path, rows=studies.comparisons(2, 0, ARMS), judgements=2)
    assert simulate(study, 3, STRONG, database=url).judgements == 8
    with open_store(study, url) as store:
        assert store.progress().finished == 4


@pytest.mark.parametrize("after", [1, 7])
def test_a_simulation_that_is_stopped_has_its_record(tmp_path, after):
    study = studies.study(tmp_path, rows=studies.comparisons(2, 0, ARMS))
    with pytest.raises(KeyboardInterrupt):
        simulate(study, 3, STRONG, seed=5, progress=StopsAfter(after))
    (begun,) = read_simulations(study)
    assert (begun.annotators, begun.seed, begun.judgements, begun.settings) == (3, 5, None, STRONG)
    assert begun.truth == tuple(true_shares(study, STRONG))
    with open_store(study) as store:
        assert len(store.judgements()) == after
    finished = simulate(study, 3, STRONG, seed=6)
    assert read_simulations(study) == (begun, finished)
    with open_store(study) as store:
        assert len(store.judgements()) == after + finished.judgements


def test_a_damaged_record_of_simulations_is_one_line(tmp_path):
    study = studies.study(tmp_path)
    study.simulations_file.write_text('{"simulations": [{}]}')
    with pytest.raises(StudyError, match=r"simulations\.json is damaged"):
        simulate(study, 2, STRONG)
    with open_store(study) as store:
        assert store.judgements() == []


@pytest.mark.parametrize(("options", "kind"), [(["-q"], NoProgress), ([], Console)])
def test_quiet_leaves_only_the_outcome(tmp_path, capsys, monkeypatch, options, kind):
    given = []

    def spied(*arguments, progress, **named):
        given.append(progress)
        return simulate(*arguments, progress=progress, **named)

    monkeypatch.setattr("hyperfitting.preference.judges.simulated.simulate", spied)
    studies.study(tmp_path)
    command = ["preference", "simulate", str(tmp_path / "study"), "--annotators", "2"]
    assert main([*command, *options]) == 0
    assert isinstance(given[0], kind)
    assert "simulated judgements by 2 annotators" in capsys.readouterr().out
