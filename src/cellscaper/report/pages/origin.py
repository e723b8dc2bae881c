"""What made the results of a run: code, packages and seeds, from the provenance in its files; and the machine."""

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from cellscaper.disk.storage import read_provenance
from cellscaper.errors import CellscaperError


@dataclass(frozen=True)
class Origin:
    """What made the files of a run: each text with the number of files that carry it."""

    commits: Counter[str]
    versions: Counter[str]  # of cellscaper
    python: Counter[str]
    libraries: dict[str, Counter[str]]
    seeds: list[int]
    files: int


def origin(results: Path, datasets: Iterable[str]) -> Origin:
    """The provenance of all HDF5 and weights files of the datasets, counted."""
    found = Origin(Counter(), Counter(), Counter(), {}, [], 0)
    seeds, number = set(), 0
    for dataset in datasets:
        for file in sorted((results / dataset).rglob("*")):
            if file.suffix not in (".h5", ".safetensors") or file.name.startswith("."):
                continue
            record = file_record(file)
            number += 1
            found.commits[record.get("git", "unknown")] += 1
            found.versions[record.get("cellscaper", "unknown")] += 1
            found.python[record.get("python", "unknown")] += 1
            for name, version in record.get("libraries", {}).items():
                found.libraries.setdefault(name, Counter())[version] += 1
            if record.get("seed") is not None:
                seeds.add(int(record["seed"]))
    return Origin(found.commits, found.versions, found.python, found.libraries, sorted(seeds), number)


def origin_rows(found: Origin) -> list[tuple[str, str]]:
    """What made the results, for a table: each value; of several values, each with its number of files."""
    counted = {"cellscaper": found.versions, "commit": found.commits, "Python": found.python, **found.libraries}
    rows = []
    for name, values in counted.items():
        several = len(values) > 1
        rows.append((name, ", ".join(f"{v} ({n} files)" if several else v for v, n in values.most_common())))
    return rows


def file_record(file: Path) -> dict[str, Any]:
    """The provenance in an HDF5 or weights file; CellscaperError if it cannot be read."""
    return read_provenance(file) if file.suffix == ".h5" else _weights_provenance(file)


def _weights_provenance(file: Path) -> dict[str, Any]:
    """The provenance in the header of a weights file, without reading the weights."""
    try:
        with safe_open(file, framework="numpy") as weights:
            return json.loads(json.loads((weights.metadata() or {})["cellscaper"])["provenance"])
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise CellscaperError(f"{file} is not a readable weights file; delete it and run again") from error


def machine() -> list[tuple[str, str]]:
    """The machine that this runs on: (what, value)."""
    info = Path("/proc/cpuinfo")
    models = [line.split(":", 1)[1].strip() for line in info.read_text(encoding="utf-8").splitlines()
              if line.startswith("model name")] if info.is_file() else []  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpus = sorted(path.parent.name for path in Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [
        ("processor", models[0] if models else platform.processor() or platform.machine()),
        ("cores", str(os.cpu_count())),
        ("memory", f"{memory:.0f} GiB"),
        ("GPU", f"{len(gpus)} (NVIDIA)" if gpus else "none"),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]


def packages() -> list[tuple[str, str]]:
    """All installed packages and their versions, by name."""
    found = {str(one.metadata["Name"]).lower(): one.version for one in distributions() if one.metadata["Name"]}
    return sorted(found.items())
