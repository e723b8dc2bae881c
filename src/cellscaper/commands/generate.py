"""`cellscaper generate`: layouts with the counts you ask for, by a bundled model or your own."""

import argparse

from cellscaper.commands import options
from cellscaper.commands.chosen_model import chosen_model
from cellscaper.errors import CellscaperError

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

--system takes another system whose weights are in the package (docs/weights.md), --weights a file of your own training.
Systems other than point_diffusion make whole regions of the size they were trained on, without masks and given cells.
Those that make maps have the counts as a condition; the decoder `requested` reads exactly the counts from a map.
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
    where.add_argument("--min-distance", metavar="PX", help="between any two cells (default 4; 0: none)")
    how = parser.add_argument_group("how")
    how.add_argument("--system", metavar="NAME", help="bundled weights (default: point_diffusion)")
    how.add_argument("--weights", metavar="FILE", help="your own model (.safetensors) of any trained system")
    how.add_argument("--steps", metavar="N", help="noise levels (point diffusion: 20); fewer are faster")
    how.add_argument(
        "--decoder",
        metavar="NAME",
        help="of systems that make maps: requested (default, exact counts), peaks, components or released",
    )
    how.add_argument("--guidance", metavar="G", help="of maps: guidance on the counts (default 0: none)")
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
    if args.steps:
        options.whole(args.steps, "--steps", 1, STEPS)
    paths = {key: options.file(getattr(args, key), f"--{key}") for key in ("mask", "around", "spread", "weights")
             if getattr(args, key)}  # fmt: skip
    options.spared([output, *([png] if png else [])], paths.values())
    if png is not None and options.same_file(png, output):
        raise CellscaperError(f"--png {png} is the file of -o; name another")
    if (args.counts is None) == (args.density is None):
        raise CellscaperError("give either --counts or --density, for example --counts lymphocyte=12,epithelial=60")

    from cellscaper.disk import export
    from cellscaper.run import stage

    export.ending(output)
    stage.use_threads(options.whole(args.threads, "--threads", 1) if args.threads else stage.usual_threads())

    from cellscaper.commands import generate_points, generate_system
    from cellscaper.layouts import Layout, LayoutSet
    from cellscaper.plan.provenance import record
    from cellscaper.report.figures.galleries import layout_sheet
    from cellscaper.report.figures.sheet import write_picture
    from cellscaper.run.parts import part_rows
    from cellscaper.run.progress import Progress, log
    from cellscaper.run.seeds import sample_seeds

    model = chosen_model(args.system, paths.get("weights"))
    make = generate_points.work if model.system == "point_diffusion" else generate_system.work
    work = make(args, paths, model)
    for line in model.warnings(work.counts, work.pixels):
        log(line)
    config = {"number": n, "model": model.name, "system": model.system, **work.config}
    inputs = paths if "weights" in paths else {**paths, "weights": model.file}
    provenance = record("generate", config, seed, inputs, work.methods, package="commands")
    if part is not None:
        provenance["part"] = list(part)
    number, parts = part or (1, 1)
    rows = part_rows(n, work.batch if work.aligned or n >= work.batch * parts else 1, number, parts)
    shown: list[Layout] = []
    with (
        Progress(work.units(len(rows)), work.verb) as progress,
        export.writer(output, model.classes, model.mpp, provenance) as append,
    ):
        for first in range(rows.start, rows.stop, SEEDS):
            seeds = sample_seeds(seed, min(SEEDS, rows.stop - first), 0, first)
            for own, layout in zip(seeds, work.layouts(seeds, progress.update), strict=True):
                append(layout, {**work.columns, "seed": own})
                shown += [layout] if len(shown) < 24 else []
    for line in work.said():
        log(line)
    if png is not None:
        write_picture(layout_sheet(LayoutSet.build(shown, model.classes, model.mpp)), png)
