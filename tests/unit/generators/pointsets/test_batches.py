"""Padded batches of points: what is drawn, and that a layout does not depend on its batch."""

import numpy as np
import pytest
import torch

from cellscaper.generators.pointsets.batches import PAD, crop_batch, pad_labels, sample_points
from cellscaper.generators.pointsets.network import PointDenoiser
from cellscaper.generators.pointsets.settings import LevelSampling
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.views.crops import CropSampler


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    net = PointDenoiser(2, 128, width=32, layers=2, heads=2, edge_width=16)
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.1)
    return net.eval()


def cells(sizes=(300, 40)):
    rng = np.random.default_rng(0)
    layouts = [
        Layout(rng.integers(0, 160, (n, 2)).astype(np.float32), rng.integers(0, 2, n).astype(np.uint8), (160, 160))
        for n in sizes
    ]
    return LayoutSet.build(layouts, ("a", "b"), 0.5)


def labels(sizes):
    return [np.random.default_rng(n).integers(0, 2, n).astype(np.uint8) for n in sizes]


def test_padding_keeps_labels_and_counts():
    points = pad_labels([np.array([0, 1, 1]), np.array([], np.uint8)], 2)
    assert points.labels.shape == (2, PAD)
    assert points.labels[0, :3].tolist() == [0, 1, 1]
    assert points.mask.sum(dim=1).tolist() == [3, 0]
    assert points.counts.tolist() == [[1, 2], [0, 0]]


def test_training_batches_hold_whole_crops():
    crops = CropSampler(cells(), 128)
    for seed in range(20):
        x, points = crop_batch(crops, 4, 2, torch.Generator().manual_seed(seed))
        assert x.shape[:2] == points.labels.shape == points.mask.shape
        assert x.shape[1] % PAD == 0
        assert x.abs().max() <= 64
        assert not x[~points.mask].any()
        for row in range(len(x)):
            own = points.labels[row][points.mask[row]]
            assert torch.bincount(own, minlength=2).tolist() == points.counts[row].tolist()
        sizes = points.mask.sum(dim=1)
        assert sizes.tolist() == sorted(sizes.tolist())


@pytest.mark.slow
def test_all_crops_are_equally_likely_and_batches_have_equal_numbers_of_cells():
    crops, random = CropSampler(cells((400, 100)), 160), torch.Generator().manual_seed(0)
    batches = [crop_batch(crops, 8, 2, random)[1].mask for _ in range(300)]
    sizes = torch.cat([mask.sum(dim=1) for mask in batches])
    assert (sizes == 400).sum() / (sizes == 100).sum() == pytest.approx(1.0, rel=0.15)
    totals = torch.stack([mask.sum() for mask in batches]).float()
    assert totals.mean().item() == pytest.approx(8 * 250, rel=0.05)
    assert totals.std() < 400


def test_batches_follow_the_generator_alone():
    one, two = (crop_batch(CropSampler(cells(), 128), 4, 2, torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(one[0], two[0])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_layout_does_not_depend_on_its_batch_or_the_threads(model, precision):
    levels = {"steps": 4, "sigma_max": 300.0, "sigma_min": 0.5, "rho": 7.0}
    sampling = LevelSampling(**levels, heun=True, churn=0.3, churn_above=10.0, precision=precision)
    sizes, seeds = [5, 40, 34, 1, 0], [11, 12, 13, 14, 15]
    together = sample_points(model, labels(sizes), seeds, sampling)
    assert [len(one) for one in together] == sizes
    alone = [sample_points(model, labels([n]), [seed], sampling)[0] for n, seed in zip(sizes, seeds, strict=True)]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        alone[0] = sample_points(model, labels([5]), [11], sampling)[0]
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(together, alone, strict=True):
        assert np.abs(one - two).max(initial=0) < 1e-4
        assert ((one >= 0) & (one < 128)).all()
    assert not np.allclose(sample_points(model, labels([40]), [99], sampling)[0], together[1], atol=1)
