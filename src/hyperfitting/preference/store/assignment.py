"""Assignment of items to annotators: the next comparison, and which of its texts stands first.

The seed and the annotator's id decide the sequence of kinds (scored, check, repeat). Scored
comparisons with the fewest answers, given or expected, come first; among them those of contexts
that the annotator has not seen, then those of the arms and domains that are furthest behind. Sides
are balanced in blocks of two: at every moment the numbers of items with either side first differ by
one at most. Everything here runs inside a writing transaction.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, and_, bindparam, func, insert, select, update

from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import AGAIN, BlindedComparison, ComparisonKind
from hyperfitting.preference.store.database import annotators, assignments, comparisons
from hyperfitting.preference.store.rows import AssignmentRow

_GAP = 5  # a repeat comes at least so many items after its comparison


@dataclass(frozen=True)
class ComparisonIndex:
    """The context of each comparison, the stratum (domain and arms) of each scored one, and the ids
    of the checks.
    """

    context: Mapping[str, str]
    stratum: Mapping[str, tuple[str, ...]]
    sizes: Mapping[tuple[str, ...], int]
    checks: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[BlindedComparison]) -> ComparisonIndex:
        """The index of a study's comparisons."""
        scored = [row for row in rows if row.kind == "scored"]
        stratum = {row.id: (row.domain, row.one.arm, row.other.arm) for row in scored}
        checks = tuple(sorted(row.id for row in rows if row.kind == "attention"))
        return cls(
            {row.id: row.context for row in rows}, stratum, Counter(stratum.values()), checks
        )


@dataclass(frozen=True)
class AssignmentRequest:
    """A request for an item: the annotator, the transaction, and the times between which the item
    is held.
    """

    connection: Connection
    protocol: Protocol
    index: ComparisonIndex
    annotator: str
    now: str
    until: str


def item_kinds(protocol: Protocol, annotator: str) -> Iterator[ComparisonKind]:
    """The kinds of an annotator's items in order, without end: one check and one repeat in each
    stretch of 1/rate.

    A check never comes first, and a repeat only in the second half of its stretch.
    """
    checks = _marks(
        random.Random(f"{protocol.seed} {annotator} checks"), protocol.attention_rate, lambda n: 1
    )
    repeats = _marks(
        random.Random(f"{protocol.seed} {annotator} repeats"),
        protocol.repeat_rate,
        lambda n: n // 2,
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
    """One random ordinal in each stretch of 1/rate items, never before `earliest(stretch)` within
    it.
    """
    if rate == 0:
        yield from itertools.repeat(float("inf"))
    stretch = round(1 / rate)
    for start in itertools.count(0, stretch):
        yield start + random_.randrange(earliest(stretch), stretch)


def total_items(protocol: Protocol, annotator: str, assigned: int, left: int) -> int:
    """All items of an annotator who was assigned `assigned` and for whom `left` comparisons
    remain.
    """
    total = assigned
    ahead = itertools.islice(item_kinds(protocol, annotator), assigned, None)
    most = float("inf") if protocol.items is None else protocol.items
    while left > 0 and total < most:
        left -= next(ahead) == "scored"
        total += 1
    return total


def release_lapsed_items(connection: Connection, now: str) -> None:
    """Release every item whose time has run out."""
    for row in connection.execute(_RELEASE, {"now": now}).all():
        if row.kind == "scored":
            add_load(connection, row.comparison, -1)


_RELEASE = (
    update(assignments)
    .where(assignments.c.state == "open", assignments.c.held_until < bindparam("now"))
    .values(state="lapsed")
    .returning(assignments.c.comparison, assignments.c.kind)
)


def drop_open_items(connection: Connection, annotator: str) -> None:
    """Release the items that an annotator holds. Call `recount_loads` afterwards."""
    held = and_(assignments.c.annotator == annotator, assignments.c.state == "open")
    connection.execute(update(assignments).where(held).values(state="lapsed"))


def add_load(connection: Connection, comparison: str, change: int) -> None:
    """Change the number of answers, given and expected, of a comparison."""
    connection.execute(_ADD_LOAD, {"which": comparison, "change": change})


_ADD_LOAD = (
    update(comparisons)
    .where(comparisons.c.id == bindparam("which"))
    .values(load=comparisons.c.load + bindparam("change", type_=Integer))
)


def recount_loads(connection: Connection) -> None:
    """Count the answers, given and expected, of every comparison anew, after an exclusion or a
    withdrawal.
    """
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


def held_or_new_item(request: AssignmentRequest) -> tuple[AssignmentRow | None, int, int]:
    """The item that the annotator holds, or held until its time ran out, if there is room for it;
    else a new one.

    Returns:
        The item (None: nothing is left), the number of items answered, and the most items that
            there can be.
    """
    theirs = request.connection.execute(_THEIRS, {"annotator": request.annotator})
    rows = [AssignmentRow.of(row) for row in theirs]
    had = [row for row in rows if row.state != "replaced"]
    done = sum(row.state == "answered" for row in had)
    for row in [row for row in had if row.state in ("open", "lapsed")]:
        if _held_again(request, row):
            left = scored_left(request.connection, request.protocol, request.annotator)
            return row, done, total_items(request.protocol, request.annotator, len(had), left)
        had.remove(row)
    found, left = _new_item(request, had, len(rows))
    assigned = len(had) + (found is not None)
    return found, done, total_items(request.protocol, request.annotator, assigned, left)


_THEIRS = (
    select(assignments)
    .where(assignments.c.annotator == bindparam("annotator"))
    .order_by(assignments.c.ordinal)
)


def _held_again(request: AssignmentRequest, row: AssignmentRow) -> bool:
    """Hold an item anew; one whose time ran out only if there is still room for its answer."""
    lapsed = row.state == "lapsed" and row.kind == "scored"
    if lapsed and not _room(request, row.comparison):
        request.connection.execute(
            update(assignments).where(assignments.c.id == row.id).values(state="replaced")
        )
        return False
    if lapsed:
        add_load(request.connection, row.comparison, 1)
    hold_item(request, row.id)
    return True


def hold_item(request: AssignmentRequest, assignment: str) -> None:
    """Hold an item for its annotator."""
    one = assignments.c.id == assignment
    request.connection.execute(
        update(assignments).where(one).values(state="open", held_until=request.until)
    )


def _room(request: AssignmentRequest, comparison: str) -> bool:
    load = request.connection.scalar(
        select(comparisons.c.load).where(comparisons.c.id == comparison)
    )
    return load is not None and load < request.protocol.judgements


def annotator_progress(
    connection: Connection, protocol: Protocol, annotator: str
) -> tuple[int, int]:
    """The items that an annotator has answered, and the most that there can be in all, as things
    stand.
    """
    theirs = select(assignments.c.state, func.count()).where(assignments.c.annotator == annotator)
    counts = {row[0]: row[1] for row in connection.execute(theirs.group_by(assignments.c.state))}
    assigned = sum(counts.values()) - counts.get("replaced", 0)
    left = scored_left(connection, protocol, annotator)
    return counts.get("answered", 0), total_items(protocol, annotator, assigned, left)


def scored_left(connection: Connection, protocol: Protocol, annotator: str) -> int:
    """The number of comparisons that need answers and were never assigned to this annotator."""
    return connection.scalar(_LEFT, {"annotator": annotator, "quota": protocol.judgements}) or 0


# NOT IN, since PostgreSQL without statistics of the young tables would compare each with each for
# NOT EXISTS.
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
"""Of the comparisons that an annotator may be assigned: those with the fewest answers, and the
number of all.
"""


def _new_item(
    request: AssignmentRequest, had: list[AssignmentRow], ordinal: int
) -> tuple[AssignmentRow | None, int]:
    """A new item, and how many scored comparisons are left after it."""
    quota = {"annotator": request.annotator, "quota": request.protocol.judgements}
    behind = request.connection.execute(_BEHIND, quota).all()
    left = behind[0].left if behind else 0
    if not behind or (request.protocol.items is not None and len(had) >= request.protocol.items):
        return None, left
    kind, comparison, one_first = _chosen(request, had, [row.id for row in behind])
    row = {
        "id": assignment_id(request.protocol, request.annotator, comparison),
        "annotator": request.annotator,
        "comparison": comparison,
        "kind": kind,
        "ordinal": ordinal,
        "one_first": one_first,
        "dealt_at": request.now,
        "held_until": request.until,
        "state": "open",
        "round": 0,
    }
    if kind == "scored":
        add_load(request.connection, comparison, 1)
    return AssignmentRow.of(request.connection.execute(_ASSIGN, row).one()), left - (
        kind == "scored"
    )


_ASSIGN = insert(assignments).returning(*assignments.c)


def _chosen(
    request: AssignmentRequest, had: list[AssignmentRow], behind: list[str]
) -> tuple[ComparisonKind, str, bool]:
    """Kind, comparison, and whether `one` stands first."""
    kind = next(itertools.islice(item_kinds(request.protocol, request.annotator), len(had), None))
    if kind == "attention" and (check := _unmet_check(request, had)) is not None:
        return "attention", check, _side(request, "attention", had)
    if kind == "repeat" and (earlier := _earlier(request, had)) is not None:
        return "repeat", earlier.comparison + AGAIN, not earlier.one_first
    return "scored", _furthest_behind(request, had, behind), _side(request, "scored", had)


def _furthest_behind(
    request: AssignmentRequest, had: list[AssignmentRow], behind: list[str]
) -> str:
    """Of an unseen context, if there is one, and of the stratum that has most left to do."""
    context, stratum = request.index.context, request.index.stratum
    seen = {context.get(row.comparison) for row in had}
    unseen = [id_ for id_ in behind if context[id_] not in seen] or behind
    waiting = Counter(stratum[id_] for id_ in behind)
    share = {name: count / request.index.sizes[name] for name, count in waiting.items()}
    most = max(share[stratum[id_]] for id_ in unseen)
    best = sorted(id_ for id_ in unseen if share[stratum[id_]] == most)
    return _random(request, "comparison", len(had)).choice(best)


def _unmet_check(request: AssignmentRequest, had: list[AssignmentRow]) -> str | None:
    """A check that the annotator has not met: its true text would give that of its context away
    later on.
    """
    context = request.index.context
    met, seen = {row.comparison for row in had}, {context.get(row.comparison) for row in had}
    scored = set(map(context.get, request.index.stratum))
    unmet = [id_ for id_ in request.index.checks if id_ not in met]
    harmless = [id_ for id_ in unmet if context[id_] in seen or context[id_] not in scored]
    return _random(request, "check", len(had)).choice(harmless or unmet) if unmet else None


def _earlier(request: AssignmentRequest, had: list[AssignmentRow]) -> AssignmentRow | None:
    """A scored comparison that the annotator answered a while ago and has not met again."""
    met = {row.comparison for row in had}
    old = [
        row
        for row in had
        if row.kind == "scored" and row.state == "answered" and row.ordinal <= len(had) - _GAP
    ]
    fresh = [row for row in old if row.comparison + AGAIN not in met]
    return _random(request, "repeat", len(had)).choice(fresh) if fresh else None


def _side(request: AssignmentRequest, kind: ComparisonKind, had: list[AssignmentRow]) -> bool:
    """Whether `one` stands first: drawn where the sides are even, else the side that is behind."""
    sides = Counter(row.one_first for row in had if row.kind == kind)
    if sides[True] != sides[False]:
        return sides[True] < sides[False]
    return _random(request, f"{kind} side", sides.total()).random() < 0.5


def assignment_id(protocol: Protocol, annotator: str, comparison: str) -> str:
    """The id of annotator x comparison, the same whenever it is assigned. It tells nothing about
    either.
    """
    return hashlib.sha256(f"{protocol.seed} {annotator} {comparison}".encode()).hexdigest()[:20]


def _random(request: AssignmentRequest, what: str, number: int) -> random.Random:
    return random.Random(f"{request.protocol.seed} {request.annotator} {what} {number}")
