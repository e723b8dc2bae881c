"""One independent seed for each sample, so that a sample depends neither on the number of samples nor on batches."""

import numpy as np


def sample_seeds(seed: int, n: int, use: int) -> list[int]:
    """n seeds below 2^63. ``use`` separates the uses of the same run seed: layouts for test, for train, images."""
    return [int(np.random.SeedSequence([seed, use, i]).generate_state(1, np.uint64)[0] >> 1) for i in range(n)]
