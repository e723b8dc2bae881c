"""score_images: nuclei under the dots, stain and image FID of painted images, or of real ones as their reference.

A U-Net that was trained on real images alone looks at them; its encoder makes the features of the FID. Real images are
cut into windows of the painted size. config ``real``: null scores the painted images against the training images,
``test`` the test images against the training images, ``halves`` one half of the training images against the other.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.detectors import unet
from cellscaper.detectors.data import channels_first, to_input
from cellscaper.detectors.peaks import detect, found_in
from cellscaper.disk.score_file import write_scores
from cellscaper.disk.storage import ImageSet, read_layouts, read_split
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.metrics.image_quality import dots_found, image_fid, image_fid_name, stain, stain_distances
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.progress import Progress
from cellscaper.views.patches import large_enough

Pairs = tuple[LayoutSet, list[NDArray[np.uint8]]]


def windows(
    cells: LayoutSet, images: list[NDArray[np.uint8]], config: Mapping[str, Any], chosen: slice = slice(None)
) -> Pairs:
    """Windows of ``region`` px of the chosen images with their cells: evenly spaced, about as many as fit side by side.

    Images below the region are an error, or left out with ``small: skip``.
    """
    region = config["region"]
    cut: list[Layout] = []
    pixels = []
    for i in np.flatnonzero(large_enough(cells, region, config["small"]))[chosen].tolist():
        layout = cells.layout(i)
        rows, columns = (
            np.linspace(0, length - region, max(1, round(length / region))).round().astype(int).tolist()
            for length in layout.size
        )
        for y in rows:
            for x in columns:
                cut.append(crop(layout, y, x, region, region))
                pixels.append(images[i][y : y + region, x : x + region])
    return LayoutSet.build(cut, cells.classes, cells.mpp), pixels


def features(model: unet.UNet, images: list[NDArray[np.uint8]], tile: int, what: str) -> NDArray[np.float32]:
    """Features (T, d) of the tiles of all images."""
    found = []
    with Progress(len(images), f"{what}: features") as progress:
        for image in images:
            inputs = to_input(channels_first(image)[None].to(device()))
            found.append(unet.tile_features(model, inputs, tile).cpu().numpy())
            progress.update()
    return np.concatenate(found)


def look(
    model: unet.UNet, settings: Mapping[str, Any], layouts: LayoutSet, images: list[NDArray[np.uint8]]
) -> LayoutSet:
    """The cells that the detector finds in the images of these layouts."""
    find = partial(detect, unet.maps, unet.cells, model, settings=settings, device=device())
    return found_in(layouts, images, find, "detections")


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "images", "model", "layouts?", "painted?"],
        outputs=["scores"],
        options=["dataset", "experiment", "decoder"],
    )
    config, kind = args.config, args.config["real"]
    train = read_split(args.cells, args.images, "train")
    classes = train[0].classes
    weights, facts = read_weights(args.model)
    settings = facts["section"]
    if settings["method"] != "unet" or tuple(facts["classes"]) != classes:
        raise CellscaperError(
            f"{args.model} is a {settings['method']} of {', '.join(facts['classes'])}; images of {args.cells} are "
            f"scored by a unet of {', '.join(classes)}"
        )
    model = unet.build(settings, len(classes)).to(device()).eval()
    model.load_state_dict(weights)
    if kind == "halves":
        sides = [windows(*train, config, slice(first, None, 2)) for first in (0, 1)]
    elif kind == "test":
        sides = [windows(*read_split(args.cells, args.images, split), config) for split in ("train", "test")]
    else:
        with ImageSet(args.painted) as painted:
            sides = [windows(*train, config), (read_layouts(args.layouts, args.decoder), list(painted))]
    (_, reference), (layouts, images) = sides
    values = stain_distances(stain(images, config["glass"]), stain(reference, config["glass"]))
    shrinkage = config["shrinkage"]
    real = features(model, reference, config["tile"], "reference")
    own = features(model, images, config["tile"], "images")
    values[image_fid_name(shrinkage)] = image_fid(real, own, shrinkage)
    scores = {name: {"total": value} for name, value in values.items()}
    if kind != "halves":  # the detector was trained on these
        recall, precision = dots_found(layouts, look(model, settings, layouts, images), config["radius"])
        scores |= {"dot_recall": recall, "dot_precision": precision}
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.decoder, "seed": args.seed}
    write_scores(args.scores, about, scores, len(images))


if __name__ == "__main__":
    stage.run(main)
