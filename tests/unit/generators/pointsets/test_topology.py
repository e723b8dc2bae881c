"""Topology terms on coordinates."""

import numpy as np
import torch

from cellscaper.generators.pointsets.batches import pad_labels
from cellscaper.generators.pointsets.topology import topology_terms

LABELS = [np.array([0, 0, 0, 0, 1, 1], np.uint8), np.array([1], np.uint8)]


def positions(stretch=1.0):
    """A square of class 0, side 20 px, with two cells of class 1 far away; then a layout of one cell. Padded."""
    x = torch.zeros(2, 16, 2, dtype=torch.float64)
    x[0, :6] = torch.tensor([[0.0, 0], [0, 20 * stretch], [20, 0], [20, 20 * stretch], [90, 90], [95, 90]])
    return x


def test_equal_layouts_cost_nothing_and_padding_is_not_seen():
    points, clean = pad_labels(LABELS, 2), positions()
    moved = clean.clone()
    moved[:, 6:] = 50
    for term in topology_terms(moved, clean, points):
        assert term.shape == (2,)
        assert not term.any()


def test_a_stretched_square_costs_its_hole_and_gradients_move_its_corners_alone():
    points, clean = pad_labels(LABELS, 2), positions()
    found = positions(1.2).requires_grad_()
    intra, inter = topology_terms(found, clean, points)
    death = np.hypot(20, 24) / 2 - np.hypot(20, 20) / 2  # of the circle through the corners
    birth = 12 - 10  # half the longest side that closes the ring
    assert np.isclose(intra[0].item(), death**2 + birth**2)
    assert intra[1].item() == 0
    assert inter[0].item() > 0
    intra.sum().backward()
    assert found.grad[0, :4].any()
    assert not found.grad[0, 4:].any()
    assert not found.grad[1].any()
