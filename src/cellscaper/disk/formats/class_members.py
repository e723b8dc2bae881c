"""Which member of many objects holds their class, and the name in its value."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cellscaper.disk.formats.class_names import UNCLASSIFIED, is_object_number, plain_key, tidy
from cellscaper.disk.formats.reading import found

CLASS_KEYS = (  # members that may hold the class, in small letters without signs, the surest first
    "classification", "groundtruth", "groundtruthclass", "gtclass", "gtlabel", "gttype", "trueclass", "truelabel",
    "manualclass", "class", "classname", "classlabel", "celltype", "celltypename", "cellclass", "pathclass",
    "phenotype", "nucleustype", "category", "categoryname", "prediction", "predictedclass", "predclass", "type",
    "label", "group", "cluster", "subtype", "annotation", "name", "title",
)  # fmt: skip


def class_member(objects: Sequence[dict[str, object]]) -> str | None:
    """The member that holds the class: few names for many objects. None if no member does."""
    best: tuple[tuple[bool, int], str] | None = None
    places: dict[str, list[Any]] = {}
    for one in objects:
        for key, value in one.items():
            places.setdefault(key, []).append(value)
    for key, values in places.items():
        plain = plain_key(key)
        if plain not in CLASS_KEYS:
            continue
        names = [_plain_name(value) for value in values]
        known = Counter(name for name in names if name is not None)
        if not known or (key != "classification" and is_object_number(known.elements())):
            continue
        if key == "classification":
            return key
        rank = len(known) > 1 and sum(known.values()) * 2 >= len(objects), -CLASS_KEYS.index(plain)
        if best is None or rank > best[0]:
            best = rank, key
    return best[1] if best else None


def other_members(chosen: str, objects: Sequence[dict[str, object]]) -> list[str]:
    """Members that could hold the class, too, since their few names group the objects in another way."""
    found = []
    for key in dict.fromkeys(key for one in objects for key in one):
        if key == chosen or plain_key(key) not in CLASS_KEYS:
            continue
        pairs = [(_plain_name(one.get(chosen)), _plain_name(one.get(key))) for one in objects]
        known = Counter(name for _, name in pairs if name is not None)
        if (
            len(known) > 1
            and not is_object_number(known.elements())
            and len(set(pairs)) > len({one for one, _ in pairs})
        ):
            found.append(key)
    return found


def class_name(value: Any) -> str:
    """The name in a classification: an object with name or names, a text (also of JSON), a number, or nothing."""
    value = object_in(value)
    if value is None or value == {} or value == []:
        return UNCLASSIFIED
    if isinstance(value, dict):
        small = {str(key).lower(): one for key, one in value.items()}
        for key in ("name", "names", "class", "label", "value"):
            if small.get(key) not in (None, "", []):
                return class_name(small[key])
        if set(small) & {"name", "names", "class", "label", "color", "colour", "colorrgb"}:
            return UNCLASSIFIED
        raise ValueError(f"the classification is {found(value)}, expected its name")
    if isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            raise ValueError(f"the classification is {found(value)}, expected names")
        return tidy(": ".join(one.strip() for one in value))  # QuPath's derived classes
    return tidy(value)


def _plain_name(value: Any) -> str | None:
    """The name in a value that may be a class; None for anything else, and for no class."""
    if isinstance(value, bool | float) and value != value // 1:
        return None
    try:
        name = class_name(value)
    except (ValueError, RecursionError):
        return None
    return None if name == UNCLASSIFIED else name


def object_in(value: Any) -> Any:
    """The value of a text that holds JSON (GeoPandas writes objects so); anything else itself."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
