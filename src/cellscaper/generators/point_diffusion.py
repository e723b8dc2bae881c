"""Point diffusion (ours): labelled cells are moved from noise to a layout by a small transformer.

The counts asked for are the cells that are moved, so they are exact. Denoising of positions as in EDM (Karras et al.
2022), with noise levels even in the logarithm: each octave of scale gets its share of the training, also the spacing
of nuclei. The experiment's ``points`` holds the network and the noise; ``sampling`` the sampler's settings.
For fine-tuning, ``points.start: packaged`` begins with the weights in the box, and ``points.topology`` adds losses on
the holes of the denoised positions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.batches import check_targets, crop_batch, draw
from cellscaper.generators.pointsets.network import DATA_SCALE, PointDenoiser, network
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.generators.pointsets.topology import topology_terms
from cellscaper.generators.registry import Training, refuse_maps
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.progress import Progress
from cellscaper.views.crops import CropSampler


class PointDiffusion:
    """The system of the registry (`registry.TrainedSystem`)."""

    def prepare(
        self, section: dict[str, Any], cells: LayoutSet, density: Sequence[Tensor] | None, device: torch.device
    ) -> Training:
        """The network and its loss on random crops. CellscaperError where the experiment names a density or losses."""
        refuse_maps("point_diffusion", section, density)
        if section["points"] is None:
            raise CellscaperError("generator point_diffusion needs the settings `points`: network and noise")
        crops = CropSampler(cells, section["grid"]["region"], device, small=section["small"])
        model = network(section, cells.n_classes)
        if section["points"].get("start") == "packaged":
            _start_packaged(model, cells.classes)
        return Training(model, batch_loss(section, crops, cells.n_classes), section)

    def draw(
        self,
        weights: Mapping[str, Tensor],
        facts: dict[str, Any],
        targets: LayoutSet,
        seeds: Sequence[int],
        config: dict[str, Any],
        device: torch.device,
        what: str,
    ) -> tuple[dict[str, LayoutSet], dict[str, NDArray]]:
        """One set, ``points``: cells with the targets' labels, moved."""
        model = network(facts["section"], targets.n_classes)
        model.load_state_dict(weights)
        model.to(device).eval()
        return {"points": draw_layouts(model, targets, seeds, config["sampling"], what)}, {}


SYSTEM = PointDiffusion()


def _start_packaged(model: PointDenoiser, classes: Sequence[str]) -> None:
    start, facts = load_packaged()
    mine, theirs = ({name: tuple(p.shape) for name, p in one.state_dict().items()} for one in (model, start))
    if tuple(facts["classes"]) != tuple(classes) or mine != theirs or start.region != model.region:
        raise CellscaperError(
            f"points.start: packaged, but those weights are of {', '.join(facts['classes'])} in {start.region} px and "
            "of their own network; take the settings of point_diffusion or set start: null"
        )
    model.load_state_dict(start.state_dict())


def batch_loss(
    section: dict[str, Any], crops: CropSampler, classes: int
) -> Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]:
    """The loss of one training step, as the trainer wants it.

    The squared error of the denoised positions in units in which it is about 1 at any noise level for a network that
    knows nothing (EDM's weight), mean over the cells of the batch: ``loss``, and its part ``fine`` of the noise levels
    below, ``coarse`` above 32 px. With ``points.topology``, ``intra`` and ``inter`` are added (`topology_terms`): per
    cell and with the same weight of the noise level, where that is below ``topology.below`` px.
    """
    noise, n = section["points"]["noise"], section["training"]["batch"]
    topology = section["points"].get("topology")

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, Tensor]:
        clean, points = crop_batch(crops, n, classes, random)
        sigma = draw_levels(len(clean), noise, random).to(clean.device)
        noisy = clean + sigma[:, None, None] * torch.randn(clean.shape, generator=random).to(clean.device)
        found = model(noisy, sigma, *points)
        scale = DATA_SCALE * section["grid"]["region"]
        weight = (sigma**2 + scale**2) / (sigma * scale) ** 2
        error = (weight[:, None] * (found - clean).square().mean(dim=-1)) * points.mask
        cells, fine = points.mask.sum().clamp(min=1), (sigma < 32)[:, None]
        losses = {
            "loss": error.sum() / cells,
            "fine": (error * fine).sum() / (points.mask & fine).sum().clamp(min=1),
            "coarse": (error * ~fine).sum() / (points.mask & ~fine).sum().clamp(min=1),
        }
        if topology:
            acting = weight * (sigma < topology["below"]) / cells
            for name, term in zip(("intra", "inter"), topology_terms(found, clean, points), strict=True):
                losses[name] = topology["weights"][name] * (acting * term).sum()
                losses["loss"] = losses["loss"] + losses[name]
        return losses

    return loss


def draw_levels(n: int, noise: Mapping[str, Any], random: torch.Generator) -> Tensor:
    """(n,) noise levels px: a part ``far_share`` of them even in the logarithm in ``middle``…``largest``, the others
    in ``smallest``…``middle``."""
    low, middle, high = (math.log(noise[name]) for name in ("smallest", "middle", "largest"))
    where, far = torch.rand(n, generator=random), torch.rand(n, generator=random) < noise["far_share"]
    return torch.where(far, middle + where * (high - middle), low + where * (middle - low)).exp()


def draw_layouts(
    model: PointDenoiser, targets: LayoutSet, seeds: Sequence[int], sampling: Mapping[str, Any], what: str
) -> LayoutSet:
    """Layouts with the labels of the targets, one seed each, in batches of ``sampling.batch`` of about equal size.

    CellscaperError where a target is not of the model's region or has other classes.
    """
    side = check_targets("the point diffusion", model.region, model.classes, targets)
    order = np.argsort(np.diff(targets.offsets), kind="stable")
    placed: list[NDArray] = [np.zeros((0, 2), np.float32)] * len(targets)
    with Progress(len(targets), what) as progress:
        for start in range(0, len(targets), sampling["batch"]):
            rows = order[start : start + sampling["batch"]].tolist()
            labels = [targets.layout(row).labels for row in rows]
            drawn = draw(model, labels, [seeds[row] for row in rows], sampling)
            for row, points in zip(rows, drawn, strict=True):
                placed[row] = points
            progress.update(len(rows))
    layouts = [Layout(points, target.labels, side) for points, target in zip(placed, targets, strict=True)]
    return LayoutSet.build(layouts, targets.classes, targets.mpp)
