import itertools

import gudhi
import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.topology.alpha import alpha_losses, alpha_pairs, alpha_pairs_of_all, births_and_deaths
from cellscaper.topology.matching import match
from cellscaper.topology.persistence import alpha_diagram


def points_of(kind, rng):
    n = rng.integers(3, 110)
    return {
        "uniform": rng.uniform(0, 256, (n, 2)),
        "whole pixels": rng.integers(0, 30, (n, 2)),
        "centroids of markers": rng.integers(0, 90, (n, 2)) / 3,
        "compact grid": np.argwhere(rng.random((16, 16)) < 0.3) * 4.0,
        "full lattice": np.argwhere(np.ones((5, 7))),
    }[kind].astype(np.float64)


def lasting(diagram):
    diagram = diagram[diagram[:, 1] - diagram[:, 0] > 1e-6]
    return diagram[np.lexsort((diagram[:, 1].round(6), diagram[:, 0].round(6)))]


@pytest.mark.parametrize("kind", ["uniform", "whole pixels", "centroids of markers", "compact grid", "full lattice"])
def test_diagrams_are_those_of_the_alpha_complex(kind):
    rng = np.random.default_rng(0)
    sets = [points_of(kind, rng) for _ in range(30)]
    for points, found in zip(sets, alpha_pairs_of_all(sets), strict=True):
        np.testing.assert_allclose(lasting(found.diagram), lasting(alpha_diagram(points)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_critical_points_are_those_of_gudhi_and_give_the_values(seed):
    points = np.random.default_rng(seed).uniform(0, 100, (40, 2))
    found = alpha_pairs(points)
    complex_ = gudhi.AlphaComplex(points=points)
    tree = complex_.create_simplex_tree()
    tree.compute_persistence()
    places = np.array([complex_.get_point(i) for i in range(40)])
    theirs = {
        (frozenset(map(tuple, places[edge])), frozenset(map(tuple, places[triangle])))
        for edge, triangle in tree.persistence_pairs()
        if len(edge) == 2 and len(triangle) == 3 and tree.filtration(triangle) > tree.filtration(edge)
    }
    ours = {
        (frozenset(map(tuple, points[e])), frozenset(map(tuple, points[t])))
        for e, t in zip(found.edge, found.triangle, strict=True)
    }
    assert ours == theirs
    values = births_and_deaths(torch.from_numpy(points), found)
    np.testing.assert_allclose(values, found.diagram, rtol=1e-10)


def test_deaths_are_the_empty_circles_of_acute_triangles_by_brute_force():
    points = np.random.default_rng(3).uniform(0, 50, (25, 2))
    empty = []
    for corners in itertools.combinations(range(25), 3):
        a, b, c = points[list(corners)]
        sides = [np.sum((b - c) ** 2), np.sum((a - c) ** 2), np.sum((a - b) ** 2)]
        if 2 * max(sides) > sum(sides):
            continue
        centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
        radius = np.hypot(*(a - centre))
        if (np.hypot(*(points - centre).T) > radius - 1e-9).all():
            empty.append(radius)
    np.testing.assert_allclose(np.sort(alpha_pairs(points).diagram[:, 1]), np.sort(empty), rtol=1e-9)


def test_sets_at_once_are_as_one_by_one():
    rng = np.random.default_rng(4)
    sets = [rng.uniform(0, 99, (n, 2)) for n in (30, 2, 0, 50, 3, 1, 20)]
    sets += [np.zeros((5, 2)), np.arange(8.0).reshape(4, 2)]
    for points, together in zip(sets, alpha_pairs_of_all(sets), strict=True):
        alone = alpha_pairs(points)
        for name in ("edge", "triangle", "diagram"):
            assert np.array_equal(getattr(together, name), getattr(alone, name))
    assert [len(one) for one in alpha_pairs_of_all(sets)][-2:] == [0, 0]
    assert alpha_pairs_of_all([]) == []


def test_points_in_one_place_change_nothing_and_nan_is_refused():
    points = np.random.default_rng(5).integers(0, 100, (30, 2)).astype(float)
    twice = alpha_pairs(np.concatenate([points, points[:10]]))
    np.testing.assert_allclose(lasting(twice.diagram), lasting(alpha_pairs(points).diagram))
    with pytest.raises(CellscaperError, match="NaN"):
        alpha_pairs(np.array([(0, 0), (1, np.nan), (2, 2)]))


def finite_differences(value, points, step=1e-5):
    slopes = np.zeros(points.shape)
    for i in np.ndindex(points.shape):
        up, down = points.copy(), points.copy()
        up[i] += step
        down[i] -= step
        slopes[i] = (value(up) - value(down)) / (2 * step)
    return slopes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_births_and_deaths_are_finite_differences(seed):
    points = np.random.default_rng(seed).uniform(0, 60, (14, 2))
    holes = alpha_pairs(points)
    assert len(holes) >= 3
    for row, column in itertools.product(range(len(holes)), range(2)):
        moved = torch.from_numpy(points).requires_grad_()
        births_and_deaths(moved, holes)[row, column].backward()
        slopes = finite_differences(lambda p, r=row, c=column: alpha_pairs(p).diagram[r, c], points)
        np.testing.assert_allclose(moved.grad, slopes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_matching_cost_and_its_gradient_finite_differences(seed):
    rng = np.random.default_rng(seed)
    points, target = rng.uniform(0, 60, (14, 2)), alpha_diagram(rng.uniform(0, 60, (17, 2)))

    def cost(p):
        return match(alpha_diagram(p), target).cost

    moved = torch.from_numpy(points).requires_grad_()
    loss = alpha_losses([moved], [target])
    loss.sum().backward()
    assert loss.item() == pytest.approx(cost(points), rel=1e-9)
    np.testing.assert_allclose(moved.grad, finite_differences(cost, points), rtol=1e-4, atol=1e-5)


def test_losses_of_a_batch_and_of_sets_without_holes():
    rng = np.random.default_rng(6)
    sets = [torch.from_numpy(rng.uniform(0, 60, (n, 2)).astype(np.float32)).requires_grad_() for n in (20, 2, 12)]
    goal = alpha_diagram(rng.uniform(0, 60, (20, 2)))
    losses = alpha_losses(sets, [goal, goal, np.zeros((0, 2))])
    assert losses.dtype == torch.float32
    losses.sum().backward()
    assert losses[1].item() == pytest.approx((np.diff(goal) ** 2).sum() / 2, rel=1e-6)
    assert [bool(one.grad.any()) for one in sets] == [True, False, True]
    assert not alpha_losses(sets[:1], [alpha_pairs(sets[0].detach().numpy()).diagram]).detach().gt(1e-6).any()


def test_descent_on_coordinates_removes_most_of_the_loss():
    rng = np.random.default_rng(7)
    goal = alpha_diagram(rng.uniform(0, 100, (50, 2)))
    points = torch.from_numpy(rng.uniform(0, 100, (50, 2))).requires_grad_()
    optimiser = torch.optim.Adam([points], lr=0.5)
    values = []
    for i in range(120):
        optimiser.zero_grad()
        loss = alpha_losses([points], [goal]).sum()
        values.append(loss.item())
        loss.backward()
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - i / 120)
        optimiser.step()
    assert min(values) < 0.1 * values[0]
