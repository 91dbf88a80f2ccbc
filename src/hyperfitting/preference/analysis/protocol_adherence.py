"""Adherence to the protocol: digest, order in time, primary estimand, stop rule and exclusions,
planned and found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from hyperfitting.preference.analysis.data_quality import AttentionChecks
from hyperfitting.preference.analysis.encode import counted_rows
from hyperfitting.preference.protocol import PlannedAnalysis, Protocol
from hyperfitting.preference.records import BlindedComparison, Judgement


@dataclass(frozen=True)
class ProtocolCheck:
    """One item of the protocol, what was found, and whether they agree."""

    what: str
    planned: str
    found: str
    kept: bool


def inattentive(checks: Iterable[AttentionChecks], rules: PlannedAnalysis) -> frozenset[str]:
    """The annotators with more failed checks than the rules allow."""
    return frozenset(each.annotator for each in checks if each.failures > rules.attention_failures)


def hasty(judgements: Iterable[Judgement], rules: PlannedAnalysis) -> frozenset[str]:
    """The annotators, models aside, whose median time on a page is under the least."""
    seconds: dict[str, list[float]] = {}
    for row in judgements:
        if row.source != "model" and row.seconds is not None:
            seconds.setdefault(row.annotator, []).append(row.seconds)
    return frozenset(
        name for name, each in seconds.items() if float(np.median(each)) < rules.least_seconds
    )


def check_protocol(
    protocol: Protocol,
    digest: str,
    created_at: str,
    comparisons: Sequence[BlindedComparison],
    judgements: Sequence[Judgement],
    left_out: frozenset[str],
) -> list[ProtocolCheck]:
    """Compare the rows of one source with the protocol. `left_out`: annotators left out by the
    protocol's rules.

    A language model fills no quota and is left out by no rule, so that neither is checked of one.
    """
    checks = [
        _digest(digest, judgements),
        _order(created_at, judgements),
        _estimand(protocol, comparisons, judgements),
    ]
    if all(row.source == "model" for row in judgements):
        return checks
    return [
        *checks,
        _stop(protocol, comparisons, judgements, left_out),
        _exclusions(protocol, judgements, left_out),
    ]


def _digest(digest: str, judgements: Sequence[Judgement]) -> ProtocolCheck:
    strange = sum(row.study != digest for row in judgements)
    found = f"{strange} judgements name another version" if strange else "every judgement names it"
    return ProtocolCheck(
        "version", f"protocol and comparisons {digest[:12]}, unchanged", found, not strange
    )


def _order(created_at: str, judgements: Sequence[Judgement]) -> ProtocolCheck:
    fixed = _time(created_at)
    first = min(_time(row.answered_at) for row in judgements if row.answered_at)
    return ProtocolCheck(
        "order",
        f"protocol fixed {fixed:{_FORMAT}}",
        f"first answer {first:{_FORMAT}}",
        fixed <= first,
    )


_FORMAT = "%Y-%m-%d %H:%M UTC"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _estimand(
    protocol: Protocol, comparisons: Sequence[BlindedComparison], judgements: Sequence[Judgement]
) -> ProtocolCheck:
    arms = {each.id: {each.one.arm, each.other.arm} for each in comparisons}
    strange = sum(
        {row.arm_first, row.arm_second} != arms.get(row.repeats or row.comparison)
        for row in judgements
    )
    what = protocol.analysis.primary.replace("-", " ")
    planned = f"share {what}, by pair of arms, {100 * protocol.analysis.level:g} % intervals"
    found = (
        f"{strange} judgements of other comparisons"
        if strange
        else "computed from the planned comparisons alone"
    )
    return ProtocolCheck("primary estimand", planned, found, not strange)


def _stop(
    protocol: Protocol,
    comparisons: Sequence[BlindedComparison],
    judgements: Sequence[Judgement],
    left_out: frozenset[str],
) -> ProtocolCheck:
    """The stop rule counts all answers collected; the answers after exclusions are reported beside
    it.
    """
    scored = [each.id for each in comparisons if each.kind == "scored"]
    rows = counted_rows(judgements)

    def short(rows: Sequence[Judgement]) -> int:
        answers = Counter(row.comparison for row in rows)
        return sum(answers[each] < protocol.judgements for each in scored)

    before, after = short(rows), short([row for row in rows if row.annotator not in left_out])
    found = (
        f"{before} of {len(scored)} comparisons have fewer"
        if before
        else f"all {len(scored)} have them"
    )
    found += f"; {after} have fewer once the rule has left people out" if after > before else ""
    return ProtocolCheck(
        "stop rule", f"{protocol.judgements} judgements of every comparison", found, not before
    )


def _exclusions(
    protocol: Protocol, judgements: Sequence[Judgement], left_out: frozenset[str]
) -> ProtocolCheck:
    """Annotators named by the rule may be excluded by hand as well; any other exclusion departs
    from the protocol.
    """
    replaced = {row.annotator for row in judgements if row.replaced}
    by_hand = {
        row.annotator: row.excluded for row in judgements if row.excluded and not row.replaced
    }
    beyond = {name: reason for name, reason in by_hand.items() if name not in left_out}
    most, least = protocol.analysis.attention_failures, protocol.analysis.least_seconds
    reasons = "; ".join(
        f"{count} for “{reason}”" for reason, count in sorted(Counter(beyond.values()).items())
    )
    while_collecting = f" ({len(replaced)} replaced while collecting)" if replaced else ""
    found = f"{len(left_out | replaced)} left out by the rule{while_collecting}, {len(beyond)} more"
    found += f" by hand: {reasons}" if reasons else " by hand"
    rule = (
        f"annotators with more than {most} failed checks, or a median under {least:g} s on a page"
    )
    return ProtocolCheck("exclusions", rule, found, not beyond)
