"""Which item comes next for an annotator, and which text stands first. Called inside a writing transaction.

An annotator's items follow a sequence of kinds that the seed and their id decide. Scored comparisons are taken where
the fewest answers are (given or expected), then from contexts that this annotator has not seen, then from the arms and
domains that are furthest behind. Sides come in blocks of two, so that at every moment each side has been dealt as often
as the other, give or take one.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Row, and_, bindparam, func, insert, select, update

from hyperfitting.preference.database import annotators, assignments, comparisons
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import AGAIN, Comparison, Kind

_GAP = 5  # a repeat comes at least so many items after its comparison


@dataclass(frozen=True)
class Places:
    """The context of each comparison, the stratum (domain and arms) of each scored one, and the ids of the checks."""

    context: Mapping[str, str]
    stratum: Mapping[str, tuple[str, ...]]
    sizes: Mapping[tuple[str, ...], int]
    checks: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Comparison]) -> Places:
        """The places of a study's comparisons."""
        scored = [row for row in rows if row.kind == "scored"]
        stratum = {row.id: (row.domain, row.one.arm, row.other.arm) for row in scored}
        checks = tuple(sorted(row.id for row in rows if row.kind == "attention"))
        return cls(
            {row.id: row.context for row in rows}, stratum, Counter(stratum.values()), checks
        )


@dataclass(frozen=True)
class Deal:
    """One dealing: by which plan, for whom, in which transaction, and the times between which the item is held."""

    connection: Connection
    plan: StudyPlan
    places: Places
    annotator: str
    now: str
    until: str


def kinds(plan: StudyPlan, annotator: str) -> Iterator[Kind]:
    """What an annotator's items are for, in order and without end: one check and one repeat in each stretch of 1/rate.

    A check never comes first, and a repeat only in the second half of its stretch.
    """
    checks = _marks(
        random.Random(f"{plan.seed} {annotator} checks"), plan.attention_rate, lambda n: 1
    )
    repeats = _marks(
        random.Random(f"{plan.seed} {annotator} repeats"), plan.repeat_rate, lambda n: n // 2
    )
    check, repeat = next(checks), next(repeats)
    for ordinal in itertools.count():
        if ordinal >= check:
            yield "attention"
            check = next(checks)
        elif ordinal >= repeat:
            yield "repeat"
            repeat = next(repeats)
        else:
            yield "scored"


def _marks(random_: random.Random, rate: float, earliest: Callable[[int], int]) -> Iterator[float]:
    """One random ordinal in each stretch of 1/rate items, never before `earliest(stretch)` within it."""
    if rate == 0:
        yield from itertools.repeat(float("inf"))
    stretch = round(1 / rate)
    for start in itertools.count(0, stretch):
        yield start + random_.randrange(earliest(stretch), stretch)


def items_for(plan: StudyPlan, annotator: str, dealt: int, scored_left: int) -> int:
    """Items in all for someone who was dealt `dealt` and for whom `scored_left` comparisons are left."""
    total, left = dealt, scored_left
    ahead = itertools.islice(kinds(plan, annotator), dealt, None)
    most = float("inf") if plan.items is None else plan.items
    while left > 0 and total < most:
        left -= next(ahead) == "scored"
        total += 1
    return total


def release(connection: Connection, now: str) -> None:
    """Give back every item whose time has run out."""
    for row in connection.execute(_RELEASE, {"now": now}).all():
        if row.kind == "scored":
            add_load(connection, row.comparison, -1)


_RELEASE = (
    update(assignments)
    .where(assignments.c.state == "open", assignments.c.held_until < bindparam("now"))
    .values(state="lapsed")
    .returning(assignments.c.comparison, assignments.c.kind)
)


def drop(connection: Connection, annotator: str) -> None:
    """Give back what one annotator holds; to be followed by a `recount`."""
    held = and_(assignments.c.annotator == annotator, assignments.c.state == "open")
    connection.execute(update(assignments).where(held).values(state="lapsed"))


def add_load(connection: Connection, comparison: str, change: int) -> None:
    """Count an answer that is given or expected, or no longer."""
    connection.execute(_ADD_LOAD, {"which": comparison, "change": change})


_ADD_LOAD = (
    update(comparisons)
    .where(comparisons.c.id == bindparam("which"))
    .values(load=comparisons.c.load + bindparam("change", type_=Integer))
)


def recount(connection: Connection) -> None:
    """Count every comparison's answers, given and expected, anew: after an exclusion or a withdrawal."""
    counted = (
        select(func.count())
        .select_from(assignments.join(annotators, annotators.c.id == assignments.c.annotator))
        .where(
            assignments.c.comparison == comparisons.c.id,
            assignments.c.state.in_(("open", "answered")),
            annotators.c.excluded.is_(None),
            annotators.c.source != "model",
        )
        .scalar_subquery()
    )
    connection.execute(
        update(comparisons).where(comparisons.c.kind == "scored").values(load=counted)
    )


def next_item(deal: Deal) -> tuple[Row[Any] | None, int, int]:
    """The item that the annotator holds, or had held if nobody took it up since; else a new one, if any is left.

    With it, the items that they have answered, and how many there will be at most.
    """
    rows = deal.connection.execute(_THEIRS, {"annotator": deal.annotator}).all()
    had = [row for row in rows if row.state != "replaced"]
    done = sum(row.state == "answered" for row in had)
    for row in [row for row in had if row.state in ("open", "lapsed")]:
        if _held_again(deal, row):
            left = scored_left(deal.connection, deal.plan, deal.annotator)
            return row, done, items_for(deal.plan, deal.annotator, len(had), left)
        had.remove(row)
    found, left = _new_item(deal, had, len(rows))
    dealt = len(had) + (found is not None)
    return found, done, items_for(deal.plan, deal.annotator, dealt, left)


_THEIRS = (
    select(assignments)
    .where(assignments.c.annotator == bindparam("annotator"))
    .order_by(assignments.c.ordinal)
)


def _held_again(deal: Deal, row: Row[Any]) -> bool:
    """Hold an item anew; one whose time ran out only if there is still room for its answer."""
    lapsed = row.state == "lapsed" and row.kind == "scored"
    if lapsed and not _room(deal, row.comparison):
        deal.connection.execute(
            update(assignments).where(assignments.c.id == row.id).values(state="replaced")
        )
        return False
    if lapsed:
        add_load(deal.connection, row.comparison, 1)
    hold(deal, row.id)
    return True


def hold(deal: Deal, assignment: str) -> None:
    """Keep an item for its annotator."""
    one = assignments.c.id == assignment
    deal.connection.execute(
        update(assignments).where(one).values(state="open", held_until=deal.until)
    )


def _room(deal: Deal, comparison: str) -> bool:
    load = deal.connection.scalar(select(comparisons.c.load).where(comparisons.c.id == comparison))
    return load is not None and load < deal.plan.judgements


def scored_left(connection: Connection, plan: StudyPlan, annotator: str) -> int:
    """How many comparisons still need answers and have not been met by this annotator."""
    return connection.scalar(_LEFT, {"annotator": annotator, "quota": plan.judgements}) or 0


# NOT IN, since PostgreSQL without statistics of the young tables would compare each with each for NOT EXISTS.
_MET = select(assignments.c.comparison).where(assignments.c.annotator == bindparam("annotator"))
_NEEDED = and_(
    comparisons.c.kind == "scored",
    comparisons.c.load < bindparam("quota"),
    comparisons.c.id.not_in(_MET),
)
_LEFT = select(func.count()).select_from(comparisons).where(_NEEDED)
_LOWEST = select(func.min(comparisons.c.load)).where(_NEEDED).scalar_subquery()
_BEHIND = select(comparisons.c.id, _LEFT.scalar_subquery().label("left")).where(
    _NEEDED, comparisons.c.load == _LOWEST
)
"""The comparisons with the fewest answers, given and expected, of those that an annotator may be dealt; and how many
these are in all."""


def _new_item(deal: Deal, had: list[Row[Any]], ordinal: int) -> tuple[Row[Any] | None, int]:
    """A new item, and how many scored comparisons are left after it."""
    quota = {"annotator": deal.annotator, "quota": deal.plan.judgements}
    behind = deal.connection.execute(_BEHIND, quota).all()
    left = behind[0].left if behind else 0
    if not behind or (deal.plan.items is not None and len(had) >= deal.plan.items):
        return None, left
    kind, comparison, one_first = _chosen(deal, had, [row.id for row in behind])
    row = {
        "id": assignment_id(deal.plan, deal.annotator, comparison),
        "annotator": deal.annotator,
        "comparison": comparison,
        "kind": kind,
        "ordinal": ordinal,
        "one_first": one_first,
        "dealt_at": deal.now,
        "held_until": deal.until,
        "state": "open",
        "round": 0,
    }
    if kind == "scored":
        add_load(deal.connection, comparison, 1)
    return deal.connection.execute(_ASSIGN, row).one(), left - (kind == "scored")


_ASSIGN = insert(assignments).returning(*assignments.c)


def _chosen(deal: Deal, had: list[Row[Any]], behind: list[str]) -> tuple[Kind, str, bool]:
    """Kind, comparison, and whether `one` stands first."""
    kind = next(itertools.islice(kinds(deal.plan, deal.annotator), len(had), None))
    if kind == "attention" and (check := _unmet_check(deal, had)) is not None:
        return "attention", check, _side(deal, "attention", had)
    if kind == "repeat" and (earlier := _earlier(deal, had)) is not None:
        return "repeat", earlier.comparison + AGAIN, not earlier.one_first
    return "scored", _furthest_behind(deal, had, behind), _side(deal, "scored", had)


def _furthest_behind(deal: Deal, had: list[Row[Any]], behind: list[str]) -> str:
    """Of an unseen context, if there is one, and of the stratum that has most left to do."""
    context, stratum = deal.places.context, deal.places.stratum
    seen = {context.get(row.comparison) for row in had}
    unseen = [id_ for id_ in behind if context[id_] not in seen] or behind
    waiting = Counter(stratum[id_] for id_ in behind)
    share = {name: count / deal.places.sizes[name] for name, count in waiting.items()}
    most = max(share[stratum[id_]] for id_ in unseen)
    best = sorted(id_ for id_ in unseen if share[stratum[id_]] == most)
    return _random(deal, "comparison", len(had)).choice(best)


def _unmet_check(deal: Deal, had: list[Row[Any]]) -> str | None:
    """A check that the annotator has not met: its true text would give that of its context away later on."""
    context = deal.places.context
    met, seen = {row.comparison for row in had}, {context.get(row.comparison) for row in had}
    scored = set(map(context.get, deal.places.stratum))
    unmet = [id_ for id_ in deal.places.checks if id_ not in met]
    harmless = [id_ for id_ in unmet if context[id_] in seen or context[id_] not in scored]
    return _random(deal, "check", len(had)).choice(harmless or unmet) if unmet else None


def _earlier(deal: Deal, had: list[Row[Any]]) -> Row[Any] | None:
    """A scored comparison that the annotator answered a while ago and has not met again."""
    met = {row.comparison for row in had}
    old = [
        row
        for row in had
        if row.kind == "scored" and row.state == "answered" and row.ordinal <= len(had) - _GAP
    ]
    fresh = [row for row in old if row.comparison + AGAIN not in met]
    return _random(deal, "repeat", len(had)).choice(fresh) if fresh else None


def _side(deal: Deal, kind: Kind, had: list[Row[Any]]) -> bool:
    """Whether `one` stands first: drawn where the sides are even, else the side that is behind."""
    sides = Counter(bool(row.one_first) for row in had if row.kind == kind)
    if sides[True] != sides[False]:
        return sides[True] < sides[False]
    return _random(deal, f"{kind} side", sides.total()).random() < 0.5


def assignment_id(plan: StudyPlan, annotator: str, comparison: str) -> str:
    """One number for annotator x comparison, the same whenever it is dealt; nothing can be read from it."""
    return hashlib.sha256(f"{plan.seed} {annotator} {comparison}".encode()).hexdigest()[:20]


def _random(deal: Deal, what: str, number: int) -> random.Random:
    return random.Random(f"{deal.plan.seed} {deal.annotator} {what} {number}")
