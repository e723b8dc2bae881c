"""Names of classes that stand in a file beside cells with numbers as classes: a hint, not a reading."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.disk.formats.reading import read_text
from cellscaper.errors import CellscaperError

_STEMS = re.compile(r"(?:data|dataset|classes|class_names|obj|names|type_info|type_map|label_?map|labels?)", re.I)
_ENDINGS = (".txt", ".names", ".yaml", ".yml", ".json")
_LONGEST = 100_000  # bytes


def names_in_files(folder: FolderFiles, written: Sequence[str]) -> str | None:
    """The sentence with the option that names numbered classes as a file of the folder does; None without such a file.

    A file is a line for each name, YAML with ``names`` (YOLO), or JSON by number (HoVer-Net's type_info.json).
    """
    numbers = [one for one in written if one.isdecimal()]
    if not numbers or len(numbers) < len(written):
        return None
    for name, path in folder.paths.items():
        inner = PurePosixPath(name)
        if inner.suffix.lower() not in _ENDINGS or not _STEMS.fullmatch(inner.stem):
            continue
        try:
            found = _names(read_text(path), inner.suffix.lower()) if path.stat().st_size <= _LONGEST else {}
        except (CellscaperError, OSError, ValueError, RecursionError, yaml.YAMLError):
            continue
        if all(one in found for one in numbers):
            option = ",".join(f"{one}={found[one]}" for one in sorted(numbers, key=int))
            return f"the classes are numbers, and {name} names them: --classes {shlex.quote(option)}"
    return None


def _names(text: str, ending: str) -> dict[str, str]:
    """Names by number, as text; empty for another file."""
    if ending in (".txt", ".names"):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return {} if any(re.search(r"\d\s+\S*\d|,", line) for line in lines) else _listed(lines)
    data = json.loads(text) if ending == ".json" else yaml.safe_load(text)
    data = data.get("names", data) if isinstance(data, dict) else data
    return _listed(data)


def _listed(data: Any) -> dict[str, str]:
    pairs = enumerate(data) if isinstance(data, list) else data.items() if isinstance(data, dict) else ()
    found = {}
    for key, value in pairs:
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str) and value.strip() and not set(value) & set(",=\"'"):
            found[str(key)] = value.strip()
    return found
