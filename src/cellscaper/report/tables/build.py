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

SCORE_COLUMNS = ("dataset", "experiment", "decoder", "seed", "metric", "class", "value", "n")
_KEY = ["dataset", "experiment", "decoder", "seed", "metric", "class"]
_HIGHER_IS_BETTER = (
    "f1",
    "precision",
    "recall",
    "f1_released",
    "precision_released",
    "recall_released",
    "dot_recall",
    "dot_precision",
)
_NAMES = {"cce": "CCE", "tce": "TCE", "f1": "F1", "spatial_fid": "FID", "mmd": "MMD", "topofd": "TopoFD"}


def load_paper_values() -> dict[str, Any]:
    """The papers' numbers: table id → dataset → row id → (detector →) column → value, {value, sd} or None."""
    return yaml.safe_load(files("cellscaper.report.tables").joinpath("paper_values.yaml").read_text(encoding="utf-8"))


# -- scores ------------------------------------------------------------------------------------------------


def collect(scores: Sequence[Path]) -> pd.DataFrame:
    """All score files as one table with the columns ``SCORE_COLUMNS``.

    ``value`` is NaN where a score has no value. CellscaperError on a file that is not a score file and
    on a score that is given twice.
    """
    frames = [_read_scores(Path(path)) for path in scores]
    empty = pd.DataFrame(columns=list(SCORE_COLUMNS)).astype({"seed": int, "n": int, "value": float})
    found = pd.concat(frames, ignore_index=True) if frames else empty
    twice = found[found.duplicated(_KEY)]
    if len(twice):
        name = " ".join(str(twice.iloc[0][key]) for key in _KEY)
        raise CellscaperError(f"score '{name}' is given twice among {len(scores)} score files; pass each file once")
    return found


def _read_scores(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise CellscaperError(f"{path} does not exist; run the stage that makes it")
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


def build(
    table: Mapping[str, Any], dataset: str, classes: Sequence[str], scores: pd.DataFrame, paper: Mapping[str, Any]
) -> pd.DataFrame:
    """One table of ``config.yaml`` for one dataset, in long form: one line a row × column, in reading order.

    ``scores`` come from :func:`collect`, ``paper`` is ``load_paper_values()[table id]`` (or {}).
    A row is {label, experiment or null, why, decoder, detector, paper}, a column {metric, class, label, lower, paper,
    detector, note, why}; all but ``experiment`` and ``metric`` may be left out. ``detector`` (of a row or a column)
    is what the scores' ``decoder`` column holds in detection scores. A row's ``paper`` is its id in
    ``paper`` where that differs; a column's ``paper`` says that the paper's column has another definition, so its
    number is shown and no difference is taken.

    Returns the columns row, row_label, column_label, metric, class, mean, sd (ddof 1), n (seeds), paper, paper_sd,
    difference (ours − paper), lower_is_better, status ('ok' or 'not run: why'), decoder, samples (the least
    number of layouts or images behind a score), note (how the definition differs).
    """
    lines = []
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
                    "decoder": "" if why else values["decoder"].iloc[0],
                    "samples": 0 if why else int(values["n"].min()),
                    "note": column["note"],
                }
            )
    return pd.DataFrame(lines)


def _expand(columns: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The columns with class "*" written out and every default filled in."""
    for column in columns:
        metric = column["metric"]
        label = column.get("label", _NAMES.get(metric, metric))
        differs = column.get("paper", metric) != metric
        theirs = _NAMES.get(column.get("paper", ""), column.get("paper"))
        note = column.get("note", f"the number beside ours is the paper's {theirs}") if differs else ""
        every = column.get("class", "") == "*"
        for name in classes if every else [column.get("class", "")]:
            yield {
                **column,
                "class": name,
                "label": f"{label} {name}" if every or (name and "label" not in column) else label,
                "lower": column.get("lower", metric not in _HIGHER_IS_BETTER),
                "note": note,
            }


def _select(
    scores: pd.DataFrame, dataset: str, row_id: str, row: Mapping[str, Any], column: Mapping[str, Any]
) -> tuple[pd.DataFrame, str]:
    """The scores of one cell (a line a seed) and '', or no scores and the reason why there are none."""
    none = scores.iloc[:0]
    experiment = row.get("experiment", row_id)
    if experiment is None or row.get("why"):
        return none, row.get("why", "no experiment named")
    found = scores[(scores["dataset"] == dataset) & (scores["experiment"] == experiment)]
    decoder = row.get("decoder") or column.get("detector") or row.get("detector")
    if decoder is not None:
        found = found[found["decoder"] == decoder]
    if found.empty:
        return none, f"no scores of experiment {experiment} on {dataset}" + (f" by {decoder}" if decoder else "")
    found = found[found["metric"] == column["metric"]]
    if found.empty:
        return none, column.get("why", f"{column['metric']} was not computed")
    found = found[found["class"] == column["class"]]
    if found.empty:
        return none, f"{column['metric']} has no score for {column['class'] or 'all classes together'}"
    if found["decoder"].nunique() > 1:
        raise CellscaperError(
            f"table row {row_id!r}: {experiment} has scores by {' and '.join(sorted(set(found['decoder'])))}, "
            "which must not be averaged; give the row a `decoder`"
        )
    undefined = int((~np.isfinite(found["value"])).sum())
    if undefined:
        return none, f"{column['metric']} is undefined for {undefined} of {len(found)} seeds"
    return found, ""


def _paper_value(
    paper: Mapping[str, Any], row_id: str, row: Mapping[str, Any], column: Mapping[str, Any]
) -> tuple[float, float]:
    """The paper's value and its ± of one cell; NaN where it gives none."""
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


def protocol_notes(table: Mapping[str, Any], frame: pd.DataFrame) -> list[str]:
    """Notes on the scores behind a built table: the source, how many layouts or images, which decoder."""
    notes = [f"paper: {table['source']}"] if table.get("source") else []
    done = frame[frame["status"] == "ok"]
    detections = table.get("kind") == "detections"
    images = detections or table.get("kind") == "images"
    if len(done):
        least, most = done["samples"].min(), done["samples"].max()
        number = str(least) if least == most else f"{least} to {most}"
        notes.append(f"scored on {number} {'images' if images else 'layouts'} a seed")
    by = {str(name): list(dict.fromkeys(part["row_label"])) for name, part in done.groupby("decoder") if name}
    what = "detector" if detections else "decoder"
    if by and all(rows == next(iter(by.values())) for rows in by.values()):
        notes.append(f"{what}: {', '.join(by)}")
    elif by:
        notes.append(f"{what}: " + "; ".join(f"{name} ({', '.join(rows)})" for name, rows in by.items()))
    return notes
