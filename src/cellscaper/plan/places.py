"""The place of a configuration key, for error lines: its file, the entry that defines it, the nearest valid name."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from cellscaper.errors import CellscaperError

Layer = tuple[str, Any]  # where it stands, for error lines (``in <file>``, ``from --config``), and its content
INHERITING = ("experiments", "tables")  # sections whose entries may have a `base`


def read_yaml(file: Path) -> Any:
    """The content of a JSON or YAML file; JSON first, as Snakemake does it: YAML takes JSON's 1e-05 for a text.

    The C loader, if PyYAML has it, is ten times faster. CellscaperError for a file that is neither, and for a key that
    stands twice in a map.
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CellscaperError(f"{file} is not text in UTF-8 ({error.reason} at byte {error.start})") from None
    try:
        return json.loads(text, object_pairs_hook=partial(_map_of, file))
    except ValueError:
        try:
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
            node = loader.get_single_node()
            _check_twice(node, file, set())
            return None if node is None else loader.construct_document(node)
        except yaml.YAMLError as error:
            raise CellscaperError(f"{file} is not YAML: {' '.join(str(error).split())}") from None


def read_overlay(file: Path) -> Any:
    """The map in a configuration file, empty for an empty file; CellscaperError for anything else."""
    found = read_yaml(file)
    if found is not None and not isinstance(found, Mapping):
        raise CellscaperError(f"{file} holds {type(found).__name__}, expected keys of the configuration (KEY: VALUE)")
    try:
        json.dumps(found, default=str, skipkeys=True)
    except (ValueError, RecursionError):
        raise CellscaperError(
            f"{file} has a map that contains itself (&, *), or too deep a map; write it out"
        ) from None
    return found or {}


def _map_of(file: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; CellscaperError for a key that stands twice in it."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise CellscaperError(f"{file}: key {twice!r} stands twice in a map; keep one of them")
    return found


def _check_twice(node: Any, file: Path, checked: set[int]) -> None:
    """CellscaperError for a key that stands twice in a map: YAML would take the last. ``checked``: ids of nodes."""
    if id(node) in checked or not isinstance(node, yaml.CollectionNode):
        return
    checked.add(id(node))
    lines: dict[str, int] = {}
    for item in node.value:
        key, inner = item if isinstance(node, yaml.MappingNode) else (None, item)
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in lines:
                where = f"lines {lines[key.value]} and {line}"
                raise CellscaperError(f"{file}: key {key.value!r} stands twice in a map, {where}; keep one of them")
            lines[key.value] = line
        _check_twice(inner, file, checked)


@dataclass(frozen=True)
class Places:
    """``raw`` is the configuration before bases are written out; of its ``layers`` the last one wins."""

    raw: Any
    layers: Sequence[Layer] = ()

    def told(self, path: Sequence[str], form: str = "{}") -> str:
        """``<full path> <its place>``, for error lines; for an inherited key the entry that has it, then its heir.

        ``form`` has ``{}`` in place of the path.
        """
        origin = self.origin(path)
        heir = "" if origin == list(path) else f", inherited by {'.'.join(path[:2])}"
        return form.format(".".join(origin) if origin else "the configuration") + self.place(origin) + heir

    def value(self, path: Sequence[str], value: object) -> str:
        """``<full path> = <value> <its place>`` for error lines."""
        return self.told(path, "{} = " + repr(value).replace("{", "{{").replace("}", "}}"))

    def origin(self, path: Sequence[str]) -> list[str]:
        """The path of a key in the entry that it was inherited from, by ``base``; else the path itself."""
        path = list(path)
        if len(path) < 3 or path[0] not in INHERITING:
            return path
        section, name, *rest = path
        seen = set()
        while name not in seen and not _holds(self.raw, [section, name, *rest]):
            seen.add(name)
            entry = _inner(self.raw.get(section), name)
            if not isinstance(entry, Mapping) or not isinstance(entry.get("base"), str):
                return path
            name = entry["base"]
        return [section, name, *rest] if name not in seen else path

    def place(self, path: Sequence[str]) -> str:
        """`` in <file>`` or `` from --config``: the last layer that holds the key; empty if none does."""
        return next((f" {place}" for place, layer in reversed(self.layers) if _holds(layer, path)), "")


def nearest(name: object, known: Iterable[object], similarity: float = 0.0) -> str:
    """``; did you mean …?``, the most similar known name; '' if none has this similarity, 0…1."""
    near = difflib.get_close_matches(str(name), [str(one) for one in known], 1, similarity)
    return f"; did you mean {near[0]!r}?" if near else ""


def nearest_or_all(name: object, known: Iterable[object]) -> str:
    """``; did you mean …?`` if a known name is similar, else ``; there are …``."""
    there = sorted(str(one) for one in known)
    return nearest(name, there, 0.6) or (f"; there are {', '.join(there)}" if there else "")


_MISSING = object()


def _holds(node: Any, path: Sequence[str]) -> bool:
    for part in path:
        node = _inner(node, part)
    return node is not _MISSING


def _inner(node: Any, part: str) -> Any:
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return node[int(part)]
    if isinstance(node, Mapping):
        return next((value for key, value in node.items() if str(key) == part), _MISSING)
    return _MISSING
