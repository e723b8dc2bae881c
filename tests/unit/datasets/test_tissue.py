import gudhi
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from cellscaper.datasets.tissue import SCENES, _Ground, hard_core, simulate

SIZE = (384, 320)


@pytest.fixture(scope="module")
def tissue():
    """Forty layouts of three classes, every kind of scene among them."""
    made = [simulate(SIZE, 3, np.random.default_rng((1, k))) for k in range(40)]
    assert {structure.kind for *_, structure in made} == set(SCENES)
    return made


@pytest.mark.parametrize(("classes", "size"), [(3, (384, 320)), (6, (200, 420)), (3, (64, 64))])
def test_hard_core_distances_hold_for_every_pair(classes, size):
    least = hard_core(classes)
    for k in range(4):
        points, labels, _ = simulate(size, classes, np.random.default_rng((2, k)))
        apart = cdist(points, points) + np.where(np.eye(len(points)), np.inf, 0)
        assert (apart >= least[labels[:, None], labels]).all()


def test_a_cell_lies_on_the_nearest_pixel_and_ties_go_up():
    ground = _Ground((40, 40), 3)
    for y, x in ((2.5, 20.5), (13.4, 31.6), (25.5, 3.49)):
        assert ground.place(y, x, 0)
    assert [cell[:2] for cell in ground.cells] == [(3, 21), (13, 32), (26, 3)]


@pytest.mark.slow
def test_dots_are_distinct_whole_pixels_inside_the_image(tissue):
    for points, labels, structure in tissue:
        assert len(points) == len(labels) == len(structure.gland) == len(structure.strand)
        assert np.array_equal(points, np.rint(points)) and len(np.unique(points, axis=0)) == len(points)
        assert (points >= 0).all() and (points < SIZE).all()
    highest = np.max([points.max(axis=0) for points, *_ in tissue], axis=0)
    assert (highest > np.array(SIZE) - 4).all()  # the longer side is used to its end


def test_a_gland_is_one_persistent_loop_that_dies_at_its_radius(tissue):
    """Independent oracle: the alpha complex of a ring of radius R has one long H1 interval, which ends near R."""
    seen = 0
    for points, labels, structure in tissue:
        for number, (_, _, radius) in enumerate(structure.glands):
            ring = points[structure.gland == number]
            assert (labels[structure.gland == number] == 1).all()
            tree = gudhi.AlphaComplex(points=ring).create_simplex_tree()
            tree.compute_persistence()
            loops = np.sqrt(tree.persistence_intervals_in_dimension(1))
            longest = loops[np.argmax(loops[:, 1] - loops[:, 0])]
            assert abs(longest[1] - radius) < 2.5
            assert longest[0] < radius / 2
            assert len(loops) == 1 or np.sort(loops[:, 1] - loops[:, 0])[-2] < 2
            seen += 1
    assert seen >= 20


def test_a_lumen_is_empty_and_inside_the_image(tissue):
    for points, _, structure in tissue:
        for y, x, radius in structure.glands:
            assert np.hypot(*(points - (y, x)).T).min() > radius - 2.5
            assert radius < y < SIZE[0] - radius and radius < x < SIZE[1] - radius


def test_nests_hold_most_epithelial_cells_and_no_stromal_ones(tissue):
    inside = {0: 0, 1: 0, 2: 0}
    total = dict(inside)
    for points, labels, structure in tissue:
        y, x = points.astype(int).T
        within = (structure.nests[y, x] > 0) | (structure.gland >= 0)
        for label in inside:
            inside[label] += within[labels == label].sum()
            total[label] += (labels == label).sum()
    assert inside[1] == total[1] > 1000
    assert inside[2] == 0
    assert inside[0] < 0.15 * total[0]


def test_nests_are_numbered_without_gaps_and_connected(tissue):
    for *_, structure in tissue[:15]:
        nests = structure.nests
        assert np.array_equal(np.unique(nests[nests > 0]), np.arange(1, nests.max() + 1))
        assert all(ndimage.label(nests == n)[1] == 1 for n in range(1, nests.max() + 1))


def test_lymphocytes_are_nearer_to_the_borders_of_nests_than_uniform_points(tissue):
    cells, uniform = [], []
    for points, labels, structure in tissue:
        if structure.nests.any() and not len(structure.glands):
            away = ndimage.distance_transform_edt(structure.nests == 0)
            y, x = points[labels == 0].astype(int).T
            cells.append(away[y, x][away[y, x] > 0])
            uniform.append(away[away > 0])
    cells, uniform = np.concatenate(cells), np.concatenate(uniform)
    assert np.median(cells) < 0.6 * np.median(uniform)


def test_strands_run_along_the_known_direction(tissue):
    """Neighbours of a strand lie along the angle field: the mean of cos 2(difference) is near 1; chance gives 0."""
    agree = []
    for points, labels, structure in tissue:
        assert (labels[structure.strand >= 0] == 2).all()
        for number in np.unique(structure.strand[structure.strand >= 0]):
            cells = points[structure.strand == number]
            if len(cells) > 1:
                _, near = cKDTree(cells).query(cells, 2)
                step = cells[near[:, 1]] - cells
                y, x = cells.astype(int).T
                agree.append(np.cos(2 * (np.arctan2(step[:, 0], step[:, 1]) - structure.angle[y, x])))
    assert np.concatenate(agree).mean() > 0.85


def test_strands_go_around_glands(tissue):
    """Just outside a ring the direction is near its tangent: |cos| to the radius is small (2/π by chance)."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    radial = []
    for *_, structure in tissue:
        for y, x, radius in structure.glands:
            away = np.hypot(rows - y, columns - x) - radius
            at = (away > 1) & (away < 9)
            radial.append(np.abs(np.cos(structure.angle[at] - np.arctan2(rows[at] - y, columns[at] - x))).mean())
    assert np.mean(radial) < 0.42


def test_counts_and_distances_resemble_brca_m2c(tissue):
    """BRCA-M2C: 66–92 cells per 256 px window, nearest neighbours 6 px (1st percentile) and 15–17 px (median)."""
    windows = SIZE[0] * SIZE[1] / 256**2
    counts = np.array([np.bincount(labels, minlength=3) for _, labels, _ in tissue]) / windows
    assert 60 < counts.sum(axis=1).mean() < 95
    assert 18 < counts.sum(axis=1).std() < 45
    lymphocytes, epithelial, stromal = counts.mean(axis=0)
    assert 6 < lymphocytes < 22 and 30 < epithelial < 62 and 13 < stromal < 30
    near = np.concatenate([cKDTree(points).query(points, 2)[0][:, 1] for points, *_ in tissue])
    assert 5 <= np.percentile(near, 1) <= 8.5
    assert 14 <= np.median(near) <= 18


def test_six_classes_all_occur():
    labels = np.concatenate([simulate(SIZE, 6, np.random.default_rng((4, k)))[1] for k in range(12)])
    counts = np.bincount(labels, minlength=6)
    assert (counts > 0).all()
    assert counts[1] == counts.max() and counts[2] == counts[[0, 2, 3, 4]].max()
