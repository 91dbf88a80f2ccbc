"""What the verbs of the preference study found out, in lines for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hyperfitting.preference.design.create import StudyPreview
    from hyperfitting.preference.records import Invitation


def preview_lines(preview: StudyPreview) -> Iterator[str]:
    """What a new study compares, how much work it is, and how it will be analysed."""
    yield from _compared(preview)
    yield from _notes(preview)
    yield from _work(preview)
    analysis = preview.protocol.analysis
    yield (
        f"analysis {analysis.primary}, {analysis.level:.0%} intervals; annotators with more than "
        f"{analysis.attention_failures} failed checks or less than {analysis.least_seconds:g} s a "
        "page are left out; it ends when every comparison has its judgements"
    )


def _compared(preview: StudyPreview) -> Iterator[str]:
    """Pairs of arms, lengths of texts, and what was cleaned away."""
    for pair in preview.pairs:
        counts = ", ".join(f"{count} {domain}" for domain, count in pair.by_domain.items())
        yield f"pair     {pair.one} against {pair.other}: {counts}"
    if preview.protocol.material == "images":
        yield (
            f"images   {preview.contexts} contexts; both of a pair shown whole, "
            f"{preview.tokens_median} pixels below the given rows"
        )
        return
    cut = preview.unit == "tokens" or preview.protocol.tokens is not None
    yield (
        f"texts    {preview.contexts} contexts; both of a pair "
        f"{'truncated to the same number of' if cut else 'shown whole,'} {preview.unit}: "
        f"{preview.tokens_least} to {preview.tokens_most}, median {preview.tokens_median}"
    )
    lost = preview.cleaning
    yield (
        f"cleaned  {lost.texts_with_losses} of {lost.texts} texts lost {lost.characters_removed} "
        f"characters of markup, and {lost.characters_replaced} became ASCII"
        if preview.protocol.clean == "markup"
        else "cleaned  nothing: texts are shown as they were written"
    )


def _notes(preview: StudyPreview) -> Iterator[str]:
    """Arms that no pair links, and texts that are left out."""
    from hyperfitting.preference.design.comparisons import left_out_in_words
    from hyperfitting.preference.records import linked_arms, unlinked_in_words

    groups = linked_arms((pair.one, pair.other) for pair in preview.pairs)
    if len(groups) > 1:
        yield f"scale    {unlinked_in_words(groups)}; the report gives each group its own"
    if preview.left_out:
        yield f"left out {left_out_in_words(preview.left_out)}"


def _work(preview: StudyPreview) -> Iterator[str]:
    """Judgements in all, and annotators that they take."""
    protocol, work = preview.protocol, preview.work
    yield (
        f"work     {preview.comparisons} comparisons x {protocol.judgements} = "
        f"{preview.comparisons * protocol.judgements} judgements, with "
        f"{protocol.attention_rate:.0%} attention checks ({preview.checks} made) and "
        f"{protocol.repeat_rate:.0%} repeats on top"
    )
    yield (
        "people   as many items each as there are"
        if protocol.items is None
        else f"people   {protocol.items} items each at most (some {work.minutes:.0f} minutes): "
        f"{work.annotators} annotators fill the study"
    )


def invitation_line(each: Invitation) -> str:
    """An invitation: its number, whether it was used, until when it can be, and its label."""
    used = f"used by {each.annotator}" if each.annotator else "not used"
    state = "revoked" if each.revoked else used
    expires = each.expires_at or "never"
    return f"{each.id:6d}  {state:16s}  expires {expires:32s}  {each.label or ''}"
