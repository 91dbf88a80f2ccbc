import sys
import time

import numpy as np
import pytest
import sacrebleu
from hypothesis import example, given
from hypothesis import strategies as st

from hyperfitting.errors import MissingExtra, name_the_extra
from hyperfitting.metrics.bleu import (
    bleu_signature,
    dataset_bleu,
    self_bleu,
    self_bleu_without_each,
)
from hyperfitting.metrics.stats import jackknife

# Few words, so that n-grams of every order are shared and repeated; the tokenizer splits, joins and
# drops some.
WORDS = st.sampled_from(
    ["a", "b", "c", "a.", "b,", "1.5", "(c)", "-\n", "&amp;", "\n", "é", "<skipped>"]
)
TEXTS = st.lists(WORDS, max_size=14).map(" ".join)
EXACT = {"rel": 0, "abs": 1e-9}


def others(texts, text):
    return texts[:text] + texts[text + 1 :]


def slow_self_bleu(texts):
    return [sacrebleu.sentence_bleu(text, others(texts, i)).score for i, text in enumerate(texts)]


def random_texts(number, words, seed):
    """Words with the frequencies of a language, so that a few are in every text and most are
    rare.
    """
    draws = np.random.default_rng(seed).zipf(1.3, size=(number, words)) % 5_000
    return [" ".join(f"w{word}" for word in row) for row in draws]


def test_self_bleu_by_hand():
    # 2 of 3 words, 1 of 2 bigrams, no trigram (half a match of 1): the cube root of 2/3 x 1/2 x 1/2
    assert self_bleu(["the cat sat", "the cat ran", "a dog"]) == pytest.approx(
        [100 * (1 / 6) ** (1 / 3)] * 2 + [0.0]
    )


def test_dataset_bleu_by_hand():
    # Together they hold every word and bigram; one alone has 2 of 3 words and 1 of 2 bigrams.
    with_all, best = dataset_bleu(["the cat sat"], ["the cat ran", "a cat sat"])
    assert with_all == pytest.approx([100 * (1 / 2) ** (1 / 3)])
    assert best == pytest.approx([100 * (1 / 6) ** (1 / 3)])


@given(st.lists(TEXTS, min_size=2, max_size=7))
@example(["", ""])
@example(["", " \n", "a"])
@example(["a", "a", "a"])
@example(["a b c d e f", "a b c d e f", "a b c d e f g"])
@example(["a b c", "d e", "d e f g"])  # lengths 2 and 4 are as near to 3
def test_self_bleu_is_sacrebleus(texts):
    assert self_bleu(texts) == pytest.approx(slow_self_bleu(texts), **EXACT)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, min_size=1, max_size=6))
@example([""], [""])
@example(["a b c d e"], ["a", "a b c d e", "a b c d e"])
def test_dataset_bleu_is_sacrebleus(texts, training):
    with_all, best = dataset_bleu(texts, training)
    singles = [
        max(sacrebleu.sentence_bleu(text, [one]).score for one in training) for text in texts
    ]
    assert with_all == pytest.approx(
        [sacrebleu.sentence_bleu(text, training).score for text in texts], **EXACT
    )
    assert best == pytest.approx(singles, **EXACT)


def test_long_texts_with_frequent_and_rare_words_are_sacrebleus():
    texts, training = random_texts(6, 150, seed=0), random_texts(20, 150, seed=1)
    assert self_bleu(texts) == pytest.approx(slow_self_bleu(texts), **EXACT)
    with_all, best = dataset_bleu(texts, training)
    singles = [
        max(sacrebleu.sentence_bleu(text, [one]).score for one in training) for text in texts
    ]
    assert with_all == pytest.approx(
        [sacrebleu.sentence_bleu(text, training).score for text in texts], **EXACT
    )
    assert best == pytest.approx(singles, **EXACT)


@pytest.mark.parametrize("order", [1, 2, 6])
def test_other_orders_are_sacrebleus(order):
    texts = random_texts(5, 30, seed=2)
    metric = sacrebleu.BLEU(max_ngram_order=order, effective_order=True)
    slow = [metric.sentence_score(text, others(texts, i)).score for i, text in enumerate(texts)]
    assert self_bleu(texts, order=order) == pytest.approx(slow, **EXACT)


@given(st.lists(TEXTS, min_size=4, max_size=8), st.integers(2, 4))
def test_leaving_groups_out_equals_recomputing(texts, number):
    groups = [f"group {i % min(number, len(texts) - 2)}" for i in range(len(texts))]
    groups[0] = "a group apart"
    slow = [
        np.mean(
            self_bleu([text for text, group in zip(texts, groups, strict=True) if group != name])
        )
        for name in sorted(set(groups))
    ]
    assert self_bleu_without_each(texts, groups) == pytest.approx(slow, **EXACT)


def test_a_copy_in_another_group_counts_until_that_group_is_left_out():
    texts = ["a b c d", "a b c d", "x y", "z w"]
    without = self_bleu_without_each(texts, ["1", "2", "3", "4"])
    assert without == pytest.approx([0, 0, 200 / 3, 200 / 3])


def test_the_interval_of_self_bleu_is_the_jackknifes():
    texts = random_texts(12, 40, seed=3)
    value = float(np.mean(self_bleu(texts)))
    estimate = jackknife(value, self_bleu_without_each(texts, [str(i) for i in range(12)]), n=12)
    assert estimate.low < value < estimate.high


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="1 is fewer than two"):
        self_bleu(["a"])
    with pytest.raises(ValueError, match="2 texts have 1 groups"):
        self_bleu_without_each(["a", "b"], ["x"])
    with pytest.raises(ValueError, match="a single group cannot be left out"):
        self_bleu_without_each(["a", "b"], ["x", "x"])
    with pytest.raises(ValueError, match="without the group 'x' fewer than two texts are left"):
        self_bleu_without_each(["a", "b", "c"], ["x", "x", "y"])
    with pytest.raises(ValueError, match="there are none"):
        dataset_bleu(["a"], [])
    assert dataset_bleu([], ["a"]) == ([], [])


def test_the_signature_is_sacrebleus():
    assert (
        bleu_signature()
        == f"nrefs:var|case:mixed|eff:yes|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    )


def test_without_sacrebleu_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ModuleNotFoundError) as missing:
        self_bleu(["a", "b"])
    assert isinstance(name_the_extra(missing.value), MissingExtra)
    assert "hyperfitting[measures]" in str(name_the_extra(missing.value))


def seconds(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


@pytest.mark.slow
def test_metrics_self_bleu_is_fifty_times_faster_than_the_loop():
    """300 texts of 256 words; sacrebleu scores 5 of them against the other 299, as each text takes
    it as long.
    """
    texts = random_texts(300, 256, seed=0)
    self_bleu(texts[:2])
    loop = (
        seconds(lambda: [sacrebleu.sentence_bleu(texts[i], others(texts, i)) for i in range(5)])
        * 300
        / 5
    )
    ours = min(seconds(self_bleu, random_texts(300, 256, seed=seed)) for seed in range(1, 4))
    print(
        f"\nself-BLEU: sacrebleu's loop {loop:.1f} s, ours {ours:.2f} s, {loop / ours:.0f} times "
        "faster"
    )
    assert loop / ours > 50


@pytest.mark.slow
def test_metrics_bleu_with_groups_left_out_takes_seconds():
    texts, training = random_texts(300, 256, seed=0), random_texts(2_000, 256, seed=1)
    leaving_out = seconds(self_bleu_without_each, texts, [str(i % 100) for i in range(300)])
    comparing = seconds(dataset_bleu, texts, training)
    print(
        f"\n100 groups left out in turn {leaving_out:.1f} s; 300 texts against 2,000 "
        f"{comparing:.1f} s"
    )
    assert leaving_out < 30
    assert comparing < 60
