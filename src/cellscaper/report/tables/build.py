"""Score files → the papers' tables: ours beside the paper's number and the difference."""

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from cellscaper.disk.checked_csv import CHECK, without_checks
from cellscaper.errors import CellscaperError

SCORE_COLUMNS = ("dataset", "experiment", "decoder", "detector", "seed", "metric", "class", "value", "n")
Block = Mapping[str, Any]  # of the configuration: a table, a row or a column of it; also the paper's values
_KEY = ["dataset", "experiment", "decoder", "detector", "seed", "metric", "class"]


def load_paper_values() -> Block:
    """The papers' numbers: table id → dataset → row id → (detector →) column → value, {value, sd} or None."""
    return yaml.safe_load(files("cellscaper.report.tables").joinpath("paper_values.yaml").read_text(encoding="utf-8"))


# -- scores ------------------------------------------------------------------------------------------------


def collect(scores: Sequence[Path]) -> pd.DataFrame:
    """All score files as one table with the columns ``SCORE_COLUMNS``.

    ``value`` is NaN if a score has no value. CellscaperError for a file that is not a score file and for a score that
    is given twice.
    """
    frames = [_read_scores(Path(path)) for path in scores]
    empty = pd.DataFrame(columns=list(SCORE_COLUMNS)).astype({"seed": int, "n": int, "value": float})
    found = pd.concat(frames, ignore_index=True) if frames else empty
    twice = found[found.duplicated(_KEY)]
    if len(twice):
        name = " ".join(text for text in twice.iloc[0][_KEY].astype(str) if text)
        raise CellscaperError(f"score '{name}' is given twice among {len(scores)} score files; pass each file once")
    return found


def _read_scores(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise CellscaperError(f"{path} does not exist, expected a score file; run the stage that makes it")
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CellscaperError(f"{path} is not a readable CSV file ({reason}); delete it and run again") from error
    missing = [name for name in SCORE_COLUMNS if name not in frame.columns]
    if missing:
        raise CellscaperError(
            f"{path} has no column {missing[0]!r}; a score file has the columns {', '.join(SCORE_COLUMNS)}; score again"
        )
    known = frame[[name for name in (*SCORE_COLUMNS, CHECK) if name in frame.columns]]
    frame = without_checks(path, known).copy()
    for name in ("seed", "n", "value"):
        undefined = (name == "value") & frame[name].str.lower().isin(["", "nan"])
        number = pd.to_numeric(frame[name].mask(undefined), errors="coerce")
        bad = ~undefined & (number.isna() if name == "value" else ~(number % 1 == 0))
        if bad.any():
            line = int(np.flatnonzero(bad)[0]) + 2
            kind = "a number" if name == "value" else "a whole number"
            raise CellscaperError(
                f"{path} line {line}: {name} {frame[name].iloc[line - 2]!r} is not {kind}; score again"
            )
        frame[name] = number if name == "value" else number.astype(int)
    return frame


# -- one table ---------------------------------------------------------------------------------------------


def build(table: Block, dataset: str, classes: Sequence[str], scores: pd.DataFrame, paper: Block) -> pd.DataFrame:
    """One table of ``config.yaml`` for one dataset, in long form: one line a row × column, in reading order.

    ``scores`` come from :func:`collect`, ``paper`` is ``load_paper_values()[table id]`` (or {}).
    A row is {label, experiment or null, why, decoder, detector, paper}, a column {metric, lower, class, label, paper,
    paper_label, detector, note, why}; all but ``experiment``, ``metric`` and ``lower`` may be left out. A row's
    ``paper`` is its id in ``paper`` where that differs. A column's ``note`` says how the paper's column is defined
    otherwise; its number is then shown and no difference is taken. A column whose ``paper`` names another metric has
    such a note unless its own is empty.

    Returns the columns row, row_label, column_label, metric, class, mean, sd (ddof 1), n (seeds), paper, paper_sd,
    difference (ours − paper), lower_is_better, status ('ok' or 'not run: why'), decoder (in a table of detections:
    detector), samples (the smallest number of layouts or images behind a score), note (how the definition differs).
    """
    lines = []
    reader = reader_column(table)
    for row_id, row in table["rows"].items():
        row = row or {}
        for column in _expand(table["columns"], classes):
            values, why = _select(scores, dataset, row_id, row, column)
            ours = values["value"].to_numpy(float)
            mean = float(ours.mean()) if len(ours) else math.nan
            sd = float(ours.std(ddof=1)) if len(ours) > 1 else math.nan
            value, paper_sd = _paper_value(paper.get(dataset) or {}, row_id, row, column)
            lines.append(
                {
                    "row": row_id,
                    "row_label": row.get("label", row_id),
                    "column_label": column["label"],
                    "metric": column["metric"],
                    "class": column["class"],
                    "mean": mean,
                    "sd": sd,
                    "n": len(ours),
                    "paper": value,
                    "paper_sd": paper_sd,
                    "difference": math.nan if column["note"] else mean - value,
                    "lower_is_better": column["lower"],
                    "status": f"not run: {why}" if why else "ok",
                    reader: "" if why else values[reader].iloc[0],
                    "samples": 0 if why else int(values["n"].min()),
                    "note": column["note"],
                }
            )
    return pd.DataFrame(lines)


def reader_column(table: Block) -> str:
    """The column that says what read the cells: the ``detector`` of images or the ``decoder`` of layouts."""
    return "detector" if table.get("kind") == "detections" else "decoder"


def _expand(columns: Sequence[Block], classes: Sequence[str]) -> Iterator[Block]:
    """The columns: class "*" is written out as one column for each class, every default is filled in."""
    for block in columns:
        column = {name: value for name, value in block.items() if value is not None}
        metric = column["metric"]
        label = column.get("label", metric)
        differs = column.get("paper", metric) != metric
        theirs = column.get("paper_label", column.get("paper"))
        note = column.get("note", f"the number beside ours is the paper's {theirs}" if differs else "")
        every = column.get("class", "") == "*"
        for name in classes if every else [column.get("class", "")]:
            yield {
                **column,
                "class": name,
                "label": f"{label} {name}" if every or (name and "label" not in column) else label,
                "lower": column["lower"],
                "note": note,
            }


def _select(scores: pd.DataFrame, dataset: str, row_id: str, row: Block, column: Block) -> tuple[pd.DataFrame, str]:
    """The scores of one cell (a line for each seed) and '', or no scores and the reason why there are none."""
    none = scores.iloc[:0]
    experiment = row.get("experiment", row_id)
    if experiment is None or row.get("why"):
        return none, row.get("why", "no experiment named")
    found = scores[(scores["dataset"] == dataset) & (scores["experiment"] == experiment)]
    wanted = {"decoder": row.get("decoder"), "detector": column.get("detector") or row.get("detector")}
    for name, value in wanted.items():
        found = found if value is None else found[found[name] == value]
    if found.empty:
        by = "".join(f" by {value}" for value in wanted.values() if value)
        return none, f"no scores of experiment {experiment} on {dataset}{by}"
    found = found[found["metric"] == column["metric"]]
    if found.empty:
        return none, column.get("why", f"{column['metric']} was not computed")
    scored = found
    found = found[found["class"] == column["class"]]
    if found.empty:
        there = ", ".join(dict.fromkeys(str(one) or "all classes together" for one in scored["class"]))
        asked = column["class"] or "all classes together"
        return none, f"{column['metric']} has no score for {asked}, only for {there}"
    for name in ("decoder", "detector"):
        if found[name].nunique() > 1:
            raise CellscaperError(
                f"table row {row_id!r}: {experiment} has scores by {' and '.join(sorted(set(found[name])))}, "
                f"which must not be averaged; give the row a `{name}`"
            )
    undefined = int((~np.isfinite(found["value"])).sum())
    if undefined:
        return none, f"{column['metric']} is undefined for {undefined} of {len(found)} seeds"
    return found, ""


def _paper_value(paper: Block, row_id: str, row: Block, column: Block) -> tuple[float, float]:
    """The paper's value of one cell and its ±; NaN if the paper gives none."""
    values = paper.get(row.get("paper", row_id)) or {}
    detector = column.get("detector") or row.get("detector")
    if detector is not None:
        values = values.get(detector) or {}
    name = column.get("paper", column["metric"])
    value = values.get(f"{name}/{column['class']}" if column["class"] else name)
    if value is None and "paper" in column:
        value = values.get(name)  # the paper's one number for all classes, beside our mean over classes
    if isinstance(value, Mapping):
        return float(value["value"]), float(value["sd"])
    return math.nan if value is None else float(value), math.nan
