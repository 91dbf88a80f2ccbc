"""Texts of runs paired: every pair of arms on every context drawn, and attention checks."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hyperfitting.errors import StudyError
from hyperfitting.preference.design.arms import ContextTexts, arm_names, domain_names
from hyperfitting.preference.design.cleaning import is_word_tokenized
from hyperfitting.preference.design.comparisons import (
    CleaningLog,
    PairedTexts,
    attention_checks,
    drawn,
    in_random_order,
    left_out_in_words,
    of_domains,
    refuse_unknown,
    scored_comparison,
)
from hyperfitting.preference.design.presentation import (
    Presentation,
    TruncatedText,
    truncate_alike,
    unfinished_word,
)
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import ArmPair, BlindedComparison, ShownText
from hyperfitting.records import REFERENCE


def pair_texts(contexts: Sequence[ContextTexts], protocol: Protocol) -> PairedTexts:
    """Every pair of arms on every context drawn, and the attention checks.

    All pairs use the same contexts. A pair is left out on a context where one of its texts is
    missing, where they cannot be truncated alike, and where both read the same.

    Raises:
        StudyError: the protocol names an arm or a domain that the runs do not have, or nothing is
            left to compare.
    """
    contexts = of_domains(contexts, lambda each: each.domain, protocol)
    pairs = pairs_of_arms(arm_names(contexts), protocol)
    chosen = drawn({each.name: each.domain for each in contexts}, protocol)
    pairing = _Pairing(protocol, _presentations(contexts, protocol))
    each = (
        pairing.comparison(context, pair)
        for context in contexts
        if context.name in chosen
        for pair in pairs
    )
    scored = [row for row in each if row is not None]
    if not scored:
        why = left_out_in_words(pairing.left_out) or "no context is drawn"
        raise StudyError(f"nothing is left to compare: {why}")
    checks = _checks(contexts, chosen, scored, pairing)
    rows = in_random_order(scored, checks, protocol)
    return PairedTexts(rows, pairs, pairing.left_out, pairing.log.facts())


def pairs_of_arms(known: list[str], protocol: Protocol) -> list[ArmPair]:
    """The pairs by name. The reference always comes second, so that `one` is the same arm
    throughout.

    Raises:
        StudyError: an arm is not known, or the protocol asks for pairs that runs do not give.
    """
    refuse_unknown(protocol.arms or (), known, "arms")
    arms = [
        name
        for name in known
        if protocol.arms is None or name in protocol.arms or name == REFERENCE
    ]
    if isinstance(protocol.pairs, tuple):
        refuse_unknown(itertools.chain.from_iterable(protocol.pairs), known, "pairs")
        return list(protocol.pairs)
    if protocol.pairs == "given":
        raise StudyError("pairs = given: runs give no pairs; say reference, all, or pairs of arms")
    if protocol.pairs == "all":
        return list(itertools.combinations(arms, 2))
    if REFERENCE not in known:
        raise StudyError(
            "pairs = reference: these runs hold no reference texts; name pairs of arms"
        )
    return [(arm, REFERENCE) for arm in arms if arm != REFERENCE]


def _presentations(contexts: Sequence[ContextTexts], protocol: Protocol) -> dict[str, Presentation]:
    """How the texts of each domain are shown: all alike, as its contexts and true texts ask."""
    found = {}
    for domain in domain_names(contexts):
        own = [each for each in contexts if each.domain == domain]
        true = [each.written[REFERENCE].text for each in own if REFERENCE in each.written]
        tokenized = is_word_tokenized([*(each.text for each in own), *true])
        found[domain] = Presentation(protocol.clean, tokenized)
    return found


@dataclass(frozen=True)
class _Pairing:
    """The texts of a study under way: how they are shown, what they lost, and what was left out."""

    protocol: Protocol
    presentations: dict[str, Presentation]
    left_out: Counter[str] = field(default_factory=Counter)
    log: CleaningLog = field(default_factory=CleaningLog)

    def comparison(self, context: ContextTexts, pair: ArmPair) -> BlindedComparison | None:
        """A pair of arms on one context; None where it is left out, and counted."""
        found = self._compared(context, pair)
        if isinstance(found, str):
            self.left_out[found] += 1
            return None
        return found

    def _compared(self, context: ContextTexts, pair: ArmPair) -> BlindedComparison | str:
        """A pair of arms on one context, or why it is left out."""
        missing = [name for name in pair if name not in context.written]
        if missing:
            return f"no text of {missing[0]}"
        least, begun = self.protocol.shortest_tokens, _begun(context, pair)
        texts = self._truncated(context, pair, self.protocol.tokens, begun)
        if texts is None or texts[0].tokens < least or not all(text.text for text in texts):
            return f"shorter than {least} tokens when truncated"
        if texts[0].text == texts[1].text:
            return "the same text twice"
        for arm, text in zip(pair, texts, strict=True):
            self.log.add(context.name, arm, text.presented)
        one, other = (_shown(context, *each) for each in zip(pair, texts, strict=True))
        return self._row(context, one, other, begun)

    def candidate(self, context: ContextTexts, tokens: int) -> BlindedComparison | None:
        """The true text of a context, for a check; None where there is none."""
        if REFERENCE not in context.written:
            return None
        begun = _begun(context, (REFERENCE,))
        texts = self._truncated(context, (REFERENCE,), tokens, begun)
        if texts is None:
            return None
        true = _shown(context, REFERENCE, texts[0])
        return self._row(context, true, true, begun)

    def _truncated(
        self, context: ContextTexts, arms: Sequence[str], at_most: int | None, begun: str
    ) -> list[TruncatedText] | None:
        return truncate_alike(
            [context.written[name] for name in arms],
            at_most,
            begun=begun,
            presentation=self.presentations[context.domain],
            indented=context.text.removesuffix(begun)[-1:] in ("", "\n"),
        )

    def _row(
        self, context: ContextTexts, one: ShownText, other: ShownText, begun: str
    ) -> BlindedComparison:
        text = self.presentations[context.domain].present(context.text.removesuffix(begun))
        self.log.add(context.name, "", text)
        return scored_comparison(context.name, context.domain, context.group, text.text, one, other)


def _begun(context: ContextTexts, arms: Sequence[str]) -> str:
    return unfinished_word(context.text, [context.written[name] for name in arms])


def _shown(context: ContextTexts, arm: str, text: TruncatedText) -> ShownText:
    return ShownText(arm, context.written[arm].run, text.text, text.tokens, text.ttr)


def _checks(
    contexts: Sequence[ContextTexts],
    chosen: set[str],
    scored: Sequence[BlindedComparison],
    pairing: _Pairing,
) -> list[BlindedComparison]:
    """Checks with true texts; contexts that are not in the study come first."""
    order = sorted(contexts, key=lambda each: each.name)
    random.Random(f"{pairing.protocol.seed} checks").shuffle(order)
    order.sort(key=lambda context: context.name in chosen)
    tokens = sorted(row.one.tokens for row in scored)[len(scored) // 2]
    candidates = (pairing.candidate(context, tokens) for context in order)
    checks = attention_checks(candidates, len(scored), pairing.protocol)
    if pairing.protocol.attention_rate and not checks:
        raise StudyError(
            "attention checks need true texts of some words, and there are none: set "
            "attention_rate = 0"
        )
    return checks
