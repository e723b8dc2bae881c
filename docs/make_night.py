"""Tables of the preset brca-night from its finished parts: `python docs/make_night.py [RESULTS]`.

The scores of RESULTS are added to those of earlier parts in kept/ beside the pages (`kept_scores.py`). From all of them
come the tables of each preset in PRESETS, docs/results/<preset>/<table>.csv, with the rows that have been run on every
seed of the preset, and docs/results/brca-night-differences.csv: what the losses of TopoCellGen change, paired by the
training that both go on from, and what a density model changes, unpaired; t intervals over seeds.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # its own modules, also where this file is loaded by its path

import kept_scores
import numpy as np
from kept_runs import write_csv
from kept_scores import Scored
from scipy import stats

from cellscaper.datasets.brca_m2c import CLASSES
from cellscaper.disk.files import write_text
from cellscaper.errors import CellscaperError
from cellscaper.plan.outputs import Outputs
from cellscaper.report.committed.cells import Cell, to_csv, written
from cellscaper.report.committed.collect import preset_outputs, table_cells
from cellscaper.report.tables.build import build, load_paper_values

RESULTS = Path(__file__).with_name("results")
DATASET = "brca_m2c"
NIGHT = "brca-small+brca-night"
PRESETS = (NIGHT, f"{NIGHT}+brca-night-seeds", f"{NIGHT}+brca-night-five")
BASE = "adm_counts"  # no loss, no density, told the counts
LOSSES = ("tc_count", "tc_intra", "tc_inter", "tc_count_intra", "tc_count_inter", "tc_intra_inter", "topocellgen")
DENSITIES = ("tc_sd_gmm",)
DECODER = "peaks"
COLUMNS = ("experiment", "base", "metric", "class", "value", "difference", "low", "high", "p", "n", "paired")


def tables(preset: str, sets: Sequence[Scored]) -> Iterator[tuple[str, list[Cell]]]:
    """Each table of a preset: the rows that have scores of all its seeds."""
    outputs = preset_outputs(preset, RESULTS)
    seeds = {str(seed) for seed in outputs.config["seeds"]}
    own = [one for one in sets if one.key[3] in seeds]
    for dataset, table in outputs.tables.wanted():
        section: Any = outputs.tables.section(table)
        section = {**section, "rows": dict(section["rows"])}
        values = load_paper_values().get(section.get("values") or table, {})
        frame = build(section, dataset, CLASSES, kept_scores.frame(own), values)
        frame = frame[frame["n"] == len(seeds)]
        made = _made(outputs, table, own)
        machines = {row: facts.pop("machine") for row, facts in made.items()}
        cells = table_cells(frame, dataset, table, preset, made)
        yield table, [replace(cell, machine=machines[cell.row, cell.reader]) for cell in cells]


def _made(outputs: Outputs, table: str, sets: Sequence[Scored]) -> dict[tuple[str, str], dict[str, str]]:
    """(row, decoder) → seeds, commits, machines and the newest time of its scores."""
    found = {}
    for row in outputs.tables.rows(table):
        own = [one for one in sets if one.key[:2] == (DATASET, row.experiment)]
        for decoder in {one.key[2] for one in own}:
            facts = [(one.key[3], one.facts) for one in own if one.key[2] == decoder]
            commits = dict.fromkeys(name for _, one in facts for name in one["commit"].split())
            found[row.name, decoder] = {
                "seeds": " ".join(seed for seed, _ in facts),
                "commit": " ".join(commits),
                "made": max(one["made"] for _, one in facts),
                "machine": ", ".join(dict.fromkeys(one["machine"] for _, one in facts)),
            }
    return found


def differences(sets: Sequence[Scored]) -> Iterator[tuple[str, ...]]:
    """The lines of the file: each score of an experiment less that of BASE, if both have two seeds and more."""
    scores = kept_scores.frame([one for one in sets if one.key[2] == DECODER])
    seeded = scores.set_index(["experiment", "metric", "class", "seed"])["value"].sort_index()
    for experiment in (*LOSSES, *DENSITIES):
        if experiment not in seeded.index or BASE not in seeded.index:
            continue
        for metric, name in dict.fromkeys(seeded[experiment].index.droplevel("seed")):
            if (BASE, metric, name) not in seeded.index.droplevel("seed"):
                continue
            own, base = seeded[experiment, metric, name], seeded[BASE, metric, name]
            shared = sorted(set(own.index) & set(base.index))
            own, base = own[shared].to_numpy(), base[shared].to_numpy()
            if len(shared) < 2 or not np.isfinite([own, base]).all() or np.ptp(own - base) == 0:
                continue
            paired = experiment in LOSSES
            test = stats.ttest_rel(own, base) if paired else stats.ttest_ind(own, base, equal_var=False)
            low, high = test.confidence_interval()
            numbers = (own.mean(), own.mean() - base.mean(), low, high, test.pvalue)
            yield experiment, BASE, metric, name, *map(written, numbers), str(len(shared)), "yes" if paired else "no"


def main(results: Path | None, folder: Path = RESULTS) -> None:
    new = [] if results is None else kept_scores.finished(results, [DATASET])
    if results is not None and not new:
        raise CellscaperError(f"{results} has no scores of layouts; run the preset brca-night first")
    sets = kept_scores.add(folder / "kept/brca-night", new)
    for preset in PRESETS:
        for table, cells in tables(preset, sets):
            if cells:
                write_text(folder / preset / f"{table}.csv", to_csv(cells))
                print(
                    f"{folder / preset / table}.csv: {len(cells)} numbers of {len({cell.row for cell in cells})} rows"
                )
    write_csv(folder / "brca-night-differences.csv", COLUMNS, differences(sets))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except CellscaperError as error:
        sys.exit(f"make_night: error: {error}")
