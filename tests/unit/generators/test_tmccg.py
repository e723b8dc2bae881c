"""The TMCCG-style generator: its statistics, its networks, and that the two players learn beside each other."""

import math

import numpy as np
import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.generators import tmccg
from cellscaper.generators.gan.network import Discriminator, PointMover, mirrored, splat
from cellscaper.generators.gan.statistics import (
    SOFTNESS,
    Pattern,
    condition_size,
    describe,
    diagrams,
    hole_loss,
    k_loss,
    l_functions,
)
from cellscaper.generators.protocol import Request, read_recipe
from cellscaper.generators.tmccg import Tmccg, sample_layouts
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.topology.persistence import alpha_diagrams
from cellscaper.views.symmetries import EIGHT, transform

REGION, CLASSES, RADII = 64, 3, [4, 8, 16]
SETTINGS = {
    "network": {"width": 16, "layers": 2, "radial": 6, "step": 16.0, "noise": 4},
    "discriminator": {"width": 8, "stride": 4, "spread": 4.0},
    "radii": RADII,
    "bank": 40,
    "weights": {"adversarial": 0.1, "k": 1.0, "holes": 0.2, "r1": 1.0},
}
SECTION = {
    "method": "tmccg",
    "region": REGION,
    "small": "error",
    "settings": SETTINGS,
    "training": {"batch": 4, "steps": 60, "lr": 1e-2},
}
CPU = torch.device("cpu")


def pattern(sizes, seed=0, width=24, dtype=torch.float64):
    """Random layouts of so many cells, padded."""
    rng = np.random.default_rng(seed)
    x, labels = torch.zeros(len(sizes), width, 2, dtype=dtype), torch.zeros(len(sizes), width, dtype=torch.long)
    mask = torch.zeros(len(sizes), width, dtype=torch.bool)
    for i, n in enumerate(sizes):
        x[i, :n] = torch.from_numpy(rng.uniform(0, REGION, (n, 2)))
        labels[i, :n], mask[i, :n] = torch.from_numpy(rng.integers(0, CLASSES, n)), True
    return Pattern(x, labels, mask)


def layout_set(one):
    items = [
        Layout(x[m].numpy().astype(np.float32), c[m].numpy().astype(np.uint8), (REGION, REGION))
        for x, c, m in zip(*one, strict=True)
    ]
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


def spaced(images, seed):
    """Whole images of 96 px: cells 12 px apart on a shaken lattice, classes at random."""
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(images):
        lattice = np.stack(np.meshgrid(np.arange(6, 96, 12), np.arange(6, 96, 12)), -1).reshape(-1, 2)
        points = (lattice + rng.normal(0, 1, lattice.shape)).astype(np.float32)
        items.append(Layout(points, rng.integers(0, CLASSES, len(points)).astype(np.uint8), (96, 96)))
    return LayoutSet.build(items, ("a", "b", "c"), 0.5)


# -- statistics -------------------------------------------------------------------------------------------------


def test_l_functions_equal_loops_over_pairs():
    one = pattern([20, 9])
    found, defined = l_functions(one, CLASSES, RADII, REGION)
    for b, (x, labels, mask) in enumerate(zip(*one, strict=True)):
        cells = [(p, int(c)) for p, c, m in zip(x.tolist(), labels, mask, strict=True) if m]
        for i in range(CLASSES):
            for j in range(CLASSES):
                pairs = [
                    math.dist(p, q) for k, (p, c) in enumerate(cells) for m, (q, d) in enumerate(cells)
                    if k != m and c == i and d == j
                ]  # fmt: skip
                assert bool(defined[b, i, j]) == bool(pairs)
                for r, radius in enumerate(RADII):
                    near = sum(1 / (1 + math.exp((d - radius) / SOFTNESS)) for d in pairs)
                    expected = math.sqrt((near * REGION**2 / len(pairs) + 1e-6) / math.pi) if pairs else 0
                    assert found[b, i, j, r].item() == pytest.approx(expected, rel=1e-9)


def test_padding_changes_no_statistic():
    narrow, wide = pattern([20, 9], width=24), pattern([20, 9], width=40)
    for one, other in zip(
        l_functions(narrow, CLASSES, RADII, REGION), l_functions(wide, CLASSES, RADII, REGION), strict=True
    ):
        assert torch.allclose(one, other)


def test_the_k_loss_is_zero_for_the_same_cells_and_its_gradient_is_that_of_differences():
    one, other = pattern([20, 9]), pattern([20, 9], seed=5)
    other = Pattern(other.points, one.labels, one.mask)
    assert k_loss(one, one, CLASSES, RADII, REGION) == 0
    x = other.points.clone().requires_grad_()
    loss = k_loss(Pattern(x, one.labels, one.mask), one, CLASSES, RADII, REGION)
    assert loss > 0.02
    loss.backward()
    for place in ((0, 3, 0), (1, 5, 1)):
        step = torch.zeros_like(x)
        step[place] = 1e-5
        with torch.no_grad():
            two = [k_loss(Pattern(x + s, one.labels, one.mask), one, CLASSES, RADII, REGION) for s in (step, -step)]
        assert x.grad[place].item() == pytest.approx(((two[0] - two[1]) / 2e-5).item(), rel=1e-3, abs=1e-7)


def test_the_hole_loss_is_zero_for_the_same_cells_one_without_holes_and_falls_along_its_gradient():
    one, other = pattern([22, 20]), pattern([22, 20], seed=5)
    wanted = diagrams(one, CLASSES)
    assert hole_loss(one, wanted, CLASSES) == pytest.approx(0, abs=1e-12)
    line = torch.linspace(0, REGION - 1, 24, dtype=torch.float64).expand(2, 24)
    flat = Pattern(torch.stack([line, torch.full_like(line, 30.0)], -1), one.labels, one.mask)
    size = np.array([((d[:, 1] - d[:, 0]) ** 2).sum() / 2 for d in wanted if len(d)])
    assert hole_loss(flat, wanted, CLASSES).item() == pytest.approx((size / np.maximum(size, 1)).mean())
    x = other.points.clone().requires_grad_()
    optimizer, losses = torch.optim.Adam([x], 0.3), []
    for _ in range(30):
        loss = hole_loss(Pattern(x, one.labels, one.mask), wanted, CLASSES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_description_names_counts_shape_and_the_largest_holes():
    one = pattern([22, 14])
    wanted = diagrams(one, CLASSES)
    found = describe(one, wanted, CLASSES, RADII, REGION)
    assert found.shape == (2, condition_size(CLASSES, len(RADII)))
    assert (50 * found[:, :CLASSES]).round().tolist() == layout_set(one).counts().tolist()
    union = alpha_diagrams(
        LayoutSet.build([Layout(x.points, np.zeros(len(x), np.uint8), x.size) for x in layout_set(one)], ("a",), 0.5), 0
    )
    assert found[:, -13].tolist() == pytest.approx([len(d) / 50 for d in union])
    assert found[0, -12].item() == pytest.approx((union[0][:, 1] - union[0][:, 0]).max() / 16, rel=1e-5)


# -- networks ---------------------------------------------------------------------------------------------------


def inputs(one, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = condition_size(CLASSES, len(RADII))
    condition = torch.randn(len(one.mask), size, generator=generator, dtype=torch.float64)
    return torch.randn(len(one.mask), 4, generator=generator, dtype=torch.float64), condition, one.labels, one.mask


def mover():
    torch.manual_seed(0)
    return PointMover(CLASSES, REGION, condition_size(CLASSES, len(RADII)), **SETTINGS["network"]).double()


@torch.no_grad()
def test_cells_stay_in_the_region_whatever_their_order_and_padding():
    model, one = mover(), pattern([20, 9])
    for parameter in model.parameters():
        parameter.mul_(3)
    placed = model(one.points, *inputs(one))
    assert (placed >= 0).all() and (placed <= REGION).all()
    assert (placed - one.points)[one.mask].norm(dim=1).max() > 2
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    noise, condition, labels, mask = inputs(one)
    moved = one.points.clone()
    moved[0, :20], labels = one.points[0, order], labels.clone()
    labels[0, :20] = one.labels[0, order]
    assert torch.allclose(model(moved, noise, condition, labels, mask)[0, :20], placed[0, order])
    wide = pattern([20, 9], width=40)
    assert torch.allclose(model(wide.points, noise, condition, wide.labels, wide.mask)[:, :9], placed[:, :9])


def test_places_are_mirrored_at_the_border():
    x = torch.tensor([-3.0, 0.0, 5.0, 64.0, 70.0, 131.0])
    assert mirrored(x, 64.0).tolist() == [3, 0, 5, 64, 58, 3]


def test_a_splatted_map_is_a_sum_of_bells():
    one = pattern([3])
    found = splat(one, CLASSES, REGION, 4, 3.0)
    y, x = np.meshgrid(np.arange(16) * 4 + 1.5, np.arange(16) * 4 + 1.5, indexing="ij")
    expected = np.zeros((CLASSES, 16, 16))
    for (py, px), label in zip(one.points[0, :3].tolist(), one.labels[0], strict=False):
        expected[label] += np.exp(-((y - py) ** 2 + (x - px) ** 2) / 18)
    assert found[0].numpy() == pytest.approx(expected)


@pytest.mark.parametrize("symmetry", EIGHT)
def test_splatted_maps_turn_with_the_cells(hard_points, turned, symmetry):
    points = hard_points(REGION, 40, symmetry).clip(0, REGION - 1)  # beyond the last centre a mirrored cell moves
    labels, mask = torch.arange(40)[None] % CLASSES, torch.ones(1, 40, dtype=torch.bool)
    one, other = (
        splat(Pattern(torch.from_numpy(where)[None], labels, mask), CLASSES, REGION, 4, 3.0)[0].numpy()
        for where in (points, transform(points, symmetry, REGION))
    )
    np.testing.assert_allclose(other, turned(one, symmetry), atol=1e-5)


def test_the_discriminator_hears_the_condition():
    torch.manual_seed(0)
    judge = Discriminator(CLASSES, 10, 8)
    maps = torch.rand(4, CLASSES, 16, 16)
    assert judge(maps, torch.zeros(4, 10)).shape == (4,)
    assert not torch.allclose(judge(maps, torch.zeros(4, 10)), judge(maps, torch.ones(4, 10)))


# -- training ---------------------------------------------------------------------------------------------------


def prepared():
    torch.manual_seed(0)
    return tmccg.prepare(read_recipe(SECTION), spaced(8, 0), None, CPU)


def test_each_player_is_trained_by_its_own_terms_alone():
    training = prepared()
    terms = training.loss(training.model, torch.Generator().manual_seed(0), 0)
    assert 0 <= terms["accuracy"] <= 1
    total = sum(terms[name] for name in ("discriminator", "adversarial", "k", "holes"))
    assert terms["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    sides = {name: list(getattr(training.model, name).parameters()) for name in ("generator", "discriminator")}
    for name, own, other in (
        ("discriminator", "discriminator", "generator"),
        ("adversarial", "generator", "discriminator"),
        ("k", "generator", "discriminator"),
        ("holes", "generator", "discriminator"),
    ):
        gradients = {
            side: torch.autograd.grad(terms[name], parameters, retain_graph=True, allow_unused=True)
            for side, parameters in sides.items()
        }
        assert sum(g.abs().sum() for g in gradients[own] if g is not None) > 0, name
        assert all(g is None for g in gradients[other]), name


@pytest.mark.slow
def test_players_stay_in_balance_and_the_statistics_come_nearer():
    training = prepared()
    optimizer, seen = torch.optim.AdamW(training.model.parameters(), 1e-2, weight_decay=0.0), []
    for step in range(45):
        terms = training.loss(training.model, torch.Generator().manual_seed(step), step)
        optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
        optimizer.step()
        seen.append([terms[name].item() for name in ("accuracy", "k", "holes")])
    first, last = np.mean(seen[:15], axis=0), np.mean(seen[-15:], axis=0)
    assert 0.1 < last[0] < 0.95
    assert last[1] < 0.7 * first[1]


def test_other_settings_are_refused():
    for change, message in (
        ({"density": {}}, "tmccg takes no density"),
        ({"losses": {}}, "train_layout.losses = .*: this key is unknown"),
        ({"settings": {**SETTINGS, "losses": {}}}, "generators tmccg.losses = .*: this key is unknown"),
        ({"settings": None}, "generators tmccg = None: Input should be a valid dictionary"),
    ):
        with pytest.raises(CellscaperError, match=message):
            tmccg.prepare(read_recipe({**SECTION, **change}), spaced(2, 0), None, CPU)


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setattr(tmccg.launch, "count", lambda: 2)
    with pytest.raises(CellscaperError, match="set gpu: 1"):
        prepared()


# -- drawing ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return prepared()


def drawn(trained, targets, seeds, batch=8):
    facts = {"section": trained.recipe.model_dump(mode="json"), **trained.facts}
    sampling, weights = tmccg.Sampling(batch=batch), trained.model.state_dict()
    made = tmccg.generate(Request(targets, seeds, sampling, targets[:0], REGION, weights=weights, facts=facts))
    assert made.arrays == {}
    return made.sets["points"]


def test_counts_are_exact_and_a_seed_gives_the_same_layout_in_any_batch(trained):
    targets = layout_set(pattern([20, 0, 9, 17], seed=3))
    whole = drawn(trained, targets, [5, 6, 7, 8])
    assert np.array_equal(whole.counts(), targets.counts())
    parts = [drawn(trained, targets[i : i + 1], [5 + i]) for i in range(4)]
    for i, one in enumerate(parts):
        assert np.array_equal(one.points, whole[i : i + 1].points)
    assert not np.array_equal(drawn(trained, targets, [9, 6, 7, 8]).points, whole.points)


def test_what_is_asked_for_is_the_nearest_training_crop_and_never_the_target(trained):
    """Targets with the same counts at other places are drawn alike."""
    one, other = pattern([20, 9], seed=3), pattern([20, 9], seed=4)
    same_counts = Pattern(other.points, one.labels, one.mask)
    assert np.array_equal(
        drawn(trained, layout_set(one), [1, 2]).points, drawn(trained, layout_set(same_counts), [1, 2]).points
    )
    counts = trained.model.bank_counts[7]
    found = tmccg._condition(trained.model, counts, np.random.default_rng(0))
    ties = (trained.model.bank_counts == counts).all(1)
    assert any(torch.allclose(found.float(), row) for row in trained.model.bank[ties])


def test_the_bank_holds_real_crops(trained):
    model = Tmccg(tmccg.Settings(**SETTINGS), CLASSES, REGION)
    assert model.bank.abs().sum() == 0
    assert trained.model.bank_counts.sum(1).min() > 5
    assert torch.allclose(50 * trained.model.bank[:, :CLASSES], trained.model.bank_counts)


def test_targets_of_another_region_are_refused(trained):
    wrong = LayoutSet.build(
        [Layout(np.zeros((1, 2), np.float32), np.zeros(1, np.uint8), (32, 64))], ("a", "b", "c"), 0.5
    )
    with pytest.raises(CellscaperError, match="64 px regions of 3 classes, asked for 32×64 px of 3"):
        sample_layouts(trained.model, wrong, [0], 4)
