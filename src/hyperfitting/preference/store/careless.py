"""The protocol's rule about careless annotators, applied while the study collects.

An annotator who breaks it is excluded with the reason: their answers are kept and marked, and
their comparisons go back to the others. Answers decide anew each time, so that nothing is lost if
the server is killed in between.
"""

from __future__ import annotations

import statistics
from datetime import timedelta

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    update,
)

from hyperfitting.preference.records import REPLACED
from hyperfitting.preference.store.assignment import drop_open_items, recount_loads
from hyperfitting.preference.store.context import StoreContext, utc_stamp
from hyperfitting.preference.store.database import (
    annotators,
    assignments,
    judgements,
    marks,
    voids,
)

_FEWEST_ANSWERS = 10  # of somebody at work: a median of fewer says little


def replace_if_careless(
    connection: Connection, context: StoreContext, annotator: str, *, finished: bool = False
) -> bool:
    """Exclude an annotator who breaks the rule, and return whether they did.

    Of somebody at work, the last answer does not count yet, since it can be taken back.
    """
    if not context.protocol.replace_careless:
        return False
    seconds, failures = _conduct(connection, annotator, last=finished)
    reason = _reason(context, seconds, failures, fewest=1 if finished else _FEWEST_ANSWERS)
    if reason:
        _exclude(connection, context, annotator, reason)
        recount_loads(connection)
    return bool(reason)


def replace_careless_who_left(connection: Connection, context: StoreContext) -> bool:
    """Exclude all who break the rule and have finished, or given no answer for as long as an item
    is held; returns whether there was anybody.
    """
    if not context.protocol.replace_careless:
        return False
    held = timedelta(minutes=context.protocol.hold_minutes)
    left = {"left": utc_stamp(context.clock() - held)}
    reasons = {}
    for annotator in connection.scalars(_suspects(context), left).all():
        reason = _reason(context, *_conduct(connection, annotator, last=True), fewest=1)
        if reason:
            reasons[annotator] = reason
            _exclude(connection, context, annotator, reason)
    if reasons:
        recount_loads(connection)
    return bool(reasons)


def _exclude(connection: Connection, context: StoreContext, annotator: str, reason: str) -> None:
    """Exclude an annotator by the rule. Call `recount_loads` afterwards."""
    one = update(annotators).where(annotators.c.id == annotator)
    connection.execute(one.values(excluded=f"{REPLACED}: {reason}"))
    drop_open_items(connection, annotator)
    context.mark(connection, "replaced", annotator, reason)


def _reason(context: StoreContext, seconds: list[float], failures: int, *, fewest: int) -> str:
    """How answers break the rule; empty if they do not."""
    rules = context.protocol.analysis
    if failures > rules.attention_failures:
        return f"{failures} failed attention checks"
    if len(seconds) >= fewest and (median := statistics.median(seconds)) < rules.least_seconds:
        return f"{median:.3g} s on a page in the median"
    return ""


_ANSWERS = (
    judgements.join(assignments, assignments.c.id == judgements.c.assignment)
    .join(annotators, annotators.c.id == assignments.c.annotator)
    .outerjoin(voids, voids.c.judgement == judgements.c.id)
)
_FAILED = and_(
    assignments.c.kind == "attention",
    judgements.c.answer != case((assignments.c.one_first, "first"), else_="second"),
)
_INCLUDED = select(marks.c.annotator).where(marks.c.what == "included")  # the admin's word stands
_BOUND = and_(
    voids.c.judgement.is_(None),
    annotators.c.excluded.is_(None),
    annotators.c.source != "model",
    annotators.c.id.not_in(_INCLUDED),
)


_CONDUCT = (
    select(judgements.c.seconds, _FAILED.label("failed"))
    .select_from(_ANSWERS)
    .where(_BOUND, annotators.c.id == bindparam("annotator"))
    .order_by(judgements.c.id)
)


def _conduct(connection: Connection, annotator: str, *, last: bool) -> tuple[list[float], int]:
    """The times of an annotator's answers, and how many checks they failed; without the last answer
    unless `last`.
    """
    rows = connection.execute(_CONDUCT, {"annotator": annotator}).all()
    counted = rows if last else rows[:-1]
    return [row.seconds for row in counted], sum(row.failed for row in counted)


def _suspects(context: StoreContext) -> Select[str]:
    """Those who have finished or left, with too many failed checks or half of their answers quick;
    `left`: the time before which those who left gave their last answer.
    """
    rules = context.protocol.analysis
    quick = func.sum(cast(judgements.c.seconds < rules.least_seconds, Integer))
    gone = or_(
        annotators.c.state == "finished", func.max(judgements.c.answered_at) < bindparam("left")
    )
    return (
        select(annotators.c.id)
        .select_from(_ANSWERS)
        .where(_BOUND)
        .group_by(annotators.c.id, annotators.c.state)
        .having(
            gone,
            or_(
                func.sum(cast(_FAILED, Integer)) > rules.attention_failures,
                2 * quick >= func.count(),
            ),
        )
        .order_by(annotators.c.id)
    )
