"""The decoupled detector: how cells are read from its maps, its loss, its symmetries, and that it learns."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cellscaper.detectors import decoupled, unet
from cellscaper.detectors.data import TrainingData
from cellscaper.detectors.decoupled import Settings, build, class_weights, loss_apart
from cellscaper.detectors.training import Validation
from cellscaper.training.settings import Training

SETTINGS = Settings(width=4, depth=2, crop=64, smooth=1.5, threshold=0.4, training=Training(steps=60, lr=5e-3, batch=4))


def bumps(places: list[tuple[float, float]], size: tuple[int, int], sd: float = 2.0) -> np.ndarray:
    """The highest of Gaussians of height 1 at the places."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.max([np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * sd**2)) for a, b in places], axis=0)


def test_cells_are_the_peaks_and_have_the_class_around_them() -> None:
    places = [(10, 10), (10, 18), (30, 40), (47, 3)]
    centre = bumps(places, (50, 60))
    names = np.full((2, 50, 60), 0.5)
    names[0, :, :14], names[0, :, 14:] = 0.8, 0.3
    names[1] = 1 - names[0]
    points, labels = decoupled.cells(np.concatenate([centre[None], names]), SETTINGS)
    order = np.lexsort(points.T[::-1])
    assert np.abs(points[order] - sorted(places)).max() <= 1  # 1 at the border, which cuts the Gaussian off
    assert labels[order].tolist() == [0, 1, 1, 0]


def test_of_peaks_nearer_than_the_gap_the_higher_one_stays() -> None:
    centre = np.zeros((30, 30))
    centre[10, 10], centre[10, 13], centre[10, 20] = 30, 29, 28  # so high that the Gaussian leaves them above
    two = np.concatenate([centre[None], np.ones((1, 30, 30))])
    assert decoupled.cells(two, SETTINGS.model_copy(update={"smooth": 0.3}))[0].tolist() == [[10, 10], [10, 20]]


def test_equal_heights_side_by_side_are_one_cell_between_them() -> None:
    centre = np.zeros((20, 20))
    centre[5, 5:7] = 40
    (point,), _ = decoupled.cells(np.concatenate([centre[None], np.ones((1, 20, 20))]), SETTINGS)
    assert point[0] == 5 and 5 <= point[1] <= 6


def test_nothing_above_the_threshold_is_no_cell() -> None:
    points, labels = decoupled.cells(np.full((3, 16, 16), 0.3), SETTINGS)
    assert points.shape == (0, 2) and labels.shape == (0,)


def test_weights_of_classes() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    assert class_weights(labels, 3, 0.0).tolist() == [1, 1, 0]
    rare = class_weights(labels, 3, 0.5)
    assert rare[1] / rare[0] == pytest.approx(3)
    assert rare[labels].mean().item() == pytest.approx(1)
    assert class_weights(labels, 2, 1.0)[labels].reshape(-1)[:90].sum().item() == pytest.approx(50)


def test_loss_apart_of_a_guess_written_out_and_of_the_truth() -> None:
    is_cell = torch.zeros(1, 10, 10, dtype=torch.bool)
    is_cell[0, 2:5, 2:5] = True
    is_cell[0, 7, 7] = True
    label = torch.zeros(1, 10, 10, dtype=torch.long)
    label[0, 7, 7] = 1
    weights = torch.tensor([0.5, 4.0])
    logits = torch.zeros(1, 3, 10, 10)
    logits[0, 1] = 1.0
    found = loss_apart(logits, is_cell, label, weights)
    centre = np.log(2) + 1 - (2 * 5 + 1) / (50 + 10 + 1)
    right, wrong = np.log1p(np.exp(-1)), np.log1p(np.exp(1))
    name = (9 * 0.5 * right + 4 * wrong) / (9 * 0.5 + 4)
    assert found["centre"].item() == pytest.approx(centre, rel=1e-5)
    assert found["name"].item() == pytest.approx(name, rel=1e-5)
    assert found["loss"].item() == pytest.approx(centre + name, rel=1e-5)
    truth = torch.cat([torch.where(is_cell, 40.0, -40.0)[:, None], 40 * F.one_hot(label, 2).movedim(-1, 1)], 1)
    assert loss_apart(truth, is_cell, label, weights)["loss"].item() == pytest.approx(0, abs=1e-5)


def test_pixels_without_a_cell_do_not_teach_names() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    is_cell = torch.zeros(1, 8, 8, dtype=torch.bool)
    is_cell[0, 3, 3] = True
    loss = loss_apart(logits, is_cell, torch.zeros(1, 8, 8, dtype=torch.long), torch.ones(2))["name"]
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.nonzero(gradient[:, 1:].abs().sum((0, 1))).tolist() == [[3, 3]]


@torch.inference_mode()
@pytest.mark.parametrize("loss", ["joint", "apart"])
def test_maps_are_the_probabilities_that_the_loss_teaches(loss: str) -> None:
    torch.manual_seed(1)
    model = build(SETTINGS.model_copy(update={"loss": loss}), 3).eval()
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    cell, names = decoupled.maps(model, image).split([1, 3], 1)
    logits = model(image)
    if loss == "apart":
        assert torch.allclose(cell, torch.sigmoid(logits[:, :1]))
        assert torch.allclose(names, F.softmax(logits[:, 1:], 1))
    else:  # the maps of the plain U-Net: P(class) = P(cell) · P(class | cell)
        assert torch.allclose(cell * names, F.softmax(logits, 1)[:, 1:], atol=1e-6)
        assert torch.allclose(1 - cell, F.softmax(logits, 1)[:, :1], atol=1e-6)


def test_joint_loss_is_the_plain_u_nets_on_the_same_crops(scenes) -> None:
    torch.manual_seed(0)
    model, pairs = build(SETTINGS, 3), scenes(range(3))
    data = TrainingData(pairs, None, SETTINGS.crop, SETTINGS.dot_radius)
    plain = unet.Settings(width=4, depth=2, crop=64, training=SETTINGS.training)
    validation = Validation(*scenes(range(100, 101)))
    losses = [
        made.loss(model, torch.Generator().manual_seed(5), 0)["loss"].item()
        for made in (
            decoupled.training(model, SETTINGS, data, validation),
            unet.training(model, plain, data, validation),
        )
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@torch.inference_mode()
def test_maps_with_symmetries_turn_and_flip_with_the_image() -> None:
    torch.manual_seed(0)
    model = build(SETTINGS.model_copy(update={"symmetries": True}), 2).eval()
    image = torch.rand(1, 3, 32, 48) * 2 - 1
    whole = decoupled.maps(model, image)
    assert torch.allclose(whole.sum(1) - whole[:, 0], torch.ones(1, 32, 48))
    for change in (lambda x: x.flip(-1), lambda x: torch.rot90(x, 1, (-2, -1)), lambda x: x.mT):
        assert torch.allclose(decoupled.maps(model, change(image)), change(whole), atol=1e-5)
    model.symmetries = False
    assert not torch.allclose(decoupled.maps(model, image), whole, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["joint", "apart"])
def test_it_learns_to_find_and_name_coloured_discs_in_unseen_scenes(scenes, loss: str) -> None:
    torch.manual_seed(0)
    reading = {"smooth": 2.0, "threshold": 0.55} if loss == "joint" else {}
    settings = SETTINGS.model_copy(update={"width": 8, "depth": 3, "loss": loss, **reading})
    model = build(settings, 3)
    validation = Validation(*scenes(range(100, 104), size=(90, 110)))
    data = TrainingData(scenes(range(6)), None, SETTINGS.crop, SETTINGS.dot_radius)
    training = decoupled.training(model, settings, data, validation)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(60):
        optimizer.zero_grad()
        training.loss(model, generator, step)["loss"].backward()
        optimizer.step()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    weights, facts = training.finish(before)
    assert facts["val_f1"] > 0.8
    assert facts["named"] > 100 and weights["second.learned"]
    same = [torch.equal(before[name], one) for name, one in weights.items() if name.startswith("trunk")]
    assert same and all(same)  # the second pass alone has learned since


def test_without_the_second_pass_the_first_network_is_the_same() -> None:
    nets = []
    for second in (False, True):
        torch.manual_seed(0)
        nets.append(build(SETTINGS.model_copy(update={"auto_context": second}), 2).state_dict())
    assert [name for name in nets[1] if name not in nets[0]] == [name for name in nets[1] if name.startswith("second.")]
    assert all(torch.equal(one, nets[1][name]) for name, one in nets[0].items())
