"""The two controls that stand in every table, made from the true texts. Diversity metrics score
them as varied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def shuffled_texts(texts: Sequence[Sequence[int]], *, seed: int) -> list[list[int]]:
    """Each text with its own tokens in random order: same words, no meaning."""
    random = np.random.default_rng([seed, 1])
    return [random.permutation(np.asarray(ids, dtype=np.int64)).tolist() for ids in texts]


def random_texts(texts: Sequence[Sequence[int]], *, seed: int) -> list[list[int]]:
    """Texts of the same lengths, each token drawn alone from the frequencies of all the texts
    together.
    """
    random = np.random.default_rng([seed, 2])
    pool = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in texts])
    return [random.choice(pool, size=len(ids)).tolist() for ids in texts]
