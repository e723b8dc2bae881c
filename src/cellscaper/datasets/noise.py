"""Smooth random fields for the shapes and textures of simulated tissue."""

import numpy as np
from numpy.typing import NDArray


def smooth_noise(size: tuple[int, int], sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian random field (H, W) of unit variance: white noise on knots ``sigma`` px apart, blurred by ``sigma``.

    Summed in double precision, so that the field does not depend on the number of threads.
    """
    sides = []
    for n in size:
        knots = np.arange(-3, n / sigma + 4) * sigma
        weights = np.exp(-((np.arange(n)[:, None] - knots) ** 2) / (2 * sigma**2))  # (n, knots)
        sides.append(weights / np.sqrt((weights**2).sum(1, keepdims=True)))
    rows, columns = sides
    white = rng.standard_normal((rows.shape[1], columns.shape[1]))
    return (rows @ white @ columns.T).astype(np.float32)
