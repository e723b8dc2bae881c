"""score_detections: precision, recall and F1 of detected cells over all test images, and every image's counts."""

from typing import Any

import numpy as np

from cellscaper.disk.count_file import write_counts
from cellscaper.disk.score_file import write_scores
from cellscaper.disk.storage import read_layouts, read_provenance
from cellscaper.errors import CellscaperError
from cellscaper.metrics import detection
from cellscaper.metrics.detection import PROTOCOLS, image_counts, scores
from cellscaper.run import stage
from cellscaper.run.methods import current

_KEPT: tuple[str, ...] = ("synthetic_fraction", "val_f1")


def setup(config: dict[str, Any]) -> dict[str, float]:
    """What tables say of a training in their notes: part of synthetic crops, validation F1, 1 for ImageNet weights."""
    found: dict[str, float] = {name: float(config[name]) for name in _KEPT if name in config}
    if "initialised" in config:
        found["imagenet"] = float(config["initialised"] == "imagenet")
    return found


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "detections"],
        outputs=["scores", "counts"],
        options=["dataset", "experiment", "detector"],
    )
    current(detection)
    radius = args.config["radius"]
    if radius < 1:
        raise CellscaperError(f"metrics.detection.radius = {radius} px, expected 1 or more")
    radii = [*np.arange(1, int(radius) + 1).tolist(), *([radius] if radius % 1 else [])]
    cells, found = read_layouts(args.cells).where(split="test"), read_layouts(args.detections)
    counts = {protocol: image_counts(cells, found, radii, protocol) for protocol in PROTOCOLS}
    values: dict[str, dict[str, float]] = {}
    for protocol, array in counts.items():
        suffix = "" if protocol == "paper" else f"_{protocol}"
        pooled = scores(array[:, radii.index(radius)].sum(axis=0), cells.classes, protocol)
        values |= {f"{name}{suffix}": by_class for name, by_class in pooled.items()}
    values["setup"] = setup(read_provenance(args.detections)["config"])
    about = {"dataset": args.dataset, "experiment": args.experiment, "detector": args.detector, "seed": args.seed}
    images = [str(source) for source in cells.source]
    # the larger file first: on a full disk nothing is left
    write_counts(args.counts, about, counts, images, radii, cells.classes)
    write_scores(args.scores, about, values, len(cells))


if __name__ == "__main__":
    stage.run(main)
