import gudhi
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.topology.persistence import alpha_diagram, alpha_diagrams, rips_diagram, rips_diagrams


def raster_diagram(points, side, fine):
    """Oracle: sublevel persistence of the distance map on pixels of 1/fine px, from cubes instead of triangles."""
    seeds = np.ones((side * fine, side * fine), bool)
    pixel = np.round(points * fine).astype(int)
    seeds[pixel[:, 0], pixel[:, 1]] = False
    cubes = gudhi.CubicalComplex(top_dimensional_cells=distance_transform_edt(seeds) / fine)
    cubes.compute_persistence()
    return cubes.persistence_intervals_in_dimension(1)


def ring(n, radius, centre=(100.0, 50.0)):
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([np.sin(angle), np.cos(angle)], axis=1) * radius + centre


@pytest.mark.parametrize("side", [2.0, 17.0, 255.0])
def test_square_is_born_at_half_its_side_and_dies_at_half_its_diagonal(side):
    diagram = alpha_diagram(np.array([(0, 0), (0, side), (side, 0), (side, side)]))
    np.testing.assert_allclose(diagram, [[side / 2, side / np.sqrt(2)]])


@pytest.mark.parametrize("n", [3, 5, 6, 12, 40])
def test_regular_polygon_dies_at_its_circumradius(n):
    diagram = alpha_diagram(ring(n, 30.0))
    lives = diagram[:, 1] - diagram[:, 0]
    np.testing.assert_allclose(diagram[lives.argmax()], [30 * np.sin(np.pi / n), 30.0], rtol=1e-6)
    assert (np.delete(lives, lives.argmax()) < 1e-4).all()  # rounding of corners that lie on one circle


def test_obtuse_triangle_has_no_hole():
    assert alpha_diagram(np.array([(0, 0), (1, 10), (0, 20)])).shape == (0, 2)


def cells_near_rings(seed, fine):
    rng = np.random.default_rng(seed)
    rings = np.concatenate([ring(9, 11, (24, 24)), ring(7, 8, (40, 42))])
    return np.round(np.concatenate([rings, rng.uniform(14, 50, (12, 2))]) * fine) / fine


@pytest.mark.parametrize("seed", range(4))
def test_diagram_is_that_of_the_distance_map_within_a_pixel_of_the_raster(seed):
    side, fine = 64, 8
    points = cells_near_rings(seed, fine)  # well inside the window, so that it cuts no hole
    diagram = alpha_diagram(points)
    assert (diagram[:, 1] - diagram[:, 0] > 8 / fine).sum() >= 2
    assert gudhi.bottleneck_distance(diagram, raster_diagram(points, side, fine)) <= 1 / fine


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        [(1, 2)],
        [(1, 2), (3, 9)],
        [(0, 0)] * 5,
        [(0, 0), (0, 0), (5, 5)],
        [(i, 2 * i) for i in range(6)],
    ],
    ids=["none", "one", "two", "one place", "two places", "line"],
)
def test_too_few_coincident_or_collinear_points_have_an_empty_diagram(points):
    diagram = alpha_diagram(np.array(points, np.float32))
    assert diagram.shape == (0, 2)
    assert diagram.dtype == np.float64


def test_duplicates_change_nothing():
    points = np.random.default_rng(1).integers(0, 100, (30, 2))
    assert np.array_equal(alpha_diagram(points), alpha_diagram(np.concatenate([points, points[:10]])))


def test_diagram_scales_with_the_points_and_ignores_shift_and_swapped_axes():
    points = np.random.default_rng(2).uniform(0, 100, (40, 2))
    diagram = alpha_diagram(points)
    assert (diagram[:, 0] < diagram[:, 1]).all()
    np.testing.assert_allclose(alpha_diagram(3 * points[:, ::-1] + 50), 3 * diagram, rtol=1e-6)


def test_nan_is_refused():
    with pytest.raises(CellscaperError, match="NaN"):
        alpha_diagram(np.array([(0, 0), (1, np.nan), (2, 2)]))


def test_layouts_give_one_diagram_each_of_a_class_or_of_all_cells():
    square = np.array([(0, 0), (0, 8), (8, 0), (8, 8)], np.float32)
    layouts = LayoutSet.build(
        [
            Layout(square, np.array([0, 0, 0, 1], np.uint8), (10, 10)),
            Layout(square[:0], np.zeros(0, np.uint8), (10, 10)),
            Layout(2 * square, np.ones(4, np.uint8), (20, 20)),
        ],
        ("a", "b"),
        0.5,
    )
    assert [len(d) for d in alpha_diagrams(layouts)] == [1, 0, 1]
    assert [len(d) for d in alpha_diagrams(layouts, 0)] == [0, 0, 0]
    np.testing.assert_allclose(alpha_diagrams(layouts, 1)[2], [[8, 8 * np.sqrt(2)]])


@pytest.mark.parametrize("seed", range(5))
def test_rips_diagram_is_that_of_the_full_complex(seed):
    points = np.random.default_rng(seed).uniform(0, 256, (5 + 8 * seed, 2))
    full = gudhi.RipsComplex(points=points).create_simplex_tree(max_dimension=2)
    full.compute_persistence()
    oracle = full.persistence_intervals_in_dimension(1).reshape(-1, 2)
    np.testing.assert_allclose(rips_diagram(points), oracle[np.lexsort((oracle[:, 1], oracle[:, 0]))], rtol=1e-12)


def test_rips_square_is_born_at_its_side_and_dies_at_its_diagonal():
    np.testing.assert_allclose(rips_diagram(np.array([(0, 0), (0, 9), (9, 0), (9, 9)])), [[9, 9 * np.sqrt(2)]])


def test_a_ring_of_cells_has_one_long_lived_hole_in_both_complexes():
    points = ring(16, 40.0) + np.random.default_rng(0).normal(0, 1, (16, 2))
    for diagram in (alpha_diagram(points), rips_diagram(points)):
        lives = np.sort(diagram[:, 1] - diagram[:, 0])
        assert lives[-1] > 25
        assert (lives[:-1] < 3).all()


@pytest.mark.parametrize(
    "points", [np.zeros((0, 2)), [(0, 0), (0, 9), (9, 0)], [(0, 0)] * 5, [(i, i) for i in range(6)]]
)
def test_rips_of_few_coincident_or_collinear_points_is_empty(points):
    assert rips_diagram(np.array(points, np.float32)).shape == (0, 2)


def test_rips_refuses_nan_and_goes_layout_by_layout():
    with pytest.raises(CellscaperError, match="NaN"):
        rips_diagram(np.array([(0, 0), (1, np.nan), (2, 2), (3, 3)]))
    square = np.array([(0, 0), (0, 8), (8, 0), (8, 8)], np.float32)
    layouts = LayoutSet.build([Layout(square, np.array([0, 0, 0, 1], np.uint8), (10, 10))], ("a", "b"), 0.5)
    assert [len(d) for d in rips_diagrams(layouts)] == [1]
    assert [len(d) for d in rips_diagrams(layouts, 0)] == [0]
