"""Pairs of texts from a file as the comparisons of a study. No tokenizer is needed: lengths are in
words, or in characters where a script sets no spaces.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hyperfitting.errors import StudyError
from hyperfitting.metrics.words import spaced_pieces
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
from hyperfitting.preference.design.pairs_file import GivenPair, PairsFile, rows_in_words
from hyperfitting.preference.design.presentation import Presentation, PresentedText
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import ArmPair, BlindedComparison, ShownText
from hyperfitting.records import REFERENCE


def pair_given(file: PairsFile, protocol: Protocol) -> PairedTexts:
    """The comparisons of a file of pairs, and attention checks.

    A row is left out where both texts read the same or one is too short, and where an earlier row
    has the same pair. A pair of arms has the same `one` in every row, whichever was text `a`.

    Raises:
        StudyError: the protocol names an arm, a pair or a domain that the file does not have, or
            nothing is left to compare.
    """
    rows = of_domains(file.pairs, lambda each: each.domain, protocol, file.name)
    pairs = _pairs(rows, protocol, file.name)
    pairing = _GivenPairing(file, protocol, _context_names(rows))
    chosen = drawn({pairing.name(each): each.domain for each in rows}, protocol)
    compared = {_ordered(pair): pair for pair in pairs}
    scored = [
        made
        for row in rows
        if pairing.name(row) in chosen
        and (pair := compared.get(_ordered(row.arms))) is not None
        and (made := pairing.comparison(row, pair)) is not None
    ]
    left_out = pairing.left_out()
    if not scored:
        why = left_out_in_words(left_out) or "no row is of these pairs"
        raise StudyError(f"{file.name}: nothing is left to compare: {why}")
    order = list(rows)
    random.Random(f"{protocol.seed} checks").shuffle(order)
    order.sort(key=lambda row: pairing.name(row) in chosen)
    checks = attention_checks(pairing.candidates(order), len(scored), protocol)
    comparisons = in_random_order(scored, checks, protocol)
    return PairedTexts(comparisons, pairs, left_out, pairing.log.facts())


def _pairs(rows: Sequence[GivenPair], protocol: Protocol, where: str) -> list[ArmPair]:
    """The pairs of arms by name, the reference second, as the analysis has them."""
    found = {_ordered(row.arms) for row in rows}
    known = sorted({arm for row in rows for arm in row.arms})
    refuse_unknown(protocol.arms or (), known, "arms", where)
    if isinstance(protocol.pairs, tuple):
        refuse_unknown(itertools.chain.from_iterable(protocol.pairs), known, "pairs", where)
        for pair in protocol.pairs:
            if _ordered(pair) not in found:
                raise StudyError(f"pairs: no row compares {pair[0]!r} with {pair[1]!r}")
        return list(protocol.pairs)
    arms = {*(known if protocol.arms is None else protocol.arms), REFERENCE}
    wanted = sorted(pair for pair in found if arms.issuperset(pair))
    if protocol.pairs == "reference":
        wanted = [pair for pair in wanted if REFERENCE in pair]
    if not wanted:
        raise StudyError(
            f"pairs = {protocol.pairs}: no row compares such arms; there are: {'; '.join(known)}"
        )
    return wanted


def _ordered(arms: ArmPair) -> ArmPair:
    one, other = sorted(arms, key=lambda arm: (arm == REFERENCE, arm))
    return one, other


def _context_names(rows: Sequence[GivenPair]) -> dict[tuple[str, str, int], str]:
    """A name such as `news-7` for each context; a row without one is a context of its own."""
    numbers: Counter[str] = Counter()
    names: dict[tuple[str, str, int], str] = {}
    for row in rows:
        if (key := _key(row)) not in names:
            names[key] = f"{row.domain}-{numbers[row.domain]}"
            numbers[row.domain] += 1
    return names


def _key(row: GivenPair) -> tuple[str, str, int]:
    return row.domain, row.context, 0 if row.context else row.row


class _GivenPairing:
    """The rows of a file under way: how they are shown, what they lost, and which were left out."""

    def __init__(self, file: PairsFile, protocol: Protocol, names: dict[tuple[str, str, int], str]):
        self._file, self._protocol, self._names = file, protocol, names
        self._presentation = Presentation(protocol.clean)
        self._left_out: dict[str, list[int]] = defaultdict(list)
        self._seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self.log = CleaningLog()

    def name(self, row: GivenPair) -> str:
        """The name of a row's context."""
        return self._names[_key(row)]

    def left_out(self) -> Counter[str]:
        """The rows left out, by reason."""
        blank = {"blank": list(self._file.blank)} if self._file.blank else {}
        return Counter(
            {
                f"{reason} ({rows_in_words(rows)})": len(rows)
                for reason, rows in (blank | self._left_out).items()
            }
        )

    def comparison(self, row: GivenPair, pair: ArmPair) -> BlindedComparison | None:
        """The comparison of a row; None where it is left out."""
        by_arm = dict(zip(row.arms, self._shown(row), strict=True))
        reason = self._reason(row, [each.text for each in by_arm.values()])
        if reason:
            self._left_out[reason].append(row.row)
            return None
        for arm, text in by_arm.items():
            self.log.add(f"{row.row}", arm, text)
        one, other = (self._shown_text(arm, by_arm[arm]) for arm in pair)
        return self._row(row, one, other)

    def _shown(self, row: GivenPair) -> tuple[PresentedText, PresentedText]:
        one, other = map(self._presentation.present, row.texts)
        if self._protocol.tokens is None:
            return one, other
        words = min(self._protocol.tokens, _words(one.text), _words(other.text))
        return self._first_words(one, words), self._first_words(other, words)

    def _first_words(self, text: PresentedText, words: int) -> PresentedText:
        kept = "".join(piece for piece, _ in spaced_pieces(text.text)[:words])
        return replace(text, text=kept)

    def _reason(self, row: GivenPair, texts: Sequence[str]) -> str:
        """Why a row is left out; empty if it is not."""
        least = self._protocol.shortest_tokens
        if not all(texts):
            return "with nothing but markup in a text"
        if min(map(_words, texts)) < least:
            return f"with a text of fewer than {least} words"
        if texts[0] == texts[1]:
            return "with the same text twice"
        pair = (row.context, frozenset(zip(row.arms, texts, strict=True)))
        if pair in self._seen:
            return "with the pair of an earlier row"
        self._seen.add(pair)
        return ""

    def candidates(self, rows: Sequence[GivenPair]) -> Iterator[BlindedComparison]:
        """Good texts for checks: the reference of each context, or else its text of most words."""
        seen = set()
        for row in rows:
            if self.name(row) not in seen:
                seen.add(self.name(row))
                by_arm = dict(zip(row.arms, self._shown(row), strict=True))
                longest = max(by_arm, key=lambda arm: _words(by_arm[arm].text))
                arm = REFERENCE if REFERENCE in by_arm else longest
                good = self._shown_text(arm, by_arm[arm])
                yield self._row(row, good, good)

    def _row(self, row: GivenPair, one: ShownText, other: ShownText) -> BlindedComparison:
        context, name = self._presentation.present(row.context), self.name(row)
        if context.text:
            self.log.add(name, "", context)
        return scored_comparison(
            name, row.domain, row.group or name, context.text, one, other, id_=row.id
        )

    def _shown_text(self, arm: str, text: PresentedText) -> ShownText:
        words = [word for _, word in spaced_pieces(text.text)]
        return ShownText(
            arm, self._file.name, text.text, len(words), len(set(words)) / max(1, len(words))
        )


def _words(text: str) -> int:
    return len(spaced_pieces(text))
