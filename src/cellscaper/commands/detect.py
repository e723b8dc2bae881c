"""`cellscaper detect`: the cells of H&E images, found and named by a trained detector."""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.commands import options
from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    import torch

    from cellscaper.datasets.pictures import Picture
    from cellscaper.detectors.packaged import Trained
    from cellscaper.layouts import Layout
    from cellscaper.run.progress import Progress

LEAST = 32  # px at the detector's scale: side of the smallest image
SAME = 0.02  # share by which the image's scale may differ from the detector's without rescaling
PLACE = "{image}"
HELP = "the cells of H&E images of any size, found and named by a trained detector"
DESCRIPTION = f"""\
Find the cells of H&E images and name their classes. Images may have any size up to 100 million px; they are looked at
in overlapping tiles. The detector works at its own scale (0.5 µm a pixel); places are given in the px of the image.

  cellscaper detect slide.png --mpp 0.25 -o cells.geojson
  cellscaper detect images/*.png -o cells.csv              # one table with a column image
  cellscaper detect images/*.png -o 'cells/{PLACE}.geojson'  # a file for each image, for QuPath
  cellscaper detect slide.png --weights model.safetensors -o cells.h5

The ending of the name chooses the format: .geojson (QuPath), .csv, .json (COCO), .h5, .h5ad (AnnData) or .napari.csv.
µm a pixel are read from the image's header, its name or its folder's, unless --mpp says them.

--weights takes the model.safetensors of any detector that the workflow trained (train_detector, select_detector); a
detector names the classes that it was trained on. Images are 8-bit RGB: PNG, TIFF, JPEG, BMP. Counts of each image are
printed. These are statistics of tissue for research; nothing here is for diagnosis.
"""


@dataclass(frozen=True)
class Asked:
    """An image to look at: file, name in the output, size (height, width) px, µm a pixel and the words for them."""

    path: Path
    name: str
    size: tuple[int, int]
    mpp: float
    words: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="8-bit RGB: .png, .tif, .jpg, .bmp")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help=f"file to write; with {PLACE} in its name one an image"
    )
    parser.add_argument("--mpp", metavar="UM", help="µm a pixel of all images (0.5 at 20×), where they do not say")
    parser.add_argument("--weights", metavar="FILE", help="a trained detector, model.safetensors; else the shipped one")
    parser.add_argument(
        "--symmetries", action="store_true", help="mean over the eight symmetries of a square, 8 times the time"
    )
    parser.add_argument("--threads", metavar="N", help="default: OMP_NUM_THREADS or one for each core")


def run(args: argparse.Namespace) -> None:
    """Check everything, detect, write."""
    files = [options.file(text, "IMAGE") for text in args.images]
    weights = options.file(args.weights, "--weights") if args.weights else None
    mpp = options.microns(args.mpp)
    outputs = _outputs(args.output, files)
    options.spared(outputs, [*files, *([weights] if weights else [])])

    from cellscaper.run import stage

    stage.use_threads(options.whole(args.threads, "--threads", 1) if args.threads else stage.usual_threads())

    from cellscaper.detectors.packaged import load, load_packaged
    from cellscaper.detectors.whole_image import number_of_tiles
    from cellscaper.disk import export
    from cellscaper.plan.provenance import record
    from cellscaper.run.devices import best_device
    from cellscaper.run.progress import Progress

    detector = load(weights) if weights else load_packaged()
    asked = _asked(files, mpp, detector.mpp)
    scales = sorted({one.mpp for one in asked})
    if len(outputs) == 1 and scales[-1] > scales[0] * 1.001:
        raise CellscaperError(
            f"the images have {scales[0]:g} to {scales[-1]:g} µm a pixel, and a file has one scale; put {PLACE} into "
            "the name of -o for a file an image"
        )
    config = {"section": detector.facts["section"], "symmetries": args.symmetries}
    config["images"] = {one.name: {"mpp": one.mpp, "by": one.words} for one in asked}
    inputs = {f"image{i or ''}": file for i, file in enumerate(files)} | ({"weights": weights} if weights else {})
    method = f"detectors.{detector.facts['section']['method']}"
    provenance = record("detect", config, None, inputs, ["disk.export", method], package="commands")
    groups = [asked] if len(outputs) == 1 else [[one] for one in asked]
    tiles = sum(number_of_tiles(_at_scale(one.size, one.mpp / detector.mpp)) for one in asked)
    where = best_device()
    with Progress(tiles, "tiles") as progress:
        for path, group in zip(outputs, groups, strict=True):
            with export.writer(path, detector.classes, group[0].mpp, provenance, images=True) as append:
                for one in group:
                    append(_cells(one, detector, where, args.symmetries, progress), {})


def _outputs(text: str, files: list[Path]) -> list[Path]:
    """The files to write: one, or one an image where the name has {image}."""
    from cellscaper.disk import export

    same = [file for file, number in Counter(file.resolve() for file in files).items() if number > 1]
    if same:
        raise CellscaperError(f"IMAGE {same[0]} is given twice; name each image once")
    stems = [file.stem for file in files]
    twice = [name for name, number in Counter(stems).items() if number > 1]
    if PLACE in text and twice:
        raise CellscaperError(f"{text}: two images are called {twice[0]!r} and would write one file; rename one")
    found = [options.output(text.replace(PLACE, stem)) for stem in stems] if PLACE in text else [options.output(text)]
    for path in found:
        export.ending(path)
    return found


def _asked(files: list[Path], mpp: float | None, own: float) -> list[Asked]:
    """The images with their scales; ``own``: that of the detector. CellscaperError for images that cannot be used."""
    from cellscaper.datasets.image_scale import image_scale
    from cellscaper.datasets.scale import PLAUSIBLE, contradicting, of_headers
    from cellscaper.run.progress import log

    if mpp is not None and not PLAUSIBLE[0] <= mpp <= PLAUSIBLE[1]:
        raise CellscaperError(f"--mpp {mpp:g}: expected {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g} µm a pixel (0.5 at 20×)")
    names = [file.name for file in files]
    found = []
    for file in files:
        header = _header(file)
        if mpp is None:
            scale = image_scale(file, header, [other for other in files if other.parent == file.parent])
            one = Asked(file, "", header.size, scale.mpp, scale.words)
        else:
            one = Asked(file, "", header.size, mpp, "given")
            for other in contradicting(mpp, of_headers([header.mpp])):
                log(f"! {file}: --mpp {mpp:g} is given, but {other.words}")
        height, width = _at_scale(one.size, one.mpp / own)
        if min(height, width) < LEAST:
            raise CellscaperError(
                f"{file} has {header.size[0]}×{header.size[1]} px at {one.mpp:g} µm, which are {height}×{width} px at "
                f"the detector's {own:g} µm; it needs {LEAST}×{LEAST} px at least"
            )
        if header.turned != 1:
            log(f"! {file}: its EXIF orientation turns it; pixels are read as they are stored, and so are the places")
        if header.pages > 1:
            log(f"! {file}: only the first of its {header.pages} pages is read")
        name = file.name if names.count(file.name) == 1 else str(file)
        found.append(Asked(one.path, name, one.size, one.mpp, one.words))
    return found


def _header(file: Path) -> "Picture":
    """The header of an image whose pixels can be read; the reader's CellscaperError for another file."""
    from cellscaper.datasets.images import MAX_PIXELS, read_rgb
    from cellscaper.datasets.pictures import look

    header = look(file)
    if header is None or not header.photo or header.size[0] * header.size[1] > MAX_PIXELS:
        read_rgb(file)
        raise CellscaperError(f"{file} has no header that can be read; save it anew as PNG or TIFF")
    return header


def _at_scale(size: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Height and width at the detector's scale."""
    from cellscaper.datasets.dots import rescaled_size

    return (size[0], size[1]) if abs(factor - 1) < SAME else rescaled_size(size, factor)


def _cells(one: Asked, detector: "Trained", where: "torch.device", symmetries: bool, progress: "Progress") -> "Layout":
    """The cells of an image in its own px; one line says how many."""
    import numpy as np

    from cellscaper.datasets.dots import rescaled_image, rescaled_points
    from cellscaper.datasets.images import read_rgb
    from cellscaper.detectors.whole_image import cells_of_image
    from cellscaper.disk.formats.counted import counted
    from cellscaper.layouts import Layout
    from cellscaper.run.progress import log

    pixels, factor = read_rgb(one.path), one.mpp / detector.mpp
    seen = pixels if abs(factor - 1) < SAME else rescaled_image(pixels, factor)
    maps = detector.on(where, symmetries)
    points, labels = cells_of_image(maps, detector.read_cells, seen, where, progress.update)
    points = rescaled_points(points, seen.shape[:2], pixels.shape[:2])
    counts = np.bincount(labels, minlength=len(detector.classes)).tolist()
    each = ", ".join(f"{n} {name}" for n, name in zip(counts, detector.classes, strict=True))
    log(f"{one.name}: {counted(len(labels), 'cells')} ({each}); {one.mpp:g} µm a pixel ({one.words})")
    return Layout(points, labels, (pixels.shape[0], pixels.shape[1]), one.name)
