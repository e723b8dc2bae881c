import numpy as np
import pytest
from gudhi.representations import Landscape

from cellscaper.metrics import landscapes as module
from cellscaper.metrics.landscapes import landscapes, own_axis_landscapes


def random_diagrams(rng, sizes):
    births = [rng.uniform(0, 60, k) for k in sizes]
    return [np.stack([b, b + rng.uniform(0.1, 30, len(b))], axis=1) for b in births]


def test_landscapes_agree_with_gudhi_up_to_its_root_two():
    diagrams = random_diagrams(np.random.default_rng(0), (1, 7, 40, 3))
    oracle = Landscape(num_landscapes=1, resolution=50, sample_range=[0, 90], keep_endpoints=True).fit_transform(
        diagrams
    )
    np.testing.assert_allclose(landscapes(diagrams, np.linspace(0, 90, 50)), oracle / np.sqrt(2), atol=1e-12)


def test_one_pair_is_a_tent_of_half_its_life():
    value = landscapes([np.array([[10.0, 30.0]])], np.array([0.0, 10.0, 15.0, 20.0, 28.0, 30.0, 99.0]))
    assert value.tolist() == [[0, 0, 5, 10, 2, 0, 0]]


def test_empty_diagrams_are_zero_landscapes_wherever_they_stand():
    full, empty = np.array([[0.0, 4.0]]), np.zeros((0, 2))
    values = landscapes([empty, full, empty, empty, full, empty], np.array([1.0, 2.0]))
    assert values.tolist() == [[0, 0], [1, 2], [0, 0], [0, 0], [1, 2], [0, 0]]
    assert landscapes([], np.array([1.0])).shape == (0, 1)
    assert landscapes([empty], np.array([1.0])).tolist() == [[0]]


@pytest.mark.parametrize("block", [1, 10, 37])
def test_blocks_change_nothing(monkeypatch, block):
    diagrams = random_diagrams(np.random.default_rng(1), (0, 12, 0, 25, 1, 9, 40, 0))
    axis = np.linspace(0, 80, 20)
    whole = landscapes(diagrams, axis)
    monkeypatch.setattr(module, "_BLOCK", block)
    assert np.array_equal(landscapes(diagrams, axis), whole)


def giotto(diagram, samples):
    """giotto-tda's first landscape of one diagram, written out: half a life minus the distance to its middle."""
    axis = np.linspace(diagram[:, 0].min(), diagram[:, 1].max(), samples)
    middle, half = diagram.mean(axis=1), (diagram[:, 1] - diagram[:, 0]) / 2
    return [max(0.0, *(h - abs(t - m) for m, h in zip(middle, half, strict=True))) for t in axis]


def test_own_axes_are_giotto_tdas():
    diagrams = random_diagrams(np.random.default_rng(2), (1, 7, 40, 3))
    oracle = [giotto(one, 25) for one in diagrams]
    np.testing.assert_allclose(own_axis_landscapes(diagrams, 25), oracle, atol=1e-12)
    assert own_axis_landscapes([np.zeros((0, 2)), diagrams[0]], 25)[0].tolist() == [0] * 25


def test_own_axes_include_both_ends_and_have_no_root_two():
    assert own_axis_landscapes([np.array([[10.0, 30.0]])], 5).tolist() == [[0, 5, 10, 5, 0]]


def test_own_axes_forget_where_a_hole_was():
    early, late = np.array([[10.0, 30.0]]), np.array([[60.0, 80.0]])
    assert np.array_equal(own_axis_landscapes([early], 9), own_axis_landscapes([late], 9))
