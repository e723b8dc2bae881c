import numpy as np
import pytest
from gudhi.wasserstein import wasserstein_distance
from gudhi.wasserstein.barycenter import lagrangian_barycenter
from scipy.spatial.distance import cdist

from cellscaper.errors import CellscaperError
from cellscaper.topology import matching as solvers
from cellscaper.topology import transport
from cellscaper.topology.barycentre import barycentre
from cellscaper.topology.persistence import alpha_diagram


def diagrams(seed, count, size=15):
    rng = np.random.default_rng(seed)
    birth = rng.uniform(0, 40, (count, size))
    return [np.stack([b, b + rng.exponential(15, size) + 0.1], axis=1) for b in birth]


def alpha(seed, count, cells=40):
    rng = np.random.default_rng(seed)
    return [alpha_diagram(rng.uniform(0, 256, (cells, 2))) for _ in range(count)]


def energy(items, centre):
    """Oracle: mean squared Wasserstein-2 distance by another library."""
    return np.mean([wasserstein_distance(one, centre, order=2.0, internal_p=2.0) ** 2 for one in items])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [diagrams, alpha])
def test_is_as_good_as_gudhis_best_start(make, seed):
    items = make(seed, 10)
    ours = barycentre(items)
    theirs = min(energy(items, lagrangian_barycenter(items, init=i)) for i in range(4))
    assert ours.objective == pytest.approx(energy(items, ours.diagram), rel=1e-6)
    assert ours.objective <= 1.01 * theirs


def test_equal_diagrams_are_their_own_barycentre():
    one = diagrams(0, 1)[0]
    found = barycentre([one] * 7)
    assert found.objective == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.diagram, one[np.lexsort(one.T[::-1])])


def test_one_hole_that_a_part_of_the_diagrams_shares_moves_that_much_towards_the_diagonal():
    rng = np.random.default_rng(0)
    middle, life = 50 + rng.normal(0, 0.1, 30), 40 + rng.normal(0, 2, 30)
    items = [np.array([[m - half / 2, m + half / 2]]) for m, half in zip(middle, life, strict=True)]
    items += [np.zeros((0, 2))] * 20
    found = barycentre(items)
    centre, length = middle.mean(), 0.6 * life.mean()
    np.testing.assert_allclose(found.diagram, [[centre - length / 2, centre + length / 2]])


def test_holes_that_nobody_shares_all_stay_at_their_share_of_their_life():
    items = [np.array([[10.0 * i, 10.0 * i + 1]]) for i in range(20)]
    found = barycentre(items)
    np.testing.assert_allclose(found.diagram[:, 1] - found.diagram[:, 0], np.full(20, 1 / 20))
    assert found.objective == pytest.approx(0.5 * (1 - 1 / 20))


def test_is_a_fixed_point_of_matching_and_averaging():
    items = alpha(3, 25)
    found = barycentre(items, tolerance=0.0)
    u, v = np.abs(found.diagram @ [-1, 1]) / np.sqrt(2), found.diagram.sum(axis=1) / np.sqrt(2)
    sums, places = np.zeros(len(u)), [[] for _ in u]
    for one in items:
        _, pairs = wasserstein_distance(one, found.diagram, matching=True, order=2.0, internal_p=2.0)
        for i, j in pairs[(pairs >= 0).all(axis=1)]:
            sums[j] += (one[i, 1] - one[i, 0]) / np.sqrt(2)
            places[j].append(one[i].sum() / np.sqrt(2))
    np.testing.assert_allclose(u, sums / len(items), rtol=1e-6)
    np.testing.assert_allclose(v, [np.mean(p) for p in places], rtol=1e-6)
    assert found.objective < np.mean([((d[:, 1] - d[:, 0]) ** 2).sum() / 2 for d in items])


@pytest.mark.slow
def test_depends_on_the_set_and_the_seed_and_not_on_the_order():
    items = alpha(1, 40)
    first, again = barycentre(items, seed=5), barycentre(items[::-1], seed=5)
    assert np.array_equal(first.diagram, again.diagram)
    assert first.objective == again.objective


def test_the_best_start_is_followed_and_every_start_is_reported():
    items = alpha(2, 30)
    found = barycentre(items, insertions=2)
    assert set(found.starts) == {"insertion 0", "insertion 1", "largest", "median"}
    assert found.objective <= min(found.starts.values())
    assert set(barycentre(items, initial=items[0]).starts) == {"initial"}


def test_a_given_start_without_points_still_finds_the_holes():
    items = alpha(4, 20)
    found = barycentre(items, initial=np.zeros((0, 2)))
    assert len(found.diagram)
    assert found.objective < 1.1 * barycentre(items).objective


@pytest.mark.slow
@pytest.mark.parametrize("matching, tolerance", [("pot", 1e-9), ("pot_sinkhorn", 0.01)])
def test_matchings_by_pot_give_our_barycentre(matching, tolerance, monkeypatch):
    items, calls = alpha(6, 6, cells=15), []
    ours = barycentre(items, insertions=1)
    monkeypatch.setattr(solvers, "plan", lambda *asked: calls.append(asked) or transport.plan(*asked))
    theirs = barycentre(items, insertions=1, matching=matching)
    assert len(calls) > 50
    assert theirs.objective == pytest.approx(ours.objective, rel=tolerance)
    if matching == "pot":
        np.testing.assert_allclose(theirs.diagram, ours.diagram, rtol=1e-9)


def test_points_of_the_barycentre_live():
    found = barycentre(alpha(5, 60, cells=12) + [np.zeros((0, 2))] * 5).diagram
    assert len(found) and (found[:, 1] > found[:, 0]).all()
    assert cdist(found, found)[np.triu_indices(len(found), 1)].min() > 0


def test_empty_diagrams_have_an_empty_barycentre():
    found = barycentre([np.zeros((0, 2))] * 3)
    assert found.diagram.shape == (0, 2)
    assert found.objective == 0


def test_no_diagrams_are_refused():
    with pytest.raises(CellscaperError, match="0 diagrams"):
        barycentre([])
