"""Scores of sampled layouts, as small files: a long preset is run in parts, on any machine.

    FOLDER/runs.csv    a line for each scored set of layouts: steps of its training, commits, machine, time (UTC)
    FOLDER/scores.csv  a line for each of its scores: metric, class, value, number of layouts

A part adds its sets; one that is there already is replaced.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from kept_runs import read_csv, this_machine, write_csv

from cellscaper.report.pages.origin import file_record
from cellscaper.report.tables.build import SCORE_COLUMNS, collect

KEYS = ("dataset", "experiment", "decoder", "seed")
FACTS = ("steps", "commit", "machine", "made")
SCORE = ("metric", "class", "value", "n")


@dataclass(frozen=True)
class Scored:
    """A scored set of layouts: ``facts`` has FACTS, a line of ``scores`` has SCORE, all as text."""

    key: tuple[str, str, str, str]
    facts: dict[str, str]
    scores: tuple[tuple[str, ...], ...]


def finished(results: Path, datasets: Iterable[str]) -> list[Scored]:
    """The scored sets of a folder of results."""
    found, here = [], this_machine()
    for dataset in datasets:
        for file in sorted((results / dataset / "score_layouts").glob("*/*/seed*/scores.csv")):
            experiment, decoder, seed = file.parts[-4:-1]
            model = results / dataset / "train_layout" / experiment / seed / "model.safetensors"
            layouts = results / dataset / "sample_layouts" / experiment / "test" / seed / "layouts.h5"
            records = [file_record(one) for one in (model, layouts) if one.exists()]
            trained = records[0].get("config", {}).get("training", {}) if model.exists() else {}
            facts = {
                "steps": str(trained.get("steps", "")),
                "commit": " ".join(dict.fromkeys(str(one.get("git", "unknown"))[:7] for one in records)),
                "machine": here,
                "made": f"{datetime.fromtimestamp(int(file.stat().st_mtime), UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
            scores = collect([file])
            lines = tuple(
                (one["metric"], one["class"], repr(one["value"]), str(one["n"])) for _, one in scores.iterrows()
            )
            found.append(Scored((dataset, experiment, decoder, seed.removeprefix("seed")), facts, lines))
    return found


def add(folder: Path, sets: Iterable[Scored]) -> list[Scored]:
    """All sets that ``folder`` knows, with ``sets`` among them; its files are written if there are any."""
    every = {one.key: one for one in (*kept(folder), *sets)}
    known = [every[key] for key in sorted(every)]
    if known:
        write_csv(
            folder / "runs.csv", [*KEYS, *FACTS], [[*one.key, *(one.facts[name] for name in FACTS)] for one in known]
        )
        write_csv(folder / "scores.csv", [*KEYS, *SCORE], [[*one.key, *line] for one in known for line in one.scores])
    return known


def kept(folder: Path) -> list[Scored]:
    """The sets of the two files; none if there are no files."""
    if not (folder / "runs.csv").exists():
        return []
    lines: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for one in read_csv(folder / "scores.csv"):
        lines.setdefault(tuple(one[name] for name in KEYS), []).append(tuple(one[name] for name in SCORE))
    found = []
    for one in read_csv(folder / "runs.csv"):
        key = (one["dataset"], one["experiment"], one["decoder"], one["seed"])
        found.append(Scored(key, {name: one[name] for name in FACTS}, tuple(lines[key])))
    return found


def frame(sets: Iterable[Scored]) -> pd.DataFrame:
    """The scores as ``report.tables.build`` takes them."""
    lines = []
    for one in sets:
        dataset, experiment, decoder, seed = one.key
        for metric, name, value, n in one.scores:
            lines.append((dataset, experiment, decoder, "", int(seed), metric, name, float(value), int(n)))
    return pd.DataFrame(lines, columns=list(SCORE_COLUMNS))
