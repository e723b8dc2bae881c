"""`cellscaper generate`: layouts with exact counts, by the bundled model or your own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.commands import options
from cellscaper.commands.pictures import picture
from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    from cellscaper.generators.pointsets.request import Request
    from cellscaper.layouts import LayoutSet

STEPS = 10_000  # most noise levels that --steps takes
SEEDS = 1024  # layouts whose seeds are in memory
HELP = "layouts with exactly the cells you ask for: any size, masks, around given cells"
DESCRIPTION = """\
Generate layouts of cells: labelled points, in px at 20× (0.5 µm a pixel), with exactly the counts asked for.
The bundled model was trained on BRCA-M2C (breast): classes lymphocyte, epithelial, stromal. No network is needed.

  cellscaper generate --counts lymphocyte=12,epithelial=60,stromal=20 -n 8 -o out.h5 --png out.png
  cellscaper generate --density lymphocyte=800,epithelial=3500,stromal=1500 --size 4096,4096 -o slide.geojson
  cellscaper generate --counts epithelial=25 --mask hole.png --around cells.csv -o filled.csv --png filled.png

Give --counts for the whole region (or for the mask in it), or --density in cells per mm². Classes that you do not name
have no cells. A region of 256 × 256 px is 0.0164 mm²; BRCA-M2C has 20 to 125 cells in one (1200 to 7600 per
mm²). Regions may have any size: larger ones are made of overlapping windows, smaller ones are cut from a window.

--around keeps given cells where they are and generates the counts beside them, as their neighbours. Given cells come
first in each layout (column `given`). Without --mask, new cells may lie anywhere between them.

Large sets are made in parts, side by side or on several machines; the files of all parts together are the whole set,
and most commands take their folder like a file (docs/large-sets.md). A part that was lost is made again alone:

  cellscaper generate --counts epithelial=60 -n 10000 --part 3/50 -o big/part3.h5

Every layout has exactly the counts. No two cells are nearer than --min-distance, and no new cell lies outside the mask.
An impossible request ends with a one-line error, and no file is written. The same --seed gives the same layouts.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    many = parser.add_argument_group("what")
    many.add_argument("--counts", metavar="CLASS=N,…", help="new cells of each class in the region")
    many.add_argument("--density", metavar="CLASS=D,…", help="new cells per mm² of each class, in place of --counts")
    many.add_argument("-n", "--number", default="1", metavar="N", help="layouts (default 1)")
    many.add_argument("--part", metavar="K/N", help="only part K of N of the layouts; all parts together are the whole")
    many.add_argument("--seed", default="0", help="whole number (default 0); another seed gives other layouts")
    where = parser.add_argument_group("where")
    where.add_argument("--size", metavar="H,W", help="px at 20× (default: of --mask or --around, else 256,256)")
    where.add_argument("--mask", metavar="FILE", help=".png or .npy (H, W): new cells lie where it is not 0")
    where.add_argument(
        "--around", metavar="FILE", help="given cells: .csv (y, x, class), .geojson, .h5, .h5ad or .json, one layout"
    )
    where.add_argument(
        "--spread", metavar="FILE", help=".npy (h, w) or (classes, h, w) or .png: where cells are dense (≥ 0)"
    )
    where.add_argument("--min-distance", default="4", metavar="PX", help="between any two cells (default 4; 0: none)")
    how = parser.add_argument_group("how")
    how.add_argument("--steps", metavar="N", help="noise levels (default 20); fewer are faster")
    how.add_argument("--weights", metavar="FILE", help="your own model of point diffusion (.safetensors)")
    how.add_argument("--threads", metavar="N", help="default: OMP_NUM_THREADS or one for each core")
    out = parser.add_argument_group("output")
    out.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help=".h5, .geojson (QuPath), .csv, .json (COCO), .h5ad or .napari.csv",
    )
    out.add_argument("--png", metavar="FILE", help="picture of the first 24 layouts")


def run(args: argparse.Namespace) -> None:
    """Check everything, generate, write."""
    output = options.output(args.output)
    png = options.output(args.png) if args.png else None
    n, seed = options.whole(args.number, "-n", 1), options.whole(args.seed, "--seed")
    part = options.part(args.part) if args.part else None
    wanted = {"steps": options.whole(args.steps, "--steps", 1, STEPS)} if args.steps else {}
    paths = {key: options.file(getattr(args, key), f"--{key}") for key in ("mask", "around", "spread", "weights")
             if getattr(args, key)}  # fmt: skip
    if (args.counts is None) == (args.density is None):
        raise CellscaperError("give either --counts or --density, for example --counts lymphocyte=12,epithelial=60")

    from cellscaper.disk import export
    from cellscaper.run import stage

    export.ending(output)
    stage.use_threads(options.whole(args.threads, "--threads", 1) if args.threads else stage.usual_threads())

    from cellscaper.generators.pointsets.generate import BATCH, SAMPLING, calls, generate
    from cellscaper.generators.pointsets.packaged import load, load_packaged
    from cellscaper.layouts import Layout, LayoutSet
    from cellscaper.plan.provenance import record
    from cellscaper.report.figures.galleries import layout_sheet
    from cellscaper.report.figures.sheet import write_picture
    from cellscaper.run.devices import best_device
    from cellscaper.run.parts import part_rows
    from cellscaper.run.progress import Progress
    from cellscaper.run.seeds import sample_seeds

    model, facts = load(paths["weights"]) if "weights" in paths else load_packaged()
    classes, mpp = tuple(facts["classes"]), float(facts["mpp"])
    request = _request(args, paths, classes, mpp)
    sampling = SAMPLING.model_copy(update=wanted)
    config = {
        "number": n,
        "counts": dict(zip(classes, request.counts.tolist(), strict=True)),
        "size": list(request.size),
        "min_distance": request.min_distance,
        "sampling": sampling.model_dump(exclude={"precision", "batch"}),
        "model": "own" if "weights" in paths else "packaged",
    }
    methods = ["generators.pointsets.generate", "generators.pointsets.packaged", "disk.export"]
    provenance = record("generate", config, seed, paths, methods, package="commands")
    if part is not None:
        provenance["part"] = list(part)
    number, parts = part or (1, 1)
    rows = part_rows(n, BATCH if n >= BATCH * parts else 1, number, parts)
    columns = {"requested": request.counts, "given": len(request.fixed), "min_distance": request.min_distance}
    shown: list[Layout] = []
    with (
        Progress(calls(len(rows), sampling), "denoising") as progress,
        export.writer(output, classes, mpp, provenance) as append,
    ):
        where = best_device()
        model.to(where)
        for first in range(rows.start, rows.stop, SEEDS):
            seeds = sample_seeds(seed, min(SEEDS, rows.stop - first), 0, first)
            made = generate(model, request, seeds, sampling, where, progress.update)
            for own, layout in zip(seeds, made, strict=True):
                append(layout, {**columns, "seed": own})
                shown += [layout] if len(shown) < 24 else []
    if png is not None:
        write_picture(layout_sheet(LayoutSet.build(shown, classes, mpp)), png)


def _request(args: argparse.Namespace, paths: dict[str, Path], classes: tuple[str, ...], mpp: float) -> "Request":
    import numpy as np

    from cellscaper.generators.pointsets.request import Request, class_counts

    size = options.size(args.size) if args.size else None
    mask = picture(paths["mask"], "--mask", 2) > 0 if "mask" in paths else None
    around = (
        _around(paths["around"], size or (None if mask is None else mask.shape), mpp) if "around" in paths else None
    )
    size = size or (mask.shape if mask is not None else around.common_size() if around is not None else (256, 256))
    fixed, labels = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    if around is not None and len(around.points):
        if around.common_size() != size:
            raise CellscaperError(f"--around has {around.common_size()} px (height, width), the region {size}")
        used = {around.classes[label] for label in np.unique(around.labels)}
        class_counts(dict.fromkeys(sorted(used), 1), classes, "--around")
        names = [around.classes[label] for label in around.labels]
        fixed, labels = around.points, np.array([classes.index(name) for name in names], np.uint8)
    if args.counts is not None:
        counts = class_counts(options.amounts(args.counts, "--counts", whole=True), classes, "--counts")
    else:
        pixels = int(mask.sum()) if mask is not None else size[0] * size[1]
        density = class_counts(options.amounts(args.density, "--density"), classes, "--density")
        counts = (density * pixels * mpp**2 / 1e6).round()
    spread = picture(paths["spread"], "--spread", 3) if "spread" in paths else None
    distance = options.number(args.min_distance, "--min-distance")
    return Request(counts.astype(np.int64), size, distance, mask, fixed, labels, spread)


def _around(path: Path, size: tuple[int, int] | None, mpp: float) -> "LayoutSet":
    """The layout of a file with one layout."""
    from cellscaper.disk import export
    from cellscaper.disk.formats.facts import Given

    layouts = export.read(path, Given(size=size, mpp=mpp))
    if len(layouts) != 1:
        raise CellscaperError(
            f"--around {path} holds {len(layouts)} layouts, expected one; take one out: "
            f"cellscaper convert {path} one.h5 --layout 0"
        )
    return layouts
