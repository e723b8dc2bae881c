"""The whole configuration against its schema: one line for the first error."""

import math
import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from cellscaper.errors import CellscaperError
from cellscaper.plan.kinds import ANYTHING, below, kinds
from cellscaper.plan.merging import Config
from cellscaper.plan.places import Places, nearest
from cellscaper.plan.schema import schema

RULES = {file.stem for file in (Path(__file__).resolve().parents[1] / "stages").glob("[!_]*.py")}  # a file for each
_EXPONENT = re.compile(r"[+-]?\d+[eE][+-]?\d+$")  # YAML 1.1 takes it for a text
NEW = "(after adding a method: `make schema`)"
_YAML_TYPES = {
    bool: "boolean (as yes, no, on, off, true, false)",
    int: "number",
    float: "number",
    date: "date",
    datetime: "date",
    type(None): "null",
}
MAP_KEYS = ("grid", "density", "condition", "decoding")  # of experiments that make maps


def check_keys(places: Places) -> None:
    """CellscaperError for a key that is no text, such as 5, yes or 2020-01-01 without quotes."""
    for path, key, names in _keys_that_are_no_text(schema(), places.raw, []):
        kind = _YAML_TYPES.get(type(key), type(key).__name__)
        expected = f"; expected {names['expected']}" if names else ""
        raise CellscaperError(f"{places.told(path)}: YAML reads this key as a {kind}; write it in quotes{expected}")


def _keys_that_are_no_text(node: Any, value: Any, path: list[str]) -> Iterator[tuple[list[str], Any, Any]]:
    """The path of each, the key, and what the schema says of names there."""
    if isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _keys_that_are_no_text(ANYTHING, inner, [*path, str(i)])
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield [*path, str(key)], key, node.get("propertyNames")
            yield from _keys_that_are_no_text(below(node, value, key), inner, [*path, str(key)])


def check_schema(config: Config, places: Places) -> None:
    """CellscaperError if the schema does not allow the configuration.

    The line has the key's full path, its file, the expected value and, for an unknown key, the nearest valid key.
    An error in an inherited key is reported at the entry that has the key.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    strict = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, x: type(x) is int,  # 100.0 is not one
            "number": lambda _, x: type(x) is int or (type(x) is float and math.isfinite(x)),
        }
    )
    validator = extend(Draft202012Validator, type_checker=strict)(schema())
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
        near = _of_other_kinds(error, path, places) or nearest(path[-1], known)
        return f"{where}{near} (valid here: {', '.join(known)})"
    if error.validator == "required":
        return _lacking(error, path, places)
    if type(error.instance) is float and not math.isfinite(error.instance):
        return f"{places.value(path, error.instance)}: not a finite number"
    expected = f"expected {error.schema['expected']}" if "expected" in error.schema else error.message
    if "expected" in error.schema and error.validator == "type":
        expected = f"{error.message}; {expected}"
    if error.validator == "type" and isinstance(error.instance, str) and _EXPONENT.match(error.instance):
        expected = f"{expected}; YAML reads a number with an exponent only with a point, as 1.0e-3"
    if error.validator == "enum":
        names = [str(one) for one in error.validator_value if one is not None]
        added = f" {NEW}" if path[-1] in ("generator", "method", "reader") else ""
        expected = f"expected {' or '.join(names)}{nearest(error.instance, names, 0.6)}{added}"
    return f"{places.value(path, error.instance)}: {expected}"


def _lacking(error: Any, path: list[str], places: Places) -> str:
    """The line of a required key that is not there; of a rule that there is not, the nearest rule."""
    if path[:1] == ["resources"] and len(path) == 2 and path[1] not in (RULES | {"light"}):
        return f"{places.told(path)}: no such rule{nearest(path[1], RULES)}"
    (key,) = [one for one in error.validator_value if one not in error.instance][:1]
    choices = error.schema.get("properties", {}).get(key, {}).get("enum", [])
    told = f": expected {' or '.join(choices)}" if choices else ""
    base = ", or a `base`" if choices and path[:1] == ["experiments"] else ""
    return f"{places.told(path)}: {key!r} is required{told}{base}"


def _of_other_kinds(error: Any, path: list[str], places: Places) -> str:
    """``: it belongs to …``, if an unknown key is one of other kinds, methods, readers or generators."""
    steps = list(error.absolute_schema_path)
    if "then" not in steps:
        return ""
    at = max(
        i for i, step in enumerate(steps) if step == "then"
    )  # before it: allOf, number; after it: properties, name
    node = reduce(getitem, steps[: at - 2], schema())
    inner = [*steps[at + 2 : -1 : 2], path[-1]]
    key, every = node["choose"], kinds(node)
    own, owners = list(every)[steps[at - 1]], [name for name, one in every.items() if _has(one, inner)]
    if not owners:
        return ""
    place = places.value([*path[: -len(inner)], key], own)
    no_maps = key == "generator" and inner[0] in MAP_KEYS and not _has(every[own], ["grid"])
    reason = f"generator {own} makes no maps" if no_maps else f"it belongs to {key} {', '.join(owners)}"
    hint = f"; add `kind: {owners[0]}`" if key == "kind" else ""
    return f": {reason}, and {place}{hint}"


def _has(node: Any, path: list[str]) -> bool:
    own = node.get("properties", {})
    return not path or (path[0] in own and _has(own[path[0]], path[1:]))
