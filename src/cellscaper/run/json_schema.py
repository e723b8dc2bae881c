"""Settings classes as JSON schema, in the form that planning, error lines and docs/config.md use.

References are written out, titles are gone, a nullable value is one node, and a union of kinds is an object whose
``choose`` names the key that decides which others there are.
"""

from typing import Any

from pydantic import BaseModel

from cellscaper.run.settings import Settings

CHOOSERS = {  # keys that decide which others there are
    "reader": "what reads it",
    "method": "which method it is",
    "generator": "which system it is; a base gives it, too",
    "kind": "decides which of the keys below it has",
}
NAMES = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$(?!\\n)", "expected": "names of small letters, digits and _"}
Node = dict[str, Any]


def node(model: type[BaseModel]) -> Node:
    """The JSON schema of a settings class, its references written out, in the form that planning and errors use."""
    whole = model.model_json_schema(by_alias=True)
    return plain(whole, whole.get("$defs", {}))


def plain(raw: Any, definitions: Node) -> Any:
    """References written out, titles gone, nullable and discriminated unions in one node."""
    if isinstance(raw, list):
        return [plain(one, definitions) for one in raw]
    if not isinstance(raw, dict):
        return raw
    own = {key: value for key, value in raw.items() if key not in ("$ref", "$defs", "title")}
    if "$ref" in raw:
        own = {**definitions[raw["$ref"].rsplit("/", 1)[1]], **own}
        own.pop("title", None)
    if "discriminator" in own:
        return union(own, definitions)
    own = {
        key: value
        if key in ("default", "enum", "const")
        else {name: plain(one, definitions) for name, one in value.items()}
        if key == "properties"
        else plain(value, definitions)
        for key, value in own.items()
    }
    return nullable(own)


def union(raw: Node, definitions: Node) -> Node:
    """A union that the key ``kind`` decides."""
    key = raw["discriminator"]["propertyName"]
    variants = {
        kind: plain({"$ref": reference}, definitions) for kind, reference in raw["discriminator"]["mapping"].items()
    }
    kept = {name: value for name, value in raw.items() if name in ("default", "description")}
    return {**choice(key, variants), **kept}


def choice(key: str, variants: dict[str, Node], **more: Any) -> Node:
    """An object whose ``key`` chooses which properties it has."""
    for variant in variants.values():
        variant["properties"][key] = {}  # said once, beside the others
    branches = [
        {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": variant}
        for name, variant in variants.items()
    ]
    return {
        "type": "object",
        "required": [key],
        "choose": key,
        "properties": {key: {"enum": list(variants), "description": CHOOSERS[key]}, **more},
        "allOf": branches,
    }


def nullable(raw: Node) -> Node:
    """``anyOf: [X, null]`` as X that may be null."""
    options = raw.get("anyOf", [])
    nulls = [one for one in options if one == {"type": "null"}]
    others = [one for one in options if one != {"type": "null"}]
    if not nulls:
        return raw
    rest = {key: value for key, value in raw.items() if key != "anyOf"}
    if len(others) > 1:
        return {**rest, "anyOf": options}
    (only,) = others
    if "enum" in only:
        return {**{k: v for k, v in only.items() if k != "type"}, "enum": [*only["enum"], None], **rest}
    if "const" in only:
        return {"enum": [only["const"], None], **rest}
    return {**only, "type": [only["type"], "null"], **rest}


def block(model: type[BaseModel], *extra: str, **more: Node) -> Node:
    """The schema of a method's block: its settings and the keys that choose it (``extra``) or stand beside them."""
    found = node(model)
    found.pop("description", None)
    found["properties"] = {**{key: {} for key in extra}, **found.get("properties", {}), **more}
    return found


def named(inner: Node) -> Node:
    """A map from names to nodes."""
    return {"type": "object", "propertyNames": NAMES, "additionalProperties": inner}


def with_default(found: Node, default: BaseModel | None) -> Node:
    """The node with a whole default, where there is one."""
    return found if default is None else {**found, "default": default.model_dump(mode="json", by_alias=True)}


def buildable(model: type[Settings]) -> Settings | None:
    """The settings with all defaults, or None where a key has none."""
    return None if any(one.is_required() for one in model.model_fields.values()) else model()
