"""What a layout of point diffusion costs: processor time on one core, and operations against the papers' network.

Operations are counted by torch's FlopCounterMode (two for a multiplication and addition of a product of matrices): all
calls of the network for layouts with counts of real or phantom patches, against one hundred DDIM steps of the papers'
554 M parameter U-Net on 256 × 256 px, which is built of shapes without memory. Reading its maps is not counted.

    python benchmarks/point_diffusion.py [--quick] [--data FOLDER]

FOLDER holds BRCA-M2C (default: the variable CELLSCAPER_BRCA_M2C); without it the cells are phantom tissue.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.diffusion.unet import UNet
from cellscaper.generators.point_diffusion import Sampling
from cellscaper.generators.pointsets.batches import sample_points
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.views.patches import sliding_windows
from outcome import report

GOAL = 10_000.0  # times fewer operations than the papers' network
MILLISECONDS, STEPS = 50.0, 20  # at most: a layout on one core, in batches of BATCH
BATCH = 32
PHANTOM = phantom.Settings(classes=3, images=phantom.Images(train=1, val=1, test=30), size=(480, 480), seed=0)


def labels_of_patches(data: str | None, n: int) -> list[NDArray]:
    """Labels of n of the 256 px test patches, evenly spaced."""
    records = brca_m2c.read(brca_m2c.Settings(), Path(data)) if data else phantom.read(PHANTOM, None)
    images = [Layout(r.points, r.labels, r.image.shape[:2]) for r in records if r.split == "test"]
    patches = sliding_windows(LayoutSet.build(images, ("a", "b", "c"), 0.5), 256, 32)
    return [patches.layout(i).labels for i in evenly_spaced(len(patches), n).tolist()]


def operations_of_the_papers(experiments: Experiments) -> float:
    """Of one layout: the U-Net of config.yaml's `adm` on 3 classes, with learned variance, 100 steps."""
    recipe, side = experiments.recipe("adm"), experiments.region("adm")
    with FakeTensorMode(), torch.no_grad(), FlopCounterMode(display=False) as counter:  # shapes without memory
        net = UNet(3, 6, side, **recipe["settings"]["network"])
        net(torch.zeros(1, 3, side, side), torch.zeros(1, dtype=torch.long), torch.zeros(1, net.width))
    steps = experiments["adm"].sampling["steps"]
    parameters = sum(p.numel() for p in net.parameters()) / 1e6
    operations = float(counter.get_total_flops() * steps)
    print(f"papers' U-Net: {parameters:.0f} M parameters, {steps} calls, {operations:.3g} operations")
    return operations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 layouts instead of 320")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    args = parser.parse_args()
    torch.set_num_threads(1)
    experiments = Experiments(configuration({}))
    sampling = Sampling(**experiments["point_diffusion"].sampling)
    calls = sampling.steps * (2 if sampling.heun else 1) - (1 if sampling.heun else 0)
    model, _ = load_packaged()
    labels = sorted(labels_of_patches(args.data, 64 if args.quick else 320), key=len)
    batches = [labels[start : start + BATCH] for start in range(0, len(labels), BATCH)]
    theirs = operations_of_the_papers(experiments)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the fused one is not counted
        sample_points(model, batches[len(batches) // 2], range(BATCH), sampling)
    sample_points(model, batches[0], range(BATCH), sampling)
    times = []
    for i, batch in enumerate(batches):
        start = time.process_time()
        sample_points(model, batch, range(i * BATCH, i * BATCH + len(batch)), sampling)
        times.append((time.process_time() - start) / len(batch) * 1e3)
    cells = statistics.mean(map(len, labels))
    ours = counter.get_total_flops() / BATCH
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    steps, mean = sampling.steps, statistics.mean(times)
    print(f"point diffusion: {parameters:.2f} M parameters, {steps} steps, {calls} calls, {ours:.3g} operations")
    print(f"{len(labels)} layouts of {cells:.0f} cells in batches of {BATCH} on one core, processor time:")
    print(f"{mean:.0f} ms a layout ({min(times):.0f} to {max(times):.0f}; bound {MILLISECONDS:.0f})")
    ratio = theirs / ours
    papers = "the papers' U-Net, 100 steps"
    operations = report("point_diffusion", "operations of a layout, fewer by", papers, ratio, GOAL)
    took = [one / MILLISECONDS for one in times]
    bound = f"{MILLISECONDS:.0f} ms a layout, one core, at most {STEPS} steps"
    note = f"{mean:.0f} ms a layout"
    few = steps <= STEPS
    time_ = report("point_diffusion_time", "a layout", bound, took, 1.0, at_most=True, also=few, note=note)
    return max(operations, time_)


if __name__ == "__main__":
    sys.exit(main())
