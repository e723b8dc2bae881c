"""Training crops: owner maps, sizes, flips, shares, and what is refused."""

import numpy as np
import pytest
import torch

from cellscaper.detectors.data import TrainingData, cell_pixels, channels_first, dot_owners, to_input
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout
from cellscaper.views.symmetries import EIGHT, transform


def data_of(real, synthetic=None, crop=64, dot_radius=3, synthetic_fraction=0.25):
    return TrainingData(real, synthetic, crop, dot_radius, synthetic_fraction)


CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# -- owner maps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False], ids=["integer", "anywhere"])
@pytest.mark.parametrize("radius", [1, 3, 4.5])
def test_owners_equal_brute_force(radius: float, whole: bool) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, (29.9, 39.9), (40, 2)).astype(np.float32)
    layout = Layout(np.floor(points) if whole else points, np.zeros(40, np.uint8), (30, 40))
    expected = np.zeros((30, 40), int)
    for y in range(30):
        for x in range(40):
            distance = ((layout.points.astype(np.float64) - (y, x)) ** 2).sum(1)
            if distance.min() <= radius**2:
                expected[y, x] = distance.argmin() + 1
    assert np.array_equal(dot_owners(layout, radius), expected)


@pytest.mark.parametrize("symmetry", EIGHT)
@pytest.mark.parametrize("radius", [3, 4.5])
def test_owners_turn_with_the_cells(hard_points, turned, radius: float, symmetry: int) -> None:
    points = hard_points(40, 60, symmetry)
    points[7:30] = np.round(points[7:30] * 2) / 2  # equal distances to several cells
    points = points.clip(0, 39)  # a cell beyond the last pixel's centre moves to that centre when mirrored
    one, other = (Layout(p, np.zeros(60, np.uint8), (40, 40)) for p in (points, transform(points, symmetry, 40)))
    assert np.array_equal(dot_owners(other, radius), turned(dot_owners(one, radius), symmetry))


@pytest.mark.parametrize("symmetry", EIGHT)
def test_the_pixel_of_a_cell_is_the_nearest_and_turns_with_it(hard_points, nearest_centres, turned, symmetry) -> None:
    points = hard_points(40, 200, symmetry)
    pixels, other = (
        np.stack(cell_pixels(Layout(p, np.zeros(200, np.uint8), (40, 40))), axis=1)
        for p in (points, transform(points, symmetry, 40))
    )
    assert np.array_equal(pixels, nearest_centres(points, 40))
    number = np.arange(1600).reshape(40, 40)
    assert np.array_equal(turned(number, symmetry)[tuple(other.T)], number[tuple(pixels.T)])


def test_an_image_without_cells_has_no_owners() -> None:
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (7, 9))
    assert np.array_equal(dot_owners(empty, 3), np.zeros((7, 9)))


# -- batches ----------------------------------------------------------------------------------------------------


def test_a_batch_has_crops_of_the_right_size_on_the_networks_range(scenes) -> None:
    inputs, owners = data_of(scenes(range(3))).draw(5, seeded()).on(CPU)
    assert inputs.shape == (5, 3, 64, 64) and owners.shape == (5, 64, 64)
    assert inputs.min() >= -1 and inputs.max() <= 1
    assert owners.dtype == torch.int64 and owners.min() == 0 and owners.max() <= 3 * 22


def test_images_and_owners_move_together(scenes, colours) -> None:
    """Every pixel of a disc keeps the colour of its cell's class through all flips, turns and jitter."""
    images, cells = scenes(range(4))
    data = data_of((images, cells), dot_radius=2)
    known = to_input(torch.from_numpy(colours).float())
    generator = seeded()
    for _ in range(4):
        inputs, owners = data.draw(8, generator).on(CPU)
        inside = owners > 0
        seen = inputs.movedim(1, -1)[inside]
        nearest = (seen[:, None] - known).square().sum(-1).argmin(1)
        assert (nearest == data.labels[owners[inside] - 1]).float().mean() > 0.97


def test_the_generator_decides_the_batch(scenes) -> None:
    data = data_of(scenes(range(3)))
    one, same, other = (data.draw(3, seeded(seed)).on(CPU)[0] for seed in (4, 4, 5))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_synthetic_pairs_have_their_share_and_owners_of_their_own(scenes, fraction: float) -> None:
    images, cells = scenes(range(2))
    dark = [np.zeros_like(image) for image in images]
    data = data_of((images, cells), (dark, cells), synthetic_fraction=fraction)
    assert torch.equal(data.labels[:44], data.labels[44:]) and len(data.images) == len(data.layouts) == 4
    assert data.real_images == 2
    generator, shares = seeded(), []
    for _ in range(20):
        inputs, owners = data.draw(20, generator).on(CPU)
        synthetic = inputs.mean((1, 2, 3)) < -0.6
        shares.append(synthetic.float().mean().item())
        for made, one in zip(synthetic.tolist(), owners, strict=True):
            assert ((one[one > 0] > 44) == made).all()
    assert np.mean(shares) == pytest.approx(fraction, abs=4 * np.sqrt(fraction * (1 - fraction) / 400))


def test_images_below_the_crop_stand_on_glass(scenes) -> None:
    images, cells = scenes(range(2))  # 96 × 80 px
    data = data_of((images, cells), crop=120)
    inputs, owners = data.draw(6, seeded()).on(CPU)
    assert inputs.shape[2:] == (120, 120)
    glass = (inputs > 0.8).all(1)
    assert (glass.float().mean((1, 2)) > 0.4).all()  # 1 − 96·80 / 120² = 0.47, less jitter
    assert owners[glass].max() == 0
    assert all(len(np.unique(one[one > 0])) == 22 for one in owners)


def test_images_that_do_not_fit_their_layouts_are_told(scenes) -> None:
    images, cells = scenes(range(2))
    with pytest.raises(CellscaperError, match="1 images and 2 layouts differ"):
        data_of((images[:1], cells))
    with pytest.raises(CellscaperError, match="2 images and 2 layouts differ"):
        data_of(([image.transpose(1, 0, 2) for image in images], cells))
    with pytest.raises(CellscaperError, match=r"synthetic_fraction 1\.5"):
        data_of((images, cells), (images, cells), synthetic_fraction=1.5)


def test_channels_first_and_input_range() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert channels_first(image)[1].tolist() == [[1, 4, 7, 10], [13, 16, 19, 22]]
    assert to_input(torch.tensor([0, 255])).tolist() == [-1, 1]
