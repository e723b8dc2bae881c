"""`cellscaper verify`: are the committed results reproduced by a rerun?"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.commands import options
from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    from cellscaper.report.committed.cells import Cell

BUNDLED = "brca-bundled"  # the preset that needs no training but the feature network's
HELP = "committed results against a rerun: which numbers are reproduced, within what"
DESCRIPTION = """\
Compare the numbers of docs/results/<preset>/*.csv with those of a rerun. Exit status 1, and a list, if some are not
reproduced. A number of several seeds is reproduced within the 95 % interval of the mean of the rerun's seeds (by their
standard deviation), a number of one seed within its 95 % interval over the test images.

  cellscaper verify                                     # samples and scores again with the bundled weights
  cellscaper verify --full                              # every committed preset, from its trainings: days of a core
  cellscaper verify --full --preset brca-points         # this preset alone
  cellscaper verify --results my_results --preset brca-small    # a finished run; nothing is run

Keys after --config are those of Snakemake: --config datasets='{"brca_m2c": {"path": "…"}}' (else it is downloaded).
The rerun is kept in the folder --rerun; a second call runs what is missing there or has changed.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--full", action="store_true", help="from the trainings: every committed preset, or --preset")
    parser.add_argument("--results", metavar="FOLDER", help="a finished run to compare with, in place of a rerun")
    parser.add_argument("--preset", metavar="NAME", help=f"a folder of docs/results (default {BUNDLED}; --full: all)")
    parser.add_argument("--committed", metavar="FOLDER", help="in place of docs/results")
    parser.add_argument("--rerun", default="results-verify", metavar="FOLDER", help="where reruns are made and kept")
    parser.add_argument("--cores", default="2", metavar="N", help="cores of the rerun (default 2)")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="keys for Snakemake")


def run(args: argparse.Namespace) -> None:
    """Rerun or read, compare, print; CellscaperError if a number is not reproduced."""
    from cellscaper.plan.house import ROOT
    from cellscaper.report.committed.collect import collected, preset_outputs

    committed = Path(args.committed) if args.committed else ROOT / "docs" / "results"
    cores = options.whole(args.cores, "--cores", 1)
    if args.full and args.results:
        raise CellscaperError("--full runs everything again, and --results runs nothing: give one of them")
    if args.preset not in (None, BUNDLED) and not (args.full or args.results):
        raise CellscaperError(f"--preset {args.preset} needs trainings: add --full, or --results with a finished run")
    presets = [args.preset] if args.preset else _all(committed) if args.full else [BUNDLED]
    lacking = 0
    total = 0
    for preset in presets:
        cells = _committed(committed / preset)
        results = Path(args.results) if args.results else Path(args.rerun) / preset
        _refuse_itself(results, committed)
        outputs = preset_outputs(preset, results.resolve())
        if not args.results:
            tables = dict.fromkeys((cell.dataset, cell.table) for cell in cells)
            files = [f"{outputs.folder(dataset)}/tables/{table}.csv" for dataset, table in tables]
            _snakemake(preset, outputs.results, files, cores, args.config)
        again = collected(outputs, preset)
        _refuse_its_own_run(cells, again, results)
        lines, failed = _compared(cells, again)
        print("\n".join([f"{committed / preset} against {results} ({_about(again)}):", *lines]), flush=True)
        lacking, total = lacking + failed, total + len(cells)
    if lacking:
        raise CellscaperError(f"{lacking} of {total} committed numbers are not reproduced; see the list above")


def _compared(cells: "list[Cell]", again: "list[Cell]") -> tuple[list[str], int]:
    from cellscaper.report.committed.compare import compared, report

    outcomes = compared(cells, again)
    return report(outcomes), sum(not one.within for one in outcomes)


def _all(committed: Path) -> list[str]:
    """The committed presets that today's presets make."""
    from cellscaper.report.committed.cells import read_cells

    found = [
        folder.name
        for folder in sorted(committed.iterdir())
        if folder.is_dir() and any(cell.is_current for file in folder.glob("*.csv") for cell in read_cells(file))
    ]
    if not found:
        raise CellscaperError(f"{committed} has no folder with results of a preset")
    return found


def _committed(folder: Path) -> "list[Cell]":
    """The cells of a preset that today's presets make."""
    from cellscaper.plan.places import nearest_or_all
    from cellscaper.report.committed.cells import read_cells

    files = sorted(folder.glob("*.csv"))
    if not files:
        there = [one.name for one in folder.parent.glob("*/")]
        raise CellscaperError(f"{folder} holds no committed results{nearest_or_all(folder.name, there)}")
    cells = [cell for file in files for cell in read_cells(file)]
    found = [cell for cell in cells if cell.is_current]
    if not found:
        raise CellscaperError(f"{folder}: all numbers are of presets that have changed since; nothing can be compared")
    if len(found) < len(cells):
        print(f"{folder}: {len(cells) - len(found)} numbers are of presets that have changed since: left out")
    return found


def _refuse_itself(results: Path, committed: Path) -> None:
    """CellscaperError if the rerun's folder is, holds or lies in the folder of committed results."""
    one, other = results.resolve(), committed.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise CellscaperError(f"{results}: the committed results themselves; name the results folder of another run")


def _refuse_its_own_run(cells: "list[Cell]", again: "list[Cell]", results: Path) -> None:
    """CellscaperError if the committed numbers were made from this run: the same time at every row's scores."""
    made = {cell.key: cell.made for cell in again}
    if all(cell.made and cell.made == made.get(cell.key) for cell in cells):
        raise CellscaperError(f"{results}: the committed numbers were made from this very run; compare another run")


def _snakemake(preset: str, results: str, files: list[str], cores: int, config: list[str]) -> None:
    """Make the tables of a preset in the folder ``results``."""
    from cellscaper.plan.house import ROOT
    from cellscaper.report.committed.collect import preset_files

    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(ROOT)]
    command += ["--workflow-profile", str(ROOT / "workflow/profiles/local"), "--cores", str(cores)]
    command += [
        "--configfile",
        *map(str, preset_files(preset)),
        "--config",
        f"results={results}",
        *config,
        "--",
        *files,
    ]
    print(shlex.join(command[1:]), flush=True)
    ended = subprocess.run(command)
    if ended.returncode:
        raise CellscaperError(f"the rerun of {preset} ended with status {ended.returncode}; its messages stand above")


def _about(again: "list[Cell]") -> str:
    """Commits and the time of a rerun."""
    commits = dict.fromkeys(name[:7] for cell in again for name in cell.commit.split())
    return f"commit {', '.join(commits) or 'unknown'}, scored until {max(cell.made for cell in again) or 'unknown'}"
