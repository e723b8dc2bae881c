"""Cross K-functions around cells: against loops over cells and sampled circles, and closed forms."""

import math

import numpy as np
import pytest

from cellscaper.detectors.kfunction import LARGEST_WEIGHT, cross_k, edge_weights

RADII = (0, 15, 30, 45, 60, 75, 90)


def share_inside(point, distance, size, n=200_000):
    """Share of a circle inside the window, by walking round it."""
    angle = (np.arange(n) + 0.5) * 2 * np.pi / n
    y, x = point[0] + distance * np.sin(angle), point[1] + distance * np.cos(angle)
    return ((y >= 0) & (y <= size[0]) & (x >= 0) & (x <= size[1])).mean()


def test_edge_weights_equal_walks_round_the_circle():
    rng = np.random.default_rng(0)
    size = (60, 90)
    points, distance = rng.uniform(0, size, (40, 2)), rng.uniform(0.5, 50, 40)
    points[:8] = rng.integers(0, 2, (8, 2)) * size  # corners
    points[8:16, 0] = 0  # on a side
    expected = [1 / share_inside(p, d, size) for p, d in zip(points, distance, strict=True)]
    assert edge_weights(points, distance, size) == pytest.approx(np.array(expected), rel=2e-4)


@pytest.mark.parametrize(
    ("point", "distance", "weight"),
    [
        ((50, 50), 20, 1),  # the whole circle is inside
        ((0, 50), 20, 2),  # on a side: half
        ((0, 0), 20, 4),  # in a corner: a quarter
        ((10, 50), 20, 1 / (1 - 1 / 3)),  # arc beyond the side: 2·acos(1/2) of 2π
        ((10, 90), 20, 1 / (1 - 1 / 3 - 1 / 3 + (2 / 3 - 1 / 2) / 2)),  # two sides; their arcs overlap by π/6
        ((50, 50), 60, 1 / (1 - 4 * 2 * math.acos(5 / 6) / (2 * math.pi))),  # beyond all four sides
        ((50, 50), 0, 1),
        ((50, 50), 75, LARGEST_WEIGHT),  # no point of the circle is inside
    ],
)
def test_edge_weights_of_hand_cases(point, distance, weight):
    assert edge_weights(np.array([point]), np.array([distance]), (100, 100))[0] == pytest.approx(weight)


def test_k_equals_loops_over_all_pairs():
    rng = np.random.default_rng(1)
    size, radii = (120, 150), (0, 10, 25, 40)
    points, labels = rng.uniform(0, size, (30, 2)), rng.integers(0, 3, 30)
    points[7] = points[3]  # two cells in one place
    expected = np.zeros((30, 3, 4))
    for i in range(30):
        for j in range(30):
            distance = math.dist(points[i], points[j])
            weight = 1 / share_inside(points[i], distance, size, 5_000) if distance else 1
            for r, radius in enumerate(radii):
                if distance <= radius:
                    expected[i, labels[j], r] += weight
    assert cross_k(points, labels, 3, size, radii) == pytest.approx(expected, rel=2e-3)


def test_a_cell_counts_itself_and_pairs_at_the_radius_count():
    points, labels = np.array([(50, 50), (50, 65), (80, 50)]), np.array([0, 1, 1])
    found = cross_k(points, labels, 2, (100, 100), RADII)
    assert found[0, 0].tolist() == [1] * 7
    assert found[0, 1].tolist() == [0, 1, 2, 2, 2, 2, 2]
    assert found[1, 1, 0] == 1 and found[1, 0].tolist()[:2] == [0, 1]


def test_a_lattice_in_closed_form():
    """Square lattice of 10 px up to the border: counts of an inner cell, and of corner cells with their weights."""
    y, x = np.meshgrid(np.arange(0, 101, 10), np.arange(0, 101, 10), indexing="ij")
    points = np.stack([y.ravel(), x.ravel()], axis=1)
    found = cross_k(points, np.zeros(121, int), 1, (100, 100), (0, 10, 15))[:, 0]
    corner, inner = 0, 60
    assert found[inner].tolist() == [1, 5, 9]  # itself, 4 at 10 px, 4 at 14.1 px
    assert found[corner].tolist() == pytest.approx([1, 1 + 2 * 4, 1 + 2 * 4 + 4])  # a quarter inside
    # 5 px from two sides: 5/12 of the circle of 10 px is inside (two arcs of a third that overlap by a twelfth)
    inside = cross_k(points + 5, np.zeros(121, int), 1, (110, 110), (0, 10, 15))[:, 0]
    diagonal = 1 / share_inside((5, 5), math.sqrt(200), (110, 110))
    assert inside[corner].tolist() == pytest.approx([1, 1 + 2 * 12 / 5, 1 + 2 * 12 / 5 + diagonal], rel=1e-4)


def test_uniform_cells_have_density_times_area_at_any_place():
    """Full-plane Poisson: the expected count within r is λπr² for cells in corners too; naive counts are far below."""
    rng = np.random.default_rng(2)
    size, n, radii = (200, 260), 150, (0, 30, 60, 90)
    near, naive = [], []
    for _ in range(200):
        points = rng.uniform(0, size, (n + 1, 2))
        points[0] = (8, 12)  # a cell near a corner, of its own class
        labels = np.r_[1, np.zeros(n, int)]
        near.append(cross_k(points, labels, 2, size, radii)[0, 0])
        naive.append([(np.hypot(*(points[1:] - points[0]).T) <= r).sum() for r in radii])
    expected = n / (size[0] * size[1]) * np.pi * np.array(radii) ** 2
    error = np.std(near, axis=0) / np.sqrt(len(near))
    assert (np.abs(np.mean(near, axis=0) - expected)[1:] < 3.5 * error[1:]).all()
    assert (np.mean(naive, axis=0)[1:] < 0.5 * expected[1:]).all()


def test_no_cells_and_one_cell():
    assert cross_k(np.zeros((0, 2)), np.zeros(0), 3, (50, 50), RADII).shape == (0, 3, 7)
    assert cross_k(np.array([(3, 3)]), np.array([2]), 3, (50, 50), RADII)[0].sum(axis=0).tolist() == [1] * 7
