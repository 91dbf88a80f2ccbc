"""Near repeats: the exact share of 5-character runs, and an index that finds what is above 0.8."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfitting.data.repeats import NEAR, NearRepeats, near_share
from hyperfitting.records import Document


def document(text, row=1):
    return Document("a.txt", row, text, "g", "")


def brute_share(text, other):
    runs = [{each[i : i + 5] for i in range(max(1, len(each) - 4))} for each in (text, other)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def vocabulary(seed=0):
    random_ = random.Random(seed)
    return [
        "".join(random_.choice("etaoinshrdlu") for _ in range(random_.randint(2, 9)))
        for _ in range(3000)
    ]


def test_the_share_by_hand():
    assert near_share("abcdef", "abcdef") == 1
    assert near_share("abcdef", "abcdeg") == pytest.approx(1 / 3)  # abcde of abcde, bcdef, bcdeg
    assert near_share("abc", "abc") == 1
    assert near_share("abc", "abd") == 0
    assert near_share("", "abcde") == 0


@given(st.text("ab é界", min_size=1, max_size=30), st.text("ab é界", min_size=1, max_size=30))
@settings(deadline=None)
def test_the_share_is_that_of_sets_of_strings(text, other):
    assert near_share(text, other) == pytest.approx(brute_share(text, other))


def test_what_is_above_the_share_is_found_and_nothing_else():
    random_, words = random.Random(1), vocabulary()
    counts = {True: 0, False: 0}
    for _ in range(400):
        text = [random_.choice(words) for _ in range(150)]
        other = list(text)
        for _ in range(random_.randint(0, 16)):
            other[random_.randrange(len(other))] = random_.choice(words)
        index = NearRepeats()
        index.add(document(" ".join(text)))
        near = near_share(" ".join(text), " ".join(other)) > NEAR
        assert (index.find(document(" ".join(other))) is not None) == near
        counts[near] += 1
    assert min(counts.values()) > 50


def test_adding_says_which_earlier_one_it_is():
    index = NearRepeats()
    assert index.add(document("the old river ran past the house and the mill", 1)) is None
    assert index.add(document("a letter came from the captain of the ship", 2)) is None
    found = index.add(document("the old river ran past the house and the mills", 3))
    assert found is not None
    assert found.row == 1


@pytest.mark.slow
def test_data_of_twenty_thousand_documents_take_seconds():
    random_, words = random.Random(0), vocabulary()
    texts = [" ".join(random_.choice(words) for _ in range(190)) for _ in range(20_000)]
    texts[10_000:11_000] = [f"{text} again" for text in texts[:1000]]
    index, started = NearRepeats(), time.perf_counter()
    assert sum(index.add(document(text)) is not None for text in texts) == 1000
    print(
        f"20,000 documents of {len(texts[0]):,} characters: {time.perf_counter() - started:.1f} s"
    )
    assert time.perf_counter() - started < 60
