"""The model card of shipped weights: what their header says, and their scores from a committed CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cellscaper.disk.files import checksum
from cellscaper.disk.weights_header import read_header
from cellscaper.plan.numbers import spaced

SCORES = ("decoder", "metric", "class", "value", "n", "weights")  # columns of the CSV; the last is a SHA-256
SHOWN = (  # on the page, for all classes together; the CSV has every score
    *("tce", "cross_k", "pair_correlation", "pair_correlation_short", "nn_distance", "nn_mixing", "topofd"),
    *("topofd_mean_landscape", "mmd", "mmd_sliced", "spatial_fid", "copies"),
)
TOGETHER = ("", "mean", "any", "share")  # classes of such a score
POINTS = ("point_diffusion", "tmccg")
CONDITIONS = {
    "none": "no condition",
    "count_category": "the category of the total number of cells as condition",
    "class_counts": "the number of cells of each class as condition",
}


def model_card(file: Path, parameters: int, scores: Path) -> str:
    """The page docs/models/<name>.md of the weights in ``file``; ``parameters`` is the number of their numbers."""
    facts, _ = read_header(file)
    packed, section = facts["package"], facts["section"]
    name, region, classes = packed["name"], section["region"], facts["classes"]
    training, docs = section["training"], "/".join([".."] * (1 + name.count("/")))
    rows = {
        "task": f"layouts of {', '.join(classes)} in {region} × {region} px windows at {facts['mpp']:g} µm a px, given "
        "their counts",
        "system": f"`{section['method']}`, {_condition(section)}",
        "network": f"{parameters / 1e6:.2f} M numbers, {packed['precision']}, {file.stat().st_size / 1e6:.1f} MB",
        **({"raster": _grid(section["grid"])} if section.get("grid") else {}),
        "data": packed["data"],
        "counts of the training crops": "; ".join(
            f"{one} {low} to {high}" for one, (low, high) in packed["counts"].items()
        ),
        "training": f"{spaced(training['steps'])} steps of {training['batch']}, AdamW {training['lr']:g}, averaged "
        f"weights (decay {training['ema']:g}), seed {packed['seed']}, "
        f"commit `{packed['commit'][:12]}`; {packed['how']}",
        "sampling": _settings(packed["sampling"]),
        "licence": packed["licence"],
        "SHA-256": f"`{checksum(file)}`",
    }
    lines = [
        f"# The bundled weights `{name}`",
        "",
        "`docs/pack_weights.py` makes this page from the file and from the scores beside it; do not edit it.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in rows.items()),
        "",
        "```",
        f"cellscaper generate --system {name} --counts {_example(packed['counts'], classes)} -n 8 -o out.h5",
        "```",
        "",
        f"In a configuration: `weights: package:{name}` samples with them, `init: package:{name}` starts a training "
        f"from them ([weights.md]({docs}/weights.md)).",
        "",
        "## Scores",
        "",
        *_scores(scores, checksum(file), docs),
        "",
        "## Limits",
        "",
        f"- They know one kind of tissue, {len(classes)} classes and one scale. For other cells, train with "
        f"`init: package:{name}` or anew.",
        "- Counts beyond those of the training crops were not seen; `cellscaper generate` warns of them.",
        *(
            []
            if section["method"] in POINTS
            else ["- The maps hold about the requested counts. Exact counts need the decoder `requested`."]
        ),
        "- Layouts are statistics of tissue, not findings in a patient; nothing here is for diagnosis.",
    ]
    return "\n".join(lines) + "\n"


def _condition(section: Any) -> str:
    if section["method"] in POINTS:
        return "which places exactly the cells that are asked for"
    beside = f", density maps ({section['density']['method']}) beside the layout" if section.get("density") else ""
    return CONDITIONS[section["condition"]["kind"]] + beside


def _grid(grid: Any) -> str:
    soft = f"soft markers (sd {grid['soft']:g} pixels)" if grid.get("soft") else f"markers of {grid['marker']} pixels"
    return f"a pixel for {grid['stride']} × {grid['stride']} px, {soft}"


def _settings(block: Any) -> str:
    return ", ".join(f"{key} {value}" for key, value in block.items())


def _example(counts: Any, classes: Sequence[str]) -> str:
    """Counts near the middle of the range."""
    return ",".join(f"{one}={max(1, counts[one][1] // 5)}" for one in classes)


def _scores(file: Path, own: str, docs: str) -> list[str]:
    with open(file, newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["metric"] in SHOWN and row["class"] in TOGETHER]
    decoders = list(dict.fromkeys(row["decoder"] for row in rows))
    values: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        values.setdefault((row["metric"], row["class"]), {})[row["decoder"]] = f"{float(row['value']):.4g}"
    of = {row["weights"] for row in rows}
    whose = "of this file" if of == {own} else "of the weights before they were rounded to 16 bits"
    most = max((int(row["n"]) for row in rows), default=0)
    return [
        f"One seed, {most} layouts for test windows, {whose} ([what each score is]({docs}/methods.md)). "
        f"[{file.name}]({file.name}) has the scores of each class, too.",
        "",
        f"| score | class | {' | '.join(decoders)} |",
        f"|---|---|{'---|' * len(decoders)}",
        *(
            f"| {metric} | {kind or 'all'} | {' | '.join(found.get(one, '') for one in decoders)} |"
            for (metric, kind), found in values.items()
        ),
    ]
