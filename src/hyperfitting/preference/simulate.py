"""Synthetic annotators of known taste, who go through the store like anybody else: to rehearse, and to know the truth.

Taste is Davidson's model: one arm is preferred to another with odds exp(strength - strength), and "equal" has the
weight `ties` times the geometric mean of both. Contexts and annotators lean by amounts of their own. Their judgements
are marked `simulated` for ever, and the store never lets them into a study with real ones.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from hyperfitting.errors import StudyError
from hyperfitting.preference.records import Answer, Comparison
from hyperfitting.preference.store import Store
from hyperfitting.preference.study import Study
from hyperfitting.progress import NoProgress, Progress
from hyperfitting.recipe import Positive, Settings, Share

Spread = Annotated[float, Field(ge=0, le=100)]
Real = Annotated[float, Field(ge=-100, le=100)]

_READ_WELL = 8.0
"""Log-odds with which whoever reads prefers a text to its own shuffled words."""


class Taste(Settings):
    """What the synthetic annotators like, and how well they do their work."""

    strengths: dict[str, Real] = Field({}, description="Log strength of each arm; 0 where none is named.")
    ties: Spread = Field(0.5, description="Davidson's tie parameter: 0 for no ties.")
    context_spread: Spread = Field(0.5, description="Standard deviation of a comparison's own lean, in log-odds.")
    annotator_spread: Spread = Field(0.3, description="Standard deviation of an annotator's lean towards `one`.")
    side_bias: Real = Field(0.0, description="Log-odds that the text which stands first gains.")
    careless: Share = Field(0.0, description="Share of annotators who answer at random, in a second or two.")
    seconds: Positive = Field(30.0, description="Median time on a page of those who read.")


@dataclass(frozen=True)
class Person:
    """One synthetic annotator."""

    id: str
    careless: bool
    lean: float


class Clock:
    """The time in the simulation, which its annotators move on."""

    def __init__(self, start: datetime):
        self.now = start

    def __call__(self) -> datetime:
        """The time."""
        return self.now


def simulate(
    study: Study,
    annotators: int,
    taste: Taste,
    seed: int,
    *,
    url: str | None = None,
    narrator: Progress | None = None,
) -> int:
    """Let `annotators` work side by side until nothing is left for them; returns how many judgements they gave.

    The same study, taste and seed give the same answers, unless others were there before.

    Raises:
        StudyError: the study holds real judgements, or a strength names no arm of it.
    """
    _known_arms(study, taste)
    clock = Clock(datetime.fromisoformat(study.facts()["created_at"]))
    with study.open_store(url, clock) as store:
        people = [_arrive(store, taste, seed, number) for number in range(annotators)]
        random_ = random.Random(f"{seed} arrivals")
        agenda = [_Event(clock.now + timedelta(minutes=random_.uniform(0, 5)), each.id, each) for each in people]
        heapq.heapify(agenda)
        before = store.overview()
        count = 0
        with (narrator or NoProgress()).bar("judgements", before.needed - before.answers) as bar:
            while agenda:
                event = heapq.heappop(agenda)
                clock.now = event.time
                if event.answer is not None:
                    store.judge(event.id, event.assignment, event.answer, f"{seed}", event.seconds)
                    count += 1
                    bar.advance()
                following = _next_answer(store, taste, seed, event.person, clock.now)
                if following is not None:
                    heapq.heappush(agenda, following)
        return count


@dataclass(frozen=True, order=True)
class _Event:
    """Somebody comes, or gives the answer to the item that they hold; each person has one event ahead."""

    time: datetime
    id: str
    person: Person = field(compare=False)
    assignment: str = field(default="", compare=False)
    answer: Answer | None = field(default=None, compare=False)
    seconds: float = field(default=0.0, compare=False)


def _known_arms(study: Study, taste: Taste) -> None:
    arms = sorted({shown.arm for row in study.comparisons() for shown in (row.one, row.other)} - {"shuffled"})
    for name in taste.strengths:
        if name not in arms:
            raise StudyError(f"strength of {name!r}: no such arm in this study; there are: {', '.join(arms)}")


def _arrive(store: Store, taste: Taste, seed: int, number: int) -> Person:
    id_ = store.enrol("simulated").id
    store.consent(id_)
    store.pass_test(id_)
    random_ = random.Random(f"{seed} person {number}")
    return Person(id_, random_.random() < taste.careless, random_.gauss(0, taste.annotator_spread))


def _next_answer(store: Store, taste: Taste, seed: int, person: Person, now: datetime) -> _Event | None:
    """The answer to the next item, at the time when it will be given; none where nothing is left."""
    item = store.next_item(person.id)
    if item is None:
        return None
    comparison, one_first = store.dealt(item.assignment)
    random_ = random.Random(f"{seed} {person.id} {comparison.id}")
    seconds = _seconds(taste, person, random_)
    answer = answer_to(comparison, one_first, taste, person, seed, random_)
    return _Event(now + timedelta(seconds=seconds), person.id, person, item.assignment, answer, seconds)


def _seconds(taste: Taste, person: Person, random_: random.Random) -> float:
    if person.careless:
        return round(random_.uniform(0.8, 1.8), 3)
    return round(taste.seconds * math.exp(random_.gauss(0, 0.4)), 3)


def answer_to(
    comparison: Comparison, one_first: bool, taste: Taste, person: Person, seed: int, random_: random.Random
) -> Answer:
    """What a person answers to a comparison with `one` on the side that it has."""
    if person.careless:
        return random_.choice(("first", "second", "equal"))
    pull = taste.side_bias if one_first else -taste.side_bias
    weights = shares(_log_odds(comparison, taste, person, seed) + pull, taste)
    (drawn,) = random_.choices(("one", "equal", "other"), weights)
    if drawn == "equal":
        return "equal"
    return "first" if (drawn == "one") == one_first else "second"


def _log_odds(comparison: Comparison, taste: Taste, person: Person, seed: int) -> float:
    """Of preferring `one` to `other`; a repeat has the same as what it repeats."""
    if comparison.kind == "attention":
        return _READ_WELL
    own = random.Random(f"{seed} lean {comparison.repeats or comparison.id}").gauss(0, taste.context_spread)
    strengths = (taste.strengths.get(shown.arm, 0.0) for shown in (comparison.one, comparison.other))
    one, other = strengths
    return one - other + own + person.lean


def shares(log_odds: float, taste: Taste) -> tuple[float, float, float]:
    """Davidson's probabilities (R. R. Davidson, 1970) that `one` is preferred, both are equal, `other` is preferred."""
    one, other = math.exp(log_odds / 2), math.exp(-log_odds / 2)
    total = one + other + taste.ties
    return one / total, taste.ties / total, other / total


def truth(
    study: Study, taste: Taste, *, draws: int = 10_000, seed: int = 0
) -> dict[tuple[str, str], tuple[float, ...]]:
    """By pair of arms: the shares (one preferred, equal, other preferred) of attentive annotators on new contexts.

    Averaged over the spreads of contexts and annotators by `draws` draws; a side's pull is averaged over both sides.
    """
    random_ = random.Random(f"{seed} truth")
    spread = math.hypot(taste.context_spread, taste.annotator_spread)
    leans = [random_.gauss(0, spread) + taste.side_bias * (-1) ** number for number in range(draws)]
    pairs = Counter((row.one.arm, row.other.arm) for row in study.comparisons() if row.kind == "scored")
    found = {}
    for one, other in sorted(pairs):
        lean = taste.strengths.get(one, 0.0) - taste.strengths.get(other, 0.0)
        each = [shares(lean + own, taste) for own in leans]
        found[one, other] = tuple(math.fsum(column) / draws for column in zip(*each, strict=True))
    return found
