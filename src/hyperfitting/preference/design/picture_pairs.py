"""Images of runs paired: every pair of arms on every context drawn, and attention checks.

What is shown of an image stands in the place of its text: the address of a lossless PNG file that
holds it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from hyperfitting.errors import StudyError
from hyperfitting.png import png_address, png_bytes
from hyperfitting.preference.design.arms import ContextTexts, arm_names
from hyperfitting.preference.design.comparisons import (
    CleaningLog,
    PairedTexts,
    checks_wanted,
    drawn,
    in_random_order,
    left_out_in_words,
    of_domains,
    scored_comparison,
)
from hyperfitting.preference.design.pairing import pairs_of_arms
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import SHUFFLED, ArmPair, BlindedComparison, ShownText
from hyperfitting.records import REFERENCE

SHOWN_PIXELS = 320
"""Images are enlarged to about this width, by a whole number."""


def pair_pictures(contexts: Sequence[ContextTexts], protocol: Protocol) -> PairedTexts:
    """Every pair of arms on every context drawn, and the attention checks: a true image beside the
    same with the written pixels in random order.

    All pairs use the same contexts. A pair is left out on a context where one of its images is
    missing, and where both are the same.

    Raises:
        StudyError: the protocol names an arm or a domain that the runs do not have, asks for a
            number of tokens, or nothing is left to compare.
    """
    if protocol.tokens is not None:
        raise StudyError(f"tokens = {protocol.tokens}: images are shown whole: leave it out")
    contexts = of_domains(contexts, lambda each: each.domain, protocol)
    pairs = pairs_of_arms(arm_names(contexts), protocol)
    chosen = drawn({each.name: each.domain for each in contexts}, protocol)
    left_out: Counter[str] = Counter()
    scored = []
    for context in contexts:
        for pair in pairs if context.name in chosen else []:
            found = _compared(context, pair)
            if isinstance(found, str):
                left_out[found] += 1
            else:
                scored.append(found)
    if not scored:
        raise StudyError(f"nothing is left to compare: {left_out_in_words(left_out)}")
    checks = _checks(contexts, chosen, len(scored), protocol)
    rows = in_random_order(scored, checks, protocol)
    return PairedTexts(rows, pairs, left_out, CleaningLog().facts())


def _compared(context: ContextTexts, pair: ArmPair) -> BlindedComparison | str:
    """A pair of arms on one context, or why it is left out."""
    missing = [name for name in pair if name not in context.written]
    if missing:
        return f"no image of {missing[0]}"
    ids = [context.written[name].ids for name in pair]
    if ids[0] == ids[1]:
        return "the same image twice"
    one, other = (_shown(context, *each) for each in zip(pair, ids, strict=True))
    return _row(context, one, other)


def _row(context: ContextTexts, one: ShownText, other: ShownText) -> BlindedComparison:
    given = next(iter(context.written.values())).context_ids
    return scored_comparison(
        context.name, context.domain, context.group, _address(given, context), one, other
    )


def _shown(context: ContextTexts, arm: str, ids: Sequence[int]) -> ShownText:
    """The whole image, given rows and written ones."""
    written = context.written[REFERENCE if arm == SHUFFLED else arm]
    address = _address([*written.context_ids, *ids], context)
    return ShownText(arm, written.run, address, len(ids), len(set(ids)) / len(ids))


def _address(ids: Sequence[int], context: ContextTexts) -> str:
    """The address of the image, or of the upper part of one, whose ids may begin with a start
    token.
    """
    palette, side = context.palette, context.side
    assert palette is not None  # of images there is one
    colours = np.asarray([each for each in ids if each < len(palette)])
    pixels_HWC = palette.pixels(colours[: len(colours) // side * side].reshape(-1, side))
    return png_address(png_bytes(pixels_HWC, enlarged=max(1, SHOWN_PIXELS // side)))


def _checks(
    contexts: Sequence[ContextTexts], chosen: set[str], scored: int, protocol: Protocol
) -> list[BlindedComparison]:
    """Checks with true images; contexts that are not in the study come first."""
    order = sorted(contexts, key=lambda each: each.name)
    random.Random(f"{protocol.seed} checks").shuffle(order)
    order.sort(key=lambda context: context.name in chosen)
    true = [each for each in order if REFERENCE in each.written]
    if protocol.attention_rate and not true:
        raise StudyError(
            "attention checks need true images, and there are none: set attention_rate = 0"
        )
    return [_check(each, protocol) for each in true[: checks_wanted(scored, protocol)]]


def _check(context: ContextTexts, protocol: Protocol) -> BlindedComparison:
    ids = list(context.written[REFERENCE].ids)
    good = _shown(context, REFERENCE, ids)
    random.Random(f"{protocol.seed} check {context.name}").shuffle(ids)
    worse = _shown(context, SHUFFLED, ids)
    return BlindedComparison(
        "", "attention", context.domain, context.name, context.group,
        _row(context, good, worse).context_text, good, worse,
    )  # fmt: skip
