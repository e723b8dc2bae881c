"""What the configuration of `cellscaper check` says of the bundled weights: trainings start from those that fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cellscaper.disk.formats.class_names import spelled_as
from cellscaper.disk.shipped import PREFIX, SCALE, shipped_file, shipped_names
from cellscaper.disk.weights_header import read_header

# as in workflow/presets/brca-points-topology.yaml
TUNING = {"steps": 1500, "lr": 2.0e-4, "warmup": 50, "cooldown": 0.5, "ema": 0.99}


@dataclass(frozen=True)
class Starts:
    """Blocks of the configuration, and lines that say what they do."""

    experiments: Any
    grids: Any
    lines: list[str]


def starts(classes: Sequence[str], mpp: float, region: int) -> Starts:
    """For each file of bundled weights its experiment: it starts from them if region and scale fit, else anew.

    Nothing on other cells is sampled with bundled weights. ``mpp``: µm a pixel of the cells as they are read.
    """
    experiments: Any = {}
    grids: Any = {}
    lines: list[str] = []
    for name in shipped_names():
        facts, _ = read_header(shipped_file(name))
        section = facts["section"]
        block: Any = {"weights": None}
        there = spelled_as(facts["classes"], classes)
        same = [one for one in classes if one in there]
        new = [one for one in classes if one not in there]
        if section["region"] != region or abs(mpp / float(facts["mpp"]) - 1) > SCALE:
            lines.append(
                f"start      {name}: new weights, because the bundled ones are of {section['region']} px at "
                f"{facts['mpp']:g} µm a pixel, and these cells of {region} px at {mpp:g}"
            )
        else:
            block |= {"init": f"{PREFIX}{name}", "training": TUNING, "settings": section["settings"]}
            if section.get("grid"):
                grids[f"start_{name}"] = {key: value for key, value in section["grid"].items() if key != "region"}
                block |= {"grid": f"start_{name}", "condition": section["condition"]}
            told = [f"{', '.join(some)} {how}" for some, how in ((same, "as there"), (new, "anew")) if some]
            lines.append(f"start      {name}: from the bundled weights, {', '.join(told)} (`init: null`: all anew)")
        if section["region"] == region:  # presets for other regions sample with none of them
            experiments[facts["package"]["experiment"]] = block
    return Starts(experiments, grids, lines)
