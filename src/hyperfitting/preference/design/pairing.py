"""From contexts to comparisons: the contexts drawn, the pairs of arms, their order, and the
attention checks.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hyperfitting.errors import StudyError
from hyperfitting.preference.design.arms import ContextTexts, arm_names, domain_names
from hyperfitting.preference.design.presentation import (
    TruncatedText,
    normalise,
    truncate_alike,
    unfinished_word,
)
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import (
    SHUFFLED,
    ArmPair,
    BlindedComparison,
    ComparisonKind,
    ShownText,
)
from hyperfitting.records import REFERENCE

_FEWEST_WORDS = 5  # of a check: fewer may make sense in any order


@dataclass(frozen=True)
class PairedTexts:
    """The comparisons of a study, and how many were left out, by reason."""

    comparisons: list[BlindedComparison]
    pairs: list[ArmPair]
    left_out: Counter[str]


def pair_texts(contexts: Sequence[ContextTexts], protocol: Protocol) -> PairedTexts:
    """Every pair of arms on every context drawn, and the attention checks.

    All pairs use the same contexts. A pair is left out on a context where one of its texts is
    missing, where they cannot be truncated alike, and where both read the same.

    Raises:
        StudyError: the protocol names an arm or a domain that the runs do not have, or nothing is
            left to compare.
    """
    contexts = _of_domains(contexts, protocol)
    pairs, left_out = _pairs(arm_names(contexts), protocol), Counter[str]()
    drawn = _drawn(contexts, protocol)
    each = (_comparison(context, pair, protocol, left_out) for context in drawn for pair in pairs)
    scored = [comparison for comparison in each if comparison is not None]
    if not scored:
        raise StudyError(
            f"nothing is left to compare: {left_out_in_words(left_out) or 'no context is drawn'}"
        )
    checks = _checks(contexts, drawn, scored, protocol)
    rows = [*_in_random_order(scored, protocol), *checks]
    width = len(str(len(rows)))
    numbered = [replace(row, id=f"c{number:0{width}d}") for number, row in enumerate(rows, start=1)]
    return PairedTexts(numbered, pairs, left_out)


def _of_domains(contexts: Sequence[ContextTexts], protocol: Protocol) -> list[ContextTexts]:
    known = domain_names(contexts)
    _all_known(protocol.domains or (), known, "domains")
    wanted = set(known if protocol.domains is None else protocol.domains)
    if isinstance(protocol.per_domain, dict):
        _all_known(protocol.per_domain, known, "per_domain")
        wanted &= set(protocol.per_domain)
    return [context for context in contexts if context.domain in wanted]


def _all_known(names: Iterable[str], known: Sequence[str], setting: str) -> None:
    for name in names:
        if name not in known:
            now = name.replace(" · ", ", ")  # labels of older versions
            hint = f"it is called {now!r} now" if now in known else f"there are: {'; '.join(known)}"
            raise StudyError(f"{setting}: there is no {name!r} in these runs; {hint}")


def _pairs(known: list[str], protocol: Protocol) -> list[ArmPair]:
    """The pairs by name. The reference always comes second, so that `one` is the same arm
    throughout.
    """
    _all_known(protocol.arms or (), known, "arms")
    arms = [
        name
        for name in known
        if protocol.arms is None or name in protocol.arms or name == REFERENCE
    ]
    if isinstance(protocol.pairs, tuple):
        _all_known(itertools.chain.from_iterable(protocol.pairs), known, "pairs")
        return list(protocol.pairs)
    if protocol.pairs == "all":
        return list(itertools.combinations(arms, 2))
    if REFERENCE not in known:
        raise StudyError(
            "pairs = reference: these runs hold no reference texts; name pairs of arms"
        )
    return [(arm, REFERENCE) for arm in arms if arm != REFERENCE]


def _drawn(contexts: Sequence[ContextTexts], protocol: Protocol) -> list[ContextTexts]:
    """The contexts of the study, drawn by seed in each domain."""
    drawn: list[ContextTexts] = []
    for domain in domain_names(contexts):
        own = [context for context in contexts if context.domain == domain]
        quota = (
            protocol.per_domain[domain]
            if isinstance(protocol.per_domain, dict)
            else protocol.per_domain
        )
        count = len(own) if quota is None else quota
        if count > len(own):
            raise StudyError(f"per_domain = {count}: the domain {domain!r} has {len(own)} contexts")
        chosen = random.Random(f"{protocol.seed} contexts {domain}").sample(range(len(own)), count)
        drawn += [own[number] for number in sorted(chosen)]
    return drawn


def _comparison(
    context: ContextTexts, pair: ArmPair, protocol: Protocol, left_out: Counter[str]
) -> BlindedComparison | None:
    missing = [name for name in pair if name not in context.written]
    if missing:
        left_out[f"no text of {missing[0]}"] += 1
        return None
    texts = [context.written[name] for name in pair]
    begun = unfinished_word(context.text, texts)
    shown_texts = truncate_alike(texts, protocol.tokens, begun=begun)
    if (
        shown_texts is None
        or shown_texts[0].tokens < protocol.shortest_tokens
        or not all(text.text for text in shown_texts)
    ):
        left_out[f"shorter than {protocol.shortest_tokens} tokens when truncated"] += 1
        return None
    if shown_texts[0].text == shown_texts[1].text:
        left_out["the same text twice"] += 1
        return None
    one, other = (
        _shown(name, context.written[name].run, text)
        for name, text in zip(pair, shown_texts, strict=True)
    )
    return _row("scored", context, one, other, begun)


def _row(
    kind: ComparisonKind, context: ContextTexts, one: ShownText, other: ShownText, begun: str
) -> BlindedComparison:
    text = normalise(context.text.removesuffix(begun))
    return BlindedComparison(
        "", kind, context.domain, context.name, context.group, text, one, other
    )


def _shown(arm: str, run: str, text: TruncatedText) -> ShownText:
    return ShownText(arm, run, text.text, text.tokens, text.ttr)


def _in_random_order(
    scored: Sequence[BlindedComparison], protocol: Protocol
) -> list[BlindedComparison]:
    """In random order, so that a comparison's number tells nothing about its arms."""
    rows = list(scored)
    random.Random(f"{protocol.seed} order").shuffle(rows)
    return rows


def _checks(
    contexts: Sequence[ContextTexts],
    drawn: Sequence[ContextTexts],
    scored: Sequence[BlindedComparison],
    protocol: Protocol,
) -> list[BlindedComparison]:
    """True texts against their own shuffled words, as many as one annotator can meet; contexts not
    drawn come first.
    """
    wanted = _checks_wanted(len(scored), protocol)
    used = {context.name for context in drawn}
    order = sorted(contexts, key=lambda each: each.name)
    random.Random(f"{protocol.seed} checks").shuffle(order)
    order.sort(key=lambda context: context.name in used)
    tokens = sorted(row.one.tokens for row in scored)[len(scored) // 2]
    made = (_check(context, tokens, protocol) for context in order)
    checks = list(itertools.islice((check for check in made if check is not None), wanted))
    if wanted and not checks:
        raise StudyError(
            "attention checks need true texts of some words, and there are none: set "
            "attention_rate = 0"
        )
    return checks


def _checks_wanted(scored: int, protocol: Protocol) -> int:
    if not protocol.attention_rate:
        return 0
    items = protocol.items or scored / (1 - protocol.attention_rate - protocol.repeat_rate)
    return math.ceil(items * protocol.attention_rate) + 1


def _check(context: ContextTexts, tokens: int, protocol: Protocol) -> BlindedComparison | None:
    """A check from one context; None where its true text is missing or too short."""
    true = context.written.get(REFERENCE)
    begun = "" if true is None else unfinished_word(context.text, [true])
    shown_texts = None if true is None else truncate_alike([true], tokens, begun=begun)
    if true is None or shown_texts is None or len(set(shown_texts[0].text.split())) < _FEWEST_WORDS:
        return None
    words = shown_texts[0].text.split()
    mixed = list(words)
    random_ = random.Random(f"{protocol.seed} check {context.name}")
    while mixed == words:
        random_.shuffle(mixed)
    shuffled = replace(shown_texts[0], text=" ".join(mixed))
    one, other = _shown(REFERENCE, true.run, shown_texts[0]), _shown(SHUFFLED, true.run, shuffled)
    return _row("attention", context, one, other, begun)


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """Counts of comparisons left out, with their reasons; empty where there are none."""
    return "; ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
