"""The transfer of stains, by its own definition: mean and covariance become those of the other stain."""

import numpy as np
import pytest

from cellscaper.views.stain import Stain, optical_density, stain, transfer


def tissue(seed, colour):
    rng = np.random.default_rng(seed)
    mix = np.abs(rng.normal(0.45, 0.08, (80, 90, 1))) * np.array(colour) + rng.normal(0, 0.02, (80, 90, 3))
    return (256 * 10.0**-mix - 1).round().clip(0, 255).astype(np.uint8)


def test_the_stain_becomes_the_other():
    one, two = tissue(0, (0.6, 1.0, 0.4)), tissue(1, (0.9, 1.2, 0.7))
    moved = stain([transfer(one, stain([one]), stain([two]))])
    wanted = stain([two])
    assert np.allclose(moved.mean, wanted.mean, atol=2e-3)
    assert np.allclose(moved.cov, wanted.cov, atol=2e-4)


def test_its_own_stain_leaves_an_image_as_it_is_and_glass_stays_glass():
    one = tissue(0, (0.6, 1.0, 0.4))
    one[:10] = 250
    own = stain([one])
    assert np.abs(transfer(one, own, own).astype(int) - one).max() <= 1
    assert (transfer(one, own, stain([tissue(1, (0.9, 1.2, 0.7))]))[:10] == 250).all()


def test_without_tissue_there_is_nothing_to_transfer():
    one = tissue(0, (0.6, 1.0, 0.4))
    nothing = Stain(np.full(3, np.nan), np.full((3, 3), np.nan), 1.0)
    assert transfer(one, stain([one]), nothing) is one


def test_the_order_of_brightness_is_kept_by_a_darker_stain():
    one = tissue(0, (0.6, 1.0, 0.4))
    own = stain([one])
    darker = Stain(own.mean * 1.5, own.cov * 2.25, 0.0)
    found = optical_density(transfer(one, own, darker))
    assert found.mean() == pytest.approx(1.5 * optical_density(one).mean(), rel=0.01)
