"""Stain jitter and symmetries: what they must leave alone, and that they do something."""

import numpy as np
import pytest
import torch
from skimage.color import combine_stains, hed_from_rgb, rgb_from_hed

from cellscaper.detectors.augmentation import stain_jitter, stain_numbers, transpose_some


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=4, seed=0):
    return torch.randint(1, 256, (n, 3, 6, 5), generator=seeded(seed), dtype=torch.uint8)


def jitter(pictures, generator, *amounts, **named):
    return stain_jitter(pictures, stain_numbers(len(pictures), generator), *amounts, **named)


def densities(one):
    return -(one.double() / 255).log()


def test_without_any_amount_nothing_changes():
    assert jitter(images(), seeded(), 0, 0, 0) == pytest.approx(images().float(), abs=1e-2)


def test_glass_stays_glass_when_stains_are_only_scaled():
    glass = torch.full((8, 3, 2, 2), 255, dtype=torch.uint8)
    assert (jitter(glass, seeded(), scale=0.5, shift=0, light=0) == 255).all()


@pytest.mark.parametrize("stain", [0, 1, 2])
def test_a_pure_stain_keeps_its_hue_and_changes_its_amount_by_its_own_factor(stain):
    amount = torch.tensor([0.2, 0.5, 1.0])[None, :, None]
    density = amount * torch.from_numpy(rgb_from_hed[stain])[None, None]  # (1, 3 pixels, 3)
    pixel = (255 * (-density).exp()).movedim(-1, 1)[..., None].float()  # (1, 3, 3, 1)
    out = densities(jitter(pixel, seeded(3), scale=0.2, shift=0, light=0))[0, :, :, 0].T  # (3 pixels, 3)
    factors = out / density[0]
    assert factors.std() < 1e-3 and abs(float(factors.mean()) - 1) > 0.01


def test_it_is_the_mix_that_skimage_makes_of_scaled_and_shifted_stains():
    one, random = images(1), torch.randn((1, 7), generator=seeded(5)).double().numpy()[0]
    stains = densities(one)[0].permute(1, 2, 0).numpy() @ hed_from_rgb
    moved = stains * np.exp(0.1 * random[:3]) + 0.02 * random[3:6]
    expected = 255 * np.exp(-(moved @ rgb_from_hed)) * np.exp(0.05 * random[6])
    got = jitter(one, seeded(5), scale=0.1, shift=0.02, light=0.05)[0].permute(1, 2, 0)
    assert got.numpy() == pytest.approx(np.clip(expected, 0, 255), abs=0.05)
    # and skimage's own way back from stains (it scales by a constant of its own and clips)
    own = combine_stains(np.clip(stains, 0, None) / -np.log(1e-6), rgb_from_hed) * 255
    ours = 255 * np.exp(-(np.clip(stains, 0, None) @ rgb_from_hed))
    assert own == pytest.approx(np.clip(ours, 0, 255), abs=0.05)


def test_each_image_has_one_draw_and_the_generator_decides_it():
    grey = torch.full((50, 3, 3, 3), 128, dtype=torch.uint8)
    out = jitter(grey, seeded())
    assert (out - out[:, :, :1, :1]).abs().max() < 1e-3
    assert 4 < out[:, :, 0, 0].std(0).mean() < 20
    assert torch.equal(out, jitter(grey, seeded())) and not torch.equal(out, jitter(grey, seeded(1)))


def test_black_is_no_infinity():
    out = jitter(torch.zeros(6, 3, 2, 2), seeded())
    assert torch.isfinite(out).all() and out.max() < 40


def test_half_of_the_pairs_are_transposed_images_and_maps_alike():
    pairs = torch.randint(0, 255, (400, 3, 4, 4), generator=seeded())
    moved, owners = transpose_some(pairs, pairs[:, :1], seeded(1))
    swapped = (moved == pairs.mT).flatten(1).all(1)
    assert 150 < swapped.sum() < 250
    assert torch.equal(moved[:, :1], owners)
    assert ((moved == pairs).flatten(1).all(1) | swapped).all()
