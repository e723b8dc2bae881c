"""A known interaction is recovered from simulated patterns."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators.geyer.chain import Chain
from cellscaper.generators.geyer.fit import fit
from cellscaper.generators.geyer.model import Shape
from cellscaper.generators.hard_core import add_points
from cellscaper.generators.side_by_side import Stack
from cellscaper.layouts import Layout

SHAPE = Shape(2, 4.0, (9, 18), (1, 3))


def simulated(theta, n, cells, sweeps, side=200):
    start = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        points = rng.permutation(add_points(np.zeros((0, 2), np.float32), cells, SHAPE.core, (side, side), rng))
        start.append(Layout(points, np.repeat([0, 1], cells // 2).astype(np.uint8), (side, side)))
    chain = Chain(Stack.of(start), SHAPE, theta)
    chain.run([np.random.default_rng(100 + i) for i in range(n)], np.full(n, sweeps * cells))
    return chain.stack.layouts()


@pytest.mark.slow  # some seconds: the error of an estimate falls with the root of the cells
@pytest.mark.parametrize(
    "theta",
    [
        [[0.5, 0.25], [-0.6, -0.15], [-0.3, 0.3]],  # nests: like classes attract, unlike ones repel
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    ],
)
def test_a_known_interaction_is_recovered(theta):
    theta = np.array(theta)
    found = fit(simulated(theta, 24, 160, 40), SHAPE, dummies=6, seed=0)
    np.testing.assert_allclose(found, theta, atol=0.15)


def test_attraction_and_repulsion_are_told_apart():
    theta = np.array([[0.8, 0.0], [-0.8, 0.0], [0.8, 0.0]])
    found = fit(simulated(theta, 6, 100, 9), SHAPE, dummies=3, seed=0)
    assert found[0, 0] > 0.3
    assert found[1, 0] < -0.3
    assert found[2, 0] > 0.3


def test_differences_of_density_are_no_attraction():
    """Images of 30 and of 240 uniform cells: with one intercept for both, all annuli would seem to attract."""
    rng = np.random.default_rng(0)
    images = [
        Layout(add_points(np.zeros((0, 2), np.float32), n, 4.0, (200, 200), rng), np.zeros(n, np.uint8), (200, 200))
        for n in [30, 240] * 3
    ]
    found = fit(images, Shape(1, 4.0, (9, 18), (1, 3)), dummies=4, seed=0)
    np.testing.assert_allclose(found, 0, atol=0.25)


def test_too_few_cells_are_refused():
    one = Layout(np.full((30, 2), 5, np.float32), np.zeros(30, np.uint8), (100, 100))  # all near the border
    with pytest.raises(CellscaperError, match=r"gibbs: 0 training cells lie 18 px or more inside their image"):
        fit([one], SHAPE, 4, 0)
