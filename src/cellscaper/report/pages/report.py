"""The report of a run: one HTML file that needs no other, with every table, every figure and how they were made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.report.figures.palette import colour
from cellscaper.report.pages.job_times import by_rule, duration, job_times, times_note
from cellscaper.report.pages.origin import machine, origin, origin_rows, packages
from cellscaper.report.pages.page_tables import PageTable, page_table
from cellscaper.report.pages.pictures import Picture, picture
from cellscaper.report.pages.rule_graph import draw_graph, reduced, rule_edges
from cellscaper.report.tables.notes import read_notes
from cellscaper.report.tables.table_file import read_table
from cellscaper.run.progress import log

NO_RESOURCES = {"light": {"threads": 1, "mem_mb": 1000, "runtime": 1, "gpu": 0}}  # a configuration must have some
OF_A_TABLE = ("intervals", "radii")  # figures that stand with their table
Framing = Mapping[str, Mapping[str, str]]  # table → its rows that frame the others → "floor" or "ceiling"
PAGES = ("make_report", "make_gallery")  # rules whose times are not counted
TISSUE = {"phantom": "simulated tissue", "brca_m2c": "BRCA-M2C", "lizard": "Lizard"}


Config = Mapping[str, Any]  # the configuration, or a block of it


@dataclass(frozen=True)
class Split:
    """Images of a split, and the cells of each class in them."""

    name: str
    images: int
    cells: list[int]


@dataclass(frozen=True)
class DatasetPart:
    """What the page shows of a dataset: classes with their colours, splits with their cells, tables, figures."""

    name: str
    classes: list[dict[str, str]]
    splits: list[Split]
    tables: list[PageTable]
    pictures: list[Picture]


@dataclass(frozen=True)
class Report:
    """The page, and (table, what, why) of all that has no number."""

    text: str
    missing: list[tuple[str, str, str]]


def report_page(
    config: Config,
    results: Path,
    tables: Sequence[Path],
    framing: Framing,
    figures: Sequence[Path],
    galleries: Sequence[str],
    snakefile: Path,
    left_out: Mapping[str, str],
) -> Report:
    """The report of what ``config`` (whole but its resources) makes in the folder ``results``.

    ``tables`` (CSV) and ``figures`` are files below ``results/<dataset>``, ``galleries`` links to other pages,
    ``left_out`` the data sets that are not given, with the reason.
    CellscaperError for a table, notes, figure or benchmark file that cannot be read.
    """
    names = config["run"]["datasets"]
    datasets = [_dataset(config, results / name, tables, figures, framing) for name in names]
    missing = [("every table", name, why) for name, why in left_out.items()] + _missing(config, datasets)
    jobs = [job for job in job_times(results, names) if job.rule not in PAGES]
    rules = by_rule(jobs)
    made_by = origin(results, names)
    seeds = config["seeds"]
    plural, listed = "s" if len(seeds) > 1 else "", ", ".join(map(str, seeds))
    commits = ", ".join(commit[:12] + ("+changes" if "+" in commit else "") for commit in made_by.commits)
    tissue = " and ".join(TISSUE.get(name, name) for name in names)
    context = {
        "title": f"cellscaper: {', '.join(names)}",
        "lead": f"Cell layouts, H&E images and detectors on {tissue}: {_number(tables, 'table')}, "
        f"{_number(seeds, 'seed')}, {len(jobs)} jobs.",
        "facts": [
            ("datasets", ", ".join(names)),
            ("tables", str(len(tables))),
            ("seeds", f"{len(seeds)} (seed{plural} {listed})"),
            ("CPU time of all jobs", duration(sum(row.cpu for row in rules))),
            ("cellscaper", ", ".join(made_by.versions)),
            ("commit", commits or "unknown"),
        ],
        "galleries": galleries,
        "datasets": datasets,
        "missing": missing,
        **_graph(config, snakefile, {row.rule: row.jobs for row in rules}),
        "times_note": times_note(rules),
        "rule_times": rules,
        "jobs": jobs,
        "seeds": seeds,
        "files": made_by.files,
        "origin": origin_rows(made_by),
        "machine": machine(),
        "packages": packages(),
        "configuration": yaml.safe_dump(
            dict(config), sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
        ),
    }
    return Report(_render(context), missing)


def _number(things: Sequence[object], name: str) -> str:
    """``1 seed``, ``3 seeds``"""
    return f"{len(things)} {name}{'s' if len(things) > 1 else ''}"


def _dataset(
    config: Config, folder: Path, tables: Sequence[Path], figures: Sequence[Path], framing: Framing
) -> DatasetPart:
    """All of a dataset that the page shows; its ``folder`` has its name and holds some of the tables and figures."""
    tables, figures = ([file for file in files if file.is_relative_to(folder)] for files in (tables, figures))
    cells = read_layouts(folder / "read_cells" / "cells.h5")
    splits = []
    for name in ("train", "val", "test"):
        part = cells.where(split=name)
        splits.append(Split(name, len(part), part.counts().sum(axis=0).tolist()))
    shades = zip(cells.classes, colour(cells.classes), strict=True)
    return DatasetPart(
        folder.name,
        [{"name": name, "colour": shade} for name, shade in shades],
        splits,
        [_table(config["tables"][file.stem], file, figures, framing[file.stem]) for file in tables],
        [picture(file, *figure_kind(file)) for file in figures if file.stem.split("-")[0] not in OF_A_TABLE],
    )


def _table(block: Config, file: Path, figures: Sequence[Path], framing: Mapping[str, str]) -> PageTable:
    """A table with its pictures: its numbers as intervals, and the picture of its rows."""
    name = file.stem
    floor, ceiling = ([row for row, kind in framing.items() if kind == wanted] for wanted in ("floor", "ceiling"))
    notes = read_notes(file.with_suffix(".notes.json"))
    made = page_table(name, block["title"], read_table(file), notes, floor, ceiling)
    for kind in OF_A_TABLE:
        own = [one for one in figures if one.name == f"{kind}-{name}.png"]
        curves = kind == "intervals" and any((row or {}).get("curve") for row in block["rows"].values())
        made.pictures.extend(picture(one, "steps" if curves else kind, block["title"]) for one in own)
    beside = "painted" if block["kind"] == "images" else block["kind"]  # `images` are layouts with images
    made.pictures.append(picture(file.with_suffix(".png"), beside, block["title"]))
    return made


def figure_kind(file: Path) -> tuple[str, str]:
    """The kind of a figure and what it shows, by its path: ("counts", "windows tc"), ("images", "adm, points")."""
    if file.parent.name in ("images", "copies"):
        return file.parent.name, ", ".join(file.stem.split("-"))
    kind, _, rest = file.stem.partition("-")
    return kind, f"windows {rest}" if rest else ""


def _missing(config: Config, datasets: Sequence[DatasetPart]) -> list[tuple[str, str, str]]:
    """(table, what, why) of everything in the configuration's tables that has no number."""
    found = []
    for one in datasets:
        for table in one.tables:
            found += [(f"{table.caption}, {one.name}", what, why) for what, why in table.not_run]
    whole: dict[str, list[str]] = {}
    for name, block in config["tables"].items():
        if name not in config["run"]["tables"]:
            whole.setdefault("not among run.tables of this configuration", []).append(block["title"])
        elif set(config["run"]["datasets"]) & set(block.get("skip_datasets", [])):
            without = ", ".join(one for one in config["run"]["datasets"] if one in block["skip_datasets"])
            whole.setdefault(f"there is no such table for {without}", []).append(block["title"])
    return found + [("; ".join(titles), "the whole table", why) for why, titles in whole.items()]


def _graph(config: Config, snakefile: Path, jobs: Mapping[str, int]) -> dict[str, object]:
    """The rule graph as SVG and in words, or why it could not be drawn."""
    try:
        edges = rule_edges(snakefile, {**config, "resources": NO_RESOURCES})
    except CellscaperError as error:
        log(f"no rule graph: {error}")
        return {"graph": "", "graph_error": str(error), "edges": []}
    feeds: dict[str, list[str]] = {}
    for one, other in reduced(edges):
        feeds.setdefault(one, []).append(other)
    return {"graph": draw_graph(edges, jobs), "graph_error": "", "edges": sorted(feeds.items())}


def _render(context: Mapping[str, object]) -> str:
    """The page for the names that report.html uses."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = duration
    environment.filters["markup"] = Markup
    text = files("cellscaper.report.pages").joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(**context)
