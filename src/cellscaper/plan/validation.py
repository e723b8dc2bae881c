"""The whole configuration against its schema, and its names against each other. Read by the Snakefile."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from cellscaper.errors import CellscaperError
from cellscaper.plan.sections import Config, named


def validate(config: Config, schema: Path, files: Iterable[Path] = ()) -> None:
    """Check a merged config against the schema and its names against each other.

    Raises CellscaperError with one line: the key's full path, the file it stands in (of ``files``, the last
    one wins as in Snakemake), what was expected and, for an unknown key, the nearest valid one.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, x: type(x) is int)  # 100.0 is not one
    strict = extend(Draft202012Validator, type_checker=whole)
    validator = strict(yaml.safe_load(Path(schema).read_text(encoding="utf-8")))
    errors = sorted(
        validator.iter_errors(config), key=lambda e: (e.validator != "additionalProperties", list(map(str, e.path)))
    )
    if errors:
        raise CellscaperError(_explain(errors[0], list(files)))
    _check_names(config, list(files))


def _explain(error: Any, files: list[Path]) -> str:
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = min(str(key) for key in error.instance if key not in known)
        near = difflib.get_close_matches(unknown, known, 1, 0.0)
        where = ".".join([*path, unknown])
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"unknown key {where!r}{_found_in([*path, unknown], files)}{hint} (valid here: {', '.join(known)})"
    where = ".".join(path) or "the configuration"
    if error.validator == "required":
        return f"{where}{_found_in(path, files)}: {error.message}"
    expected = f"expected {error.schema['description']}" if "description" in error.schema else error.message
    return f"{where} = {error.instance!r}{_found_in(path, files)}: {expected}"


def _found_in(path: list[str], files: list[Path]) -> str:
    """`` in <file>``: the last file that holds the key."""
    for file in reversed(files):
        node = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        for part in path:
            if isinstance(node, list) and part.isdigit() and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, dict) and part in node:
                node = node[part]
            else:
                break
        else:
            return f" in {file}"
    return ""


def _check_names(config: Config, files: list[Path]) -> None:
    def need(name: str, kind: str, *path: str) -> None:
        if name not in config[kind]:
            near = difflib.get_close_matches(name, config[kind], 1, 0.0)
            raise CellscaperError(
                f"{'.'.join(path)} = {name!r}{_found_in(list(path), files)}: no such entry in {kind}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )

    for name in config["run"]["datasets"]:
        need(name, "datasets", "run", "datasets")
    for name in config["run"]["tables"]:
        need(name, "tables", "run", "tables")
    for name in config["experiments"]:
        merged = named(config, name)
        need(merged["grid"], "grids", "experiments", name, "grid")
        need(merged["patches"], "patches", "experiments", name, "patches")
        need(merged["image_model"], "image_models", "experiments", name, "image_model")
        if merged["density"] != "none":
            need(merged["density"], "densities", "experiments", name, "density")
        region, window = config["grids"][merged["grid"]]["region"], config["patches"][merged["patches"]]["region"]
        if region != window:
            raise CellscaperError(
                f"experiments.{name}: grid {merged['grid']!r} has region {region} px and patches {merged['patches']!r} "
                f"have {window} px; they must be equal"
            )
        painted = config["image_models"][merged["image_model"]]["grid"]["region"]
        if region != painted:
            raise CellscaperError(
                f"experiments.{name}: grid {merged['grid']!r} has region {region} px and image model "
                f"{merged['image_model']!r} paints {painted} px; they must be equal"
            )
        for one in merged["features"]:
            need(one, "features", "experiments", name, "features")
            seen = config["features"][one]["grid"]["region"]
            if region != seen:
                raise CellscaperError(
                    f"experiments.{name}: grid {merged['grid']!r} has region {region} px and features {one!r} "
                    f"see {seen} px; they must be equal"
                )
    for table, block in config["tables"].items():
        for row, cell in block["rows"].items():
            if cell["experiment"]:
                need(cell["experiment"], "experiments", "tables", table, "rows", row, "experiment")
            if not cell.get("why") and not _is_runnable(block["kind"], cell):
                raise CellscaperError(
                    f"tables.{table}.rows.{row}{_found_in(['tables', table, 'rows', row], files)}: a row that is "
                    "run names an experiment and its decoder (only `real only` has none); one that is not says `why`"
                )
        for name in block.get("detectors", []):
            need(name, "detectors", "tables", table, "detectors")
        if block["kind"] == "images":
            need(config["metrics"]["images"]["detector"], "detectors", "metrics", "images", "detector")
        for name in block.get("skip_datasets", []):
            need(name, "datasets", "tables", table, "skip_datasets")


def _is_runnable(kind: str, row: Config) -> bool:
    return bool(row.get("decoder")) if row["experiment"] else kind == "detections"
