"""The whole configuration against its schema, and its names against each other: one line for the first error."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cellscaper.errors import CellscaperError
from cellscaper.plan.merging import Config
from cellscaper.plan.places import Places, nearest, nearest_or_all
from cellscaper.plan.schema import facts, schema
from cellscaper.plan.tables import REAL_ONLY
from cellscaper.run.packages import need as need_package

STAGES = Path(__file__).resolve().parents[1] / "stages"  # a file for each rule, with its name
_EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+$")  # YAML 1.1 takes it for a text
_NEW = "(after adding a method: `make schema`)"


def check_schema(config: Config, places: Places) -> None:
    """CellscaperError if the schema does not allow the configuration.

    The line has the key's full path, its file, the expected value and, for an unknown key, the nearest valid key.
    An error in an inherited key is reported at the entry that has the key.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, x: type(x) is int)  # 100.0 is not one
    validator = extend(Draft202012Validator, type_checker=whole)(schema())
    errors = [inner for error in validator.iter_errors(config) for inner in _innermost(error)]
    if errors:
        raise CellscaperError(_explain(min(errors, key=lambda error: _order(error, places)), places))


def _order(error: Any, places: Places) -> tuple[bool, bool, list[str]]:
    """Sort key: unknown keys before other errors, and errors of an entry before those of its heirs."""
    path = _path(error)
    return error.validator != "additionalProperties", places.origin(path) != path, path


def _path(error: Any) -> list[str]:
    """The path of the wrong key; of several unknown keys the first in the alphabet."""
    path = [str(part) for part in error.absolute_path]
    if error.validator != "additionalProperties":
        return path
    known = error.schema.get("properties", {})
    return [*path, min(str(key) for key in error.instance if key not in known)]


def _innermost(error: Any) -> Iterator[Any]:
    """The errors of the alternative that has the value's type, or the error itself."""
    fitting = set(range(len(error.schema.get("anyOf", ())))) if error.validator == "anyOf" else set()
    for inner in error.context:
        if inner.validator in ("type", "enum", "const") and not inner.relative_path:
            fitting.discard(inner.schema_path[0])
    if len(fitting) != 1:
        yield error
        return
    (chosen,) = fitting
    for inner in error.context:
        if inner.schema_path[0] == chosen:
            yield from _innermost(inner)


def _explain(error: Any, places: Places) -> str:
    path = _path(error)
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        where = places.told(path, "unknown key '{}'")
        return f"{where}{nearest(path[-1], known)} (valid here: {', '.join(known)})"
    if error.validator == "required":
        return f"{places.told(path)}: {error.message}"
    expected = f"expected {error.schema['expected']}" if "expected" in error.schema else error.message
    if "expected" in error.schema and error.validator == "type":
        expected = f"{error.message}; {expected}"
    if error.validator == "type" and isinstance(error.instance, str) and _EXPONENT.match(error.instance):
        expected = f"{expected}; YAML reads a number with an exponent only with a point, as 1.0e-3"
    if path[-1] in ("generator", "method", "reader") and error.validator == "enum":
        expected = f"{expected} {_NEW}"
    return f"{places.value(path, error.instance)}: {expected}"


def check_names(config: Config, places: Places) -> None:
    """CellscaperError if a name has no entry, or if a field, its painter and its networks have different regions.

    Also if an experiment takes its distances from FastGeodis and cannot: the package is missing here, or the diagrams
    are not of pixels.
    """
    need = _Need(config, places)
    if REAL_ONLY in config["experiments"]:
        raise CellscaperError(
            f"{places.told(['experiments', REAL_ONLY])}: the name {REAL_ONLY} stands for detectors of real images "
            "alone; choose another"
        )
    rules = {file.stem for file in STAGES.glob("[!_]*.py")}
    for name in config["resources"]:
        if name != "light" and name not in rules:
            raise CellscaperError(f"{places.told(['resources', name])}: no such rule{nearest(name, rules)}")
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
        for field in dataset["layouts"]:
            need(field, "fields", "datasets", name, "layouts", field)
            if config["fields"][field]["evaluation"]["kind"] != "windows":
                where = places.told(["datasets", name, "layouts", field])
                raise CellscaperError(f"{where}: layouts of this field are made by category; see its evaluation.each")
    for name, experiment in config["experiments"].items():
        need(experiment["field"], "fields", "experiments", name, "field")
        for key, kind in (("grid", "grids"), ("density", "densities")):
            if experiment.get(key) is not None:
                need(experiment[key], kind, "experiments", name, key)
        _check_distance(["experiments", name, "settings", "losses"], experiment["settings"].get("losses") or {}, places)
    for name, columns in config["columns"].items():
        _check_columns("", columns, ["columns", name], places)
    for name, table in config["tables"].items():
        _check_table(name, table, need)
    need(config["metrics"]["image_quality"]["detector"], "detectors", "metrics", "image_quality", "detector")
    for name, painter in config["painters"].items():
        _check_file(painter.get("init"), ["painters", name, "init"], places)


class _Need:
    """A check, called with a name, a section and the name's path: CellscaperError unless the section has the entry."""

    def __init__(self, config: Config, places: Places):
        self.config, self.places = config, places

    def __call__(self, name: str, kind: str, *path: str) -> None:
        if name not in self.config[kind]:
            where = self.places.value(path, name)
            raise CellscaperError(f"{where}: no such entry in {kind}{nearest_or_all(name, self.config[kind])}")


def _check_distance(path: list[str], losses: Any, places: Places) -> None:
    if losses.get("distance") == "fastgeodis":
        where = places.value([*path, "distance"], "fastgeodis")
        if losses["diagrams"] != "cubical":
            raise CellscaperError(f"{where}: only diagrams of pixels have a distance map; add `diagrams: cubical`")
        need_package("FastGeodis", where, "edt")


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


def _check_file(file: str | None, path: list[str], places: Places) -> None:
    """CellscaperError for a file of weights that cannot be opened."""
    if file is None:
        return
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        raise CellscaperError(
            f"{places.value(path, file)}: {error.strerror}; name a file of weights, or null to start from new weights"
        ) from error


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
            raise CellscaperError(f"{where}: no metric has such a score{others} {_NEW}")
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
