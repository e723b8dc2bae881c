"""`cellscaper check`: a report on a folder of images and dots, and a configuration that reads it."""

import argparse
import shlex
import sys
from pathlib import Path

from cellscaper.commands import options
from cellscaper.errors import CellscaperError
from cellscaper.run.output import cache_fault

UNITS = ("px", "um", "µm", "fraction")
HELP = "read a folder of images and dots, report what is in it, write a configuration that runs it"
DESCRIPTION = """\
Read images (8-bit RGB) and the cells of each: CSV and other text tables, GeoJSON (QuPath: points, or outlines whose
centroids are taken), JSON of HoVer-Net, CellViT, LabelMe and COCO, .mat of Lizard and HoVer-Net, label masks; also
packed with gzip. A file of cells is named after its image or names its images.

The report covers scale, counts, density, duplicates, dots outside the image, class balance, shift between splits and
images that are too small, and names every file that is not used. The command writes an overlay of config.yaml with
which the workflow runs on this folder. The exit status is 1 if the workflow would not run.

  cellscaper check my_folder -o my.yaml
  cellscaper check my_folder -o my.yaml --mpp 0.25 --classes 1=lymphocyte,2=tumour,0=
  cellscaper check my_folder -o my.yaml --images 'tiles/*.png' --dots 'dots/{stem}.csv'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("folder", metavar="FOLDER", help="images and dot files, at any depth")
    parser.add_argument("-o", "--output", metavar="YAML", help="configuration to write")
    parser.add_argument("--name", default="mine", help="name of the dataset in the configuration (default: mine)")
    parser.add_argument("--mpp", metavar="UM", help="µm a pixel; else it is found or guessed by all evidence there is")
    parser.add_argument("--images", metavar="GLOB", help="the images below FOLDER; else they are found")
    parser.add_argument(
        "--dots",
        metavar="PATTERN",
        help="file of cells of an image, {stem} is its name without ending; else it is found",
    )
    parser.add_argument("--unit", choices=UNITS, help="of the places of cells; else it is found")
    parser.add_argument(
        "--columns",
        metavar="A,B,…",
        help="columns of text tables in order, or y=NAME,x=NAME,class=NAME (class may be missing)",
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
    if output is not None and output.exists() and _lies_in(output, folder) and not _configuration(output):
        raise CellscaperError(
            f"-o {output} is a file of {folder}, and no configuration; it would be overwritten: name another"
        )
    mpp = options.microns(args.mpp)
    from cellscaper.datasets.survey import survey
    from cellscaper.datasets.survey_state import Asked
    from cellscaper.disk.files import write_text

    asked = Asked(mpp, options.columns(args.columns), classes(args.classes), args.images, args.dots, unit(args.unit))
    try:
        str(folder.resolve()).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CellscaperError(f"{str(folder)!a}: the folder's name is not UTF-8; rename it") from error
    found = survey(folder.resolve(), args.name, asked)
    print("\n".join(found.lines))
    if found.faults:
        raise CellscaperError(f"{_faults(len(found.faults))} the workflow from running: {found.faults[0]}")
    if output is None:
        print("\nNo configuration written; name one with -o my.yaml")
        return
    write_text(output, found.overlay)
    if (fault := cache_fault()) is not None:
        print(f"! {fault}")
    where, command = _command(found.preset, output)
    print(f"\nWrote {output}. Run it{where}:\n  {command}")


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _configuration(path: Path) -> bool:
    """Whether an existing file may be a configuration by its name."""
    return path.suffix.lower() in (".yaml", ".yml")


def _faults(number: int) -> str:
    return "1 fault keeps" if number == 1 else f"{number} faults keep"


def _command(preset: str, output: Path) -> tuple[str, str]:
    """Where the command is to be run, and the command for a shell that runs the workflow on a configuration."""
    from cellscaper.plan.house import INSTALLED, ROOT

    here = Path.cwd()
    if (here / "Snakefile").is_file() and (here / preset).is_file():
        where, enter, house = "", "", here
    elif ROOT != INSTALLED:
        where, enter, house = "", f"cd {shlex.quote(str(ROOT))} && ", ROOT
    else:
        where, enter, house = f" in the folder of the workflow, which holds Snakefile and {preset}", "", here
    beside = Path(sys.executable).with_name("snakemake")
    program = ".venv/bin/snakemake"
    if not (house / program).exists():
        program = shlex.quote(str(beside)) if beside.exists() else "snakemake"
    profile = "--workflow-profile workflow/profiles/local --cores 2"
    return where, f"{enter}{program} {profile} --configfile {preset} {shlex.quote(str(output.absolute()))}"


def unit(text: str | None) -> str | None:
    """The unit of places as settings name it."""
    return "um" if text == "µm" else text


def classes(text: str | None) -> dict[str, str | None] | None:
    """The value of --classes: a name, or None to leave its cells out, for each class as written."""
    if text is None:
        return None
    pairs = [part.rsplit("=", 1) for part in options.fields(text, "--classes")]
    if any(len(pair) != 2 or not pair[0] for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise CellscaperError(f"--classes {text!r}: expected CLASS-IN-THE-FILES=NAME, each once, with commas between")
    found = {written.strip(): name.strip() or None for written, name in pairs}
    if not any(found.values()):
        raise CellscaperError(f"--classes {text!r}: names no class")
    return found
