"""The tables of a finished run as cells of committed results, and the presets behind them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import configuration, in_files
from cellscaper.plan.house import ROOT
from cellscaper.plan.origins import Origin, Origins
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.places import nearest_or_all
from cellscaper.report.committed.cells import Cell, written
from cellscaper.report.pages.origin import file_record, machine
from cellscaper.report.tables.table_file import read_table

PRESETS = ROOT / "workflow" / "presets"
UNITS = ("px", "px²", "OD")


def preset_files(preset: str) -> list[Path]:
    """The overlays of a preset; several are joined by ``+``, in the order of the command line."""
    files = [PRESETS / f"{name}.yaml" for name in preset.split("+")]
    for file in files:
        if not file.is_file():
            known = [one.stem for one in PRESETS.glob("*.yaml")]
            raise CellscaperError(f"preset {file.stem!r}: there is no such preset{nearest_or_all(file.stem, known)}")
    return files


def preset_outputs(preset: str, results: Path) -> Outputs:
    """The files that a preset makes in the folder ``results``."""
    layers = in_files(preset_files(preset))
    contents = [content for _, content in layers]
    return Outputs(configuration(*contents, {"results": str(results)}, where=[where for where, _ in layers]))


def collected(outputs: Outputs, preset: str) -> list[Cell]:
    """Every number of the tables of a finished run, without intervals.

    CellscaperError if no table of the preset is there; a table that is not there is left out.
    """
    results, found = Path(outputs.results), []
    wanted = outputs.tables.wanted()
    for dataset, table in wanted:
        file = Path(outputs.folder(dataset), "tables", f"{table}.csv")
        if file.is_file():
            made = {row: _made(origin) for row, origin in Origins(outputs).rows(dataset, table).items()}
            found += list(table_cells(read_table(file), dataset, table, preset, made))
    if not found:
        tables = ", ".join(f"{dataset}/tables/{table}.csv" for dataset, table in wanted)
        raise CellscaperError(f"{results} has no table of preset {preset} (expected {tables}); run the preset first")
    return found


def table_cells(
    frame: pd.DataFrame, dataset: str, table: str, preset: str, made: Mapping[tuple[str, str], Mapping[str, str]]
) -> Iterator[Cell]:
    """The numbers of a table; ``made`` has the fields seeds, commit and made of each (row, decoder or detector)."""
    reader = "detector" if "detector" in frame else "decoder"
    for line in frame[frame["status"] == "ok"].to_dict("records"):
        name = (str(line["row"]), str(line[reader]))
        if name not in made:
            raise CellscaperError(
                f"{table} of {dataset} has the row {name[0]}, the preset has not: name the run's preset"
            )
        unit = str(line["column_label"]).rpartition(", ")[2]
        gains = {key: written(line.get(key, math.nan)) for key in ("gain", "gain_low", "gain_high", "gain_p")}
        yield Cell(
            dataset,
            table,
            str(line["row"]),
            str(line["row_label"]),
            str(line["metric"]),
            str(line["class"]),
            str(line["column_label"]),
            name[1],
            written(line["mean"]),
            written(line["sd"]),
            str(line["n"]),
            samples=str(line["samples"]),
            unit=unit if unit in UNITS else "cells" if line["metric"] in ("tce", "cce") else "",
            lower=str(bool(line["lower_is_better"])),
            paper="" if math.isnan(line["difference"]) else written(line["paper"]),
            preset=preset,
            **gains,
            **made[name],
        )


def _made(origin: Origin) -> dict[str, str]:
    """Seeds, commits and time of a row's scores."""
    records = [Path(job.file) for job in origin.jobs if Path(job.file).suffix in (".h5", ".safetensors")]
    commits = dict.fromkeys(str(file_record(file).get("git", "unknown")) for file in records if file.is_file())
    scores = [Path(job.file) for job in origin.scores if Path(job.file).is_file()]
    newest = max((file.stat().st_mtime for file in scores), default=None)
    return {
        "seeds": " ".join(str(job.seed) for job in origin.scores),
        "commit": " ".join(commits),
        "made": "" if newest is None else f"{datetime.fromtimestamp(int(newest), UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def on_this_machine(cells: list[Cell], said: str | None = None) -> list[Cell]:
    """The cells with the machine that made them: this one, if nothing else is said."""
    facts = dict(machine())
    gpu = "no GPU" if facts["GPU"] == "none" else facts["GPU"]
    own = f"{facts['cores']} cores of {facts['processor']}, {facts['memory']}, {gpu}"
    return [replace(cell, machine=said or own) for cell in cells]
