"""make_report: one HTML file with every table, every figure, times, environment, seeds and what was not run.

It reads files of the run alone. ``--figures`` is a JSON list of [dataset, file]; ``--tables``, ``--galleries`` and
``--cells`` are the files that the configuration (--config, whole but its resources) makes.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from cellscaper.disk.files import write_text
from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.plan import sections as settings
from cellscaper.report.figures.palette import colour
from cellscaper.report.pages.page import Picture, RuleTime, by_rule, duration, origin_rows, picture, render
from cellscaper.report.pages.page_tables import PageTable, page_table
from cellscaper.report.pages.rule_graph import draw_graph, reduced, rule_edges
from cellscaper.report.pages.run_facts import job_times, machine, origin, packages
from cellscaper.report.tables.built import read_notes, read_table
from cellscaper.run import stage
from cellscaper.run.progress import log

LIGHT = {"light": {"threads": 1, "mem_mb": 1000, "runtime": 1, "gpu": 0}}  # a config is not whole without
OF_A_TABLE = ("intervals", "radii")  # figures that stand with their table
TISSUE = {"phantom": "simulated tissue", "brca_m2c": "BRCA-M2C", "lizard": "Lizard"}


def one_table(config: dict[str, Any], folder: Path, name: str, figures: list[Path]) -> PageTable:
    """A table with its pictures: the one beside it, and its numbers as intervals."""
    block = config["tables"][name]
    framing = settings.framing(config, name)
    floor, ceiling = ([row for row, kind in framing.items() if kind == wanted] for wanted in ("floor", "ceiling"))
    frame, notes = read_table(folder / f"{name}.csv"), read_notes(folder / f"{name}.md")
    made = page_table(name, block["title"], frame, notes, floor, ceiling)
    for kind in OF_A_TABLE:
        own = [file for file in figures if file.name == f"{kind}-{name}.png"]
        curves = kind == "intervals" and any("curve" in row for row in block["rows"].values())
        made.pictures.extend(picture(file, "steps" if curves else kind, block["title"]) for file in own)
    beside = "painted" if block["kind"] == "images" else block["kind"]  # `images` are layouts with images
    made.pictures.append(picture(folder / f"{name}.png", beside, block["title"]))
    return made


def kind_of(file: Path) -> tuple[str, str]:
    """The kind of a figure and what it is of, from its path: ("counts", "tc"), ("images", "adm, components")."""
    if file.parent.name == "images":
        return "images", ", ".join(file.stem.split("-"))
    kind, _, rest = file.stem.partition("-")
    return kind, f"windows {rest}" if rest else ""


def one_dataset(config: dict[str, Any], results: Path, name: str, figures: list[Path]) -> dict[str, Any]:
    """All of a dataset that the page shows."""
    cells = read_layouts(results / name / "read_cells" / "cells.h5")
    tables = [table for dataset, table in settings.wanted_tables(config) if dataset == name]
    shown: list[Picture] = [
        picture(file, *kind_of(file)) for file in figures if file.stem.split("-")[0] not in OF_A_TABLE
    ]
    splits = []
    for split in ("train", "val", "test"):
        part = cells.where(split=split)
        splits.append({"name": split, "images": len(part), "cells": part.counts().sum(axis=0).tolist()})
    shades = zip(cells.classes, colour(cells.classes), strict=True)
    return {
        "name": name,
        "classes": [{"name": one, "colour": shade} for one, shade in shades],
        "splits": splits,
        "tables": [one_table(config, results / name / "tables", table, figures) for table in tables],
        "pictures": shown,
    }


def what_is_missing(config: dict[str, Any], datasets: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(table, what, why) of everything in the configuration's tables that has no number."""
    found = []
    for one in datasets:
        for table in one["tables"]:
            found += [(f"{table.caption}, {one['name']}", what, why) for what, why in table.not_run]
    whole: dict[str, list[str]] = {}
    for name, block in config["tables"].items():
        if name not in config["run"]["tables"]:
            whole.setdefault("not among run.tables of this configuration", []).append(block["title"])
        elif set(config["run"]["datasets"]) & set(block.get("skip_datasets", [])):
            without = ", ".join(one for one in config["run"]["datasets"] if one in block["skip_datasets"])
            whole.setdefault(f"there is no such table for {without}", []).append(block["title"])
    return found + [("; ".join(titles), "the whole table", why) for why, titles in whole.items()]


def graph_of(config: dict[str, Any], snakefile: Path, jobs: dict[str, int]) -> dict[str, Any]:
    """The rule graph as SVG and in words, or why it could not be drawn."""
    try:
        edges = rule_edges(snakefile, {**config, "resources": LIGHT})
    except CellscaperError as error:
        log(f"no rule graph: {error}")
        return {"graph": "", "graph_error": str(error), "edges": []}
    feeds: dict[str, list[str]] = {}
    for one, other in reduced(edges):
        feeds.setdefault(one, []).append(other)
    return {"graph": draw_graph(edges, jobs), "graph_error": "", "edges": sorted(feeds.items())}


def times_note(rules: list[RuleTime]) -> str:
    """What all jobs took together, and what is not in it."""
    cpu, wall, jobs = (sum(values) for values in zip(*((row.cpu, row.seconds, row.jobs) for row in rules), strict=True))
    return (
        f"{jobs:.0f} jobs took {duration(cpu)} of CPU time and {duration(wall)} of wall time one after the other, from "
        "the benchmark files in the results folder. Jobs of earlier configurations in it count, too; a job that was "
        "stopped and went on has the time of its last part only; this page and the gallery are left out."
    )


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["snakefile"], outputs=["report"], options=["results", "figures", "galleries"]
    )
    config, results = args.config, Path(args.results)
    names = config["run"]["datasets"]
    figures: dict[str, list[Path]] = {name: [] for name in names}
    for name, file in json.loads(args.figures):
        figures[name].append(Path(file))
    datasets = [one_dataset(config, results, name, figures[name]) for name in names]
    jobs = [job for job in job_times(results, names) if job.rule not in ("make_report", "make_gallery")]
    rules = by_rule(jobs)
    made_by = origin(results, names)
    cpu = sum(row.cpu for row in rules)
    seeds = config["seeds"]
    plural, listed = "s" if len(seeds) > 1 else "", ", ".join(map(str, seeds))
    missing = what_is_missing(config, datasets)
    tables = sum(len(one["tables"]) for one in datasets)
    commits = ", ".join(commit[:12] + ("+changes" if "+" in commit else "") for commit in made_by.commits)
    tissue = " and ".join(TISSUE.get(name, name) for name in names)
    context = {
        "title": f"cellscaper: {', '.join(names)}",
        "lead": f"Cell layouts, H&E images and detectors on {tissue}: {tables} table{'s' if tables > 1 else ''}, "
        f"{len(seeds)} seed{plural}, {len(jobs)} jobs.",
        "facts": [
            ("datasets", ", ".join(names)),
            ("tables", str(tables)),
            ("seeds", f"{len(seeds)} (seed{plural} {listed})"),
            ("CPU time of all jobs", duration(cpu)),
            ("cellscaper", ", ".join(made_by.versions)),
            ("commit", commits or "unknown"),
        ],
        "galleries": json.loads(args.galleries),
        "datasets": datasets,
        "missing": missing,
        **graph_of(config, args.snakefile, {row.rule: row.jobs for row in rules}),
        "times_note": times_note(rules),
        "rule_times": rules,
        "jobs": jobs,
        "seeds": seeds,
        "files": made_by.files,
        "origin": origin_rows(made_by),
        "machine": machine(),
        "packages": packages(),
        "configuration": yaml.safe_dump(
            config, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
        ),
    }
    text = render(context)
    write_text(args.report, text)
    log(f"{args.report}: {tables} tables, {len(missing)} lines of what was not run, {len(text) / 2**20:.1f} MB")


if __name__ == "__main__":
    stage.run(main)
