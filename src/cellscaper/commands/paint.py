"""`cellscaper paint`: H&E images for layouts out of the images of an own folder, without training."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.commands import check, options
from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    from cellscaper.layouts import LayoutSet

FORMATS = {"geojson": ".geojson", "csv": ".csv", "coco": ".json"}
COPIES = "The pixels are copies of the training images, for your own augmentation; not synthetic data to share."
HELP = "H&E images for layouts, put together from patches of your own images; no training"
DESCRIPTION = f"""\
Paint an H&E image for each layout out of the annotated images of a folder: every cell gets a patch around a real cell
of its class with a like neighbourhood, and cuts where the patches agree hide the seams. It needs no training and no
GPU: about a second for 256 × 256 px.

{COPIES}
Where train, val and test lists are in the folder (docs/own-data.md), only its training images are used.

  cellscaper generate --counts lymphocyte=12,epithelial=60,stromal=20 -n 50 -o layouts.h5
  cellscaper paint layouts.h5 --from my_folder -o images/
  cellscaper paint layouts.h5 --from my_folder -o images/ --mpp 0.25 --classes 1=lymphocyte,2=epithelial,3=stromal

Layouts come from `cellscaper generate`, or from any file that `cellscaper convert` reads. Images and dots of the folder
are found as `cellscaper check` finds them, and are brought to the layouts' scale. The output has image0000.png,
image0000.geojson and so on. A stopped command goes on where it ended when it is started again.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("layouts", metavar="LAYOUTS", help=".h5, .geojson, .csv or .json (COCO), or a set in parts")
    parser.add_argument("--from", dest="folder", required=True, metavar="FOLDER", help="images and dot files")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder for images and their cells")
    parser.add_argument("--set", metavar="NAME", help="which set of an .h5 file with several (a decoder's, say)")
    parser.add_argument("--seed", default="0", help="whole number (default 0); another seed gives other images")
    parser.add_argument(
        "--format", default="geojson", metavar="A,B", help=f"of the cells: {', '.join(FORMATS)} (default geojson)"
    )
    parser.add_argument("--mpp", metavar="UM", help="µm a pixel of the folder's images; else it is guessed")
    parser.add_argument("--columns", metavar="A,B,…", help="columns of text tables, as in `cellscaper check`")
    parser.add_argument("--unit", choices=check.UNITS, help="of the places of cells, as in `cellscaper check`")
    parser.add_argument("--classes", metavar="A=NAME,…", help="class in the files = name, as in `cellscaper check`")
    parser.add_argument("--size", metavar="H,W", help="px of the layouts, where their file does not say")
    parser.add_argument("--threads", metavar="N", help="default: OMP_NUM_THREADS or one for each core")


def run(args: argparse.Namespace) -> None:
    """Check everything, paint, write."""
    source = options.file_or_folder(args.layouts, "LAYOUTS")
    folder, output = Path(args.folder), Path(args.output)
    if not folder.is_dir():
        raise CellscaperError(f"--from {folder} is not a folder; name one with images and dot files")
    if not output.is_dir() and (output.exists() or not output.parent.is_dir()):
        raise CellscaperError(f"-o {output}: expected a folder, or the name of a new one in a folder that is there")
    _apart(folder, output)
    if output.is_dir() and options.same_file(source.parent, output) and source.name.startswith("image"):
        raise CellscaperError(f"-o {output}: LAYOUTS {source} lies in it and may be overwritten; name another folder")
    endings = [FORMATS.get(name, "") for name in options.names(args.format, "--format")]
    if not all(endings):
        raise CellscaperError(f"--format {args.format!r}: expected some of {', '.join(FORMATS)}")
    seed = options.whole(args.seed, "--seed")
    mpp = options.microns(args.mpp)
    size = options.size(args.size) if args.size else None

    from cellscaper.run import stage

    stage.use_threads(options.whole(args.threads, "--threads", 1) if args.threads else stage.usual_threads())

    from cellscaper.datasets.survey import survey
    from cellscaper.datasets.survey_state import Asked
    from cellscaper.disk import export
    from cellscaper.disk.formats.agreement import agreed
    from cellscaper.disk.formats.facts import Given
    from cellscaper.painters import quilt
    from cellscaper.painters.quilting.folder import folder_sources
    from cellscaper.painters.quilting.pairs import write_pairs
    from cellscaper.run.progress import log

    said = options.told(source)
    layouts = export.read(source, Given(size=size, mpp=0.5, stands_in=True), args.set, said)
    layouts = agreed(source, layouts, Given(size=size), said)
    unit = check.unit(args.unit)
    asked = Asked(mpp, options.columns(args.columns), check.classes(args.classes), unit=unit, all_train=True)
    found = survey(folder.resolve(), "folder", asked)
    cells, pixels = folder_sources(folder, found, layouts)
    layouts = _with_classes(layouts, cells.classes)
    settings = quilt.Settings()
    sources = quilt.library(settings, cells, pixels)
    quilt.check(sources, layouts)
    log(COPIES)
    write_pairs(output, layouts, seed, sources, settings, endings, COPIES)


def _apart(folder: Path, output: Path) -> None:
    """CellscaperError if one of two folders lies in the other: painted images would be read as real ones."""
    real, painted = folder.resolve(), output.resolve()
    if painted.is_relative_to(real) or real.is_relative_to(painted):
        how = "are one folder" if real == painted else f"lie one in the other ({folder})"
        raise CellscaperError(
            f"-o {output} and --from {how}: painted images would be read as real ones; name a folder beside it"
        )


def _with_classes(layouts: "LayoutSet", classes: tuple[str, ...]) -> "LayoutSet":
    """The layouts with more classes, the first of which are their own."""
    from dataclasses import replace

    return replace(layouts, classes=classes)
