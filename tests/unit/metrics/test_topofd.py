import numpy as np
import pytest
from gudhi.representations import Landscape
from scipy.linalg import sqrtm

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics import topofd as module
from cellscaper.metrics.topofd import landscapes, topofd
from cellscaper.topology.persistence import alpha_diagram

CLASSES = ("a", "b")


def layout(rng, counts, size=(128, 128)):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    points = (rng.random((len(labels), 2)) * size).astype(np.float32) * np.float32(0.999)
    return Layout(points, labels, size)


def uniform(seed, n=60, cells=(25, 15), classes=CLASSES):
    rng = np.random.default_rng(seed)
    return LayoutSet.build([layout(rng, cells) for _ in range(n)], classes, 0.5)


def rings(seed, n=60):
    """Class a on one ring of random place and radius, class b uniform."""
    rng = np.random.default_rng(seed)
    items = []
    for one in (layout(rng, (25, 15)) for _ in range(n)):
        angle = rng.uniform(0, 2 * np.pi, 25)
        points = one.points.copy()
        points[:25] = np.stack([np.sin(angle), np.cos(angle)], axis=1) * rng.uniform(30, 50) + 64
        items.append(Layout(points, one.labels, one.size))
    return LayoutSet.build(items, CLASSES, 0.5)


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


def test_value_is_the_textbook_one_layout_by_layout():
    real, generated = rings(0), uniform(1)
    axis = np.linspace(0, 70, 12)
    expected = {}
    for label, name in enumerate(CLASSES):
        sides = []
        for layouts in (real, generated):
            rows = []
            for one in layouts:
                tents = [np.minimum(axis - b, d - axis) for b, d in alpha_diagram(one.of_class(label))]
                rows.append(np.max([np.zeros(12), *tents], axis=0))
            sides.append((np.mean(rows, axis=0), np.cov(np.array(rows).T) + 1e-9 * np.eye(12)))
        (m1, c1), (m2, c2) = sides
        expected[name] = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2)).real
    values = topofd(real, generated, samples=12, limit=70)["topofd_mean_landscape"]
    assert values["a"] == pytest.approx(expected["a"], rel=1e-4)
    assert values["b"] == pytest.approx(expected["b"], rel=1e-3, abs=1e-3)
    assert values["mean"] == pytest.approx((values["a"] + values["b"]) / 2)


def test_is_zero_with_itself_and_sees_which_class_lost_its_rings():
    values = topofd(rings(0), uniform(1), samples=50, limit=64)["topofd_mean_landscape"]
    floor = topofd(rings(0), rings(2), samples=50, limit=64)["topofd_mean_landscape"]
    assert values["a"] > 5 * floor["a"]
    assert values["b"] < 3 * floor["b"]
    assert topofd(rings(0), rings(0), samples=50, limit=64)["topofd_mean_landscape"]["mean"] < 1e-6


def test_a_class_without_holes_on_both_sides_is_at_distance_zero():
    few = uniform(0, cells=(25, 2))
    assert topofd(few, few, samples=20)["topofd_mean_landscape"]["b"] == 0


def test_refuses_fewer_layouts_than_samples_on_either_side():
    many, few = uniform(0, 30), uniform(1, 29)
    with pytest.raises(CellscaperError, match="29 generated layouts, needs at least 30"):
        topofd(many, few, samples=30)
    with pytest.raises(CellscaperError, match="29 real layouts"):
        topofd(few, many, samples=30)


def test_refuses_other_classes():
    with pytest.raises(CellscaperError, match="classes"):
        topofd(uniform(0), uniform(0, classes=("b", "a")), samples=10)
