"""The configuration that `cellscaper check` writes: an overlay with the dataset, its tables, settings for its sizes."""

import yaml

from cellscaper.datasets import dots
from cellscaper.datasets.survey_start import Starts
from cellscaper.datasets.survey_text import FEWEST, Report

PRESETS = {256: "workflow/presets/brca-small.yaml", 128: "workflow/presets/demo-all.yaml"}  # by region, px


def overlay(name: str, settings: dots.Settings, region: int, text: Report, begun: Starts) -> str:
    """The overlay: the dataset, its tables, and the settings for its sizes."""
    small = "skip" if text.small() else "error"
    number = text.windows(region, text.stride())
    dataset = {
        "reader": "dots",
        **settings.model_dump(mode="json", exclude_defaults=True),
        "split": settings.split.model_dump(),
    }
    features: dict[str, dict[str, object]] = {"tc": {"small": small}, "tc_released": {"small": small}}
    whole: dict[str, object] = {
        "results": "results",  # whatever the preset has
        "datasets": {name: dataset},
        "run": {"datasets": [name], "tables": ["tc_table1", "tc_table1_released", "tc_table2"]},
        "fields": {"w256": {"windows": {"stride": text.stride()}, "small": small}},
        "features": features,
        "painters": {"tc": {"small": small}},
        **({"experiments": begun.experiments} if begun.experiments else {}),
        **({"grids": begun.grids} if begun.grids else {}),
    }
    if number < FEWEST:  # metrics refuse fewer layouts a side than samples or features
        half = number // 2
        whole["metrics"] = {"topofd": {"samples": half}, "mmd": {"layouts": half}, "copies": {"layouts": half}}
        features["tc"]["width"] = min(16, half // 2)
        features["tc_released"]["width"] = min(32, (half - 1) // 8 * 8)
    head = (
        f"# Written by `cellscaper check`. Lay it over a preset: --configfile {PRESETS[region]} this.yaml\n"
        f"# {settings.mpp:g} µm a pixel, {text.scale}.\n# The order of classes is the channel order everywhere.\n"
        + "".join(f"# {' '.join(line.split())}.\n" for line in begun.lines)
    )
    return head + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
