"""The comparisons of a new study, whatever their texts come from: contexts drawn, attention checks,
order and numbers.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hyperfitting.errors import StudyError
from hyperfitting.preference.design.presentation import PresentedText
from hyperfitting.preference.design.units import shuffled_units
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import SHUFFLED, ArmPair, BlindedComparison, ShownText
from hyperfitting.preference.study import CleaningFacts

_FEWEST_WORDS = 5  # of a check: fewer may make sense in any order
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class PairedTexts:
    """The comparisons of a study, how many were left out, by reason, and what cleaning took."""

    comparisons: list[BlindedComparison]
    pairs: list[ArmPair]
    left_out: Counter[str]
    cleaning: CleaningFacts


class CleaningLog:
    """What the texts of a study lost, each counted once."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], PresentedText] = {}

    def add(self, context: str, arm: str, text: PresentedText) -> None:
        """Count a text. An empty `arm` stands for the context itself."""
        self._texts[context, arm] = text

    def facts(self) -> CleaningFacts:
        """The counts."""
        texts = self._texts.values()
        return CleaningFacts(
            texts=len(texts),
            texts_with_losses=sum(text.removed > 0 for text in texts),
            characters_removed=sum(text.removed for text in texts),
            characters_replaced=sum(text.replaced for text in texts),
        )


def refuse_unknown(
    names: Iterable[str], known: Sequence[str], setting: str, where: str = "these runs"
) -> None:
    """Refuse names of arms or domains that the texts do not have, which stand in `where`.

    Raises:
        StudyError: names the setting, and what there is.
    """
    for name in names:
        if name not in known:
            now = name.replace(" · ", ", ")  # labels of older versions
            hint = f"it is called {now!r} now" if now in known else f"there are: {'; '.join(known)}"
            raise StudyError(f"{setting}: there is no {name!r} in {where}; {hint}")


def of_domains(
    items: Sequence[_Item],
    domain_of: Callable[[_Item], str],
    protocol: Protocol,
    where: str = "these runs",
) -> list[_Item]:
    """What belongs to the domains that the protocol names."""
    known = sorted(set(map(domain_of, items)))
    refuse_unknown(protocol.domains or (), known, "domains", where)
    wanted = set(known if protocol.domains is None else protocol.domains)
    if isinstance(protocol.per_domain, dict):
        refuse_unknown(protocol.per_domain, known, "per_domain", where)
        wanted &= set(protocol.per_domain)
    return [each for each in items if domain_of(each) in wanted]


def drawn(contexts: Mapping[str, str], protocol: Protocol) -> set[str]:
    """The contexts of the study, drawn by seed in each domain; from a domain for each context.

    Raises:
        StudyError: a domain holds fewer contexts than are asked of it.
    """
    chosen: set[str] = set()
    for domain in sorted(set(contexts.values())):
        own = [name for name, its in contexts.items() if its == domain]
        quota = (
            protocol.per_domain[domain]
            if isinstance(protocol.per_domain, dict)
            else protocol.per_domain
        )
        count = len(own) if quota is None else quota
        if count > len(own):
            raise StudyError(f"per_domain = {count}: the domain {domain!r} has {len(own)} contexts")
        chosen |= set(random.Random(f"{protocol.seed} contexts {domain}").sample(own, count))
    return chosen


def attention_checks(
    candidates: Iterable[BlindedComparison | None], scored: int, protocol: Protocol
) -> list[BlindedComparison]:
    """Texts against their own shuffled words, as many as one annotator can meet.

    Args:
        candidates: the good text of each as `one`, in the order in which they are taken.
        scored: the number of scored comparisons.
        protocol: the protocol.
    """
    made = (_check(each, protocol) for each in candidates if each is not None)
    checks = (check for check in made if check is not None)
    return list(itertools.islice(checks, checks_wanted(scored, protocol)))


def checks_wanted(scored: int, protocol: Protocol) -> int:
    """How many attention checks one annotator can meet in a study of so many comparisons."""
    if not protocol.attention_rate:
        return 0
    items = protocol.items or scored / (1 - protocol.attention_rate - protocol.repeat_rate)
    return math.ceil(items * protocol.attention_rate) + 1


def _check(candidate: BlindedComparison, protocol: Protocol) -> BlindedComparison | None:
    """A check with the text of a candidate; None where it has too few words."""
    good = candidate.one
    random_ = random.Random(f"{protocol.seed} check {candidate.context}")
    mixed = shuffled_units(good.text, random_, fewest=_FEWEST_WORDS)
    if mixed is None:
        return None
    worse = dataclasses.replace(good, arm=SHUFFLED, text=mixed)
    return dataclasses.replace(candidate, id="", kind="attention", other=worse)


def scored_comparison(
    context: str,
    domain: str,
    group: str,
    text: str,
    one: ShownText,
    other: ShownText,
    *,
    id_: str = "",
) -> BlindedComparison:
    """A scored comparison, without a number unless it has an `id_` of its own."""
    return BlindedComparison(id_, "scored", domain, context, group, text, one, other)


def in_random_order(
    scored: Sequence[BlindedComparison],
    checks: Sequence[BlindedComparison],
    protocol: Protocol,
) -> list[BlindedComparison]:
    """Scored comparisons in random order, so that a number tells nothing about the arms; then the
    checks. Each without an id gets its number.
    """
    rows = list(scored)
    random.Random(f"{protocol.seed} order").shuffle(rows)
    rows += checks
    width, taken = len(str(len(rows))), {row.id for row in rows}
    letter = "c" if taken == {""} else "check-"  # an id of the user's may be c17
    while any(id_.startswith(letter) for id_ in taken):
        letter += "-"
    return [
        dataclasses.replace(row, id=row.id or f"{letter}{number:0{width}d}")
        for number, row in enumerate(rows, start=1)
    ]


def without_spare_checks(
    rows: Sequence[BlindedComparison], protocol: Protocol
) -> list[BlindedComparison]:
    """The comparisons with no more checks than one annotator of the protocol can meet."""
    scored = [row for row in rows if row.kind == "scored"]
    return [*scored, *rows[len(scored) :][: checks_wanted(len(scored), protocol)]]


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """Counts of comparisons left out, with their reasons; empty where there are none."""
    return "; ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
