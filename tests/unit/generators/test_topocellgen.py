"""TopoCellGen's losses in a training step: when they act, what they are worth, what is shown."""

import sys

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.generators import topocellgen
from cellscaper.topology import matching, transport
from cellscaper.topology.losses import targets, topology_losses
from cellscaper.topology.settings import Topology
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import rasterise

GRID = {"region": 128, "stride": 4, "marker": 1, "pad": 2, "low": -0.2, "high": 4.0}
LOSSES = {
    "after": 0.5, "weights": {"count": 2.0, "intra": 3.0, "inter": 5.0}, "threshold": 0.5, "width": None,
    "diagrams": "alpha", "filtration": "sublevel", "missing": True, "clamp": True, "count_threshold": None,
    "normalise": "none", "window": None, "snr_limit": None,
}  # fmt: skip
T = torch.tensor([5, 90])


@pytest.fixture(scope="module")
def run(recipe):
    """run(step, prediction, changed losses): terms, what is shown beside them, the prediction."""

    def terms(step, x0_hat=None, seed=1, **losses):
        settings = {"losses": {**LOSSES, **losses}, "diffusion": {"schedule": "cosine", "steps": 100}}
        x0 = clean()[0]
        x0_hat = clean(seed=seed)[0] if x0_hat is None else x0_hat
        x0_hat = x0_hat.clone().requires_grad_()
        asked = recipe("topocellgen", GRID["region"], settings, {"steps": 10}, grid=GRID)
        found, shown = topocellgen.extra(asked, x0, topocellgen.ahead(asked, x0, step), step)(x0_hat, T)
        return found, shown, x0_hat

    return terms


def clean(cells=30, seed=0):
    """Maps (2, 2, 36, 36) of random cells, and their counts (2, 2)."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.permutation(32 * 32)[: 2 * cells])
    points = torch.stack([points // 32, points % 32], dim=1).float() * 4 + 1
    labels, index = torch.arange(2 * cells) % 2, torch.arange(2 * cells) // cells
    counts = torch.zeros(2, 2)
    counts.index_put_((index, labels), torch.ones(2 * cells), accumulate=True)
    return rasterise(points, labels, index, 2, 2, Grid(**GRID)), counts


def test_before_their_part_of_the_training_the_losses_are_zero_and_the_count_error_is_shown(run):
    x0, _ = clean()
    missing = x0.clone()
    missing[:, 0] = GRID["low"]  # 15 cells of class 0 less in each sample
    terms, shown, _ = run(4, missing)
    assert {name: value.tolist() for name, value in terms.items()} == {n: [0, 0] for n in ("count", "intra", "inter")}
    assert shown["count_error"].tolist() == [7.5, 7.5]
    assert set(shown) == {"count_error", "grad_count", "grad_intra", "grad_inter"}


def test_terms_are_weighted_and_in_px_at_20x(run):
    x0, _ = clean()
    terms, shown, x0_hat = run(5)
    unit = [(maps[..., 2:-2, 2:-2] + 0.2) / 4.2 for maps in (x0, x0_hat.detach())]
    raw = topology_losses(unit[1], targets(unit[0], Topology(marker=1)), Topology(marker=1))
    assert raw["intra"].min() > 0
    torch.testing.assert_close(terms["intra"].detach(), 3 * 16 * raw["intra"], check_dtype=False)
    torch.testing.assert_close(terms["inter"].detach(), 5 * 16 * raw["inter"], check_dtype=False)
    torch.testing.assert_close(terms["count"].detach(), 2 * shown["count_error"].detach())


def test_normalised_distances_have_no_unit(run):
    terms = run(5, normalise="max")[0]
    assert 0 < float(terms["intra"].detach().max()) < 3


def test_matchings_by_pot_reach_the_losses(run, monkeypatch):
    found, calls = {}, []
    monkeypatch.setattr(matching, "plan", lambda *asked: calls.append(asked) or transport.plan(*asked))
    for solver in ("own", "pot"):
        found[solver] = run(5, matching=solver)[0]
        assert bool(calls) == (solver == "pot")
    for name in ("intra", "inter"):
        torch.testing.assert_close(found["pot"][name], found["own"][name])


def test_a_distance_without_its_package_or_its_diagrams_ends_the_training_at_its_first_step(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "FastGeodis", None)
    with pytest.raises(CellscaperError, match="losses.distance: fastgeodis needs FastGeodis, which is not installed"):
        run(0, distance="fastgeodis", diagrams="cubical")
    with pytest.raises(CellscaperError, match="losses: distance 'fastgeodis' belongs to diagrams: cubical"):
        run(0, distance="fastgeodis")


def test_perfect_predictions_cost_nothing(run):
    terms, shown, _ = run(9, clean()[0])
    assert all(value.abs().max() == 0 for value in (*terms.values(), shown["count_error"]))


def test_the_clean_map_costs_nothing_whatever_its_markers_hide(recipe):
    """TC Eq. 4 counts areas: of 3×3 markers that overlap, or are cut by the border, less than nine pixels a cell."""
    grid, rng = Grid(32, 1, 3), np.random.default_rng(0)
    n, cells = 200, 20
    points = torch.from_numpy(rng.integers(0, 32, (n * cells, 2))).float()
    labels, index = torch.from_numpy(rng.integers(0, 2, n * cells)), torch.arange(n * cells) // cells
    counts = torch.bincount(index * 2 + labels, minlength=2 * n).view(n, 2).float()
    x0 = rasterise(points, labels, index, n, 2, grid)
    assert ((x0.sum(dim=(2, 3)) / 9 - counts).abs() > 0.5).float().mean() > 0.5
    asked = recipe("topocellgen", 32, {"losses": LOSSES}, {"steps": 10}, grid={"region": 32})
    terms, shown = topocellgen.extra(asked, x0, topocellgen.ahead(asked, x0, 9), 9)(
        x0.clone().requires_grad_(), torch.full((n,), 5)
    )
    for name, value in terms.items():
        assert not value.any()
        assert not shown[f"grad_{name}"].any()
    assert not shown["count_error"].any()


@pytest.mark.parametrize("diagrams", ["alpha", "cubical"])
def test_the_prediction_is_clamped_to_the_grids_range_before_all_losses(run, diagrams):
    x0_hat = 1.5 * clean(cells=20, seed=1)[0] - 1.0 + 3 * torch.rand(2, 2, 36, 36, generator=torch.manual_seed(0))
    beyond = (x0_hat < GRID["low"]) | (x0_hat > GRID["high"])
    for clamp in (True, False):
        terms, _, free = run(9, x0_hat, diagrams=diagrams, clamp=clamp)
        for value in terms.values():
            (slope,) = torch.autograd.grad(value.sum(), free, retain_graph=True)
            assert slope[~beyond].any()
            assert slope[beyond].any() != clamp
    terms, _, _ = run(9, x0_hat, diagrams=diagrams)
    inside, _, _ = run(9, x0_hat.clamp(GRID["low"], GRID["high"]), diagrams=diagrams, clamp=False)
    for name, value in terms.items():
        assert torch.equal(value, inside[name])


def test_the_count_loss_can_have_a_threshold_of_its_own(run):
    x0, _ = clean()
    faint = x0.clone()
    faint[x0 > 0] = GRID["low"] + 0.8 * (GRID["high"] - GRID["low"])
    terms, shown, _ = run(9, faint, threshold=0.7, count_threshold=0.85)
    assert shown["count_error"].tolist() == [15, 15]  # no cell counts
    assert terms["intra"].max() == terms["inter"].max() == 0  # all cells have holes between them
    for same in (None, 0.7):
        assert run(9, faint, threshold=0.7, count_threshold=same)[1]["count_error"].tolist() == [0, 0]


def test_filtration_missing_and_window_reach_the_losses(run):
    unit = [(maps[..., 2:-2, 2:-2] + 0.2) / 4.2 for maps in (clean()[0], clean(cells=20, seed=1)[0])]
    chosen = {"diagrams": "cubical", "filtration": "superlevel", "missing": False, "normalise": "max"}
    settings = Topology(marker=1, window=5, **chosen)
    raw = topology_losses(unit[1], targets(unit[0], settings), settings)
    terms, _, _ = run(9, clean(cells=20, seed=1)[0], window=20, **chosen)
    for name, weight in (("intra", 3), ("inter", 5)):
        assert raw[name].min() > 0
        torch.testing.assert_close(terms[name].detach(), weight * raw[name], check_dtype=False)
    for wrong, message in (
        ({"diagrams": "cubical", "window": 3}, "window 0 is less than a pixel"),
        ({"filtration": "superlevel"}, "superlevel needs the pixels of diagrams: cubical"),
    ):
        with pytest.raises(CellscaperError, match=message):
            run(0, **wrong)


def test_gradients_reach_the_prediction_and_their_norms_are_shown(run):
    terms, shown, x0_hat = run(9)
    (slope,) = torch.autograd.grad(terms["intra"].sum(), x0_hat, retain_graph=True)
    torch.testing.assert_close(shown["grad_intra"], slope.flatten(1).norm(dim=1))
    assert shown["grad_intra"].min() > 0
    assert slope[..., :2, :].abs().max() == 0  # the padding


def test_the_losses_of_steps_that_are_too_noisy_are_left_out(run):
    terms, _, _ = run(9, clean(cells=20)[0], snr_limit=1.0)
    assert all(value[0] > 0 for value in terms.values())
    assert all(value[1] == 0 for value in terms.values())


def test_a_loss_without_weight_is_not_taken(run):
    terms, shown, _ = run(9, clean(cells=20)[0], weights={"count": 1.0, "intra": 0, "inter": 0})
    assert terms["count"].min() > 0
    assert terms["intra"].max() == terms["inter"].max() == shown["grad_intra"].max() == 0


def test_it_needs_losses_and_takes_no_density(recipe):
    with pytest.raises(
        CellscaperError, match="generators topocellgen.losses = None: Input should be a valid dictionary"
    ):
        recipe("topocellgen", GRID["region"], {"losses": None}, grid=GRID)
    both = recipe("topocellgen", GRID["region"], {}, grid=GRID, density={"method": "gmm", "settings": {}})
    with pytest.raises(CellscaperError, match="generator topocellgen takes no density"):
        topocellgen.channels(both, 3)
