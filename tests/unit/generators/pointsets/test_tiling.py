"""Windows over large regions, with denoisers that are known exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellscaper.generators.pointsets.tiling import LEAST, PAIRS, Tiles, starts, weights, windows

CPU = torch.device("cpu")


def tiles(network, size, points, labels=None):
    """Tiles of one layout with these cells (N, 2), px from the region's corner."""
    labels = np.zeros((1, len(points)), np.int64) if labels is None else labels[None]
    return Tiles(network, size, labels, windows(size, network.region), points[None].copy(), CPU)


@given(st.integers(1, 5000), st.integers(2, 300))
def test_windows_cover_a_side_overlap_by_half_and_stay_inside(side, window):
    first = starts(side, window)
    assert first[0] == 0
    assert (np.diff(first) <= np.ceil(window / 2)).all()
    if side > window:
        assert first[-1] == side - window
        assert (np.diff(first) > 0).all()


def test_weights_fall_from_the_centre_to_the_border_and_add_up_to_one():
    offset = np.array([[128, 128], [64, 128], [64, 64], [0, 128], [256, 256]])
    assert weights(offset, 256) == pytest.approx([1, 0.5, 0.25, LEAST, LEAST**2])
    cells = np.random.default_rng(0).uniform(128, 384, (50, 2))  # where windows overlap on all sides
    total = sum(
        np.where(((cells >= corner) & (cells <= corner + 256)).all(axis=1), weights(cells - corner, 256), 0)
        for corner in windows((512, 512), 256)
    )
    assert total == pytest.approx(np.ones(50), abs=0.01)


def test_one_window_is_the_network_itself(uniform):
    rng = np.random.default_rng(0)
    points, noisy = rng.uniform(0, 256, (40, 2)), torch.from_numpy(rng.normal(0, 90, (1, 40, 2)))
    mask, sigma = torch.ones(1, 40, dtype=torch.bool), torch.full((1,), 30.0)
    expected = uniform(noisy.float(), sigma, torch.zeros(1, 40).long(), torch.tensor([[40.0, 0, 0]]), mask)
    assert tiles(uniform, (256, 256), points)(noisy, 30.0) == pytest.approx(expected.numpy(), abs=1e-4)


def test_at_large_noise_cells_stay_where_they_were(uniform):
    """Each window answers near its own centre; the mean of them is the cell's place, away from the region's border."""
    rng = np.random.default_rng(0)
    points = rng.uniform(128, 896, (300, 2))
    noise = torch.from_numpy(rng.normal(0, 1e4, (1, 300, 2)))
    answer = tiles(uniform, (1024, 1024), points)(torch.from_numpy(points[None] - 512) + noise, 1e4)
    assert answer.numpy()[0] + 512 == pytest.approx(points, abs=2.5)


@pytest.mark.parametrize(("sigma", "limit"), [(120, 0.5), (60, 0.9), (40, 0.6), (30, 0.5), (20, 0.4), (8, 0.2)])
def test_at_any_noise_uniform_cells_do_not_drift_between_windows(uniform, sigma, limit):
    """The mean step over the noise, for cells at each distance from a border: 1 to 2 px with power 1 below 60 px."""
    rng = np.random.default_rng(0)
    across = np.repeat(np.arange(4.0, 128, 8), 1500)  # from the centre of one window to that of the next
    points = np.stack([np.full(len(across), 384.0), 384 + across], axis=1)
    noise = sigma * np.concatenate([eps := rng.normal(size=(len(across) // 2, 2)), -eps])[rng.permutation(len(across))]
    noise[1::2] = -noise[::2]
    answer = tiles(uniform, (768, 768), points)(torch.from_numpy(points[None] + noise - 384), float(sigma))
    step = (answer.numpy()[0, :, 1] + 384 - points[:, 1]).reshape(16, -1).mean(axis=1)
    assert np.sqrt((step**2).mean()) < limit


def test_at_little_noise_every_window_answers_for_its_part(columns):
    """Lines 16 px apart that all windows know: cells beside them, anywhere, are moved onto them."""
    rng = np.random.default_rng(0)
    places = rng.uniform(8, 504, (400, 2))
    on_line = np.stack([places[:, 0], (places[:, 1] / 16).round() * 16], axis=1)
    noisy = on_line + rng.normal(0, 1, on_line.shape)
    answer = tiles(columns, (512, 512), noisy)(torch.from_numpy(noisy[None] - 256), 1.0)
    assert answer.numpy()[0, :, 1] + 256 == pytest.approx(on_line[:, 1], abs=0.01)


def test_windows_get_their_own_cells_and_counts():
    asked = []

    class Listener:
        region, classes = 64, 2

        def __call__(self, x, sigma, labels, counts, mask):
            for row, keep, count in zip(labels, mask, counts, strict=True):
                assert count.tolist() == np.bincount(row[keep], minlength=2).tolist()
                asked.append(int(keep.sum()))
            return x

    points = np.random.default_rng(0).uniform(0, 128, (200, 2))
    labels = (points[:, 0] > 64).astype(np.int64)
    answer = tiles(Listener(), (128, 128), points, labels)(torch.from_numpy(points[None] - 64), 5.0)
    held = [((points >= c) & (points <= c + 64)).all(axis=1).sum() for c in windows((128, 128), 64)]
    assert sorted(asked) == sorted(held)
    assert answer.numpy()[0] + 64 == pytest.approx(points, abs=1e-4)


def test_memory_is_bounded_by_the_pairs_of_a_batch(uniform):
    uniform.largest = 0
    points = np.random.default_rng(0).uniform(0, 1024, (4000, 2))
    tiles(uniform, (1024, 1024), points)(torch.from_numpy(points[None] - 512), 5.0)
    assert PAIRS / 2 < uniform.largest <= PAIRS


def test_cells_in_no_window_keep_their_place(uniform):
    points = np.array([[[10.0, 10], [500, 500]]])
    some = Tiles(uniform, (512, 512), np.zeros((1, 2), np.int64), np.array([[0, 0]]), points, CPU)
    assert some(torch.from_numpy(points - 256 + 7), 5.0).numpy()[0, 1].tolist() == [244, 244]
