"""The section of the configuration for each rule: only the settings that the rule depends on."""

from math import lcm
from typing import Any

from cellscaper.plan.blocks import as_section, method_block
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.folders import file_state
from cellscaper.plan.merging import Config
from cellscaper.plan.schema import facts
from cellscaper.plan.tables import AUDIT, Metric


def dataset_section(config: Config, dataset: str) -> Any:
    """The section of `fetch_dataset` and `read_cells`."""
    return as_section(config["datasets"][dataset])


def windows_section(config: Config, name: str) -> Any:
    """The section of `cut_patches` for the windows ``<field>``, or the crops ``<field>-targets``/``-reference``."""
    field, _, crops = name.partition("-")
    block = config["fields"][field]
    shared = {"region": block["region"], "small": block["small"]}
    if not crops:
        return {"cut": "windows", **shared, **block["windows"]}
    evaluation, align = block["evaluation"], config["grids"][block["grid"]]["stride"]
    if crops == "reference":
        return {"cut": "reference", **shared, "align": align, "number": evaluation["reference"]}
    own = {key: evaluation[key] for key in ("categories", "each")}
    return {"cut": "targets", **shared, "align": align, **own}


def density_section(config: Config, density: str, stride: int) -> Any:
    """The section of `fit_density`."""
    return {**method_block(config["densities"][density]), "stride": stride}


def sampling_section(experiments: Experiments, dataset: str, name: str, purpose: str) -> Any:
    """The section of `sample_layouts` for layouts that are scored (``test``) or painted for detectors (``train``).

    It has no recipe of a trained generator, because the weights contain it. Given weights count by their content alone.
    """
    one = experiments[name]
    field = experiments.config["fields"][one.field]
    evaluation = field["evaluation"]
    crops = purpose == "train" and evaluation["kind"] == "windows"
    scored = experiments.config["datasets"][dataset]["layouts"].get(one.field, evaluation.get("layouts"))
    section = {
        "method": one.generator,
        "settings": one.sampling if one.is_trained else one.settings,
        "decoding": one.decoding,
        "region": field["region"],
        "small": field["small"],
        "counts": "crops" if crops else "targets",
        "layouts": field["train_layouts"] if purpose == "train" else scored,
        "weights": None if (given := experiments.weights(name)) is None else given.sha256,
    }
    return {key: value for key, value in section.items() if value is not None}


def set_section(experiments: Experiments, name: str) -> Any:
    """The section of `generate_set`. Parts begin where batches of layouts and, if it is painted, of images begin."""
    block = experiments.config["sets"][name]
    section = sampling_section(experiments, block["dataset"], block["experiment"], "train")
    return {**section, "layouts": block["layouts"], "unit": set_unit(experiments, name)}


def set_unit(experiments: Experiments, name: str) -> int:
    """The layouts between two places where a part of a generated set can begin."""
    block = experiments.config["sets"][name]
    one, painter = experiments[block["experiment"]], experiments.painter(block["experiment"])
    made = one.sampling if one.is_trained else one.settings
    painted = painting_section(experiments.config, painter)["settings"] if block["images"] else {}
    return lcm(made.get("batch", 1), painted.get("batch", 1))


def set_painting_section(experiments: Experiments, name: str) -> Any:
    """The section of `paint_set`."""
    block = experiments.config["sets"][name]
    section = painting_section(experiments.config, experiments.painter(block["experiment"]))
    return {**section, "layouts": block["layouts"], "unit": set_unit(experiments, name)}


def features_section(config: Config, name: str) -> Any:
    """The section of `train_features`."""
    return method_block(config["features"][name])


def painter_section(config: Config, name: str) -> Any:
    """The section of `train_image`: ``init`` is the SHA-256 of the file, so that its path and times do not matter."""
    section = method_block(config["painters"][name], "sampling", "least_recall")
    for file in painter_init(config, name):
        section["settings"]["init"] = file_state(file)
    return section


def painter_init(config: Config, name: str) -> list[str]:
    """The file of weights that a painter's training starts from, or nothing."""
    init = config["painters"][name].get("init")
    return [] if init is None else [init]


def painting_section(config: Config, name: str) -> Any:
    """The section of `paint_images`: the sampling of a trained painter, or all settings of another painter."""
    block = config["painters"][name]
    if facts()["painters"][block["method"]]["trained"]:
        return {"method": block["method"], "settings": block["sampling"]}
    return method_block(block, "least_recall")


def selecting_section(config: Config, painter: str) -> Any:
    """The section of `select_pairs`."""
    return {
        "least_recall": config["painters"][painter]["least_recall"],
        "radius": config["metrics"]["detection"]["radius"],
    }


def detector_section(config: Config, detector: str, mix: int) -> Any:
    """The section of `train_detector`: the detector's block with a fraction of synthetic crops (``mix``: per cent).

    With ``equal_real_steps`` the training is longer by the synthetic crops.
    """
    section = method_block(config["detectors"][detector], "synthetic_fractions", "equal_real_steps")
    settings, fraction = section["settings"], mix / 100
    if config["detectors"][detector]["equal_real_steps"] and 0 < fraction < 1:
        steps = round(settings["training"]["steps"] / (1 - fraction))
        settings = {**settings, "training": {**settings["training"], "steps": steps}}
    return {"method": section["method"], "settings": settings, "synthetic_fraction": fraction}


def scoring_section(experiments: Experiments, name: str, decoder: str, wanted: list[Metric]) -> Any:
    """The section of `score_layouts`: the wanted metrics, and how maps were read.

    The counts of real layouts use the same raster and decoder.
    """
    one, metrics = experiments[name], experiments.config["metrics"]
    sections = []
    for metric, network in wanted:
        section = {"method": metric, "settings": metrics[metric]}
        sections.append({**section, "network": network} if network else section)
    if decoder == "points" or one.decoding is None:
        return {"metrics": sections, "reading": {}}
    return {"metrics": sections, "reading": {"grid": experiments.grid(name), "threshold": one.decoding["threshold"]}}


def image_scoring_section(experiments: Experiments, name: str, audited: bool = False) -> Any:
    """The section of `score_images`. ``real``: null for painted images, ``test`` or ``halves`` for real ones.

    ``copies`` are the settings of the copy audit, if a table shows it (``audited``).
    """
    config, one = experiments.config, experiments[name]
    field = config["fields"][one.field]
    real = {"windows": "test", "images": "halves"}[one.settings["halves"]] if one.is_real else None
    audit = {"copies": config["metrics"][AUDIT]} if audited else {}
    return {
        **audit,
        **{key: config["metrics"]["image_quality"][key] for key in ("tile", "glass", "shrinkage")},
        "radius": config["metrics"]["detection"]["radius"],
        "region": field["region"],
        "small": config["painters"][field["painter"]].get("small", field["small"]),
        "real": real,
    }
