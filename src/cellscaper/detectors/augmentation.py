"""Augmentation of the training crops of both detectors: the square's eight symmetries, and other stains and light.

Stain jitter (after Tellez et al. 2018): the optical density −ln(I / 255) of a pixel is a mix of haematoxylin, eosin and
a residual (Ruifrok and Johnston 2001). In each image the three amounts are scaled by e^(σn) and shifted by σ'n, where
n is standard normal, sampled once for each amount of an image. Then the light of the image is scaled. White glass has
no stain: only the shift and the light change it.
"""

import torch
from skimage.color import hed_from_rgb, rgb_from_hed
from torch import Tensor

from cellscaper.run.transfer import to_device

STAIN_SCALE = 0.1  # sd of the log factor on each stain
STAIN_SHIFT = 0.01  # sd of the shift of each stain, in optical density
MATRICES = (hed_from_rgb, rgb_from_hed)  # to stains, to optical density
LIGHT = 0.04  # sd of the log factor on brightness


def transpose_some(images: Tensor, maps: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Swap the axes of half of the pairs; together with the crops' flips this gives all rotations by 90°."""
    where = (torch.rand(len(images), generator=generator) < 0.5)[:, None, None, None]
    return torch.where(where, images.mT, images), torch.where(where, maps.mT, maps)


def stain_numbers(n: int, generator: torch.Generator) -> Tensor:
    """The standard normal numbers (n, 7) of :func:`stain_jitter`: factors, shifts, light."""
    return torch.randn((n, 7), generator=generator)


def stain_jitter(
    images: Tensor,
    random: Tensor,
    scale: float = STAIN_SCALE,
    shift: float = STAIN_SHIFT,
    light: float = LIGHT,
) -> Tensor:
    """Images (n, 3, H, W) on 0…255 with slightly changed stains and light: float on 0…255.

    random: :func:`stain_numbers` of the n images.

    Zeros count as 1, because their optical density is infinite.
    """
    random, to_stains, to_density = (
        to_device(one, images.device) for one in (random, *(torch.from_numpy(m).float() for m in MATRICES))
    )
    density = -(images.float().clamp(min=1) / 255).log()  # (n, 3, H, W)
    factor = (scale * random[:, :3]).exp()
    mix = torch.einsum("rs,ns,sc->nrc", to_stains, factor, to_density)  # stains, scaled, and back: one matrix an image
    moved = torch.einsum("nrhw,nrc->nchw", density, mix) + (shift * random[:, 3:6] @ to_density)[:, :, None, None]
    brightness = (light * random[:, 6]).exp()[:, None, None, None]
    return (255 * (-moved).exp() * brightness).clamp(0, 255)
