"""The generated schema and facts that planning reads: keys, their defaults, facts of methods.

``workflow/schemas/generate.py`` writes both files; no method's module is imported here.
"""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from cellscaper.errors import CellscaperError
from cellscaper.plan.kinds import chosen
from cellscaper.plan.merging import overlay
from cellscaper.plan.modules import fingerprint

ROOT = Path(__file__).resolve().parents[3]  # folder of the repository
SCHEMAS = ROOT / "workflow" / "schemas"


@cache
def schema() -> Any:
    """The schema of the whole configuration."""
    return json.loads((SCHEMAS / "config.schema.json").read_text(encoding="utf-8"))


@cache
def facts() -> Any:
    """Facts of the methods: which data sets nothing downloads, which methods are trained, …; see `generate.py`."""
    return json.loads((SCHEMAS / "methods.json").read_text(encoding="utf-8"))


def check_current() -> None:
    """CellscaperError if a module that the schema was made from has changed since; stages check those of methods."""
    for module, known in facts()["modules"].items():
        if fingerprint(module) != known:
            raise CellscaperError(
                f"{module.replace('.', '/')}.py differs from what workflow/schemas was made from; run `make schema`, "
                "then start the workflow again"
            )


def filled(node: Any, value: Any) -> Any:
    """A value with the defaults of its schema node filled in, at every depth; unknown keys stay, to be refused later.

    If a key chooses the others (``choose``), only the defaults of the chosen kind are filled in.
    """
    if not isinstance(value, dict):
        return value
    default = node.get("default")
    key = node.get("choose")
    if isinstance(default, dict) and (key is None or value.get(key, default.get(key)) == default.get(key)):
        value = overlay(default, value, node)
    if key is not None:
        nodes = chosen(node, value)
        return filled(nodes[0], value) if len(nodes) == 1 else dict(value)
    found = dict(value)
    for name, child in node.get("properties", {}).items():
        if name in found:
            found[name] = filled(child, found[name])
        elif "default" in child:
            found[name] = filled(child, copy.deepcopy(child["default"]))
    inner = node.get("additionalProperties")
    if isinstance(inner, dict):
        own = node.get("properties", {})
        found = {name: one if name in own else filled(inner, one) for name, one in found.items()}
    return found
