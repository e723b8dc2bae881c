"""Committed results: docs/results/<preset>/<table>.csv from a finished run, and from them the tables of its pages.

python docs/make_results.py                                        # the tables of the pages anew; a test finds drift
python docs/make_results.py RESULTS --preset brca-bundled          # also the CSV files, of a run in the folder RESULTS

Numbers of one seed get a 95 % interval over the test images: --resamples draws of images (default 40), on each of which
every metric is computed again, and --threads of them at a time. --machine says where the run was made, if not here.
"""

import argparse
import sys
from pathlib import Path

from cellscaper.disk.files import write_text
from cellscaper.errors import CellscaperError
from cellscaper.report.committed.cells import to_csv
from cellscaper.report.committed.collect import collected, on_this_machine, preset_outputs
from cellscaper.report.committed.tables import page

FOLDER = Path(__file__).with_name("results")


def write_run(results: Path, preset: str, machine: str | None, resamples: int, threads: int) -> None:
    """The CSV files of a run, one a table."""
    from cellscaper.report.committed.intervals import with_intervals

    outputs = preset_outputs(preset, results)
    cells = on_this_machine(with_intervals(collected(outputs, preset), outputs, resamples, threads), machine)
    for table in dict.fromkeys(cell.table for cell in cells):
        own = [cell for cell in cells if cell.table == table]
        file = FOLDER / preset / f"{table}.csv"
        write_text(file, to_csv(own))
        print(f"{file}: {len(own)} numbers")


def write_pages() -> None:
    """The tables of all pages."""
    for file in sorted(FOLDER.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        try:
            made = page(text, FOLDER)
        except CellscaperError as error:
            raise CellscaperError(f"{file}: {error}") from error
        if made != text:
            write_text(file, made)
            print(f"{file}: made anew")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, help="the folder of a finished run")
    parser.add_argument("--preset", help="its preset; several are joined by +")
    parser.add_argument("--machine", help="the machine that made it (default: this one)")
    parser.add_argument("--resamples", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.results:
        if not args.preset:
            raise CellscaperError(f"{args.results}: name the preset of the run, --preset NAME")
        if args.resamples < 2:
            raise CellscaperError(f"--resamples {args.resamples}: expected at least 2")
        write_run(args.results, args.preset, args.machine, args.resamples, args.threads)
    write_pages()


if __name__ == "__main__":
    try:
        main()
    except CellscaperError as error:
        sys.exit(f"error: {error}")
