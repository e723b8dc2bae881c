"""`cellscaper convert`: layouts from one format into another."""

import argparse
from pathlib import Path

from cellscaper.commands import options
from cellscaper.commands.given_facts import CLASSES, given_facts

HELP = "layouts from one format into another: HDF5, GeoJSON (QuPath), CSV, COCO, AnnData, napari"
DESCRIPTION = """\
Convert layouts between .h5 (HDF5), .geojson (opens in QuPath), .csv, .json (COCO), .h5ad (AnnData: scanpy, squidpy)
and .napari.csv (points of napari), by the endings of the names.

Files that cellscaper wrote keep everything: positions bit for bit, classes, sizes, pixel size, sources, columns.
Files of other programs may be CSV with the columns y, x, class; GeoJSON with classified points or outlines (their
centroids are taken); COCO with keypoints or boxes; .h5ad with obsm/spatial. Give --size, --mpp and --classes where such
a file lacks them.

  cellscaper convert out.h5 out.geojson
  cellscaper convert out.h5 'out-{layout}.geojson'                       # a file for each layout
  cellscaper convert big big.csv                         # a folder with all parts of a set (docs/large-sets.md)
  cellscaper convert cells.geojson cells.h5 --size 1024,1024 --mpp 0.5   # exported by QuPath
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("input", metavar="IN", help="file to read, or a folder with all parts of a set")
    parser.add_argument("output", metavar="OUT", help="file to write; with {layout} in its name one for each layout")
    parser.add_argument("--set", metavar="NAME", help="which set of an .h5 file with several (a decoder's, say)")
    parser.add_argument("--layout", metavar="NUMBER", help="only this layout (from 0)")
    parser.add_argument("--size", metavar="H,W", help="height and width in px, where the file does not say")
    parser.add_argument("--mpp", metavar="UM", help="µm a pixel, where the file does not say (0.5 at 20×)")
    parser.add_argument("--columns", metavar="A,B,…", help="columns of a text table, as in check")
    parser.add_argument("--classes", metavar="A,B,…", help=CLASSES)


def run(args: argparse.Namespace) -> None:
    """Read, convert, write."""
    source, target = options.file_or_folder(args.input, "IN"), options.output(args.output)
    given = given_facts(args)
    from cellscaper.disk import export
    from cellscaper.disk.set_parts import part_files
    from cellscaper.plan.provenance import record

    export.ending(target)
    if "{layout}" not in target.name:
        options.spared([target], part_files(source, "cellscaper/layouts"))
    layouts = export.read(source, given(), args.set, options.told(source))
    layouts = options.chosen_layout(layouts, args.layout, source)
    config = {"set": args.set, "layout": args.layout}
    inputs = {f"input{i or ''}": file for i, file in enumerate(part_files(source, "cellscaper/layouts"))}
    provenance = record("convert", config, None, inputs, ["disk.export"], package="commands")
    if "{layout}" not in target.name:
        export.write(target, layouts, provenance)
        return
    targets = [Path(str(target).replace("{layout}", str(i))) for i in range(len(layouts))]
    options.spared(targets, inputs.values())
    for i, path in enumerate(targets):
        export.write(path, layouts[i : i + 1], provenance)
