import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.topology import matching, transport
from cellscaper.topology.losses import count_loss, inter_loss, intra_loss, marker_counts, targets, topology_losses
from cellscaper.topology.settings import Topology
from cellscaper.views.rasters import Grid, rasterise

SIDE = 64


def layout(cells, rng, classes=1, side=SIDE, gap=7):
    """(1, classes, side, side) maps of 3×3 markers, centres at least ``gap`` px apart over all classes."""
    maps, centres = np.zeros((1, classes, side, side), np.float32), []
    while len(centres) < cells:
        y, x = rng.integers(1, side - 1, 2)
        if all(np.hypot(y - a, x - b) >= gap for a, b in centres):
            maps[0, len(centres) % classes, y - 1 : y + 2, x - 1 : x + 2] = 1
            centres.append((y, x))
    return torch.from_numpy(maps), centres


def mark(maps, y, x, value):
    changed = maps.clone()
    changed[..., y - 1 : y + 2, x - 1 : x + 2] = value
    return changed


def gradient(loss, maps):
    maps = maps.clone().requires_grad_()
    loss(maps).sum().backward()
    return maps.grad


def descend(loss, start, steps=50, rate=0.1):
    """Adam on the map alone, values kept in 0…1, step size falling; (best loss / first loss)."""
    maps = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([maps], betas=(0.5, 0.99))
    values = []
    for i in range(steps + 1):
        optimiser.zero_grad()
        value = loss(maps).sum()
        values.append(float(value.detach()))
        value.backward()
        optimiser.param_groups[0]["lr"] = rate * (1 - 0.9 * i / steps)
        optimiser.step()
        with torch.no_grad():
            maps.clamp_(0, 1)
    return min(values) / values[0]


def diagram(target):
    """Of one layer, divided by its scale, by either method."""
    return target.diagram if hasattr(target, "diagram") else target.windows[0].diagram


LOSSES = {"intra": intra_loss, "inter": inter_loss}
ALPHA, CUBICAL = Topology(), Topology(diagrams="cubical")
SUPER = Topology(diagrams="cubical", filtration="superlevel")
both = pytest.mark.parametrize("settings", [ALPHA, CUBICAL], ids=["alpha", "cubical"])
every = pytest.mark.parametrize("settings", [ALPHA, CUBICAL, SUPER], ids=["alpha", "cubical", "superlevel"])


@every
@pytest.mark.parametrize("name", LOSSES)
def test_equal_maps_cost_nothing_and_have_no_gradient(name, settings):
    maps, _ = layout(40, np.random.default_rng(0), classes=2, side=96)
    wanted = targets(maps, settings)
    loss = LOSSES[name]
    assert loss(maps, wanted, settings).item() == 0
    assert not gradient(lambda u: loss(u, wanted, settings), maps).any()


@both
@pytest.mark.parametrize("name", LOSSES)
def test_one_cell_too_many_is_lowered(name, settings):
    """A ring of cells with one in its middle that does not belong there."""
    angle = np.arange(0, 2 * np.pi, 0.5)
    maps = torch.zeros(1, 2, 60, 66)
    for a in angle:
        maps[:, :1] = mark(maps[:, :1], round(30 + 20 * np.sin(a)), round(33 + 20 * np.cos(a)), 1)
    extra = maps.clone()
    extra[:, :1] = mark(maps[:, :1], 30, 33, 1)
    wanted = targets(maps, settings)
    slope = gradient(lambda u: LOSSES[name](u, wanted, settings), extra)
    assert (slope[0, 0, 29:32, 32:35] > 0).any()
    assert slope[0, 0, 29:32, 32:35].sum() > 0
    assert LOSSES[name](extra - 0.6 * (slope > 0), wanted, settings) < LOSSES[name](extra, wanted, settings)


@both
@pytest.mark.parametrize("belief", [0.0, 0.3])
@pytest.mark.parametrize("name", LOSSES)
def test_one_cell_too_few_is_raised(name, belief, settings):
    maps = torch.zeros(1, 1, 60, 66)
    for y in range(8, 60, 11):
        for x in range(8, 66, 11):
            maps = mark(maps, y, x, 1)
    wanted = targets(maps, settings)
    slope = gradient(lambda u: LOSSES[name](u, wanted, settings), mark(maps, 30, 30, belief))
    around = slope[0, 0, 20:41, 20:41]
    assert around.min() < 0
    assert around.min() == slope.min()
    if belief:  # the pixels that the prediction half believes in are those that rise
        assert slope[0, 0, 29:32, 29:32].sum() < 0


def test_count_loss_has_the_straight_through_gradient_of_the_wrong_count():
    maps, _ = layout(12, np.random.default_rng(1), classes=2)
    for wanted, sign in (([5.0, 6.0], 1), ([8.0, 6.0], -1), ([6.0, 6.0], 0)):
        slope = gradient(lambda u, w=wanted: count_loss(u, torch.tensor([w])), maps)
        assert count_loss(maps, torch.tensor([wanted])).item() == pytest.approx(abs(wanted[0] - 6) / 2)
        assert torch.equal(slope[:, 0], torch.full_like(slope[:, 0], sign / 9 / 2))
        assert not slope[:, 1].any()


def crowded(n, seed=0, side=24, classes=2, cells=12):
    """(n, classes, side, side) maps of 3×3 markers that overlap and are cut by the border; cells (n, classes)."""
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.integers(0, side, (n * cells, 2))).float()
    labels, index = torch.from_numpy(rng.integers(0, classes, n * cells)), torch.arange(n * cells) // cells
    counts = torch.bincount(index * classes + labels, minlength=n * classes).view(n, classes)
    return rasterise(points, labels, index, n, classes, Grid(side)), counts


@pytest.mark.parametrize("width", [None, 0.1])
def test_the_count_loss_vanishes_at_the_truth_whatever_overlaps_or_is_cut(width):
    maps, cells = crowded(200)
    wanted = marker_counts(maps)
    assert torch.equal(wanted, maps.sum(dim=(2, 3)) / 9)  # Eq. 4 on a clean map
    assert (wanted < cells).float().mean() > 0.5
    random = torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
    for prediction in (maps, 0.55 * maps + 0.4 * random, maps + 90 * random * (maps - 0.5)):  # same pixels above 0.5
        assert not count_loss(prediction, wanted, width=width).any()
        assert not gradient(lambda u: count_loss(u, wanted, width=width), prediction).any()


@pytest.mark.parametrize("wanted, sign", [(5.0, 1.0), (7.0, -1.0)])
def test_with_a_width_undecided_pixels_carry_the_gradient(wanted, sign):
    maps, centres = layout(6, np.random.default_rng(3))
    undecided, width = mark(maps, *centres[0], 0.45), 0.1
    z = np.array([0.45 - 0.5, 0 - 0.5, 1 - 0.5]) / width
    expected = sign / 9 / np.cosh(z / 2) ** 2  # four times the derivative of the logistic function
    counts = torch.tensor([[wanted - 1]])  # the undecided cell does not count
    slope = gradient(lambda u: count_loss(u, counts, width=width), undecided)[0, 0]
    y, x = centres[0]
    background = (undecided[0, 0] == 0).nonzero()[0]
    found = [slope[y, x], slope[tuple(background)], slope[centres[1]]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert abs(found[1]) < 0.04 * abs(found[0])


@pytest.mark.parametrize("seed", range(3))
def test_fifty_steps_reduce_the_count_loss_by_ninety_percent(seed):
    maps, _ = layout(40, np.random.default_rng(seed), side=96)
    start = maps + 0.25 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(seed))
    for width in (None, 0.1):
        assert descend(lambda u, w=width: count_loss(u, torch.tensor([[40.0]]), width=w), start, rate=0.05) <= 0.1


@pytest.mark.slow
@every
@pytest.mark.parametrize("name", LOSSES)
def test_fifty_steps_reduce_the_topology_losses_from_noisy_maps(name, settings):
    left = []
    for seed in range(3):
        maps, _ = layout(60, np.random.default_rng(seed), side=96, gap=8)
        wanted = targets(maps, settings)
        start = maps + 0.3 * torch.randn(maps.shape, generator=torch.Generator().manual_seed(seed))
        left.append(descend(lambda u, w=wanted: LOSSES[name](u, w, settings), start))
    assert max(left) <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("cells", [30, 50, 60, 80])
@pytest.mark.parametrize("name", LOSSES)
def test_fifty_steps_reduce_the_topology_losses_from_other_layouts(name, cells):
    """From fewer, as many and more cells than the layout has whose diagrams are the target."""
    left = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        maps, start = layout(60, rng, side=96, gap=8)[0], layout(cells, rng, side=96, gap=5)[0]
        wanted = targets(maps, ALPHA)
        left.append(descend(lambda u, w=wanted: LOSSES[name](u, w, ALPHA), start))
    assert max(left) <= 0.1


@pytest.mark.slow
def test_fifty_steps_reduce_the_normalised_losses_from_other_layouts():
    settings, left = replace(ALPHA, normalise="max"), []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        maps, start = layout(60, rng, side=96, gap=8)[0], layout(50, rng, side=96, gap=5)[0]
        wanted = targets(maps, settings)
        left.append(descend(lambda u, w=wanted: intra_loss(u, w, settings), start))
    assert np.mean(left) <= 0.1


def test_the_place_of_the_largest_distance_is_filled_or_emptied():
    """Two corners without cells, in the prediction or in the clean layout."""
    maps = torch.zeros(1, 1, 60, 60)
    for y in range(5, 60, 10):
        for x in range(5, 60, 10):
            maps = mark(maps, y, x, 1)
    void, settings = maps.clone(), replace(ALPHA, normalise="max")
    void[..., :28, :18] = 0
    for start, goal, sign in ((void, maps, -1), (maps, void, 1)):
        wanted = targets(goal, settings)
        slope = gradient(lambda u, w=wanted: intra_loss(u, w, settings), start)[0, 0, :28, :18]
        assert (sign * slope > 0).any()
        assert sign * slope.sum() > 0


def test_moving_cells_alone_removes_most_of_the_loss_where_their_number_is_right():
    """The exact derivative, without what ``missing`` adds: no pixel learns where the target's cells are."""
    rng, settings = np.random.default_rng(0), replace(ALPHA, missing=False)
    maps, start = layout(60, rng, side=96, gap=8)[0], layout(60, rng, side=96, gap=5)[0]
    wanted = targets(maps, settings)
    assert descend(lambda u: intra_loss(u, wanted, settings), start) <= 0.15


def test_pixels_alone_remove_half_of_the_loss_from_other_layouts():
    rng = np.random.default_rng(0)
    maps, start = layout(60, rng, side=96, gap=8)[0], layout(50, rng, side=96, gap=5)[0]
    wanted = targets(maps, CUBICAL)
    assert descend(lambda u: intra_loss(u, wanted, CUBICAL), start) <= 0.5


@pytest.mark.parametrize(
    "settings",
    [
        *(ALPHA, CUBICAL, SUPER, replace(CUBICAL, window=40), replace(SUPER, window=40)),
        *(replace(one, normalise="max") for one in (ALPHA, CUBICAL, SUPER)),
    ],
)
def test_both_at_once_are_as_one_by_one(settings):
    rng = np.random.default_rng(3)
    maps, other = (torch.cat([layout(30, rng, 2, 90)[0] for _ in range(2)]) for _ in range(2))
    other = other + 0.2 * torch.randn(other.shape, generator=torch.Generator().manual_seed(0))
    wanted = targets(maps, settings)
    joint = topology_losses(other, wanted, settings)
    for name, loss in LOSSES.items():
        assert torch.allclose(joint[name], loss(other, wanted, settings))
        alone = gradient(lambda u, n=name: topology_losses(u, wanted, settings)[n], other)
        single = gradient(lambda u, f=loss: f(u, wanted, settings), other)
        assert torch.allclose(alone.abs().sum(), single.abs().sum(), rtol=0.02)  # of equally near cells either is taken
        assert name == "inter" or torch.equal(alone, single)
    apart = targets(maps, settings, intra=False)
    assert apart.intra is None
    assert torch.equal(inter_loss(other, apart, settings), joint["inter"])


@every
def test_gradients_are_those_of_the_layer_they_belong_to(settings):
    rng = np.random.default_rng(4)
    maps, other = layout(45, rng, 3, 96)[0], layout(45, rng, 3, 96)[0]
    wanted = targets(maps, settings)
    joint = gradient(lambda u: intra_loss(u, wanted, settings), other)
    for k in range(3):
        one = targets(maps[:, k : k + 1], settings, inter=False)
        alone = gradient(lambda u, t=one: intra_loss(u, t, settings) / 3, other[:, k : k + 1])
        assert torch.allclose(joint[:, k : k + 1], alone)


@every
def test_the_value_is_the_squared_wasserstein_distance_of_the_diagrams(settings):
    wasserstein = pytest.importorskip("gudhi.wasserstein")
    pytest.importorskip("ot")
    rng = np.random.default_rng(5)
    maps, other = layout(40, rng, 1, 96)[0], layout(30, rng, 1, 96)[0]
    mine, theirs = (diagram(targets(one, settings).intra[0][0]) for one in (maps, other))
    wanted = wasserstein.wasserstein_distance(mine, theirs, order=2, internal_p=2) ** 2
    assert intra_loss(other, targets(maps, settings), settings).item() == pytest.approx(wanted, rel=1e-5)


@every
@pytest.mark.parametrize("normalise", ["none", "max"])
def test_without_missing_the_value_is_the_sum_over_the_predictions_holes_alone(settings, normalise):
    """TC Eq. 6 under the optimal matching, which POT finds."""
    wasserstein = pytest.importorskip("gudhi.wasserstein")
    pytest.importorskip("ot")
    settings = replace(settings, normalise=normalise)
    exact, rng = replace(settings, missing=False), np.random.default_rng(5)
    for few, many in ((25, 40), (40, 25), (30, 30)):
        maps, other = layout(many, rng, 1, 96, gap=5)[0], layout(few, rng, 1, 96, gap=5)[0]
        goal, mine = (diagram(targets(one, settings).intra[0][0]) for one in (maps, other))
        cost, pairs = wasserstein.wasserstein_distance(mine, goal, order=2, internal_p=2, matching=True)
        summed, lacking = 0.0, 0.0
        for i, j in pairs:
            if i < 0:
                lacking += (goal[j, 1] - goal[j, 0]) ** 2 / 2
            else:
                place = goal[j] if j >= 0 else np.repeat(mine[i].mean(), 2)
                summed += ((mine[i] - place) ** 2).sum()
        assert lacking > 0 or few >= many
        assert summed + lacking == pytest.approx(cost**2)
        wanted = targets(maps, settings)
        assert intra_loss(other, wanted, exact).item() == pytest.approx(summed, rel=1e-5)
        assert intra_loss(other, wanted, settings).item() == pytest.approx(summed + lacking, rel=1e-5)


@every
def test_an_empty_prediction_costs_nothing_without_missing(settings):
    maps, _ = layout(30, np.random.default_rng(8), 2)
    empty, exact = torch.zeros_like(maps), replace(settings, missing=False)
    wanted = targets(maps, settings)
    for name, layers in (("intra", wanted.intra[0]), ("inter", wanted.inter)):
        whole = np.mean([(np.diff(diagram(one)) ** 2).sum() / 2 for one in layers])
        assert whole > 1
        assert topology_losses(empty, wanted, settings)[name].item() == pytest.approx(whole, rel=1e-5)
    assert not any(value.any() for value in topology_losses(empty, wanted, exact).values())
    assert not gradient(lambda u: sum(topology_losses(u, wanted, exact).values()), empty + 0.4).any()


@every
def test_max_normalisation_does_not_depend_on_the_scale_of_the_layout(settings):
    settings = replace(settings, normalise="max", marker=1)
    maps, cells = torch.zeros(2, 1, 120, 120), np.random.default_rng(6).integers(5, 35, (25, 2))
    for y, x in cells:
        maps[0, 0, y, x] = maps[1, 0, 3 * y, 3 * x] = 1
    found = targets(maps[:1, :, :40, :40], settings).intra[0][0], targets(maps[1:], settings).intra[0][0]
    longest = [diagram(one)[np.diff(diagram(one)).ravel().argmax()] for one in found]
    assert longest[0] == pytest.approx(longest[1], abs=0.05)
    assert all(one.scale > 1 for one in found)


@every
def test_the_scale_is_the_largest_distance_on_the_map(settings):
    maps, cells = layout(25, np.random.default_rng(12), side=80)
    far = np.hypot(*(np.indices((80, 80))[:, None] - np.array(cells).T[:, :, None, None])).min(axis=0).max()
    scale = targets(maps, replace(settings, normalise="max")).intra[0][0].scale
    assert scale == pytest.approx(far, abs=1.5)  # cubical: from the marker's edge


@pytest.mark.slow
@pytest.mark.parametrize("backend, tolerance", [("pot", 1e-6), ("pot_sinkhorn", 0.01)])
@both
def test_matchings_by_pot_give_our_losses_and_gradients(settings, backend, tolerance, monkeypatch):
    rng = np.random.default_rng(13)
    maps, other = layout(40, rng, 2, 96)[0], layout(30, rng, 2, 96)[0]
    wanted, found, calls = targets(maps, settings), {}, []
    monkeypatch.setattr(matching, "plan", lambda *asked: calls.append(asked) or transport.plan(*asked))
    for solver in ("own", backend):
        chosen = replace(settings, matching=solver)
        value = topology_losses(other, wanted, chosen)
        slope = gradient(lambda u, s=chosen: sum(topology_losses(u, wanted, s).values()), other)
        found[solver] = (value["intra"].item(), value["inter"].item()), slope
    assert len(calls) == 6  # three layers, twice
    assert found[backend][0] == pytest.approx(found["own"][0], rel=tolerance)
    if settings is ALPHA:  # distances of pixels are often equal, and so are the costs of different matchings
        assert (found[backend][1] - found["own"][1]).norm() <= tolerance * found["own"][1].norm()


def test_a_backend_without_its_package_is_refused_before_any_map(monkeypatch):
    for module in ("ot", "FastGeodis"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(CellscaperError, match="losses.matching: pot needs POT, which is not .*: pip install .*use own"):
        Topology(matching="pot")
    with pytest.raises(CellscaperError, match="losses.distance: fastgeodis needs FastGeodis.*--no-build-isolation"):
        Topology(diagrams="cubical", backend="fastgeodis")


def test_losses_on_fastgeodis_distances_descend():
    pytest.importorskip("FastGeodis", reason="FastGeodis is not installed (extra geodesic)")
    rng, settings = np.random.default_rng(0), replace(CUBICAL, backend="fastgeodis")
    maps, start = layout(60, rng, side=96, gap=8)[0], layout(50, rng, side=96, gap=5)[0]
    wanted = targets(maps, settings)
    assert intra_loss(maps, wanted, settings).item() == 0
    exact = intra_loss(start, targets(maps, CUBICAL), CUBICAL).item()
    assert intra_loss(start, wanted, settings).item() == pytest.approx(exact, rel=0.25)
    assert descend(lambda u: intra_loss(u, wanted, settings), start) <= 0.5


def test_windows_cover_the_map_and_keep_their_pixels_apart():
    maps, _ = layout(60, np.random.default_rng(7), 1, 100)
    whole, parts = (targets(maps, replace(CUBICAL, window=side)).intra[0][0].windows for side in (None, 40))
    assert (len(whole), len(parts)) == (1, 9)
    for number, part in enumerate(parts):
        for pixels in (part.birth, part.death):
            y, x = np.divmod(pixels, 100)
            assert (3 * (y // 40) + x // 40 == number).all()
    cut = replace(CUBICAL, window=40)
    assert intra_loss(maps, targets(maps, cut), cut).item() == 0


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"window": 40}, "window 40 .* cubical"),
        ({"backend": "fastgeodis"}, "distance 'fastgeodis' .* cubical"),
        ({"diagrams": "rips"}, "diagrams 'rips' .* cubical"),
        ({"filtration": "superlevel"}, "filtration superlevel .* diagrams: cubical"),
        ({"filtration": "lower"}, "filtration 'lower' .* sublevel or superlevel"),
        ({"diagrams": "cubical", "window": 0}, "window 0 .* larger"),
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(CellscaperError, match=f"losses: {message}"):
        Topology(**wrong)


@every
def test_empty_and_full_maps_are_defined(settings):
    maps, _ = layout(30, np.random.default_rng(8), 2)
    empty, full = torch.zeros_like(maps), torch.ones_like(maps)
    wanted, nothing = targets(maps, settings), targets(empty, settings)
    for start in (empty, full, maps):
        for goal in (wanted, nothing):
            found = topology_losses(start, goal, settings)
            assert all(torch.isfinite(one).all() for one in found.values())
            slope = gradient(lambda u, g=goal: sum(topology_losses(u, g, settings).values()), start)
            assert torch.isfinite(slope).all()
    whole = (np.diff(diagram(wanted.inter[0])) ** 2).sum() / 2
    assert inter_loss(empty, wanted, settings).item() == pytest.approx(whole, rel=1e-5)
    assert inter_loss(empty, nothing, settings).item() == 0
    assert (gradient(lambda u: inter_loss(u, wanted, settings), full) > 0).any()


def test_noise_is_bounded_by_max_pairs_and_missing_holes_can_be_left_out():
    maps, _ = layout(30, np.random.default_rng(9))
    noise = torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
    few, all_ = replace(CUBICAL, max_pairs=0), replace(CUBICAL, max_pairs=10_000)
    goal = targets(maps, all_)
    assert intra_loss(noise, goal, few).item() == pytest.approx(intra_loss(noise, goal, all_).item(), rel=0.02)
    assert intra_loss(maps, goal, few).item() == 0
    exact = gradient(lambda u: intra_loss(u, goal, replace(CUBICAL, missing=False)), torch.ones_like(maps))
    assert not exact.any()


@every
def test_inactive_samples_cost_nothing(settings):
    rng = np.random.default_rng(10)
    maps, other = (torch.cat([layout(20, rng)[0] for _ in range(3)]) for _ in range(2))
    wanted, active = targets(maps, settings), torch.tensor([True, False, True])
    found = topology_losses(other, wanted, settings, active)["inter"]
    assert (found > 0).tolist() == [True, False, True]
    slope = gradient(lambda u: topology_losses(u, wanted, settings, active)["inter"], other)
    assert slope.abs().sum(dim=(1, 2, 3)).gt(0).tolist() == [True, False, True]


@every
def test_the_maximum_hands_its_gradient_to_the_largest_class(settings):
    rng = np.random.default_rng(11)
    maps, other = layout(24, rng, 3)[0], layout(30, rng, 3)[0]
    wanted = targets(maps, settings, intra=False)
    direct = gradient(lambda u: inter_loss(u, wanted, settings), other)
    by_torch = gradient(lambda u: inter_loss(u.amax(1, keepdim=True), wanted, settings), other)
    assert torch.allclose(direct, by_torch)
