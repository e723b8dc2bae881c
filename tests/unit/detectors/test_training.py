"""Targets, batches and loss of the U-Net detector, and that it learns."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cellscaper.detectors.peaks import detect
from cellscaper.detectors.training import BACKGROUND_WEIGHT, dot_targets, jitter, make_batch_loss, segmentation_loss
from cellscaper.detectors.unet import UNet, to_input
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.detection import detection_scores

SETTINGS = {"dot_radius": 3, "crop": 64, "synthetic_fraction": 0.25, "min_area": 5}
COLOURS = np.array([[70, 40, 120], [190, 70, 150], [110, 140, 190]])


def scene(seed: int, size: tuple[int, int] = (96, 80), cells: int = 22) -> tuple[np.ndarray, Layout]:
    """An image with a coloured disc for each cell on noisy pink, at least 9 px apart."""
    rng = np.random.default_rng(seed)
    points = np.zeros((0, 2))
    while len(points) < cells:
        new = rng.integers(0, size, 2)
        if (np.hypot(*(points - new).T) >= 9).all():
            points = np.concatenate([points, new[None]])
    labels = rng.integers(0, 3, cells).astype(np.uint8)
    image = np.full((*size, 3), (230, 205, 220)) + rng.normal(0, 12, (*size, 1))
    y, x = np.mgrid[: size[0], : size[1]]
    for (cy, cx), label in zip(points, labels, strict=True):
        image[np.hypot(y - cy, x - cx) <= 3.5] = COLOURS[label] + rng.normal(0, 10, 3)
    return image.clip(0, 255).astype(np.uint8), Layout(points.astype(np.float32), labels, size, f"scene {seed}")


def scenes(seeds: range, **options: object) -> tuple[list[np.ndarray], LayoutSet]:
    images, layouts = zip(*(scene(seed, **options) for seed in seeds), strict=True)  # type: ignore[arg-type]
    return list(images), LayoutSet.build(layouts, ("a", "b", "c"), 0.5)


class Recorder(nn.Module):
    """Keeps the images it sees and answers with logits for background."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(4))
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        return self.bias[:, None, None].expand(len(images), 4, *images.shape[2:])


# -- targets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False], ids=["integer", "anywhere"])
@pytest.mark.parametrize("radius", [1, 3, 4.5])
def test_targets_equal_brute_force(radius: float, whole: bool) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, (29.9, 39.9), (40, 2)).astype(np.float32)
    layout = Layout(np.floor(points) if whole else points, rng.integers(0, 3, 40).astype(np.uint8), (30, 40))
    expected = np.zeros((30, 40), np.uint8)
    for y in range(30):
        for x in range(40):
            distance = ((layout.points.astype(np.float64) - (y, x)) ** 2).sum(1)
            if distance.min() <= radius**2:
                expected[y, x] = layout.labels[distance.argmin()] + 1
    assert np.array_equal(dot_targets(layout, radius), expected)


def test_targets_of_an_image_without_cells_are_background() -> None:
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (7, 9))
    assert np.array_equal(dot_targets(empty, 3), np.zeros((7, 9)))


# -- loss -------------------------------------------------------------------------------------------------------


def test_loss_of_a_uniform_guess_and_of_the_truth() -> None:
    target = torch.zeros(2, 10, 10, dtype=torch.long)
    target[:, 2:5, 2:5] = 1
    target[:, 6:9, 6:9] = 2
    uniform = segmentation_loss(torch.zeros(2, 3, 10, 10), target)
    assert uniform["ce"].item() == pytest.approx(np.log(3), rel=1e-5)
    assert uniform["dice"].item() == pytest.approx(1 - (2 * 18 / 3 + 1) / (18 + 200 / 3 + 1), rel=1e-5)
    right = segmentation_loss(40 * nn.functional.one_hot(target, 3).movedim(-1, 1).float(), target)
    assert right["loss"].item() == pytest.approx(0, abs=1e-5)
    assert uniform["loss"].item() == pytest.approx((uniform["ce"] + uniform["dice"]).item())


def test_cross_entropy_weighs_background_less() -> None:
    target = torch.tensor([[[0, 1]]])
    logits = torch.tensor([[[[0.0, 0.0]], [[2.0, 0.0]]]])  # background pixel wrong by 2, cell pixel undecided
    wrong, undecided, w = np.log(1 + np.exp(2)), np.log(2), BACKGROUND_WEIGHT
    assert segmentation_loss(logits, target)["ce"].item() == pytest.approx((w * wrong + undecided) / (w + 1), rel=1e-5)
    assert w < 0.5


# -- batches ----------------------------------------------------------------------------------------------------


def test_a_batch_has_crops_of_the_right_size_and_gives_gradients() -> None:
    model = Recorder()
    losses = make_batch_loss(scenes(range(3)), None, SETTINGS)(model, torch.Generator().manual_seed(0), 5)
    assert losses.keys() == {"loss", "ce", "dice"}
    losses["loss"].backward()
    assert model.bias.grad is not None and model.bias.grad.abs().sum() > 0
    assert model.seen[0].shape == (5, 3, 64, 64)
    assert model.seen[0].min() >= -1 and model.seen[0].max() <= 1


def test_images_and_targets_move_together() -> None:
    """A network that reads the class off the colour must keep a low loss through all flips, turns and jitter."""

    class Oracle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, images: Tensor) -> Tensor:
            known = to_input(torch.tensor([[230, 205, 220], *COLOURS.tolist()]))
            return -60 * (images[:, None] - known[None, :, :, None, None]).square().sum(2)

    batch_loss = make_batch_loss(scenes(range(4)), None, {**SETTINGS, "dot_radius": 3.5})
    generator = torch.Generator().manual_seed(0)
    assert max(batch_loss(Oracle(), generator, 8)["dice"].item() for _ in range(5)) < 0.1


def test_the_generator_decides_the_batch() -> None:
    model = Recorder()
    batch_loss = make_batch_loss(scenes(range(3)), None, SETTINGS)
    for seed in (4, 4, 5):
        batch_loss(model, torch.Generator().manual_seed(seed), 3)
    assert torch.equal(model.seen[0], model.seen[1]) and not torch.equal(model.seen[0], model.seen[2])


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_synthetic_pairs_have_their_share(fraction: float) -> None:
    images, cells = scenes(range(2))
    dark = [np.zeros_like(image) for image in images]
    model = Recorder()
    batch_loss = make_batch_loss((images, cells), (dark, cells), {**SETTINGS, "synthetic_fraction": fraction})
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        batch_loss(model, generator, 20)
    share = torch.cat([seen.mean((1, 2, 3)) < -0.9 for seen in model.seen]).float().mean().item()
    assert share == pytest.approx(fraction, abs=4 * np.sqrt(fraction * (1 - fraction) / 400))


def test_jitter_scales_optical_density_and_is_mild() -> None:
    grey = torch.full((200, 3, 2, 2), 128.0)
    out = jitter(grey, torch.Generator().manual_seed(0))
    assert (out - out[:, :, :1, :1]).abs().max() < 1e-3  # the same change on a whole channel
    assert 5 < out[:, :, 0, 0].std() < 15
    assert (jitter(torch.zeros(3, 3, 2, 2), torch.Generator().manual_seed(0)) == 0).all()


def test_images_that_do_not_fit_their_layouts_or_the_crop_are_told() -> None:
    images, cells = scenes(range(2))
    with pytest.raises(CellscaperError, match="1 images and 2 layouts differ"):
        make_batch_loss((images[:1], cells), None, SETTINGS)
    with pytest.raises(CellscaperError, match="2 images and 2 layouts differ"):
        make_batch_loss(([image.transpose(1, 0, 2) for image in images], cells), None, SETTINGS)
    with pytest.raises(CellscaperError, match="layout scene 0 is 96×80"):
        make_batch_loss((images, cells), None, {**SETTINGS, "crop": 90})
    with pytest.raises(CellscaperError, match=r"synthetic_fraction 1\.5"):
        make_batch_loss((images, cells), (images, cells), {**SETTINGS, "synthetic_fraction": 1.5})


# -- learning ---------------------------------------------------------------------------------------------------


def test_it_learns_to_find_coloured_discs_in_unseen_scenes() -> None:
    torch.manual_seed(0)
    model = UNet(3, width=8, depth=3)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    batch_loss = make_batch_loss(scenes(range(6)), None, SETTINGS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        loss = batch_loss(model, generator, 4)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, cells = scenes(range(100, 104), size=(90, 110))
    found = [
        Layout(*detect(model, image, SETTINGS), one.size, one.source) for image, one in zip(images, cells, strict=True)
    ]
    f1 = detection_scores(cells, LayoutSet.build(found, cells.classes, 0.5))["f1"]
    assert min(f1.values()) > 0.8, f1
