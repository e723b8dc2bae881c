"""A set in several files, the parts of `cellscaper generate --part` or of the rules of generated sets, as one.

Each part says in its provenance which it is of how many: ``"part": [3, 50]``.
"""

import json
from pathlib import Path
from typing import Any

from cellscaper.disk.hdf5 import get_text, open_file, reading
from cellscaper.errors import CellscaperError

FILES = {"cellscaper/layouts": "layouts.h5", "cellscaper/images": "images.h5"}  # kind → its name in a part's folder


def part_files(path: Path, schema: str) -> list[Path]:
    """The files of a set in order: a single file, or all parts in a folder (``*.h5`` or ``*/layouts.h5``).

    CellscaperError for a folder without parts of this kind, for a missing part, and for parts of different sets.
    """
    if not path.is_dir():
        return [path]
    found: dict[int, Path] = {}
    first: Any = None
    for file in sorted([*path.glob("*.h5"), *path.glob(f"*/{FILES[schema]}")]):
        about = _provenance(file, schema)
        if about is None:
            continue
        first = first or about
        number, total = about["part"]
        if any(about[key] != first[key] for key in ("stage", "config", "seed")) or _sums(about) != _sums(first):
            raise CellscaperError(f"{path} holds parts of different sets ({file} is of another); give each a folder")
        if total != first["part"][1]:
            raise CellscaperError(
                f"{path} holds parts of {first['part'][1]} and of {total} ({file}); remove those of one number"
            )
        if number in found:
            raise CellscaperError(f"{path} holds part {number} of {total} twice ({found[number]}, {file}); remove one")
        found[number] = file
    if not found:
        raise CellscaperError(f"{path} is a folder without parts of a set; name a file or a folder of {FILES[schema]}")
    total = first["part"][1]
    if len(found) < total:
        missing = next(number for number in range(1, total + 1) if number not in found)
        others = total - len(found) - 1
        more = f" and {others} other{'s' if others > 1 else ''}; make them" if others else "; make it"
        raise CellscaperError(f"{path} lacks part {missing} of {total}{more} first")
    return [found[number] for number in sorted(found)]


def _sums(about: Any) -> dict[str, str]:
    """The checksums of the inputs that all parts of a set share; the images of each part have layouts of their own."""
    inputs = about.get("inputs", {})
    return {name: one["sha256"] for name, one in inputs.items() if name != "layouts"}


def _provenance(file: Path, schema: str) -> Any:
    """The provenance of a part; None for a file of another kind, CellscaperError for one that is no part."""
    with open_file(file, None) as content, reading(file):
        if get_text(content, "schema") != schema:
            return None
        about = json.loads(get_text(content, "provenance"))
    if not _is_part(about.get("part")):
        raise CellscaperError(f"{file} is no part of a set, so its folder cannot be read as one; name the file itself")
    return about


def _is_part(value: Any) -> bool:
    """Whether it is [k, n] with 1 ≤ k ≤ n."""
    return isinstance(value, list) and [type(one) for one in value] == [int, int] and 1 <= value[0] <= value[1]
