"""Overlays of configurations, and entries that inherit from other entries by name."""

import copy
from typing import Any

from cellscaper.errors import CellscaperError
from cellscaper.plan.kinds import ANYTHING, below, fitting
from cellscaper.plan.places import INHERITING, Places, nearest

Config = dict[str, Any]


def overlay(base: Config, own: Config, node: Any = ANYTHING, keep_null: bool = False) -> Config:
    """``base`` with the keys of ``own`` laid over it: maps merge, everything else is replaced, null removes a map.

    ``node`` is their node of the schema: where ``own`` names another kind, method, reader or generator, the keys of
    ``base`` that this one does not have are left out. With ``keep_null`` the null stays in place of the map, so that it
    can still remove what a ``base`` brings.
    """
    merged, key = copy.deepcopy(dict(base)), node.get("choose")
    if key in own and own[key] != merged.get(key):
        merged = fitting(node, {**merged, key: own[key]})
    kind = {**merged, **own}
    for name, value in own.items():
        under = merged.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            merged[name] = overlay(under, value, below(node, kind, name), keep_null)
        elif isinstance(under, dict) and value is None and not keep_null:
            del merged[name]
        else:
            merged[name] = copy.deepcopy(value)
    return merged


SAMPLED = {"sampling", "decoding"}  # keys of an experiment that change nothing about its weights
OF_TRAINING = ("weights", "init")  # keys that belong to one training and are not inherited by another


def layered(base: Config, own: Config, node: Any) -> Config:
    """``base`` with a whole configuration laid over it; in sections whose entries inherit, null stays until they do."""
    merged = overlay(base, {key: value for key, value in own.items() if key not in INHERITING}, node)
    for section in INHERITING:
        if section in own:
            under, entries = merged.get(section), own[section]
            if isinstance(under, dict) and isinstance(entries, dict):
                merged[section] = overlay(under, entries, below(node, own, section), keep_null=True)
            else:
                merged[section] = copy.deepcopy(entries)
    return merged


def with_bases(section: str, places: Places, node: Any) -> Config:
    """The entries of a section, each laid over the entry that its ``base`` names; entries that are null are left out.

    ``weights`` and ``init`` of an experiment are inherited only where nothing but its sampling changes.

    ``node`` is that of the schema for an entry. CellscaperError for a base that is missing or null, and for bases in a
    circle.
    """
    entries = places.raw[section]
    found = {name: _resolved(section, name, (), places, node) for name, entry in entries.items() if entry is not None}
    return {name: _without_null(entry) if isinstance(entry, dict) else entry for name, entry in found.items()}


def _without_null(entry: Config) -> Config:
    """An entry without its blocks and rows that are still null: their bases had nothing to remove."""
    blocks = ("settings", "training", "sampling", "condition", "decoding")
    entry = {key: value for key, value in entry.items() if value is not None or key not in blocks}
    if isinstance(entry.get("rows"), dict):
        entry["rows"] = {name: row for name, row in entry["rows"].items() if row is not None}
    return entry


def _resolved(section: str, name: Any, above: tuple[Any, ...], places: Places, node: Any) -> Any:
    entries = places.raw[section]
    entry = entries[name]
    if not isinstance(entry, dict):
        return entry
    own = {key: value for key, value in entry.items() if key != "base"}
    base = entry.get("base")
    if base is None:
        return own
    wrong = _why_wrong(section, base, (*above, name), entries)
    if wrong:
        raise CellscaperError(f"{places.value([section, str(name), 'base'], base)}: {wrong}")
    inherited = _resolved(section, base, (*above, name), places, node)
    if section == "experiments" and isinstance(inherited, dict) and own.keys() - SAMPLED:
        inherited = {key: value for key, value in inherited.items() if key not in OF_TRAINING}
    return overlay(inherited, own, node) if isinstance(inherited, dict) else inherited


def _why_wrong(section: str, base: Any, above: tuple[Any, ...], entries: Any) -> str:
    """Why an entry cannot inherit from ``base``; empty if it can. ``above``: the entries that inherit from this one."""
    if base in above:
        circle = " → ".join(map(str, [*above, base]))
        return f"bases lead in a circle ({circle}); one of them must name another base or none"
    if not isinstance(base, str) or base not in entries:
        return f"no such entry in {section}{nearest(base, entries)}"
    return "that entry is null, so there is nothing to inherit; name another base" if entries[base] is None else ""
