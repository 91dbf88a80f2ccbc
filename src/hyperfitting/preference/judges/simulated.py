"""Simulated annotators with known preferences. They use the store like people do: to rehearse a
study and its analysis.

Their answers follow Davidson's model: one arm is preferred to another with odds exp(strength -
strength), and "equal" has the weight `ties` times the geometric mean of both. Contexts and
annotators add offsets of their own. Their judgements are marked `simulated`, and the store keeps
them out of studies with real ones.

simulations.json says what they were told to prefer. It is written before the first judgement, so
that no simulated judgement is without it, however the simulation ends.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from hyperfitting.errors import Refused, StudyError
from hyperfitting.facts import write_facts
from hyperfitting.preference.records import SHUFFLED, Answer, BlindedComparison
from hyperfitting.preference.settings_input import settings_from
from hyperfitting.preference.store import Store, open_store
from hyperfitting.preference.study import Study, read_record
from hyperfitting.progress import NoProgress, Progress
from hyperfitting.recipe import Positive, Settings, Share

LogOddsSpread = Annotated[float, Field(ge=0, le=100)]
Strength = Annotated[float, Field(ge=-100, le=100)]

_TRUTH_DRAWS = 10_000
_READ_WELL = 8.0
"""Log-odds with which an attentive annotator prefers a text to its own shuffled words."""


class SimulationSettings(Settings):
    """Preferences and care of simulated annotators."""

    strengths: dict[str, Strength] = Field(
        {}, description="Log strength of each arm; 0 for arms not named."
    )
    ties: LogOddsSpread = Field(0.5, description="Davidson's tie parameter: 0 for no ties.")
    context_spread: LogOddsSpread = Field(
        0.5, description="Standard deviation of the offset of each comparison, in log-odds."
    )
    annotator_spread: LogOddsSpread = Field(
        0.3, description="Standard deviation of each annotator's offset towards `one`, in log-odds."
    )
    side_bias: Strength = Field(0.0, description="Log-odds that the text in the first place gains.")
    careless: Share = Field(
        0.0, description="Share of annotators who answer at random, within two seconds."
    )
    seconds: Positive = Field(
        30.0, description="Median time on a page of attentive annotators, in seconds."
    )


class TrueShares(BaseModel):
    """The expected shares of one pair of arms: `one` preferred, equal, `other` preferred."""

    model_config = ConfigDict(frozen=True)

    one: str
    other: str
    shares: tuple[float, float, float]


class SimulationRecord(BaseModel):
    """One simulation. `judgements` is None if it has not finished."""

    model_config = ConfigDict(frozen=True)

    annotators: int
    seed: int
    judgements: int | None
    settings: SimulationSettings = Field(
        validation_alias=AliasChoices("settings", "taste")
    )  # taste: older studies
    truth: tuple[TrueShares, ...]


class _SimulationsFile(BaseModel):
    simulations: tuple[SimulationRecord, ...] = ()


def read_simulations(study: Study) -> tuple[SimulationRecord, ...]:
    """Every simulation of a study, in order.

    Raises:
        StudyError: simulations.json is damaged.
    """
    if not study.simulations_file.is_file():
        return ()
    return read_record(study.simulations_file, _SimulationsFile).simulations


def _write_simulations(study: Study, records: Sequence[SimulationRecord]) -> None:
    write_facts(study.simulations_file, _SimulationsFile(simulations=tuple(records)))


def read_simulation_settings(
    strengths: Sequence[str], overrides: Sequence[str]
) -> SimulationSettings:
    """Settings of simulated annotators from `ARM=S` and `KEY=VALUE`.

    Raises:
        StudyError: what is wrong, in one line.
    """
    given = {}
    for each in strengths:
        arm, _, value = each.rpartition("=")
        try:
            given[arm.strip()] = float(value)
        except ValueError as error:
            raise StudyError(f"--strength {each}: write it as 'arm=1.5'") from error
    return settings_from(
        SimulationSettings, {"strengths": given}, overrides, "the simulation's settings"
    )


@dataclass(frozen=True)
class SimulatedAnnotator:
    """One simulated annotator. `offset`: log-odds towards `one`."""

    id: str
    careless: bool
    offset: float


class SimulationClock:
    """The time in the simulation. Its annotators advance it."""

    def __init__(self, start: datetime):
        self.now = start

    def __call__(self) -> datetime:
        """The time."""
        return self.now


def simulate(
    study: Study,
    annotators: int,
    settings: SimulationSettings,
    *,
    seed: int = 0,
    database: str | None = None,
    progress: Progress | None = None,
) -> SimulationRecord:
    """Let simulated annotators work side by side until no items are left for them.

    The same study, settings and seed give the same answers, unless the study had answers before.

    Args:
        study: the study to judge.
        annotators: how many annotators to add.
        settings: their preferences and care.
        seed: decides who they are and what they answer.
        database: a PostgreSQL database; None: SQLite in the study's folder.
        progress: where progress goes.

    Returns:
        The record of the simulation, with the number of judgements and the true shares.

    Raises:
        StudyError: the study holds real judgements, or a strength names no arm of it.
    """
    _check_arms(study, settings)
    clock = SimulationClock(datetime.fromisoformat(study.facts.created_at))
    with open_store(study, database, clock) as store:
        people = [_arrive(store, settings, seed, number) for number in range(annotators)]
        earlier = read_simulations(study)
        truth = tuple(true_shares(study, settings))
        begun = SimulationRecord(
            annotators=annotators, seed=seed, judgements=None, settings=settings, truth=truth
        )
        _write_simulations(study, [*earlier, begun])
        count = _work(store, people, settings, seed, clock, progress or NoProgress())
        finished = begun.model_copy(update={"judgements": count})
        _write_simulations(study, [*earlier, finished])
        return finished


def _work(
    store: Store,
    people: Sequence[SimulatedAnnotator],
    settings: SimulationSettings,
    seed: int,
    clock: SimulationClock,
    progress: Progress,
) -> int:
    """Let all annotators answer, in the order of their times; returns the number of judgements."""
    random_ = random.Random(f"{seed} arrivals")
    agenda = [
        _Event(clock.now + timedelta(minutes=random_.uniform(0, 5)), each.id, each)
        for each in people
    ]
    heapq.heapify(agenda)
    before, count = store.progress(), 0
    with progress.bar("judgements", before.needed - before.answers) as bar:
        while agenda:
            event = heapq.heappop(agenda)
            clock.now = event.time
            if event.answer is not None:
                store.items.submit(
                    event.id, event.assignment, event.answer, f"{seed}", event.seconds
                )
                count += 1
                bar.advance()
            following = _next_answer(store, settings, seed, event.person, clock.now)
            if following is not None:
                heapq.heappush(agenda, following)
    return count


@dataclass(frozen=True, order=True)
class _Event:
    """The arrival of an annotator, or the answer to the item that they hold. Each annotator has one
    event ahead.
    """

    time: datetime
    id: str
    person: SimulatedAnnotator = field(compare=False)
    assignment: str = field(default="", compare=False)
    answer: Answer | None = field(default=None, compare=False)
    seconds: float = field(default=0.0, compare=False)


def _check_arms(study: Study, settings: SimulationSettings) -> None:
    arms = sorted(
        {shown.arm for row in study.comparisons() for shown in (row.one, row.other)} - {SHUFFLED}
    )
    for name in settings.strengths:
        if name not in arms:
            raise StudyError(
                f"strength of {name!r}: no such arm in this study; there are: {'; '.join(arms)}"
            )


def _arrive(
    store: Store, settings: SimulationSettings, seed: int, number: int
) -> SimulatedAnnotator:
    id_ = store.annotators.enrol("simulated").id
    store.annotators.consent(id_)
    store.annotators.pass_test(id_)
    random_ = random.Random(f"{seed} person {number}")
    return SimulatedAnnotator(
        id_, random_.random() < settings.careless, random_.gauss(0, settings.annotator_spread)
    )


def _next_answer(
    store: Store, settings: SimulationSettings, seed: int, person: SimulatedAnnotator, now: datetime
) -> _Event | None:
    """The answer to the next item, at its time; None where nothing is left for them."""
    try:
        item = store.items.next(person.id)
    except Refused:
        return None
    if item is None:
        return None
    comparison, one_first = store.items.unblinded(item.assignment)
    random_ = random.Random(f"{seed} {person.id} {comparison.id}")
    seconds = _seconds(settings, person, random_)
    answer = answer_to(comparison, one_first, settings, person, seed, random_)
    return _Event(
        now + timedelta(seconds=seconds), person.id, person, item.assignment, answer, seconds
    )


def _seconds(
    settings: SimulationSettings, person: SimulatedAnnotator, random_: random.Random
) -> float:
    if person.careless:
        return round(random_.uniform(0.8, 1.8), 3)
    return round(settings.seconds * math.exp(random_.gauss(0, 0.4)), 3)


def answer_to(
    comparison: BlindedComparison,
    one_first: bool,
    settings: SimulationSettings,
    person: SimulatedAnnotator,
    seed: int,
    random_: random.Random,
) -> Answer:
    """A simulated annotator's answer to a comparison, with `one` on its side of the page."""
    if person.careless:
        return random_.choice(("first", "second", "equal"))
    pull = settings.side_bias if one_first else -settings.side_bias
    weights = davidson_shares(_log_odds(comparison, settings, person, seed) + pull, settings)
    (drawn,) = random_.choices(("one", "equal", "other"), weights)
    if drawn == "equal":
        return "equal"
    return "first" if (drawn == "one") == one_first else "second"


def _log_odds(
    comparison: BlindedComparison,
    settings: SimulationSettings,
    person: SimulatedAnnotator,
    seed: int,
) -> float:
    """Log-odds of preferring `one` to `other`; the same for a repeat as for the comparison that it
    repeats.
    """
    if comparison.kind == "attention":
        return _READ_WELL
    own = random.Random(f"{seed} lean {comparison.repeats or comparison.id}").gauss(
        0, settings.context_spread
    )
    one, other = (
        settings.strengths.get(shown.arm, 0.0) for shown in (comparison.one, comparison.other)
    )
    return one - other + own + person.offset


def davidson_shares(log_odds: float, settings: SimulationSettings) -> tuple[float, float, float]:
    """Davidson's probabilities (Davidson 1970) that `one` is preferred, both are equal, `other` is
    preferred.
    """
    one, other = math.exp(log_odds / 2), math.exp(-log_odds / 2)
    total = one + other + settings.ties
    return one / total, settings.ties / total, other / total


def true_shares(study: Study, settings: SimulationSettings) -> list[TrueShares]:
    """The shares that attentive annotators give on new contexts, for each pair of arms.

    Averaged over `_TRUTH_DRAWS` draws of the offsets of contexts and annotators, and over both
    sides.
    """
    random_ = random.Random("0 truth")
    spread = math.hypot(settings.context_spread, settings.annotator_spread)
    offsets = [
        random_.gauss(0, spread) + settings.side_bias * (-1) ** number
        for number in range(_TRUTH_DRAWS)
    ]
    pairs = Counter(
        (row.one.arm, row.other.arm) for row in study.comparisons() if row.kind == "scored"
    )
    found = []
    for one, other in sorted(pairs):
        difference = settings.strengths.get(one, 0.0) - settings.strengths.get(other, 0.0)
        each = [davidson_shares(difference + offset, settings) for offset in offsets]
        preferred, equal, worse = (
            math.fsum(column) / _TRUTH_DRAWS for column in zip(*each, strict=True)
        )
        found.append(TrueShares(one=one, other=other, shares=(preferred, equal, worse)))
    return found
