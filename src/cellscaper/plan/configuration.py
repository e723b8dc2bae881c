"""The configuration of a run: `config.yaml` and the tables, the overlays of the user, bases and defaults filled in."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cellscaper.plan.merging import Config, layered, overlay, with_bases
from cellscaper.plan.places import INHERITING, Places, read_yaml
from cellscaper.plan.schema import ROOT, filled, schema
from cellscaper.plan.validation import check_names, check_schema

FILES = (ROOT / "config.yaml", *(ROOT / "workflow" / "tables" / f"{name}.yaml" for name in ("sd", "tc", "ours")))


def defaults() -> Config:
    """The papers' configuration as written in its files."""
    found: Config = {}
    for file in FILES:
        found = overlay(found, read_yaml(file))
    return found


def configuration(*layers: Config, files: Iterable[Path] = ()) -> Config:
    """The whole configuration: the papers', changed by the layers, with each base and each default written out.

    ``layers`` are the contents of overlays and of the command line; ``files`` are the overlays, for error lines.
    CellscaperError for an unknown key, a wrong value, a name without an entry or a base without an entry.
    """
    raw = defaults()
    for own in layers:
        raw = layered(raw, own)
    return complete(raw, [*FILES, *files])


def given(config: Config, command_line: Config, files: Iterable[Path]) -> Config:
    """The configuration of a Snakemake run: overlays one by one, then ``--config``.

    ``config`` is Snakemake's merged configuration; it counts if there are no overlays (a module of another workflow).
    """
    files = list(files)
    layers = [*(read_yaml(file) or {} for file in files), dict(command_line)] if files else [config]
    return configuration(*layers, files=files)


def complete(raw: Config, files: Iterable[Path] = ()) -> Config:
    """A configuration with each base and each default written out, and checked."""
    places = Places(raw, list(files))
    found = dict(raw)
    for section in INHERITING:
        if isinstance(raw.get(section), Mapping):
            found[section] = with_bases(section, places)
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
