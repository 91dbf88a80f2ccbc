from collections import Counter

from hyperfitting.metrics.controls import random_texts, shuffled_texts

TEXTS = [[1, 2, 3, 4, 5, 6, 7, 8], [9, 9, 9]]


def test_shuffled_texts_keep_their_own_tokens():
    made = shuffled_texts(TEXTS, seed=0)
    assert [Counter(ids) for ids in made] == [Counter(ids) for ids in TEXTS]
    assert made[0] != TEXTS[0]


def test_random_texts_keep_length_and_draw_from_all_tokens():
    made = random_texts([[1] * 500, [2] * 500], seed=0)
    assert [len(ids) for ids in made] == [500, 500]
    assert 180 < Counter(made[0])[2] < 320


def test_controls_are_fixed_by_the_seed():
    assert shuffled_texts(TEXTS, seed=3) == shuffled_texts(TEXTS, seed=3)
    assert random_texts(TEXTS, seed=3) == random_texts(TEXTS, seed=3)
    assert shuffled_texts(TEXTS, seed=3) != shuffled_texts(TEXTS, seed=4)
