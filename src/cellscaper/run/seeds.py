"""One independent seed for each sample, so that a sample depends neither on the number of samples nor on batches."""

import numpy as np


def sample_seeds(seed: int, n: int, use: int, first: int = 0) -> list[int]:
    """The seeds, below 2^63, of n samples from number ``first`` on.

    ``use`` separates the uses of the same run seed: 0 `cellscaper generate`, 1 layouts for test, 2 for train, 3 images;
    4 layouts, 5 targets and 6 images of generated sets.
    """
    numbers = range(first, first + n)
    return [int(np.random.SeedSequence([seed, use, i]).generate_state(1, np.uint64)[0] >> 1) for i in numbers]
