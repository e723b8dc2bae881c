"""The configuration: the sections that each rule gets. Read by the Snakefile; nothing heavy here.

An experiment (a row of a table) is ``layout_model`` overlaid with its own keys; names of grids and densities are
replaced by their content. Experiments whose resolved training is equal share one training, the first one's.
"""

import copy
from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]
TRAINING_KEYS = (
    "generator",
    "grid",
    "density",
    "condition",
    "network",
    "diffusion",
    "points",
    "tmccg",
    "losses",
    "training",
    "small",
)
CONDITION_KEYS: dict[str, tuple[str, ...]] = {  # of a layout model's condition, then of an image model's
    "none": (),
    "count_category": ("categories", "edges"),
    "class_counts": ("scale",),
    "markers": (),
    "distance": ("reach",),
    "cross_attention": ("width",),
}


def overlay(base: Mapping[str, Any], own: Mapping[str, Any]) -> Config:
    """``base`` with the keys of ``own`` put over it, maps merged, everything else replaced."""
    merged = copy.deepcopy(dict(base))
    for key, value in own.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = overlay(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def named(config: Config, name: str) -> Config:
    """An experiment with defaults filled in; grid, patches, density and image model by name."""
    merged = overlay(config["layout_model"], config["experiments"][name])
    merged["condition"] = _used(merged["condition"])
    return merged


def image_model(config: Config, name: str) -> Config:
    """The block of an image model, its condition without unused keys."""
    block = config["image_models"][name]
    return {**block, "condition": _used(block["condition"])}


def _used(condition: Config) -> Config:
    """A condition without the keys of other kinds: those that were there before an overlay changed the kind."""
    keys = ("kind", *CONDITION_KEYS[condition["kind"]])
    return {key: value for key, value in condition.items() if key in keys}


def experiment(config: Config, name: str) -> Config:
    """The same with grid, patches, density and image model by content."""
    merged = named(config, name)
    merged["grid"] = config["grids"][merged["grid"]]
    merged["patches"] = config["patches"][merged["patches"]]
    if merged["density"] == "none":
        merged["density"] = None
    else:
        merged["density"] = config["densities"][merged["density"]]
    merged["image_model"] = image_model(config, merged["image_model"])
    merged["features"] = [config["features"][one] for one in merged["features"]]
    return merged


def is_trained(config: Config, name: str) -> bool:
    """Whether the experiment's generator is trained (``training: null`` marks those that are not)."""
    return experiment(config, name)["training"] is not None


def training_section(config: Config, name: str) -> Config:
    """What `train_layout` gets: the keys that shape the weights."""
    resolved = experiment(config, name)
    return {key: resolved[key] for key in TRAINING_KEYS}


def sampling_section(config: Config, name: str) -> Config:
    """What `sample_layouts` gets. The weights bring their own description."""
    resolved = experiment(config, name)
    return {key: resolved[key] for key in ("generator", "grid", "sampling", "decoding", "small")}


def shared_training(config: Config, name: str) -> str:
    """The first experiment with the same training: its weights serve ``name`` too."""
    wanted = training_section(config, name)
    return next(other for other in config["experiments"] if training_section(config, other) == wanted)


def shared_experiment(config: Config, name: str) -> str:
    """The first experiment that is the same in everything: its layouts and scores serve ``name`` too."""
    wanted = experiment(config, name)
    return next(other for other in config["experiments"] if experiment(config, other) == wanted)


def shared_features(config: Config, name: str) -> list[str]:
    """The feature networks that score an experiment: the first ones of equal settings."""
    blocks = config["features"]
    return [
        next(other for other, section in blocks.items() if section == blocks[one])
        for one in named(config, name)["features"]
    ]


def shared_image_model(config: Config, name: str) -> str:
    """The image model that paints an experiment's layouts: the first one of equal settings."""
    wanted = experiment(config, name)["image_model"]
    return next(other for other in config["image_models"] if image_model(config, other) == wanted)


def reading_section(config: Config, name: str) -> Config:
    """How an experiment's maps are read: real layouts go through the same raster and decoder to be counted."""
    resolved = experiment(config, name)
    return {key: resolved[key] for key in ("grid", "decoding")}


def image_scoring_section(config: Config, name: str) -> Config:
    """What `score_images` gets. ``real``: null for painted images, ``test`` or ``halves`` for rows of real ones."""
    resolved = experiment(config, name)
    real = {"patches": "test", "images": "halves"}[resolved["sampling"]["halves"]]
    return {
        **{key: config["metrics"]["images"][key] for key in ("tile", "glass", "shrinkage")},
        "radius": config["metrics"]["detection"]["radius"],
        "region": resolved["image_model"]["grid"]["region"],
        "small": resolved["image_model"]["small"],
        "real": real if resolved["generator"] == "real_halves" else None,
    }


def density_stride(config: Config, name: str) -> int:
    """The grid pixel, in px at 20×, at which an experiment needs its density maps."""
    return int(experiment(config, name)["grid"]["stride"])


def wanted_tables(config: Config) -> list[tuple[str, str]]:
    """(dataset, table) of every table that the run makes."""
    return [
        (dataset, table)
        for dataset in config["run"]["datasets"]
        for table in config["run"]["tables"]
        if dataset not in config["tables"][table].get("skip_datasets", [])
    ]


def rows(config: Config, table: str) -> list[Config]:
    """The rows of a table that are run: their block with ``row`` and the experiment whose results serve them."""
    found = []
    for row, block in config["tables"][table]["rows"].items():
        if not block.get("why"):
            name = block["experiment"]
            found.append({**block, "row": row, "experiment": shared_experiment(config, name) if name else None})
    return found


def framing(config: Config, table: str) -> dict[str, str]:
    """The rows of a table between which its others stand: {row: "floor" or "ceiling"}.

    Tables of images have floors alone, those of detections neither.
    """
    every = {"layouts": {"real_halves": "floor", "random": "ceiling"}, "images": {"real_halves": "floor"}}
    kinds = every.get(config["tables"][table]["kind"])
    if not kinds:
        return {}
    found = {row["row"]: experiment(config, row["experiment"])["generator"] for row in rows(config, table)}
    return {row: kinds[generator] for row, generator in found.items() if generator in kinds}


def mixes(config: Config, detector: str, experiment: str | None) -> list[int]:
    """Percentages of synthetic crops that a detector is tried with: none without generated pairs."""
    if experiment is None:
        return [0]
    return [round(100 * part) for part in config["detectors"][detector]["synthetic_fractions"]]


def detector_section(config: Config, detector: str, mix: int) -> Config:
    """What `train_detector` gets: the detector's block with one part of synthetic crops."""
    section = copy.deepcopy(config["detectors"][detector])
    del section["synthetic_fractions"]
    return {**section, "synthetic_fraction": mix / 100}


def pairs_name(experiment: str | None, decoder: str | None) -> str:
    """How detection scores name what a detector was trained with: ``real_only`` or ``<experiment>/<decoder>``."""
    return f"{experiment}/{decoder}" if experiment else "real_only"


def table_section(config: Config, name: str) -> Config:
    """What `make_tables` gets: the table with each row's experiment as it is named in the score files."""
    table = copy.deepcopy(config["tables"][name])
    for block in rows(config, name):
        row = table["rows"][block["row"]]
        row["experiment"] = block["experiment"]
        if table["kind"] == "detections":
            row["experiment"] = pairs_name(block["experiment"], row.pop("decoder", None))
    detectors = table.pop("detectors", [])
    if detectors:
        table |= config["metrics"]["detection"]  # radius and resamples of the bootstrap
        several = len(detectors) > 1
        table["columns"] = [
            {**column, "detector": one, "label": f"{one} {column['label']}" if several else column["label"]}
            for one in detectors
            for column in table["columns"]
        ]
    table["rows"] = list(table["rows"].items())  # a list: canonical JSON sorts the keys of maps
    return table
