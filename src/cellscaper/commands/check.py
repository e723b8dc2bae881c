"""`cellscaper check`: a report on a folder of images and dots, and a configuration that reads it."""

import argparse
from pathlib import Path

from cellscaper.commands import options
from cellscaper.errors import CellscaperError

HELP = "read a folder of images and dots, report what is in it, write a configuration that runs it"
DESCRIPTION = """\
Read images (8-bit RGB) and the dots of each: CSV or other text tables, GeoJSON (QuPath: points, or outlines whose
centroids are taken), HoVer-Net's JSON, .mat of Lizard and HoVer-Net. A dot file is named after its image.

The report covers scale, counts, density, duplicates, dots outside the image, class balance, shift between splits and
images that are too small. The command writes an overlay of config.yaml with which the workflow runs on this folder.
The exit status is 1 if the workflow would not run.

  cellscaper check my_folder -o my.yaml
  cellscaper check my_folder -o my.yaml --mpp 0.25 --classes 1=lymphocyte,2=tumour,0=
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("folder", metavar="FOLDER", help="images and dot files, at any depth")
    parser.add_argument("-o", "--output", metavar="YAML", help="configuration to write")
    parser.add_argument("--name", default="mine", help="name of the dataset in the configuration (default: mine)")
    parser.add_argument("--mpp", metavar="UM", help="µm a pixel; else it is guessed from the distances of cells")
    parser.add_argument(
        "--columns", metavar="A,B,…", help="columns of text tables in order, or y=NAME,x=NAME,class=NAME"
    )
    parser.add_argument(
        "--classes", metavar="A=NAME,…", help="class in the files = name, in channel order; an empty name leaves it out"
    )


def run(args: argparse.Namespace) -> None:
    """Read the folder, print the report, write the configuration."""
    folder = Path(args.folder)
    if not folder.is_dir():
        raise CellscaperError(f"{folder} is not a folder; name one with images and dot files")
    output = options.output(args.output) if args.output else None
    mpp = options.positive(args.mpp, "--mpp") if args.mpp else None
    from cellscaper.datasets.survey import survey
    from cellscaper.disk.files import write_text

    found = survey(folder.resolve(), args.name, mpp, columns(args.columns), classes(args.classes))
    print("\n".join(found.lines))
    if found.faults:
        raise CellscaperError(f"{len(found.faults)} faults keep the workflow from running: {found.faults[0]}")
    if output is None:
        print("\nNo configuration written; name one with -o my.yaml")
        return
    write_text(output, found.overlay)
    print(f"\nWrote {output}. Run it:\n  {found.command(output)}")


def columns(text: str | None) -> dict[str, str] | list[str] | None:
    """The value of --columns: names by role, or roles in order."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if any("=" in part for part in parts):
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        if set(named) != {"y", "x", "class"} or len(named) != len(parts):
            raise CellscaperError(f"--columns {text!r}: expected y=NAME,x=NAME,class=NAME")
        return named
    if not {"y", "x", "class"} <= set(parts):
        raise CellscaperError(f"--columns {text!r}: expected y, x and class among the columns in order")
    return parts


def classes(text: str | None) -> dict[str, str | None] | None:
    """The value of --classes: a name, or None to leave its cells out, for each class as written."""
    if text is None:
        return None
    pairs = [part.strip().split("=", 1) for part in text.split(",")]
    if any(len(pair) != 2 or not pair[0] for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise CellscaperError(f"--classes {text!r}: expected CLASS-IN-THE-FILES=NAME, each once, with commas between")
    found = {written.strip(): name.strip() or None for written, name in pairs}
    if not any(found.values()):
        raise CellscaperError(f"--classes {text!r}: names no class")
    return found
