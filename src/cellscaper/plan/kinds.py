"""The keys of the schema's maps, also where one key (kind, method, reader, generator) chooses the others."""

from typing import Any

ANYTHING: Any = {}  # the node of a map that may hold any key


def kinds(node: Any) -> dict[str, Any]:
    """The nodes of a map's kinds by name; none where no key chooses."""
    return {branch["if"]["properties"][node["choose"]]["const"]: branch["then"] for branch in node.get("allOf", ())}


def chosen(node: Any, value: Any) -> list[Any]:
    """The nodes with a map's keys: that of its kind, none for an unknown kind, all if only a base names the kind."""
    if "choose" not in node:
        return [node]
    every, kind = kinds(node), value.get(node["choose"])
    return list(every.values()) if kind is None else [one for name, one in every.items() if name == kind]


def below(node: Any, value: Any, key: str) -> Any:
    """The node of a key of a map."""
    for one in chosen(node, value):
        if key in one.get("properties", {}):
            return one["properties"][key]
    inner = node.get("additionalProperties")
    return inner if isinstance(inner, dict) else ANYTHING


def fitting(node: Any, value: Any) -> Any:
    """A value without the keys that its kind does not have, at any depth."""
    if not isinstance(value, dict):
        return value
    nodes = chosen(node, value)
    known = {key for one in nodes for key in one.get("properties", {})}
    if not all(one.get("additionalProperties") is False for one in nodes):
        known |= value.keys()
    return {key: fitting(below(node, value, key), one) for key, one in value.items() if key in known}
