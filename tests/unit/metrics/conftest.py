"""The Fréchet distance another way, for metrics that are one."""

import numpy as np
import pytest
from scipy.linalg import sqrtm


@pytest.fixture
def by_square_root():
    """Oracle (features, features, covariance=np.cov of them): the textbook formula with scipy's matrix square root."""

    def distance(one, two, covariance=lambda x: np.cov(x.T)):
        cov1, cov2 = covariance(one), covariance(two)
        return ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(cov1 + cov2 - 2 * sqrtm(cov1 @ cov2).real)

    return distance
