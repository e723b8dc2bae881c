"""Cross-K, pair correlation, neighbours and mixing in masks, against loops over all pairs of cells."""

import math

import numpy as np
import pytest

from cellscaper.envelopes.region import Region
from cellscaper.envelopes.statistics import Function, Geometry, Radii, functions, measure
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.cross_class import mixing
from cellscaper.metrics.ripley import k_rings, l_functions

CLASSES = 3
RADII = Radii(8, 3)


def masked(size=(64, 70)):
    y, x = np.mgrid[: size[0], : size[1]]
    return ((y - 30) / 29) ** 2 + ((x - 36) / 33) ** 2 < 1


@pytest.fixture(scope="module")
def sample():
    """Two layouts, one in a mask, the other in a rectangle with whole and doubled positions."""
    rng = np.random.default_rng(0)
    regions = [Region((64, 70), 30, masked()), Region((50, 60), 30, None, True)]
    points = [region.uniform(n, rng) for region, n in zip(regions, (60, 40), strict=True)]
    points[1][3] = points[1][17]
    assert len(np.unique(np.delete(points[1], 3, axis=0), axis=0)) == 39
    labels = [rng.integers(0, CLASSES, len(one)).astype(np.uint8) for one in points]
    return regions, points, labels


def of(found, wanted, statistic, i, j):
    return found[wanted.index(Function(statistic, i, j))]


def overlap(region, shift):
    """|W ∩ (W + h)| / |W| by counting the four whole shifts around h."""
    if region.mask is None:
        return math.prod(1 - abs(float(h)) / side for h, side in zip(shift, region.size, strict=True))
    mask, total = np.pad(region.mask, 40), 0.0
    low = [math.floor(float(h)) for h in shift]
    part = [float(h) - whole for h, whole in zip(shift, low, strict=True)]
    for a in (0, 1):
        for b in (0, 1):
            weight = (part[0] if a else 1 - part[0]) * (part[1] if b else 1 - part[1])
            total += weight * (mask & np.roll(mask, (low[0] + a, low[1] + b), (0, 1))).sum()
    return total / region.mask.sum()


def border(region, point):
    y, x = (float(one) for one in point)
    way = min(y, x, region.size[0] - y, region.size[1] - x)
    if region.mask is not None:
        for a, b in np.argwhere(~region.mask).tolist():
            way = min(way, max(math.hypot(a - y, b - x) - math.sqrt(0.5), 0))
    return way


@pytest.fixture(scope="module")
def measured(sample):
    regions, points, labels = sample
    counts = np.stack([np.bincount(one, minlength=CLASSES) for one in labels])
    wanted = functions(counts)
    geometry = [Geometry(one, region, RADII) for one, region in zip(points, regions, strict=True)]
    return measure(geometry, labels, wanted, RADII, CLASSES), wanted


def test_every_pair_has_its_functions(measured):
    _, wanted = measured
    assert [sum(one.statistic == name for one in wanted) for name in
            ("cross-K", "pair correlation", "neighbours", "mixing")] == [6, 6, 9, 3]  # fmt: skip


@pytest.mark.parametrize(("i", "j"), [(0, 0), (0, 2), (1, 2)])
def test_cross_k_and_pair_correlation_are_weighted_pairs(sample, measured, i, j):
    regions, points, labels = sample
    found = np.zeros(RADII.n)
    possible = 0.0
    for region, xy, label in zip(regions, points, labels, strict=True):
        here, there = np.flatnonzero(label == i), np.flatnonzero(label == j)
        possible += (len(here) * len(there) - (len(here) if i == j else 0)) / region.area
        for a in here:
            for b in there:
                shift = xy[b].astype(float) - xy[a]
                way = math.hypot(*shift)
                if a != b and way <= RADII.ends[-1]:
                    found[max(math.ceil(way / RADII.width) - 1, 0)] += 1 / overlap(region, shift)
    k = found.cumsum() / possible
    area = [math.pi * (r**2 - (r - RADII.width) ** 2) for r in RADII.ends]
    values, wanted = measured
    assert np.allclose(of(values, wanted, "cross-K", i, j), np.sqrt(k / math.pi) - RADII.ends)
    assert np.allclose(of(values, wanted, "pair correlation", i, j), found / possible / area)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 0), (2, 1)])
def test_neighbours_are_the_product_limit_of_censored_ways(sample, measured, i, j):
    regions, points, labels = sample
    cells = []
    for region, xy, label in zip(regions, points, labels, strict=True):
        for a in np.flatnonzero(label == i):
            ways = [math.dist(xy[a].tolist(), xy[b].tolist()) for b in np.flatnonzero(label == j) if b != a]
            cells.append((min(ways), border(region, xy[a])))
    expected = []
    for r in RADII.ends:
        left = 1.0
        for event in sorted({way for way, edge in cells if way <= edge and way <= r}):
            at_risk = sum(min(way, edge) >= event for way, edge in cells)
            left *= 1 - sum(way == event and way <= edge for way, edge in cells) / at_risk
        expected.append(1 - left)
    values, wanted = measured
    assert np.allclose(of(values, wanted, "neighbours", i, j), expected)


def test_mixing_counts_neighbours_that_are_nearer_than_the_border(sample):
    regions, points, labels = (one[:1] for one in sample)  # the other has equally near neighbours
    found = np.zeros((CLASSES, CLASSES))
    for region, xy, label in zip(regions, points, labels, strict=True):
        for a in range(len(xy)):
            ways = [math.dist(xy[a].tolist(), xy[b].tolist()) if b != a else math.inf for b in range(len(xy))]
            if min(ways) <= border(region, xy[a]):
                found[label[a], label[int(np.argmin(ways))]] += 1
    wanted = functions(np.bincount(labels[0], minlength=CLASSES)[None])
    values = measure([Geometry(points[0], regions[0], RADII)], labels, wanted, RADII, CLASSES)
    for i in range(CLASSES):
        assert np.allclose(of(values, wanted, "mixing", i, -1), found[i] / found[i].sum())


def test_the_order_of_the_cells_does_not_matter(sample):
    regions, points, labels = (one[1] for one in sample)  # with equally near neighbours
    points, labels = np.delete(points, 3, axis=0), np.delete(labels, 3)  # but at different places
    turned = np.random.default_rng(0).permutation(len(points))
    kept = [(points[rows], labels[rows]) for rows in (np.arange(len(points)), turned, np.argsort(labels))]
    wanted = functions(np.bincount(labels, minlength=CLASSES)[None])
    found = [measure([Geometry(xy, regions, RADII)], [label], wanted, RADII, CLASSES) for xy, label in kept]
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert np.allclose(one, two)


def test_in_rectangles_cross_k_is_that_of_the_tables():
    rng = np.random.default_rng(5)
    items = [Layout(rng.uniform(0, (80, 90), (50, 2)).astype(np.float32), rng.integers(0, 2, 50), (80, 90))
             for _ in range(2)]  # fmt: skip
    layouts = LayoutSet.build(items, ("a", "b"), 0.5)
    wanted = functions(layouts.counts())
    radii = Radii(10, 2)
    geometry = [Geometry(one.points, Region(one.size, 30), radii) for one in layouts]
    values = measure(geometry, [one.labels for one in layouts], wanted, radii, 2)
    tables = l_functions(k_rings(layouts, 20), radii.ends) - radii.ends
    assert np.allclose(of(values, wanted, "cross-K", 0, 1), tables[0, 1])
    inner = mixing(layouts)  # without a border
    assert np.abs(of(values, wanted, "mixing", 0, -1) - inner[0]).max() < 0.2


@pytest.mark.slow
def test_uniform_cells_have_k_of_the_plane_in_a_mask():
    """Unbiased: the mean over many layouts in a ring is that of independent uniform cells."""
    y, x = np.mgrid[:90, :90]
    way = np.hypot(y - 45, x - 45)
    region = Region((90, 90), 12, (way < 44) & (way > 18))
    rng, radii, wanted = (
        np.random.default_rng(6),
        Radii(4, 3),
        [Function("cross-K", 0, 1), Function("neighbours", 0, 1)],
    )
    label = np.repeat([0, 1], 30).astype(np.uint8)
    values = [
        measure([Geometry(region.uniform(60, rng), region, radii)], [label], wanted, radii, 2) for _ in range(300)
    ]
    k = np.pi * (np.array([one[0] for one in values]) + radii.ends) ** 2
    error = k.std(axis=0) / math.sqrt(300)
    assert (np.abs(k.mean(axis=0) - np.pi * radii.ends**2) < 4 * error).all()
    d = np.array([one[1] for one in values]).mean(axis=0)
    plane = 1 - np.exp(-30 / region.area * np.pi * radii.ends**2)
    assert np.abs(d - plane).max() < 0.04  # 30 cells, most of them censored before 12 px


def test_functions_that_the_counts_do_not_allow_are_left_out():
    wanted = functions(np.array([[1, 5, 0], [0, 3, 0]]))
    assert Function("cross-K", 0, 0) not in wanted and Function("neighbours", 0, 0) not in wanted
    assert Function("cross-K", 0, 1) in wanted and Function("neighbours", 0, 1) in wanted
    assert not any(2 in (one.first, one.second) for one in wanted)
    assert [one.statistic for one in functions(np.array([[7]]))] == ["cross-K", "pair correlation", "neighbours"]
    assert functions(np.array([[1], [1]])) == []


def test_radii_are_whole_rings():
    assert Radii.up_to(90) == Radii(30, 3) and Radii.up_to(22) == Radii(22, 1) and Radii.up_to(100) == Radii(25, 4)
    assert Radii(3, 4).ends.tolist() == [4, 8, 12] and Radii(3, 4).middles.tolist() == [2, 6, 10]
