"""Matchings and distances by POT against ours, and against closed forms."""

import itertools
import subprocess
import sys

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

from cellscaper.datasets import phantom
from cellscaper.errors import CellscaperError
from cellscaper.topology.matching import ENTROPY, REG, assign, match, wasserstein1
from cellscaper.topology.persistence import alpha_diagram
from cellscaper.topology.transport import lowest_cost, plan

NONE = np.zeros((0, 2))


def random(seed, n):
    rng = np.random.default_rng(seed)
    birth = rng.uniform(0, 60, n)
    return np.stack([birth, birth + rng.exponential(15, n)], axis=1)


def tissue(seed, label=None, size=(256, 256)):
    """Diagram of simulated tissue: of one class, or of all cells."""
    points, labels, _ = phantom.simulate(size, 3, np.random.default_rng(seed))
    return alpha_diagram(points if label is None else points[labels == label])


PAIRS = {
    "both empty": (NONE, NONE),
    "one empty": (NONE, random(0, 12)),
    "one point each": (np.array([[3.0, 9.0]]), np.array([[4.0, 11.0]])),
    "one point, far": (np.array([[0.0, 2.0]]), np.array([[50.0, 54.0]])),
    "one against many": (np.array([[30.0, 60.0]]), random(1, 25)),
    "equal": (random(2, 20), random(2, 20)[::-1]),
    "coinciding": (np.repeat([[5.0, 20.0]], 8, axis=0), np.repeat([[6.0, 21.0]], 5, axis=0)),
    "coinciding with some": (np.repeat([[5.0, 20.0]], 4, axis=0), np.concatenate([random(3, 9), [[5.0, 20.0]] * 2])),
    "on the diagonal": (np.array([[7.0, 7.0], [3.0, 12.0]]), np.array([[8.0, 8.0]])),
    "random": (random(4, 40), random(5, 30)),
    "tissue, a class": (tissue(0, 1), tissue(1, 1)),
    "tissue, two classes": (tissue(2, 0), tissue(2, 2)),
    "tissue, hundreds": (tissue(3, None, (500, 500)), tissue(4, None, (500, 500))),
}
every = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def test_the_largest_pair_has_hundreds_of_holes():
    assert min(map(len, PAIRS["tissue, hundreds"])) > 120


@every
def test_pot_agrees_with_ours(pair):
    first, second = pair
    assert wasserstein1(*pair, "pot") == pytest.approx(wasserstein1(*pair), rel=1e-9, abs=1e-9)
    ours, theirs = match(*pair), match(*pair, "pot")
    assert theirs.cost == pytest.approx(ours.cost, rel=1e-9, abs=1e-9)
    rows, columns = theirs.pairs.T
    assert len(set(rows)) == len(set(columns)) == len(theirs.pairs)
    loose = np.concatenate([np.delete(first, rows, axis=0), np.delete(second, columns, axis=0)])
    apart = ((first[rows] - second[columns]) ** 2).sum()
    assert theirs.cost == pytest.approx(apart + ((loose[:, 1] - loose[:, 0]) ** 2).sum() / 2, abs=1e-8)


def joined(first, second):
    """W1 by its definition: each diagram joined with the other's projections, for which moving along is free."""
    onto = [np.repeat(one.mean(axis=1, keepdims=True), 2, axis=1) for one in (first, second)]
    cost = cdist(np.concatenate([first, onto[1]]), np.concatenate([second, onto[0]]))
    cost[len(first) :, len(second) :] = 0
    mass = np.ones(len(cost))
    return ot.emd2(mass, mass, cost, numItermax=1_000_000) if len(cost) else 0.0


@every
def test_w1_is_the_transport_of_diagrams_joined_with_their_projections(pair):
    expected = joined(*pair)
    assert wasserstein1(*pair, "pot") == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert wasserstein1(*pair) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@every
def test_w1_with_entropy_is_at_most_half_of_reg_a_point_above(pair):
    exact, points = wasserstein1(*pair), sum(map(len, pair))
    for reg in (REG, 0.5):
        found = wasserstein1(*pair, "pot_sinkhorn", reg)
        assert exact - 1e-9 <= found <= exact + reg / 2 * points


def test_w1_with_entropy_nears_the_exact_one_as_reg_falls():
    pair = PAIRS["tissue, a class"]
    errors = [wasserstein1(*pair, "pot_sinkhorn", reg) - wasserstein1(*pair) for reg in (2, 0.5, 0.1, 0.02)]
    assert all(b < 0.5 * a for a, b in itertools.pairwise(errors))
    assert errors[0] > 1


@pytest.mark.parametrize("saving", [-3.0, -0.2, 0.4])
def test_the_plan_of_two_points_is_the_closed_form(saving):
    reg = 0.7
    share = 1 / (1 + np.exp(saving / (2 * reg)))  # minimises p s + 2 reg (p log p + (1 - p) log(1 - p))
    expected = [[share, 1 - share], [1 - share, share]]
    np.testing.assert_allclose(plan(np.array([[saving]]), reg), expected, atol=1e-6)
    assert lowest_cost(np.array([[saving]]), reg) == pytest.approx(share * saving, abs=1e-6)


@pytest.mark.slow
@every
def test_matching_with_entropy_costs_at_most_a_hundredth_more(pair):
    exact, found = match(*pair).cost, match(*pair, "pot_sinkhorn")
    rows, columns = found.pairs.T
    assert len(set(rows)) == len(set(columns)) == len(found.pairs)
    assert exact - 1e-9 <= found.cost <= 1.01 * exact + 1e-6


def test_matching_with_entropy_is_not_ours_under_another_name():
    saving = np.array([[-1.0, -1.0 + ENTROPY / 10], [-1.0 + ENTROPY / 10, -1.0]])
    spread = plan(saving, ENTROPY)
    assert spread[:2, :2] == pytest.approx(np.full((2, 2), 0.5), abs=0.05)  # 0.05 reg between the two matchings
    assert plan(saving)[:2, :2] == pytest.approx(np.eye(2))


@pytest.mark.parametrize("backend", ["own", "pot", "pot_sinkhorn"])
def test_pairs_that_save_nothing_are_not_taken(backend):
    assert assign(np.array([[1.0, 0.0], [0.0, 2.0]]), backend).shape == (0, 2)
    assert assign(np.zeros((0, 3)), backend).shape == (0, 2)
    assert assign(np.array([[-1.0, 5.0], [4.0, 0.0]]), backend).tolist() == [[0, 0]]


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    pair = PAIRS["random"]
    assert match(*pair).cost > 0
    for call in (lambda: match(*pair, "pot"), lambda: wasserstein1(*pair, "pot_sinkhorn")):
        with pytest.raises(CellscaperError, match="needs POT, which is not installed here: pip install 'POT.*use own"):
            call()


def test_a_simplex_that_does_not_end_is_told(monkeypatch):
    monkeypatch.setattr("cellscaper.topology.transport._MOST_STEPS", 3)
    with pytest.warns(UserWarning), pytest.raises(CellscaperError, match="40 and 30 points: .*use own"):
        match(*PAIRS["random"], "pot")


@pytest.mark.slow
def test_packages_of_backends_are_imported_only_where_they_are_used():
    code = (
        "import sys, cellscaper.topology.matching, cellscaper.density.gmcm; print({'ot', 'copulae'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
