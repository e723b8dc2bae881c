"""Quilted images of validation layouts beside the real validation images: how the settings of quilting are chosen.

A U-Net that was trained on real training images alone (--model, of the stage train_detector) looks for the cells of
both. Stain and features are compared with the training images, as are those of the real validation images. Lite0
needs the extra `lite0`; without it, its columns are empty. Phantom images have no U-Net: a nucleus is under a dot where
the mean optical density within 3 px is above the threshold that separates real dots from real ground best.

    python benchmarks/painting_quality.py --data FOLDER --model MODEL [--try '{"radius": 32}' …] [--picture FILE]
    python benchmarks/painting_quality.py --phantom

FOLDER holds BRCA-M2C. Each --try is a row: quilting with these settings. The last lines of --phantom and of the first
row say whether recall and precision reach .9 of real images (phantom: nuclei under .95 of the dots).
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from cellscaper.datasets import brca_m2c, phantom
from cellscaper.detectors.judge import read_judge
from cellscaper.detectors.peaks import found_in
from cellscaper.errors import CellscaperError
from cellscaper.features import lite0
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.image_copies import Settings as Audit
from cellscaper.metrics.image_copies import image_copies
from cellscaper.metrics.image_quality import dots_found, image_windows, stain_distances, unet_reader
from cellscaper.painters import quilt
from cellscaper.run.settings import read
from cellscaper.views.stain import optical_density, stain
from outcome import report

SHARE = 0.9  # of the real images' recall and precision
NUCLEI = 0.95  # of the dots of phantom images
REGION = 256
Images = list[NDArray[np.uint8]]


def tissue(records: Sequence, classes: tuple[str, ...], split: str) -> tuple[LayoutSet, Images]:
    """The layouts and images of a split."""
    own = [one for one in records if one.split == split]
    layouts = [Layout(one.points, one.labels, one.image.shape[:2], one.image_id) for one in own]
    return LayoutSet.build(layouts, classes, 0.5), [one.image for one in own]


def painted(settings: quilt.Settings, train: tuple[LayoutSet, Images], layouts: LayoutSet) -> tuple[Images, float]:
    """The quilted images, and CPU seconds of each on average."""
    sources = quilt.library(settings, train[0], lambda i: train[1][i])
    quilt.check(sources, layouts)
    start = time.process_time()
    made = [quilt.paint_one(settings, sources, layout, seed) for seed, layout in enumerate(layouts)]
    return made, (time.process_time() - start) / max(len(made), 1)


def nucleus_threshold(layouts: LayoutSet, images: Images) -> float:
    """The optical density that separates pixels at dots from those over 12 px away with the fewest errors."""
    at, off = [], []
    rng = np.random.default_rng(0)
    for layout, image in zip(layouts, images, strict=True):
        at += densities(image, layout.points)
        places = rng.uniform(0, layout.size, (200, 2))
        away = np.hypot(*(places[:, None] - layout.points[None]).transpose(2, 0, 1)).min(axis=1)
        off += densities(image, places[away > 12])
    values = np.sort(np.concatenate([at, off]))
    errors = [(np.array(at) < v).mean() + (np.array(off) >= v).mean() for v in values]
    return float(values[int(np.argmin(errors))])


def densities(image: NDArray[np.uint8], points: NDArray) -> list[float]:
    """Mean optical density within 3 px of each point."""
    density = optical_density(image).mean(axis=-1)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    found = []
    for a, b in points:
        top, left = max(int(a) - 4, 0), max(int(b) - 4, 0)
        part = np.s_[top : int(a) + 6, left : int(b) + 6]
        found.append(float(density[part][np.hypot(y[part] - a, x[part] - b) <= 3].mean()))
    return found


def phantom_control() -> int:
    """Nuclei under the dots of quilted phantom images, beside those of real ones."""
    settings = phantom.Settings(images=phantom.Images(train=12, val=6, test=1))
    records, classes = list(phantom.read(settings, None)), phantom.classes(settings)
    train, val = tissue(records, classes, "train"), tissue(records, classes, "val")
    layouts, real = image_windows(*val, REGION)
    made, _ = painted(quilt.Settings(), train, layouts)
    limit = nucleus_threshold(*train)
    shares = [
        np.mean(
            np.concatenate([densities(image, one.points) for one, image in zip(layouts, side, strict=True)]) >= limit
        )
        for side in (made, real)
    ]
    print(f"phantom: nuclei under {shares[0]:.3f} of {len(layouts.labels)} dots, of real images {shares[1]:.3f}")
    what = "quilted phantom images: nuclei under the dots"
    return report("painting phantom", what, "the share of real images", float(shares[0] / shares[1]), NUCLEI)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("CELLSCAPER_BRCA_M2C"), help="folder of BRCA-M2C")
    parser.add_argument("--model", type=Path, help="U-Net of real images alone")
    parser.add_argument("--try", dest="tries", action="append", default=[], help="settings of quilting, JSON")
    parser.add_argument("--windows", type=int, default=40, help="windows of validation images (at most 40)")
    parser.add_argument("--picture", type=Path, help="PNG of real windows and the first row's images")
    parser.add_argument("--phantom", action="store_true", help="the control on phantom images alone")
    args = parser.parse_args()
    if args.phantom:
        return phantom_control()
    records, classes = list(brca_m2c.read(brca_m2c.Settings(), Path(args.data))), brca_m2c.classes(brca_m2c.Settings())
    train, val = tissue(records, classes, "train"), tissue(records, classes, "val")
    layouts, real = image_windows(*val, REGION)
    layouts, real = layouts[: args.windows], real[: args.windows]
    find = None
    if args.model:
        model, settings = read_judge(args.model, classes, torch.device("cpu"))
        _, find = unet_reader(model, settings, 64, "cpu")
    try:
        lite0.weights_file()
        audit = Audit(network="lite0", images=args.windows)
    except CellscaperError as error:
        print(error)
        audit = Audit(images=args.windows)

    def judged(images: Images) -> dict[str, float]:
        """The scores of images of the validation layouts."""
        found = stain_distances(stain(images), stain(train[1]))
        found |= {
            f"{metric} {kind}": value
            for metric, values in image_copies(train[1], real, images, audit).items()
            for kind, value in values.items()
        }
        if find is not None:
            recall, precision = dots_found(layouts, found_in(layouts, images, find, "detections"))
            found |= {f"recall {name}": value for name, value in recall.items()}
            found |= {f"precision {name}": value for name, value in precision.items()}
        return found

    rows = {"real validation images": judged(real)}
    halves = image_copies(train[1][::2], real, train[1][1::2], audit.model_copy(update={"images": len(train[1])}))
    rows["training images, halves"] = {
        **stain_distances(stain(train[1][::2]), stain(train[1][1::2])),
        **{f"{metric} {kind}": value for metric, values in halves.items() for kind, value in values.items()},
    }
    first: dict[str, float] = {}
    for text in ["{}", *args.tries]:
        chosen = read(quilt.Settings, json.loads(text), "--try")
        made, seconds = painted(chosen, train, layouts)
        rows[f"quilt {text}"] = {"seconds": seconds, **judged(made)}
        if not first:
            first = rows[f"quilt {text}"]
            if args.picture:
                pairs = [np.concatenate(pair, axis=1) for pair in zip(real[:8:2], made[:8:2], strict=True)]
                Picture.fromarray(np.concatenate(pairs)).save(args.picture)
        for name in dict.fromkeys(key for row in rows.values() for key in row):
            print(f"{name:28}" + "".join(f"{row.get(name, np.nan):12.4f}" for row in rows.values()), flush=True)
        print("rows:", "; ".join(rows), flush=True)
    if find is None:
        return 0
    status = 0
    for key in ("recall detection", "recall mean", "precision detection", "precision mean"):
        ratio = first[key] / rows["real validation images"][key]
        what = f"quilted validation images: {key} of a real-only U-Net"
        status |= report(f"painting {key}", what, "its value on the real images", ratio, SHARE)
    return status


if __name__ == "__main__":
    sys.exit(main())
