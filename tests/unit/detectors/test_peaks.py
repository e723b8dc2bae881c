"""Probability maps → cells, on maps made by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cellscaper.detectors import unet
from cellscaper.detectors.mcspatnet_network import MCSpatNet
from cellscaper.detectors.peaks import OVERLAP, cells_from_detection, cells_from_probabilities, detect, image_maps
from cellscaper.detectors.unet import UNet

AREA = 4  # px²


def blobs(cells: list[tuple[int, int, int, float]], classes: int = 3, size: tuple[int, int] = (60, 90)) -> np.ndarray:
    """Probabilities (C + 1, H, W) with a disc of radius 3 for each (y, x, label, certainty)."""
    y, x = np.mgrid[: size[0], : size[1]]
    probability = np.zeros((classes + 1, *size))
    for cy, cx, label, certainty in cells:
        probability[label + 1][np.hypot(y - cy, x - cx) <= 3] = certainty
    probability[0] = 1 - probability[1:].sum(0)
    return probability


def test_each_disc_becomes_one_cell_of_its_class_at_its_centre() -> None:
    points, labels = cells_from_probabilities(blobs([(10, 70, 2, 0.9), (40, 15, 0, 0.7), (50, 80, 2, 0.6)]), AREA)
    assert points.dtype == np.float32 and labels.dtype == np.uint8
    assert points.tolist() == [[40, 15], [10, 70], [50, 80]]
    assert labels.tolist() == [0, 2, 2]


def test_background_wins_where_it_is_most_probable() -> None:
    assert len(cells_from_probabilities(blobs([(10, 70, 2, 0.45)]), AREA)[1]) == 0


def test_the_most_probable_class_takes_the_pixel_so_a_cell_has_one_class() -> None:
    probability = blobs([(20, 20, 0, 0.35)])
    probability[2] += 0.5 * (probability[1] > 0)
    probability[0] -= 0.5 * (probability[1] > 0)
    points, labels = cells_from_probabilities(probability, AREA)
    assert labels.tolist() == [1] and points.tolist() == [[20, 20]]


@pytest.mark.parametrize(("area", "kept"), [(3, 0), (4, 1)])
def test_regions_below_the_least_area_are_dropped(area: int, kept: int) -> None:
    probability = np.zeros((2, 20, 20))
    probability[0] = 0.4
    probability[1, 5, 5 : 5 + area] = 0.6
    assert len(cells_from_probabilities(probability, AREA)[0]) == kept


def test_a_region_centred_between_pixels_has_the_class_of_the_second() -> None:
    """Four pixels around (y + ½, x + ½): ties go up, for even and odd y and x alike."""
    for y, x in ((10, 20), (11, 20), (10, 21), (11, 21)):
        maps = np.zeros((3, 40, 60))
        maps[0, y : y + 2, x : x + 2] = 0.9
        maps[1], maps[2, y + 1, x + 1] = 0.5, 0.6
        points, labels = cells_from_detection(maps, 0.5, AREA)
        assert points.tolist() == [[y + 0.5, x + 0.5]] and labels.tolist() == [1]


def test_a_detected_region_has_the_class_at_its_centre() -> None:
    y, x = np.mgrid[:40, :60]
    maps = np.zeros((4, 40, 60))
    maps[0][np.hypot(y - 10, x - 50) <= 3] = 0.9
    maps[0][np.hypot(y - 30, x - 20) <= 3] = 0.6
    maps[0][20:22, 5] = 0.8  # 2 px²
    maps[1], maps[2] = 0.4, 0.3
    maps[3][:, 40:] = 0.7
    points, labels = cells_from_detection(maps, 0.5, AREA)
    assert points.tolist() == [[10, 50], [30, 20]] and labels.tolist() == [2, 0]
    assert points.dtype == np.float32 and labels.dtype == np.uint8
    none = cells_from_detection(np.zeros((4, 9, 9)), 0.5, AREA)
    assert none[0].shape == (0, 2) and none[1].shape == (0,)


def test_no_cells_is_no_special_case() -> None:
    points, labels = cells_from_probabilities(blobs([]), AREA)
    assert points.shape == (0, 2) and labels.shape == (0,)


class Local(nn.Module):
    """Looks 4 px far."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Conv2d(3, 4, 9, padding=4)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(150, 97), (64, 65), (40, 200), (112, 48)])
def test_tiles_equal_one_pass_everywhere(height: int, width: int) -> None:
    image, model = picture(height, width), Local()
    whole = image_maps(model, image)
    assert whole.shape == (4, height, width)
    np.testing.assert_allclose(image_maps(model, image, tile=64, overlap=16), whole, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [lambda: UNet(2, width=4, depth=4), lambda: MCSpatNet(2, 1, 1, 0.05, "none", 0.0)],
    ids=["unet", "mcspatnet"],
)
def test_the_overlap_covers_what_a_network_sees(build) -> None:
    torch.manual_seed(0)
    model = build().eval()
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = lambda x: x  # type: ignore[method-assign]
        if isinstance(module, nn.Conv2d):
            nn.init.orthogonal_(module.weight, 1.5)
    image = picture(320, 700)
    whole = image_maps(model, image)
    assert whole.std(axis=(1, 2)).min() > 0.01
    scale = np.abs(whole).max()
    np.testing.assert_allclose(image_maps(model, image, tile=384, overlap=OVERLAP) / scale, whole / scale, atol=1e-5)


class Painted(nn.Module):
    """Takes strong colour channels for classes."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(images[:, :1]), 10 * images], dim=1)


def test_detect_gives_cells_of_an_image_by_row_and_column() -> None:
    image = np.zeros((40, 70, 3), np.uint8)
    image[8:13, 50:55, 2] = 255
    image[30:33, 20:23, 0] = 255
    settings = unet.Settings(min_area=AREA)
    points, labels = detect(unet.maps, unet.cells, Painted(), image, settings)
    assert points.tolist() == [[31, 21], [10, 52]] and labels.tolist() == [0, 2]
    assert np.array_equal(detect(unet.maps, unet.cells, Painted(), torch.from_numpy(image), settings)[0], points)
