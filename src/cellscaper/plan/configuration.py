"""The configuration of a run: `config.yaml` and the tables, the overlays of the user, bases and defaults filled in."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cellscaper.plan.agreement import check_names
from cellscaper.plan.house import ROOT
from cellscaper.plan.merging import Config, layered, overlay, with_bases
from cellscaper.plan.places import INHERITING, Layer, Places, read_overlay
from cellscaper.plan.schema import check_current, filled, schema
from cellscaper.plan.validation import check_keys, check_schema

FILES = (ROOT / "config.yaml", *(ROOT / "workflow" / "tables" / f"{name}.yaml" for name in ("sd", "tc", "ours")))


def in_files(files: Iterable[Path]) -> list[Layer]:
    """The contents of files, each with its place."""
    return [(f"in {file}", read_overlay(file)) for file in files]


@cache
def papers() -> list[Layer]:
    """The files of the papers' configuration, read once."""
    return in_files(FILES)


def defaults() -> Config:
    """The papers' configuration as written in its files."""
    found: Config = {}
    for _, content in papers():
        found = overlay(found, content)
    return found


def configuration(*own: Config, where: Iterable[str] = ()) -> Config:
    """The whole configuration: the papers', changed by ``own``, with each base and each default written out.

    ``own`` are the contents of overlays and of the command line; ``where`` says of each where it stands, for error
    lines. CellscaperError for an unknown key, a wrong value, a name without an entry or a base without an entry.
    """
    raw = defaults()
    for layer in own:
        raw = layered(raw, layer, schema())
    return complete(raw, [*papers(), *zip(where, own, strict=False)])


def given(config: Config, command_line: Config, files: Iterable[Path]) -> Config:
    """The configuration of a Snakemake run: overlays one by one, then ``--config``.

    ``config`` is Snakemake's merged configuration; it counts if there are no ``files`` (a module of another workflow).
    ``command_line`` is as Snakemake reads it (:func:`typed`).
    CellscaperError also if the schema is older than the modules that it was made from.
    """
    check_current()
    layers = [*in_files(files), ("from --config", typed(command_line))]
    if len(layers) == 1 and config != command_line:
        layers = [("in the Snakefile's config", config)]
    where, own = zip(*layers, strict=True)
    return configuration(*own, where=where)


def typed(value: Any) -> Any:
    """A value of Snakemake's ``--config`` with numbers, true, false and null where it has their texts.

    Snakemake reads all that stands in a list or a map as text: ``seeds=[0]`` as ``["0"]``.
    """
    if isinstance(value, Mapping):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value]
    if not isinstance(value, str) or not value:
        return value
    try:
        found = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):  # ValueError: a date that does not exist
        return value
    return found if found is None or isinstance(found, int | float) else value


def complete(raw: Config, layers: Sequence[Layer] = ()) -> Config:
    """A configuration with each base and each default written out, and checked."""
    places = Places(raw, layers)
    check_keys(places)
    found = dict(raw)
    for section in INHERITING:
        if isinstance(raw.get(section), Mapping):
            found[section] = with_bases(section, places, schema()["properties"][section]["additionalProperties"])
    _write_out_columns(found)
    found = filled(schema(), found)
    check_schema(found, places)
    check_names(found, places)
    return found


def _write_out_columns(config: Config) -> None:
    """Replace names of columns in tables by the columns themselves."""
    shared, tables = config.get("columns"), config.get("tables")
    if isinstance(shared, Mapping) and isinstance(tables, Mapping):
        for table in tables.values():
            if isinstance(table, dict) and isinstance(table.get("columns"), str):
                table["columns"] = shared.get(table["columns"], table["columns"])
