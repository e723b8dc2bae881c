"""Scores of images on hand-made cases and against numpy's and scipy's own formulas."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.image_quality import (
    dots_found,
    image_fid,
    image_fid_name,
    image_windows,
    stain_distances,
)
from cellscaper.views.stain import optical_density, stain


def layouts(*cells):
    """Layouts of 64 px from lists of (y, x, class)."""
    items = []
    for i, one in enumerate(cells):
        table = np.array(one, np.float32).reshape(-1, 3)
        items.append(Layout(table[:, :2], table[:, 2].astype(np.uint8), (64, 64), str(i)))
    return LayoutSet.build(items, ("a", "b"), 0.5)


def test_windows_lie_evenly_and_hold_their_own_pixels_and_cells():
    y, x = np.mgrid[:50, :70]
    image = np.stack([y, x, x], axis=-1).astype(np.uint8)
    points = np.array([[10, 20], [45, 60]], np.float32)
    cells = LayoutSet.build([Layout(points, np.array([0, 1], np.uint8), (50, 70), "i")], ("a", "b"), 0.5)
    layouts, pixels = image_windows(cells, [image], 32)
    assert layouts.origin.tolist() == [[0, 0], [0, 38], [18, 0], [18, 38]]
    for layout, window in zip(layouts, pixels, strict=True):
        assert window[0, 0, :2].tolist() == list(layout.origin) and window.shape == (32, 32, 3)
        for point, label in zip(layout.points, layout.labels, strict=True):
            assert (point + layout.origin).tolist() == points[label].tolist()
    assert [len(layout) for layout in layouts] == [1, 0, 0, 1]


def test_recall_of_a_hand_made_case():
    dots = layouts([(10, 10, 0), (30, 30, 0), (50, 50, 1)], [(20, 20, 1)])
    # found: the first 6 px away; the second as b; the third twice, one of them too far; nothing in the other image
    seen = layouts([(10, 16, 0), (30, 31, 1), (50, 50, 1), (57, 50, 1)], [])
    recall, precision = dots_found(dots, seen)
    assert recall == pytest.approx({"a": 1 / 2, "b": 1 / 2, "mean": 1 / 2, "detection": 3 / 4})
    assert precision == pytest.approx({"a": 1, "b": 1 / 3, "mean": 2 / 3, "detection": 3 / 4})
    nearer, _ = dots_found(dots, seen, radius=5)
    assert nearer == pytest.approx({"a": 0, "b": 1 / 2, "mean": 1 / 4, "detection": 2 / 4})


def tissue(shape=(40, 30), seed=0):
    """An image whose pixels are all dark enough to be tissue, with correlated channels."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(*shape, 3)) @ np.array([[12, 9, 5], [0, 8, 3], [0, 0, 6]])
    return np.clip(base + np.array([150, 90, 140]), 0, 180).astype(np.uint8)


def test_optical_density_of_known_values():
    values = np.array([255, 127, 0], np.uint8)
    assert optical_density(values) == pytest.approx([0, np.log10(2), np.log10(256)])
    with pytest.raises(CellscaperError, match="image of float64, expected uint8"):
        optical_density(values / 255)


def test_stain_statistics_agree_with_numpy_over_all_images_together():
    images = [tissue(seed=1), tissue((25, 50), 2)]
    images[0][:10] = 255  # glass
    images[1][:5, :, :2] = 255  # not glass: the third channel absorbs
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])
    density = -np.log10((pixels[(pixels < 180.5).any(axis=1)].astype(float) + 1) / 256)
    found = stain(images)
    assert found.mean == pytest.approx(density.mean(axis=0))
    assert found.cov == pytest.approx(np.cov(density.T), rel=1e-9)
    assert found.glass == pytest.approx(10 * 30 / len(pixels))


def test_a_set_is_at_distance_zero_from_itself():
    one = stain([tissue()])
    assert stain_distances(one, one) == pytest.approx({"stain_mean": 0, "stain_frechet": 0, "glass": 0}, abs=1e-7)


def test_a_shifted_stain_is_as_far_as_it_was_shifted():
    image = tissue()
    darker = ((image.astype(np.uint16) + 1) // 2 - 1).clip(0).astype(np.uint8)  # log10 2 more in every channel
    image = (2 * darker.astype(np.uint16) + 1).astype(np.uint8)  # (I + 1) exactly twice the darker one's
    found = stain_distances(stain([image]), stain([darker]))
    expected = np.sqrt(3) * np.log10(2)
    assert found == pytest.approx({"stain_mean": expected, "stain_frechet": expected, "glass": 0}, abs=1e-6)


def test_the_stain_distance_is_that_of_the_matrix_square_root():
    one, two = stain([tissue(seed=3)]), stain([tissue(seed=4)[..., ::-1].copy()])
    root = sqrtm(one.cov @ two.cov).real
    squared = ((one.mean - two.mean) ** 2).sum() + np.trace(one.cov + two.cov - 2 * root)
    found = stain_distances(one, two)
    assert found["stain_frechet"] == pytest.approx(np.sqrt(squared), rel=1e-6)
    assert found["stain_frechet"] > found["stain_mean"] > 0


def test_white_images_have_no_stain_and_are_all_glass():
    white = stain([np.full((8, 8, 3), 255, np.uint8)])
    assert white.glass == 1 and np.isnan(white.mean).all()
    found = stain_distances(white, stain([tissue()]))
    assert np.isnan(found["stain_mean"]) and np.isnan(found["stain_frechet"]) and found["glass"] == 1
    with pytest.raises(CellscaperError, match="no images"):
        stain([])


def test_fid_of_features_agrees_with_the_matrix_square_root(by_square_root):
    rng = np.random.default_rng(5)
    one, two = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(90, 6)) + 1
    assert image_fid(one, two) == pytest.approx(by_square_root(one, two), rel=1e-7)


def test_fid_refuses_no_more_tiles_than_features_and_shrinkage_shows_in_its_name():
    x = np.random.default_rng(6).normal(size=(9, 8))
    with pytest.raises(CellscaperError, match="image FID: 8 painted tiles for 8 features, needs at least 9"):
        image_fid(x, x[:8])
    assert image_fid(x, x[:8], "ledoit_wolf") >= 0
    assert (image_fid_name("none"), image_fid_name("ledoit_wolf")) == ("image_fid", "image_fid_shrinkage")
