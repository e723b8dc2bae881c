"""MCSpatNet: losses, sub-classes, what it remembers, when it looks at validation images, and that it learns."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn

from cellscaper.detectors import mcspatnet
from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.kfunction import cross_k
from cellscaper.detectors.mcspatnet import Settings, as_vector, build, intervals, k_error, losses
from cellscaper.detectors.mcspatnet_network import K_SCALE, MCSpatNet
from cellscaper.detectors.peaks import detect
from cellscaper.detectors.subclasses import cluster, features_at_cells
from cellscaper.detectors.training import Validation
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import read

FEW = {
    "width": 0.125,
    "norm": "group",
    "init": "he",
    "dropout": 0.2,
    "dice": "dots",
    "clusters": 2,
    "radii": [0, 15, 30],
    "epoch": 3,
    "dot_radius": 3,
    "crop": 64,
    "min_area": 5,
    "training": {"batch": 2, "steps": 9, "lr": 3e-3},
}
CPU = torch.device("cpu")


def settings(**changes) -> Settings:
    return read(Settings, {**FEW, **changes}, "detectors mcspatnet")


def data_of(pairs) -> TrainingData:
    return TrainingData(pairs, None, crop=64, dot_radius=3)


def small(**changes) -> MCSpatNet:
    torch.manual_seed(0)
    return build(settings(**changes), 3)


# -- settings and weights ---------------------------------------------------------------------------------------


def test_settings_that_make_no_network_are_refused():
    with pytest.raises(CellscaperError, match=r"mcspatnet\.clusters = 0: .*greater than or equal to 1"):
        small(clusters=0)


def test_narrow_networks_are_he_initialised_and_the_facts_say_so(scenes, capsys):
    data = data_of(scenes(range(1)))
    training = mcspatnet.training(small(), settings(init="imagenet"), data, Validation(*scenes(range(1))))
    assert training.finish(training.module.state_dict())[1]["initialised"] == "he"
    assert "width 1 only" in capsys.readouterr().err


# -- losses -----------------------------------------------------------------------------------------------------


def perfect(model, owners, labels, subclasses, k):
    """Outputs that say just what the targets say."""
    cell, inside = (owners - 1).clamp(min=0), owners > 0
    parts = [torch.where(inside, 40.0, -40.0)[:, None]]
    for values, n in ((labels, 3), (subclasses, 6)):
        parts.append(80 * nn.functional.one_hot(values[cell], n).movedim(-1, 1).float())
    parts.append(k[cell].movedim(-1, 1).sqrt())
    return torch.cat(parts, dim=1)


@pytest.fixture
def targets():
    owners = torch.zeros(2, 12, 12, dtype=torch.long)
    owners[0, 2:5, 2:5], owners[0, 7:10, 2:5], owners[1, 4:7, 6:9] = 1, 2, 3
    labels, subclasses = torch.tensor([0, 2, 2]), torch.tensor([1, 4, 5])
    return owners, labels, subclasses, torch.rand(3, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dice", ["pooled", "dots"])
def test_losses_of_the_truth_and_of_what_differs_from_it(targets, dice):
    model = small()
    right = perfect(model, *targets)
    terms = losses(model, right, *targets, dice)
    assert terms["dice_detection"].item() == pytest.approx(0, abs=1e-5)
    assert terms["k"].item() == pytest.approx(0, abs=1e-6)
    # a softmax has no background: outside the dots each pixel adds p² = 1 to the pooled sum, as in the reference
    expected = {"pooled": 1 - (2 * 27 + 1) / (288 + 27 + 1), "dots": 0}[dice]
    assert terms["dice_class"].item() == pytest.approx(expected, abs=1e-5)
    assert terms["dice_subclass"].item() == pytest.approx(expected, abs=1e-5)
    wrong = right.clone()
    wrong[:, 10:] = (right[:, 10:].square() + 0.25).sqrt()
    outside = right.clone()
    outside[:, 10:][(targets[0] == 0)[:, None].expand(-1, 9, -1, -1)] = 7.0
    assert losses(model, wrong, *targets, dice)["k"].item() == pytest.approx(0.25, abs=1e-5)
    assert losses(model, outside, *targets, dice)["k"].item() == pytest.approx(0, abs=1e-6)  # only inside the dots
    total = losses(model, wrong, *targets, dice)
    assert total["loss"].item() == pytest.approx(sum(v.item() for n, v in total.items() if n != "loss"), rel=1e-6)


def test_dice_by_dots_is_the_mean_over_classes_and_pooled_is_not(targets):
    """Class 2 has two of three dots; naming every cell 2 costs 1 − 1/(9 + 1) for class 0 and little for class 2."""
    model = small()
    owners, labels, subclasses, k = targets
    outputs = perfect(model, owners, torch.full_like(labels, 2), subclasses, k)
    found = losses(model, outputs, *targets, "dots")["dice_class"].item()
    assert found == pytest.approx((1 - 1 / 10 + 0 + 1 - (2 * 18 + 1) / (27 + 18 + 1)) / 3, abs=1e-5)


def test_crops_without_cells_have_finite_losses(targets):
    model = small()
    owners, *rest = targets
    terms = losses(model, torch.randn(2, 19, 12, 12, requires_grad=True), torch.zeros_like(owners), *rest, "pooled")
    assert terms["k"].item() == 0 and torch.isfinite(terms["loss"])
    terms["loss"].backward()


# -- sub-classes ------------------------------------------------------------------------------------------------


class Reds(nn.Module):
    """Features are the pixel's colours."""

    def cell_features(self, images):
        return images


def test_sub_classes_are_the_clusters_of_what_is_seen_at_the_cells(scenes):
    images, cells = scenes(range(3))
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, len(cells.labels))
    for i, (image, layout) in enumerate(zip(images, cells, strict=True)):
        y, x = layout.points.astype(int).T
        image[y, x] = np.where(kind[cells.offsets[i] : cells.offsets[i + 1], None] == 1, 250, 10)
    data = data_of((images, cells))
    model, centroids = Reds(), torch.full((3, 2, 3), float("nan"))
    assert features_at_cells(model, data, CPU).shape == (66, 3)
    found = cluster(model, data, centroids).numpy()
    assert (found // 2 == cells.labels).all()
    for label in range(3):
        own = cells.labels == label
        assert adjusted_rand_score(kind[own], found[own]) == 1
        assert sorted(centroids[label].mean(1).tolist()) == pytest.approx([-0.92, 0.96], abs=0.02)
    assert np.array_equal(cluster(model, data, centroids), found)  # from the last centroids the names stay
    flipped = centroids.flip(1).clone()
    assert np.array_equal(cluster(model, data, flipped) % 2, 1 - found % 2)


def test_classes_with_fewer_cells_than_clusters(scenes):
    images, cells = scenes(range(1), cells=4)
    centroids = torch.full((3, 5, 3), float("nan"))
    found = cluster(Reds(), data_of((images, cells)), centroids)
    assert (found // 5 == torch.from_numpy(cells.labels)).all()
    for _ in range(2):
        assert torch.equal(cluster(Reds(), data_of((images, cells)), centroids), found)


# -- training ---------------------------------------------------------------------------------------------------


def test_the_k_error_is_that_of_the_head_at_the_cells(scenes):
    class Constant(MCSpatNet):
        def forward(self, images, heads=(0, 1, 2, 3)):
            return super().forward(images) * 0 + 0.5

    torch.manual_seed(0)
    model = Constant(3, 2, 3, 0.125, "group", 0.0)
    images, cells = scenes(range(2))
    wanted = np.concatenate([cross_k(one.points, one.labels, 3, one.size, [0, 15, 30]) for one in cells])
    expected = np.abs(K_SCALE * 0.25 - wanted).mean()
    assert k_error(model, Validation(images, cells), [0, 15, 30], CPU) == pytest.approx(expected, rel=1e-5)


def made(scenes, **changes):
    return mcspatnet.training(
        small(), settings(**changes), data_of(scenes(range(4))), Validation(*scenes(range(100, 102)))
    )


def run(training, start, stop, lr=3e-3):
    """Plain steps, each from its own generator."""
    optimizer = torch.optim.Adam(training.module.net.parameters(), lr)
    for step in range(start, stop):
        torch.manual_seed(step)
        terms = training.loss(training.module, torch.Generator().manual_seed(step), step)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        training.on_step(step + 1, training.module)
    return terms


@pytest.mark.slow
def test_sub_classes_and_best_weights_are_part_of_the_state(scenes):
    """Taken up in the middle of an epoch from the state dict alone, the losses of a step are the same."""
    first = made(scenes)
    run(first, 0, 4)
    state = {name: value.clone() for name, value in first.module.state_dict().items()}
    again = made(scenes)
    again.module.load_state_dict(state)
    terms = [run(one, 4, 5) for one in (first, again)]
    assert all(torch.equal(terms[0][name], terms[1][name]) for name in terms[0])
    assert first.module.subclass.max() > 0 and not torch.isnan(first.module.centroids).any()


@pytest.mark.slow
def test_the_best_validation_is_kept(scenes, monkeypatch):
    values = iter([0.0, 0.3, 0.6, 0.5])  # before the first step, after steps 3, 6 and 9
    monkeypatch.setattr(Validation, "f1", lambda self, found: next(values))
    training = made(scenes)
    run(training, 0, 6)
    kept = [p.detach().clone() for p in training.module.net.parameters()]
    terms = run(training, 6, 9)
    assert terms["val_f1"] == 0.6  # the last one known in that step
    weights, facts = training.finish(training.module.state_dict())
    assert facts["val_f1"] == pytest.approx(0.6) and facts["best_step"] == 6
    fresh = small()
    fresh.load_state_dict(weights)
    assert all(torch.equal(one, two) for one, two in zip(fresh.parameters(), kept, strict=True))


def looks_and_renewals(scenes, monkeypatch, pairs, steps, **changes):
    """Steps after which a training of 4 real images and so many pairs looks at the validation images, and renews."""
    looks, renewals, now = [], [], [0]
    monkeypatch.setattr(Validation, "f1", lambda self, found: looks.append(now[0]) or 0.5)
    monkeypatch.setattr(mcspatnet, "k_error", lambda *given: 0.0)
    monkeypatch.setattr(mcspatnet, "cluster", lambda model, data, _: renewals.append(now[0]) or data.labels * 2)
    chosen = settings(training={"batch": 2, "steps": steps, "lr": 3e-3}, **changes)
    synthetic = scenes(range(10, 10 + pairs)) if pairs else None
    data = TrainingData(scenes(range(4)), synthetic, crop=64, dot_radius=3, synthetic_fraction=0.5)
    training = mcspatnet.training(small(), chosen, data, Validation(*scenes(range(100, 101))))
    training.loss(training.module, torch.Generator().manual_seed(0), 0)
    for now[0] in range(1, steps + 1):
        training.on_step(now[0], training.module)
    return looks, renewals


@pytest.mark.parametrize("pairs", [0, 3, 12])
def test_by_default_all_rows_have_equally_many_looks_at_validation(scenes, monkeypatch, pairs):
    """Every 4 real images / 2 crops a step, whatever pairs are added; the best of more looks is better by chance."""
    looks, renewals = looks_and_renewals(scenes, monkeypatch, pairs, 20, epoch=None)
    assert looks == list(range(0, 21, 2))
    assert renewals == {0: list(range(0, 20, 2)), 3: [0, 4, 8, 12, 16], 12: [0, 8, 16]}[pairs]


def test_an_epoch_that_is_given_decides_the_looks(scenes, monkeypatch):
    looks, renewals = looks_and_renewals(scenes, monkeypatch, 12, 20, epoch=3)
    assert looks == [0, 3, 6, 9, 12, 15, 18, 20]
    assert renewals == [0, 9, 18]  # 16 images are 8 steps, the next look comes after 9
    data = TrainingData(scenes(range(4)), scenes(range(4, 9)), crop=64, dot_radius=3, synthetic_fraction=0.5)
    assert intervals(settings(epoch=100), data) == (100, 100)
    assert intervals(settings(epoch=None, training={"batch": 3, "steps": 9, "lr": 3e-3}), data) == (2, 4)


def test_best_weights_are_kept_in_any_memory_format():
    """On a GPU the trainer makes the weights channels-last."""
    plain, other = small(), small().to(memory_format=torch.channels_last)
    assert torch.equal(as_vector(plain), as_vector(other))
    fresh = small(norm="group")
    nn.utils.vector_to_parameters(2 * as_vector(other), fresh.to(memory_format=torch.channels_last).parameters())
    assert all(torch.equal(2 * one, two) for one, two in zip(plain.parameters(), fresh.parameters(), strict=True))


@pytest.mark.slow
def test_images_without_a_cell_take_part(scenes):
    images, cells = scenes(range(3))
    none = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), cells.layout(0).size, "empty")
    with_empty = LayoutSet.build([none, *cells[1:]], cells.classes, 0.5)
    data = data_of((images, with_empty))
    training = mcspatnet.training(small(), settings(), data, Validation(images[:2], with_empty[:2]))
    assert torch.isfinite(run(training, 0, 3)["loss"])


def test_averaged_weights_are_refused(scenes):
    with pytest.raises(CellscaperError, match="set its training.ema to 0"):
        made(scenes, training={"batch": 1, "steps": 2, "lr": 3e-3, "ema": 0.9})


@pytest.mark.slow
def test_it_learns_to_find_and_name_coloured_discs_and_their_surroundings(scenes):
    chosen = settings(training={"batch": 4, "steps": 60, "lr": 5e-3}, epoch=30)
    training = mcspatnet.training(small(), chosen, data_of(scenes(range(6))), Validation(*scenes(range(100, 103))))
    before = training.loss(training.module, torch.Generator().manual_seed(0), 0)["val_k"].item()
    run(training, 0, 60, 5e-3)
    weights, facts = training.finish(training.module.state_dict())
    assert facts["val_f1"] > 0.85, facts
    assert training.module.val_k < 0.7 * before
    model = small()
    model.load_state_dict(weights)
    images, cells = scenes(range(100, 103))
    found = partial(detect, mcspatnet.maps, mcspatnet.cells, model.eval(), settings=chosen)
    assert Validation(images, cells).f1(found) == pytest.approx(facts["val_f1"])
