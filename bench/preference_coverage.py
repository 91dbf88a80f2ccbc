"""Coverage of the intervals of the preference analysis, over simulated studies.

    python -m bench.preference_coverage [--studies 1000]

Contexts and annotators are drawn anew for each study, with ties and a side bias. Seeds and
population are fixed here. The truth is the same estimate on a million judgements of the same
design. Each line gives the share of intervals that cover the truth, with Wilson's interval.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logit
from scipy.stats import t as student

from hyperfitting.preference.analysis import davidson
from hyperfitting.preference.analysis.agreement import AC1, ALPHA_ORDINAL, coefficient, counts_table
from hyperfitting.preference.analysis.clustered_se import share_intervals
from hyperfitting.preference.analysis.data_quality import side_bias
from hyperfitting.preference.analysis.encode import EncodedJudgements
from hyperfitting.preference.analysis.population import Design, Population, as_encoded, draw_answers
from hyperfitting.preference.analysis.ttr_regression import TTR_STEP, ttr_odds_ratios

SEED, TRUTH_SEED = 20261125, 412_04318
MILLION = 1_000_002  # divisible by three judgements
DESIGNS = (Design(300, 30, 3), Design(60, 10, 3))
SMALL_DESIGNS = (Design(24, 5, 3), Design(24, 5, 5), Design(24, 3, 3))
USUAL = Population()
RARE = Population(lean=-3.5)
NO_SPREAD = Population(context_sd=0.0, annotator_sd=0.0, tie_sd=0.0, side_sd=0.0)
POPULATIONS = {
    "": USUAL,
    ", rare": RARE,
    ", no spread": NO_SPREAD,
    ", annotators far apart": Population(annotator_sd=2.0, tie_sd=0.8),
    ", contexts far apart": Population(context_sd=2.0),
}
PAIRS = (("a", "b"), ("a", "reference"), ("b", "reference"))
LEANS = np.array([1.2, 0.6, -0.6])  # of the pairs, as worths 0.6, -0.6 and 0 would have it
TTR_EFFECT = 0.4  # on the latent preference, for each 0.1 of type-token ratio
ANSWERS = {
    "preferred": lambda answer: answer == 1,
    "equal": lambda answer: answer == 0,
    "preferred or equal": lambda answer: answer >= 0,
}


@dataclass(frozen=True)
class Coverage:
    """How many of `studies` intervals cover the truth. Studies without an interval are not
    counted.
    """

    design: Design
    what: str
    truth: float
    held: int
    studies: int

    @property
    def share(self) -> float:
        return self.held / self.studies

    def wilson(self) -> tuple[float, float]:
        """The 95 % interval of the coverage."""
        z, n, p = 1.959963984540054, self.studies, self.share
        middle, reach = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
        return (middle - reach) / (1 + z * z / n), (middle + reach) / (1 + z * z / n)

    def line(self) -> str:
        low, high = self.wilson()
        design = f"{self.design.contexts} x {self.design.annotators} x {self.design.judgements}"
        share = f"{self.share:.1%} | {low:.1%} to {high:.1%}"
        return f"| {design} | {self.what} | {self.truth:.4f} | {share} | {self.studies} |"


def truly(design: Design) -> Design:
    """A million judgements of the same design: as many by each annotator."""
    contexts = MILLION // design.judgements
    return Design(
        contexts, round(design.annotators * contexts / design.contexts), design.judgements
    )


def shares(
    design: Design, population: Population, studies: int, label: str = ""
) -> Iterator[Coverage]:
    """The four shares of one pair of arms: not preferred mirrors preferred or equal."""
    truth = draw_answers(population, truly(design), 1, np.random.default_rng(TRUTH_SEED))[0]
    answer_SN, context_N, annotator_N, _ = draw_answers(
        population, design, studies, np.random.default_rng(SEED)
    )
    for name, hit in ANSWERS.items():
        true = float(hit(truth).mean())
        _, low_S, high_S, _ = share_intervals(hit(answer_SN).astype(float), context_N, annotator_N)
        yield Coverage(
            design, name + label, true, int(((low_S <= true) & (true <= high_S)).sum()), studies
        )


def alternatives(
    design: Design, population: Population, studies: int, answer: str, label: str
) -> Iterator[Coverage]:
    """Coverage of other intervals of a share, for comparison with the one in use."""
    hit = ANSWERS[answer]
    truth = float(
        hit(draw_answers(population, truly(design), 1, np.random.default_rng(TRUTH_SEED))[0]).mean()
    )
    answer_SN, context_N, annotator_N, _ = draw_answers(
        population, design, studies, np.random.default_rng(SEED)
    )
    hits_SN = hit(answer_SN).astype(float)
    share_S, _, _, variance = share_intervals(hits_SN, context_N, annotator_N)
    contexts, annotators, number = variance.contexts, variance.annotators, hits_SN.shape[1]
    plain_S = np.maximum(
        variance.context_P * (1 - 1 / contexts), variance.annotator_P * (1 - 1 / annotators)
    )
    both_S = variance.context_P * (1 - 1 / contexts) + variance.annotator_P * (1 - 1 / annotators)
    both_S -= variance.both_P * (1 - 1 / number)  # each context and annotator meet once
    t, inside_S = t_of(variance.clusters), np.clip(share_S * (1 - share_S), 1e-12, None)
    reaches = {
        "symmetric in the share": (t * np.sqrt(variance.total()), False),
        "without G / (G - 1)": (t * np.sqrt(np.maximum(both_S, plain_S)), True),
        "by context alone": (t_of(contexts) * np.sqrt(variance.context_P), True),
        "as if all were independent": (t_of(number) * np.sqrt(inside_S / number), True),
    }
    for name, (reach_S, log_odds) in reaches.items():
        if log_odds:
            held = (
                np.abs(logit(np.clip(share_S, 1e-9, 1 - 1e-9)) - logit(truth)) <= reach_S / inside_S
            )
        else:
            held = np.abs(share_S - truth) <= reach_S
        yield Coverage(design, f"{answer}{label}, {name}", truth, int(held.sum()), studies)


def t_of(clusters: int) -> float:
    return float(student.ppf(0.975, clusters - 1))


def three_arms(
    design: Design, studies: int, rng: np.random.Generator
) -> Iterator[EncodedJudgements]:
    """Studies of three arms: each context compares one of the three pairs, in turn."""
    pair_N = np.repeat(np.arange(design.contexts) % 3, design.judgements)
    drawn = draw_answers(USUAL, design, studies, rng, lean_N=LEANS[pair_N])
    for answer_N, first_N in zip(drawn[0], drawn[3], strict=True):
        yield as_encoded(answer_N, drawn[1], drawn[2], first_N, pairs=PAIRS, pair_N=pair_N)


def worths(design: Design, studies: int) -> list[Coverage]:
    """Davidson's log-worths of two arms against the reference."""
    big = next(three_arms(truly(design), 1, np.random.default_rng(TRUTH_SEED)))
    problem = davidson.design_matrix(big)
    true = davidson.maximise_likelihood(problem, np.ones(problem.counts_P3.shape, dtype=bool))
    held, studied = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
    for encoded in three_arms(design, studies, np.random.default_rng(SEED)):
        for index, worth in enumerate(davidson.fit_davidson(encoded).worths[1:]):
            found = worth.log_worth
            if found.bound is None and found.low is not None and found.high is not None:
                studied[index] += 1
                held[index] += found.low <= true[index] <= found.high
    return [
        Coverage(
            design, f"log-worth of {arm}", float(true[index]), int(held[index]), int(studied[index])
        )
        for index, arm in enumerate("ab")
    ]


def slopes(design: Design, studies: int) -> Coverage:
    """The odds ratio per 0.1 of type-token ratio."""

    def drawn(
        design: Design, studies: int, rng: np.random.Generator
    ) -> Iterator[EncodedJudgements]:
        steps_N = np.repeat(rng.normal(size=design.contexts), design.judgements)
        answers = draw_answers(
            USUAL, design, studies, rng, lean_N=USUAL.lean + TTR_EFFECT * steps_N
        )
        for answer_N, first_N in zip(answers[0], answers[3], strict=True):
            yield replace(
                as_encoded(answer_N, answers[1], answers[2], first_N),
                ttr_difference_N=TTR_STEP * steps_N,
            )

    true = ttr_odds_ratios(next(drawn(truly(design), 1, np.random.default_rng(TRUTH_SEED))))[
        0
    ].odds_ratio.value
    found = [
        ttr_odds_ratios(encoded)[0].odds_ratio
        for encoded in drawn(design, studies, np.random.default_rng(SEED))
    ]
    held = sum(each.low <= true <= each.high for each in found if each is not None)
    return Coverage(
        design, "odds ratio per 0.1 TTR", true, held, sum(each is not None for each in found)
    )


def agreements(design: Design, studies: int, draws: int = 500) -> Iterator[Coverage]:
    """Alpha and AC1. Their intervals draw contexts only; the coverage shows the effect."""
    big, contexts_N, _, _ = draw_answers(USUAL, truly(design), 1, np.random.default_rng(TRUTH_SEED))
    answer_SN, context_N, _, _ = draw_answers(USUAL, design, studies, np.random.default_rng(SEED))
    for statistic in (ALPHA_ORDINAL, AC1):
        true, held = statistic.of(counts_table(contexts_N, big[0] + 1, 3)), 0
        for answer_N in answer_SN:
            counts_UQ = counts_table(context_N, answer_N + 1, 3)
            found = coefficient(
                statistic, counts_UQ, np.arange(design.contexts), draws=draws, seed=SEED
            )
            held += found.low <= true <= found.high
        yield Coverage(design, statistic.name, true, held, studies)


def side_test(design: Design, studies: int) -> Coverage:
    """How often the side test is not significant at 5 % without a side bias."""
    none = replace(USUAL, side_bias=0.0, side_sd=0.0)
    answer_SN, context_N, annotator_N, first_SN = draw_answers(
        none, design, studies, np.random.default_rng(SEED)
    )
    quiet = sum(
        side_bias(as_encoded(answer_N, context_N, annotator_N, first_N)).p_value > 0.05
        for answer_N, first_N in zip(answer_SN, first_SN, strict=True)
    )
    return Coverage(design, "side test not significant without a bias", 0.5, quiet, studies)


def required(found: Coverage) -> bool:
    """The requirement: 300 x 30 meets 94 to 96 %, 60 x 10 reaches 92 %."""
    low, high = found.wilson()
    return low <= 0.96 and high >= 0.94 if found.design == DESIGNS[0] else found.share >= 0.92


def small_designs(studies: int) -> Iterator[Coverage]:
    """Studies of fewer than ten annotators, in every population."""
    for design in SMALL_DESIGNS:
        for label, population in POPULATIONS.items():
            yield from shares(design, population, studies, label)
        yield from worths(design, studies)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000, help="studies for each line (1000)")
    studies = parser.parse_args().studies
    started = time.perf_counter()
    print("| contexts x annotators x judgements | estimate | truth | coverage | Wilson | studies |")
    print("|---|---|---|---|---|---|")
    for design in DESIGNS:
        asked = [*shares(design, USUAL, studies), *worths(design, studies)]
        beyond = [
            *shares(design, RARE, studies, ", rare"),
            *shares(design, NO_SPREAD, studies, ", no spread"),
        ]
        beyond += [slopes(design, studies), *agreements(design, studies)]
        others = [*alternatives(design, USUAL, studies, "preferred or equal", "")]
        others += alternatives(design, RARE, studies, "preferred", ", rare")
        for each in [*asked, *beyond, side_test(design, studies), *others]:
            print(each.line(), flush=True)
        print(
            f"required of the first five: {'met' if all(map(required, asked)) else 'NOT MET'}",
            flush=True,
        )
    small = list(small_designs(studies))
    print("\n".join(each.line() for each in small))
    print(f"required of small studies: {'met' if all(map(required, small)) else 'NOT MET'}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
