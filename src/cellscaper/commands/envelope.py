"""`cellscaper envelope`: cells against null models, by global envelopes of their spatial statistics."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cellscaper.commands import options
from cellscaper.commands.given_facts import CLASSES, given_facts
from cellscaper.disk.formats.counted import counted
from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    from cellscaper.envelopes.trial import Data, Trial
    from cellscaper.layouts import LayoutSet

MICRONS = 45.0  # the largest radius, where the region allows it
KEPT_APART = 4.0  # px between cells of the learned model, as in generate
HELP = "cells against null models: global envelopes and p-values of how they lie"
DESCRIPTION = """\
Compare cells with simulated layouts of a null model that have exactly the same counts in the same region. Cross-K, pair
correlation, nearest neighbours and mixing of all classes are tested together: the envelopes hold for all functions and
radii at once (extreme rank lengths), and p is one number for all of them.

  cellscaper envelope cells.csv --size 1024,1024 --mpp 0.5 --null csr -o out.html
  cellscaper envelope tissue.h5 --null csr,labels,hard_core --mask tissue.png -n 999 -o out.html
  cellscaper envelope cells.geojson --size 512,512 --mpp 0.5 --null learned -n 199 -o out.html

Null models:
  csr        cells independent and uniform in the region (complete spatial randomness, counts given)
  labels     the same positions, the classes permuted
  hard_core  uniform cells that keep a minimum distance (of the data, or --min-distance): composite if it is fitted
  learned    the bundled model of `generate`: its classes (lymphocyte, epithelial, stromal) and 0.5 µm a pixel

The page OUT.html shows every function; OUT.csv holds its values and OUT.png its picture. Several layouts in a file are
pooled. Borders are corrected by the region or mask. The same --seed gives the same numbers. See docs/envelope.md.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("cells", metavar="CELLS", help=".csv (y, x, class), .geojson, .h5, .h5ad or .json (COCO)")
    parser.add_argument("--null", required=True, metavar="A,B,…", help="csr, labels, hard_core, learned: one or more")
    parser.add_argument("-n", "--number", default="199", metavar="N", help="layouts of each null model (default 199)")
    parser.add_argument("--seed", default="0", help="whole number (default 0)")
    parser.add_argument(
        "-o", "--output", required=True, metavar="HTML", help="page to write, with .csv and .png beside"
    )
    test = parser.add_argument_group("test")
    test.add_argument(
        "--alpha", default="0.05", metavar="A", help="share of null layouts that leave the envelopes (0.05)"
    )
    test.add_argument("--radius", metavar="PX", help="largest distance (default 45 µm, less where the region is small)")
    test.add_argument("--mask", metavar="FILE", help=".png or .npy (H, W): the region is where it is not 0")
    test.add_argument("--min-distance", metavar="PX", help="hard_core: else the smallest in the data; learned: else 4")
    test.add_argument("--steps", metavar="N", help="learned: noise levels (default 20); fewer are faster")
    cells = parser.add_argument_group("cells")
    cells.add_argument("--set", metavar="NAME", help="which set of an .h5 file with several")
    cells.add_argument("--layout", metavar="NUMBER", help="only this layout (from 0)")
    cells.add_argument("--size", metavar="H,W", help="height and width in px, where the file does not say")
    cells.add_argument("--mpp", metavar="UM", help="µm a pixel, where the file does not say (0.5 at 20×)")
    cells.add_argument("--columns", metavar="A,B,…", help="columns of a text table, as in check")
    cells.add_argument("--classes", metavar="A,B,…", help=CLASSES)
    parser.add_argument("--threads", metavar="N", help="default: OMP_NUM_THREADS or one for each core")


def run(args: argparse.Namespace) -> None:
    """Check everything, simulate and compare, write page, table and picture."""
    nulls = options.names(args.null, "--null")
    n, seed = options.whole(args.number, "-n", 1), options.whole(args.seed, "--seed")
    alpha = options.positive(args.alpha, "--alpha")
    output = options.output(args.output)
    if output.suffix.lower() != ".html":
        raise CellscaperError(f"-o {args.output}: expected a name that ends in .html; .csv and .png lie beside it")
    source = options.file_or_folder(args.cells, "CELLS")
    steps = options.whole(args.steps, "--steps", 1, 10_000) if args.steps else None
    distance = options.number(args.min_distance, "--min-distance") if args.min_distance else None
    if distance is not None and distance < 0:
        raise CellscaperError(f"--min-distance {args.min_distance}: expected px from 0")
    mask_file = options.file(args.mask, "--mask") if args.mask else None
    written = [output, output.with_suffix(".csv"), output.with_suffix(".png")]
    options.spared(written, [source, *([mask_file] if mask_file else [])])

    from cellscaper.envelopes.nulls import ABOUT, NULLS

    strange = [name for name in nulls if name not in NULLS]
    if strange:
        raise CellscaperError(f"--null {strange[0]!r}: expected one or more of {', '.join(NULLS)}")
    if not alpha < 1 or alpha * (n + 1) < 1 - 1e-9:
        least = f"-n {n} cannot reject at --alpha {alpha:g}: give at least -n {round(1 / alpha + 0.499) - 1}"
        raise CellscaperError(least if alpha < 1 else f"--alpha {alpha:g}: expected a share between 0 and 1")

    from cellscaper.commands.pictures import picture
    from cellscaper.disk.set_parts import part_files
    from cellscaper.envelopes.trial import prepare
    from cellscaper.plan.provenance import record
    from cellscaper.report.pages.envelope import write_results
    from cellscaper.run import stage

    stage.use_threads(options.whole(args.threads, "--threads", 1) if args.threads else stage.usual_threads())
    left_out: list[str] = []
    layouts = _cells(args, source, left_out.append)
    limit = options.whole(args.radius, "--radius", 1, 1 << 17) if args.radius else max(1, round(MICRONS / layouts.mpp))
    mask = picture(mask_file, "--mask", 2) > 0 if mask_file else None
    data = prepare(layouts, limit, mask)
    notes = [*(f"{source.name}: {one}" for one in left_out), *_notes(data, limit, distance, nulls)]
    print("\n".join([_described(data, mask is not None), *(f"! {note}" for note in notes)]))
    trials, about = [], []
    for null in nulls:
        apart = _distance(data, null, distance)
        trials.append(_trial(data, null, n, seed, alpha, apart, steps))
        fitted = "" if null != "hard_core" else _composite(distance is None)
        about.append(ABOUT[null].format(distance=apart) + fitted)
        print("\n".join(_lines(trials[-1], data, about[-1])))
    config = {
        "null": list(nulls), "number": n, "alpha": alpha, "radius": int(data.radii.ends[-1]), "min_distance": distance,
        "steps": steps, "set": args.set, "layout": args.layout,
    }  # fmt: skip
    inputs = {f"cells{i or ''}": file for i, file in enumerate(part_files(source, "cellscaper/layouts"))}
    inputs |= {"mask": mask_file} if mask_file else {}
    methods = ["envelopes.trial", "envelopes.nulls", "envelopes.learned"]
    provenance = record("envelope", config, seed, inputs, methods, package="commands")
    files = write_results(output, trials, about, data, [_described(data, mask is not None), *notes], alpha, provenance)
    print(f"\nWrote {', '.join(str(file) for file in files)}")


def _cells(args: argparse.Namespace, source: Path, say: Callable[[str], None]) -> "LayoutSet":
    from cellscaper.disk import export

    return options.chosen_layout(export.read(source, given_facts(args)(), args.set, say), args.layout, source)


def _distance(data: "Data", null: str, given: float | None) -> float:
    """The minimum distance of a null model, px; 0 for models without one."""
    from cellscaper.envelopes.nulls import smallest_distance

    if null == "hard_core":
        return smallest_distance(data.layouts) if given is None else given
    return (KEPT_APART if given is None else given) if null == "learned" else 0.0


def _composite(fitted: bool) -> str:
    from cellscaper.envelopes.nulls import FITTED, GIVEN

    return FITTED if fitted else GIVEN


def _trial(data: "Data", null: str, n: int, seed: int, alpha: float, distance: float, steps: int | None) -> "Trial":
    from cellscaper.envelopes.nulls import simulate
    from cellscaper.envelopes.trial import compare
    from cellscaper.run.progress import Progress

    if null == "labels" and not any((counts > 0).sum() > 1 for counts in data.counts):
        raise CellscaperError("--null labels needs two classes in a layout, the cells have one; take csr or hard_core")
    with Progress(n, null) as progress:
        if null == "learned":
            from cellscaper.envelopes.learned import simulate_learned

            made = simulate_learned(data.layouts, data.classes, data.mpp, n, seed, distance, steps)
        else:
            made = simulate(null, data.layouts, n, seed, distance)
        return compare(data, null, made, alpha, progress.update)


# -- what is said ------------------------------------------------------------------------------------------


def _described(data: "Data", masked: bool) -> str:
    totals = data.counts.sum(axis=0)
    classes = ", ".join(f"{number} {name}" for name, number in zip(data.classes, totals, strict=True) if number)
    sizes = {one.region.size for one in data.layouts}
    size = "×".join(map(str, sizes.pop())) + " px" if len(sizes) == 1 else f"{len(sizes)} sizes"
    share = f", mask of {data.layouts[0].region.area:.0f} px²" if masked else ""
    plural = "s, pooled" if len(data.layouts) > 1 else ""
    reach = data.radii.ends[-1]
    return (
        f"{counted(int(totals.sum()), 'cells')} ({classes}) in {len(data.layouts)} layout{plural}, {size}{share}; "
        f"distances to {reach:g} px ({reach * data.mpp:.3g} µm)"
    )


def _notes(data: "Data", limit: int, distance: float | None, nulls: tuple[str, ...]) -> list[str]:
    """What a reader of the numbers must know."""
    from cellscaper.envelopes.nulls import smallest_distance

    notes = []
    if data.left_out:
        lie = "lies outside the mask and is" if data.left_out == 1 else "lie outside the mask and are"
        notes.append(f"{counted(data.left_out, 'cells')} {lie} left out")
    reach = int(data.radii.ends[-1])
    if reach < limit - data.radii.width:
        notes.append(
            f"distances end at {reach} px, not {limit}: further moved, a quarter of the region or less overlaps"
        )
    totals = data.counts.sum(axis=0)
    for name, number in zip(data.classes, totals, strict=True):
        if number == 0:
            notes.append(f"class {name} has no cells")
        elif number < 10:
            notes.append(f"class {name} has {counted(int(number), 'cells')}: its functions say little")
    if data.layouts[0].region.whole and set(nulls) != {"labels"}:
        notes.append("the cells lie on whole px, so the cells of null layouts do, too")
    smallest = smallest_distance(data.layouts)
    if "hard_core" in nulls and distance is None and smallest < 1:
        notes.append(f"the two nearest cells are {smallest:.2g} px apart (doubled dots?): hard_core is csr then")
    return notes


def _lines(trial: "Trial", data: "Data", about: str) -> list[str]:
    """The result of one null model: p of all, of each statistic, and the functions that leave their envelope."""
    from cellscaper.envelopes.trial import departure, title

    lines = ["", f"{trial.null}: {about}", f"p = {trial.tested.p:.3g} of all {len(trial.functions)} functions together"]
    for name, p in trial.tested.groups.items():
        lines.append(f"  {name:<17} p = {p:.3g}")
        for k, one in enumerate(trial.functions):
            said = departure(trial, k, data)
            if one.statistic == name and said:
                lines.append(f"    {title(one, data.classes)}: {said}")
    return lines
