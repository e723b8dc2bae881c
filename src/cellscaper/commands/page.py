"""`cellscaper page`: a generator of layouts as one HTML file."""

import argparse
import html
import shlex

from cellscaper.commands import options

HELP = "a page that draws layouts in a browser, offline: one HTML file"
DESCRIPTION = """\
Make one HTML file that generates layouts of cells in any browser. It needs no server, no network and no other file,
and has at most 4 MB.

  cellscaper page -o page.html                                 # the bundled model (BRCA-M2C, breast)
  cellscaper page my/model.safetensors --real my/cells.h5 -o page.html

The page draws exact counts of each class in a region of up to 1024 × 1024 px. Cells can be moved, kept, added and
deleted, and the model rearranges the rest or redraws a lasso. It shows cross-K and nearest neighbours beside those of
real tissue, and saves GeoJSON (QuPath), CSV and PNG.

For the same request and seed it draws the layout of `cellscaper generate`, but for some hundredths of a pixel: its
weights have 16 bits. MODEL are weights of a point_diffusion training. --real are its real cells (layouts as
`cellscaper convert` reads them); the page then holds curves of them, and no cell.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help="your own model of point diffusion (.safetensors)")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the page to write (.html)")
    parser.add_argument("--real", metavar="FILE", help="real layouts of these classes to compare with (.h5, .csv, …)")


def run(args: argparse.Namespace) -> None:
    """Read, assemble, write."""
    output = options.output(args.output)
    path = options.file(args.model, "MODEL") if args.model else None
    tissue = options.file_or_folder(args.real, "--real") if args.real else None
    options.spared([output], [one for one in (path, tissue) if one])
    from cellscaper.disk import export
    from cellscaper.disk.files import write_text
    from cellscaper.disk.shipped import at_scale_of
    from cellscaper.errors import CellscaperError
    from cellscaper.generators.pointsets.packaged import load, load_packaged
    from cellscaper.page.assemble import packaged_curves, page
    from cellscaper.page.curves import real_curves

    if output.suffix.lower() not in (".html", ".htm"):
        raise CellscaperError(f"{output}: unknown ending {output.suffix!r}, expected .html")
    if path and path.suffix.lower() != ".safetensors":
        raise CellscaperError(f"MODEL {path}: unknown ending {path.suffix!r}, expected .safetensors")
    model, facts = load(path) if path else load_packaged()
    real = None if path else packaged_curves()
    if tissue:
        cells = export.read(tissue, say=options.told(tissue))
        if list(cells.classes) != list(facts["classes"]):
            raise CellscaperError(
                f"--real {tissue} has the classes {', '.join(cells.classes)}, the model {', '.join(facts['classes'])}; "
                "give cells of these classes, in order"
            )
        if not at_scale_of(facts, cells.mpp):
            raise CellscaperError(
                f"--real {tissue} has {cells.mpp:g} µm a pixel, the model {facts['mpp']:g}; rescale them"
            )
        real = real_curves(cells, model.region, tissue.name)
    command = f"cellscaper generate --weights {shlex.quote(path.name)}" if path else "cellscaper generate"
    about = f"The model is {path.name}." if path else "The model was trained on BRCA-M2C (breast cancer, 20×)."
    write_text(output, page(model, facts, real, command, html.escape(about)))
