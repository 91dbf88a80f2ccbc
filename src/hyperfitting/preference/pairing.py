"""From runs to comparisons: which contexts, which two arms, in which order, and the checks of attention."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hyperfitting.errors import StudyError
from hyperfitting.preference.arms import REFERENCE, SHUFFLED, Context, arm_names, domain_names
from hyperfitting.preference.cutting import Cut, begun_word, cut_alike, plain
from hyperfitting.preference.plan import StudyPlan
from hyperfitting.preference.records import Comparison, Kind, Shown

Pair = tuple[str, str]

_FEWEST_WORDS = 5  # of a check: fewer may make sense in any order


@dataclass(frozen=True)
class Paired:
    """What a study compares, and what had to be left out, by reason."""

    comparisons: list[Comparison]
    pairs: list[Pair]
    left_out: Counter[str]


def pair_up(contexts: Sequence[Context], plan: StudyPlan) -> Paired:
    """Every pair of arms on every context drawn, and the attention checks.

    The same contexts are drawn for all pairs. A pair that a context has no texts for, or none that can be cut alike, is
    left out there, and so are two texts that read the same.

    Raises:
        StudyError: the plan names an arm or a domain that the runs do not have, or nothing is left to compare.
    """
    contexts = _of_domains(contexts, plan)
    pairs, left_out = _pairs(arm_names(contexts), plan), Counter[str]()
    drawn = _drawn(contexts, plan)
    scored = [
        made
        for context in drawn
        for pair in pairs
        if (made := _comparison(context, pair, plan, left_out)) is not None
    ]
    if not scored:
        raise StudyError(f"nothing is left to compare: {_in_words(left_out)}")
    checks = _checks(contexts, drawn, scored, plan)
    rows = [*_shuffled(scored, plan), *checks]
    width = len(str(len(rows)))
    numbered = [replace(row, id=f"c{number:0{width}d}") for number, row in enumerate(rows, start=1)]
    return Paired(numbered, pairs, left_out)


def _of_domains(contexts: Sequence[Context], plan: StudyPlan) -> list[Context]:
    known = domain_names(contexts)
    _all_known(plan.domains or (), known, "domains")
    wanted = set(known if plan.domains is None else plan.domains)
    if isinstance(plan.per_domain, dict):
        _all_known(plan.per_domain, known, "per_domain")
        wanted &= set(plan.per_domain)
    return [context for context in contexts if context.domain in wanted]


def _all_known(names: Iterable[str], known: Sequence[str], setting: str) -> None:
    for name in names:
        if name not in known:
            raise StudyError(
                f"{setting}: there is no {name!r} in these runs; there are: {', '.join(known)}"
            )


def _pairs(known: list[str], plan: StudyPlan) -> list[Pair]:
    """The pairs by name: a model's arm first and the reference second, so that `one` is the same arm throughout."""
    _all_known(plan.arms or (), known, "arms")
    arms = [name for name in known if plan.arms is None or name in plan.arms or name == REFERENCE]
    if isinstance(plan.pairs, tuple):
        _all_known(itertools.chain.from_iterable(plan.pairs), known, "pairs")
        return list(plan.pairs)
    if plan.pairs == "all":
        return list(itertools.combinations(arms, 2))
    if REFERENCE not in known:
        raise StudyError(
            "pairs = reference: these runs hold no reference texts; name pairs of arms"
        )
    return [(arm, REFERENCE) for arm in arms if arm != REFERENCE]


def _drawn(contexts: Sequence[Context], plan: StudyPlan) -> list[Context]:
    """The contexts of the study, drawn by seed in each domain."""
    drawn: list[Context] = []
    for domain in domain_names(contexts):
        own = [context for context in contexts if context.domain == domain]
        quota = plan.per_domain[domain] if isinstance(plan.per_domain, dict) else plan.per_domain
        count = len(own) if quota is None else quota
        if count > len(own):
            raise StudyError(f"per_domain = {count}: the set {domain!r} has {len(own)} contexts")
        chosen = random.Random(f"{plan.seed} contexts {domain}").sample(range(len(own)), count)
        drawn += [own[number] for number in sorted(chosen)]
    return drawn


def _comparison(
    context: Context, pair: Pair, plan: StudyPlan, left_out: Counter[str]
) -> Comparison | None:
    missing = [name for name in pair if name not in context.written]
    if missing:
        left_out[f"no text of {missing[0]}"] += 1
        return None
    texts = [context.written[name] for name in pair]
    begun = begun_word(context.text, texts)
    cuts = cut_alike(texts, plan.tokens, begun=begun)
    if cuts is None or cuts[0].tokens < plan.shortest_tokens or not all(cut.text for cut in cuts):
        left_out[f"shorter than {plan.shortest_tokens} tokens when cut"] += 1
        return None
    if cuts[0].text == cuts[1].text:
        left_out["the same text twice"] += 1
        return None
    one, other = (
        _shown(name, context.written[name].run, cut) for name, cut in zip(pair, cuts, strict=True)
    )
    return _row("scored", context, one, other, begun)


def _row(kind: Kind, context: Context, one: Shown, other: Shown, begun: str) -> Comparison:
    text = plain(context.text.removesuffix(begun))
    return Comparison("", kind, context.domain, context.name, context.group, text, one, other)


def _shown(arm: str, run: str, cut: Cut) -> Shown:
    return Shown(arm, run, cut.text, cut.tokens, cut.ttr)


def _shuffled(scored: Sequence[Comparison], plan: StudyPlan) -> list[Comparison]:
    """In random order, so that a comparison's number says nothing of its arms."""
    rows = list(scored)
    random.Random(f"{plan.seed} order").shuffle(rows)
    return rows


def _checks(
    contexts: Sequence[Context],
    drawn: Sequence[Context],
    scored: Sequence[Comparison],
    plan: StudyPlan,
) -> list[Comparison]:
    """True texts against their own shuffled words, as many as one annotator can meet, from contexts not drawn first."""
    wanted = _checks_wanted(len(scored), plan)
    used = {context.name for context in drawn}
    order = sorted(contexts, key=lambda each: each.name)
    random.Random(f"{plan.seed} checks").shuffle(order)
    order.sort(key=lambda context: context.name in used)
    tokens = sorted(row.one.tokens for row in scored)[len(scored) // 2]
    made = (_check(context, tokens, plan) for context in order)
    checks = list(itertools.islice((check for check in made if check is not None), wanted))
    if wanted and not checks:
        raise StudyError(
            "attention checks need true texts of some words, and there are none: set attention_rate = 0"
        )
    return checks


def _checks_wanted(scored: int, plan: StudyPlan) -> int:
    if not plan.attention_rate:
        return 0
    items = plan.items or scored / (1 - plan.attention_rate - plan.repeat_rate)
    return math.ceil(items * plan.attention_rate) + 1


def _check(context: Context, tokens: int, plan: StudyPlan) -> Comparison | None:
    """A check from one context; none where its true text is missing, too short, or is read the same when shuffled."""
    true = context.written.get(REFERENCE)
    begun = "" if true is None else begun_word(context.text, [true])
    cuts = None if true is None else cut_alike([true], tokens, begun=begun)
    if true is None or cuts is None or len(set(cuts[0].text.split())) < _FEWEST_WORDS:
        return None
    words = cuts[0].text.split()
    mixed = list(words)
    random_ = random.Random(f"{plan.seed} check {context.name}")
    while mixed == words:
        random_.shuffle(mixed)
    shuffled = replace(cuts[0], text=" ".join(mixed))
    one, other = _shown(REFERENCE, true.run, cuts[0]), _shown(SHUFFLED, true.run, shuffled)
    return _row("attention", context, one, other, begun)


def _in_words(left_out: Counter[str]) -> str:
    return (
        ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        or "no context is drawn"
    )


def summary(paired: Paired, plan: StudyPlan) -> str:
    """What the study will compare, in lines fit for a terminal."""
    scored = [row for row in paired.comparisons if row.kind == "scored"]
    counts = Counter((row.one.arm, row.other.arm, row.domain) for row in scored)
    tokens = sorted(row.one.tokens for row in scored)
    lines = [
        f"pair     {one} against {other}: "
        + ", ".join(
            f"{counts[one, other, domain]} {domain}"
            for domain in sorted({row.domain for row in scored})
        )
        for one, other in paired.pairs
    ]
    lines.append(
        f"texts    {len({row.context for row in scored})} contexts; both of a pair cut to the same number of tokens: "
        f"{tokens[0]} to {tokens[-1]}, median {tokens[len(tokens) // 2]}"
    )
    if paired.left_out:
        lines.append(f"left out {_in_words(paired.left_out)}")
    checks = len(paired.comparisons) - len(scored)
    lines.append(
        f"work     {len(scored)} comparisons x {plan.judgements} = {len(scored) * plan.judgements} judgements, "
        f"with {plan.attention_rate:.0%} attention checks ({checks} made) and {plan.repeat_rate:.0%} repeats on top"
    )
    lines.append(
        f"analysis {plan.analysis.primary}, {plan.analysis.level:.0%} intervals; annotators out above "
        f"{plan.analysis.attention_failures} failed checks or below {plan.analysis.least_seconds:g} s a page; "
        "it ends when every comparison has its judgements"
    )
    return "\n".join(lines)
