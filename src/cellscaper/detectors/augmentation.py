"""Augmentation of the training crops of both detectors: the square's eight symmetries, and other stains and light.

Stain jitter (after Tellez et al. 2018): the optical density −ln(I / 255) of a pixel is a mix of haematoxylin, eosin and
a residual (Ruifrok and Johnston 2001). In each image the three amounts are scaled by e^(σn) and shifted by σ'n, where
n is standard normal, sampled once for each amount of an image. Then the light of the image is scaled. White glass has
no stain: only the shift and the light change it.
"""

import torch
from skimage.color import hed_from_rgb, rgb_from_hed
from torch import Tensor

STAIN_SCALE = 0.1  # sd of the log factor on each stain
STAIN_SHIFT = 0.01  # sd of the shift of each stain, in optical density
LIGHT = 0.04  # sd of the log factor on brightness


def transpose_some(images: Tensor, maps: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Swap the axes of half of the pairs; together with the crops' flips this gives all rotations by 90°."""
    swap = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    where = swap.to(images.device)[:, None, None, None]
    return torch.where(where, images.mT, images), torch.where(where, maps.mT, maps)


def stain_jitter(
    images: Tensor,
    generator: torch.Generator,
    scale: float = STAIN_SCALE,
    shift: float = STAIN_SHIFT,
    light: float = LIGHT,
) -> Tensor:
    """Images (n, 3, H, W) on 0…255 with slightly changed stains and light: float on 0…255.

    Zeros count as 1, because their optical density is infinite.
    """
    random = torch.randn((len(images), 7), generator=generator, device=generator.device).to(images.device)
    to_stains, to_density = (
        torch.from_numpy(one).to(images.device, torch.float32) for one in (hed_from_rgb, rgb_from_hed)
    )
    density = -(images.float().clamp(min=1) / 255).log()  # (n, 3, H, W)
    factor = (scale * random[:, :3]).exp()
    mix = torch.einsum("rs,ns,sc->nrc", to_stains, factor, to_density)  # stains, scaled, and back: one matrix an image
    moved = torch.einsum("nrhw,nrc->nchw", density, mix) + (shift * random[:, 3:6] @ to_density)[:, :, None, None]
    brightness = (light * random[:, 6]).exp()[:, None, None, None]
    return (255 * (-moved).exp() * brightness).clamp(0, 255)
