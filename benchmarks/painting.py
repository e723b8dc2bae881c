"""Seconds of an image of 256 × 256 px: quilting, the same with an exhaustive search, and a diffusion painter.

Exhaustive: every cell takes its own patch, and at each place the pixels of all patches in eight symmetries are compared
(image quilting as Efros and Freeman describe it). Ours compares those whose neighbourhoods are nearest. Diffusion: the
painter of workflow/presets/brca-small.yaml with new weights, whose time is that of trained ones. All sides take turns
on the same layouts, one thread; times are CPU seconds. The stains and neighbourhoods of the training images are
measured beforehand, as for a set of many images, and their time is told.

    python benchmarks/painting.py [--quick] [--data FOLDER]

FOLDER holds BRCA-M2C (default: the variable CELLSCAPER_BRCA_M2C); without it the tissue is phantom.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.diffusion.settings import Ddim
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.painters import diffusion, quilt
from cellscaper.plan.blocks import method_block
from cellscaper.plan.configuration import configuration
from cellscaper.run.settings import read
from outcome import report

GOAL = 1.0  # s an image of SIDE px on one core
TIMES = 2.0  # as fast as an exhaustive search
SIDE = 256
ROOT = Path(__file__).resolve().parents[1]


def tissue(folder: str | None) -> tuple[LayoutSet, list, LayoutSet]:
    """Training cells and images, and layouts of validation images to paint."""
    if folder:
        records = list(brca_m2c.read(brca_m2c.Settings(), Path(folder)))
        classes = brca_m2c.classes(brca_m2c.Settings())
    else:
        settings = phantom.Settings(images=phantom.Images(train=20, val=10, test=1))
        records, classes = list(phantom.read(settings, None)), phantom.classes(settings)
    whole = [Layout(one.points, one.labels, one.image.shape[:2], one.image_id) for one in records]
    train = [i for i, one in enumerate(records) if one.split == "train"]
    val = [crop(whole[i], 100, 100, SIDE, SIDE) for i, one in enumerate(records) if one.split == "val"]
    cells = LayoutSet.build([whole[i] for i in train], classes, 0.5)
    return cells, [records[i].image for i in train], LayoutSet.build(val, classes, 0.5)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def diffusion_painter(classes: int) -> tuple[diffusion.Settings, diffusion.ImageNetwork, Ddim]:
    """The painter of the preset brca-small with new weights."""
    preset = yaml.safe_load((ROOT / "workflow/presets/brca-small.yaml").read_text(encoding="utf-8"))
    block = configuration(preset)["painters"]["tc"]
    sampling = read(Ddim, block["sampling"], "painters tc sampling")
    settings = read(diffusion.Settings, method_block(block, "sampling", "least_recall")["settings"], "painters tc")
    return settings, diffusion.ImageNetwork(settings, classes).eval(), sampling


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two layouts")
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cells, images, layouts = tissue(args.data)
    layouts = layouts[: 2 if args.quick else 10]
    ours, plain = quilt.Settings(), quilt.Settings(keep=10**6, reuse=0)
    start = time.process_time()
    sources = quilt.library(ours, cells, lambda i: images[i])
    print(f"{len(images)} training images measured in {time.process_time() - start:.2f} s")
    settings, model, sampling = diffusion_painter(cells.n_classes)
    quilted, searched, diffused = [], [], []
    for seed, layout in enumerate(layouts):
        first = seconds(lambda: quilt.paint_one(ours, sources, layout, seed))  # noqa: B023 (called at once)
        again = seconds(lambda: quilt.paint_one(ours, sources, layout, seed))  # noqa: B023
        searched.append(seconds(lambda: quilt.paint_one(plain, sources, layout, seed)))  # noqa: B023
        if seed < 2:
            batch = (settings, model, [layout], cells.n_classes, [seed], sampling, torch.device("cpu"))
            diffused.append(seconds(lambda: diffusion.paint_batch(*batch)))  # noqa: B023
        quilted.append(min(first, again))
        print(f"{len(layout):4} cells: ours {first:.2f} and {again:.2f} s, exhaustive {searched[-1]:.2f} s", flush=True)
    each = np.median(quilted)
    report("painting", "quilting, s an image of 256 px", "", quilted, GOAL, at_most=True, note="new sources included")
    ratios = [b / a for a, b in zip(quilted, searched, strict=True)]
    status = report("painting search", "quilting", "the same with an exhaustive search", ratios, TIMES)
    note = f"{sampling.steps} steps; its training is not counted"
    report(
        "painting diffusion",
        "quilting",
        "diffusion painter of brca-small",
        [one / each for one in diffused],
        None,
        note=note,
    )
    return status | int(each > GOAL)


if __name__ == "__main__":
    sys.exit(main())
