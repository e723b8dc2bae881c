"""Copied pixels and nearest crops on images whose copies are known."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.metrics.copied_pixels import copied_pixels, turn_image
from cellscaper.metrics.image_copies import Settings, image_copies
from cellscaper.metrics.nearest_images import TrainingCrops, nearness


def noise(seed, height=96, width=80):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("symmetry", range(8))
def test_a_pasted_piece_is_found_in_every_symmetry(symmetry):
    train, image = [noise(1), noise(2)], noise(3)
    image[20:50, 10:60] = turn_image(train[1], symmetry)[30:60, 5:55]
    (found,) = copied_pixels([image], train)
    assert found.piece == found.all == 30 * 50 / image[..., 0].size
    piece = found.largest
    assert piece.box == (20, 10, 50, 60) and piece.source == 1
    (top, left), (y, x) = piece.box[:2], piece.corner
    there = turn_image(train[piece.source], piece.symmetry)[y : y + 30, x : x + 50]
    assert np.array_equal(there, image[top : top + 30, left : left + 50])


def test_all_pieces_count_together_and_small_ones_are_chance():
    train, image = [noise(1), noise(2)], noise(3)
    image[:40, :40] = train[0][50:90, 30:70]
    image[60:80, 60:80] = train[1][:20, :20]
    image[50:57, :7] = train[1][:7, :7]  # 49 pixels
    (found,) = copied_pixels([image], train)
    assert found.piece == 1600 / image[..., 0].size
    assert found.all == 2000 / image[..., 0].size


def test_glass_and_other_stains_are_no_copies():
    white = np.full((64, 64, 3), 255, np.uint8)
    assert copied_pixels([white], [white])[0].all == 0
    assert copied_pixels([noise(1) // 2], [noise(1)])[0].all == 0
    assert copied_pixels([noise(1)[:4, :4]], [noise(1)])[0].all == 0
    assert copied_pixels([], [noise(1)]) == []


def maps(image):
    """Mean colours of 16 px squares as a network's features."""
    rows, columns = (-(-side // 16) for side in image.shape[:2])
    padded = np.zeros((rows * 16, columns * 16, 3), np.float32)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded.reshape(rows, 16, columns, 16, 3).mean(axis=(1, 3)).transpose(2, 0, 1)


def blocks(seed, height=96, width=80):
    return np.kron(noise(seed, height // 16, width // 16), np.ones((16, 16, 1), np.uint8))


def test_the_nearest_crop_of_a_copy_is_the_place_that_it_comes_from():
    train = [blocks(1), blocks(2)]
    crops = TrainingCrops(train, maps, 32, 16)
    image = blocks(3, 64, 64)
    image[32:, :32] = train[1][16:48, 32:64]
    found = {one.crop: one for one in crops.nearest([image], "images")}
    assert len(found) == 4
    nearest = found[0, 32, 0]
    assert nearest.training == (1, 16, 32) and nearest.distance == pytest.approx(0, abs=1e-3)
    assert all(one.distance > 0.01 for place, one in found.items() if place != (0, 32, 0))


def test_nearness_is_that_of_real_crops_for_the_same_crops():
    crops = TrainingCrops([blocks(seed) for seed in range(4)], maps, 32, 16)
    real = crops.nearest([blocks(seed, 64, 64) for seed in range(10, 20)], "test images")
    assert nearness(real, real)["nearest_crop"]["ratio"] == 1
    copies = crops.nearest([blocks(seed)[:64, :64] for seed in range(4)], "images")
    scores = nearness(copies, real)
    assert scores["nearest_crop"]["median"] == pytest.approx(0, abs=1e-3)
    assert scores["near_copies"]["share"] == 1


def test_images_below_a_crop_are_one_line():
    with pytest.raises(CellscaperError, match="no training image holds a crop of 128 px; choose smaller crops"):
        TrainingCrops([noise(1)], maps, 128, 16)


def test_without_a_network_the_pixels_alone_are_counted():
    scores = image_copies([noise(1)], [noise(2)], [noise(1), noise(3)], Settings())
    assert scores == {"copied_piece": {"mean": 0.5, "max": 1.0}, "copied_pixels": {"total": 0.5}}
