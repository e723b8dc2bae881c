import gudhi
import numpy as np
import pytest

from cellscaper.datasets import phantom
from cellscaper.topology.cubical import CONSTRUCTION, holes, holes_of_all
from cellscaper.topology.distance import distance_map
from cellscaper.topology.persistence import alpha_diagram


def tissue_maps(n, size=(256, 200)):
    """Binary maps of single classes of simulated tissue, 3×3 markers, at least 8 cells."""
    rng, found = np.random.default_rng(0), []
    while len(found) < n:
        points, labels, _ = phantom.simulate(size, 3, rng)
        for label in range(3):
            mask = np.zeros(size, bool)
            for y, x in points[labels == label].astype(int):
                mask[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = True
            if (labels == label).sum() >= 8:
                found.append(mask)
    return found[:n]


def ordered(diagram):
    return diagram[np.lexsort(diagram.T)]


@pytest.mark.slow
def test_diagrams_equal_cripser_on_50_tissue_maps():
    cripser = pytest.importorskip("cripser")
    for mask in tissue_maps(50):
        values = distance_map(mask).values
        rows = cripser.compute_ph(values.astype(np.float64), filtration=CONSTRUCTION, maxdim=1)
        assert np.array_equal(ordered(holes(values).diagram), ordered(rows[rows[:, 0] == 1][:, 1:3]))


def test_diagrams_equal_the_generic_complex_on_random_and_tied_images():
    rng = np.random.default_rng(1)
    for shape in [(9, 14), (14, 9), (3, 40), (5, 5), (1, 6), (2, 7)]:
        for values in (rng.random(shape, np.float32), rng.integers(0, 4, shape).astype(np.float32)):
            complex_ = gudhi.CubicalComplex(vertices=values)
            complex_.compute_persistence()
            wanted = complex_.persistence_intervals_in_dimension(1).reshape(-1, 2)
            assert np.array_equal(ordered(holes(values).diagram), ordered(wanted))


def test_pixels_carry_the_values_on_maps_that_are_not_square():
    for mask in tissue_maps(5, (140, 220)):
        values = distance_map(mask).values
        found = holes(values)
        assert np.array_equal(values.ravel()[found.birth], found.diagram[:, 0].astype(np.float32))
        assert np.array_equal(values.ravel()[found.death], found.diagram[:, 1].astype(np.float32))


def test_death_pixels_are_peaks_inside_their_hole():
    values = np.full((7, 12), 5, np.float32)
    values[1:4, 1:4], values[3:6, 6:11] = 1, 2
    values[2, 2], values[4, 8] = 3, 4
    found = holes(values)
    assert sorted(zip(found.death, found.diagram.tolist(), strict=True)) == [(26, [1, 3]), (56, [2, 4])]


def test_agrees_with_the_alpha_complex_within_a_pixel():
    rng = np.random.default_rng(2)
    for _ in range(10):
        points = np.unique(rng.integers(60, 160, (40, 2)), axis=0)  # far from the border, which cuts holes open
        mask = np.zeros((220, 240), bool)
        mask[points[:, 0], points[:, 1]] = True
        raster, exact = holes(distance_map(mask).values).diagram, alpha_diagram(points)
        assert gudhi.bottleneck_distance(raster, exact) <= 1
        assert len(exact)


def test_a_ring_of_cells_has_one_long_lived_hole():
    mask = np.zeros((80, 90), bool)
    angle = np.arange(0, 2 * np.pi, 0.3)
    mask[np.rint(40 + 25 * np.sin(angle)).astype(int), np.rint(45 + 25 * np.cos(angle)).astype(int)] = True
    diagram = holes(distance_map(mask).values).diagram
    long = diagram[diagram[:, 1] - diagram[:, 0] > 2]
    assert len(long) == 1
    assert long[0] == pytest.approx([25 * np.sin(0.15), 25], abs=1)


def test_many_maps_at_once_are_as_one_by_one():
    maps = [distance_map(mask).values for mask in tissue_maps(3, (90, 120))] + [np.zeros((4, 5), np.float32)]
    for one, found in zip(maps, holes_of_all(maps), strict=True):
        assert np.array_equal(holes(one).diagram, found.diagram)
        assert np.array_equal(holes(one).death, found.death)
    assert holes_of_all([]) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_refuses_values_that_are_no_distances(value):
    values = np.ones((4, 4))
    values[1, 2] = value
    with pytest.raises(ValueError, match="finite values ≥ 0"):
        holes(values)
