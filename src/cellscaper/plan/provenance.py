"""The origin of a file, and the code that made it.

Every output carries a `record`. `code` fingerprints the modules that a stage imports, so that Snakemake
reruns a stage exactly when code that it uses has changed (comments, docstrings and formatting do not count), or a
data file beside it that it names.
"""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cellscaper.plan.modules import PACKAGE, SRC, fingerprint, imports


def canonical(config: Any) -> str:
    """Canonical JSON of a config section: sorted keys, no spaces."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# -- records -----------------------------------------------------------------------------------------------


def record(
    stage: str,
    config: Any,
    seed: int | None,
    inputs: Mapping[str, Path],
    methods: Sequence[str] = (),
    package: str = "stages",
) -> dict[str, Any]:
    """The provenance of one output: package, git state, code, config section, seed, checksums of the inputs.

    ``methods`` are the modules that the stage's config names, such as ``generators.adm``; the stage
    itself is a module of ``package``.
    """
    return {
        "stage": stage,
        "cellscaper": _version(PACKAGE),
        "git": git_state(),
        "code": digest(code(f"{PACKAGE}.{package}.{stage}", *(f"{PACKAGE}.{method}" for method in methods))),
        "config": config,
        "seed": seed,
        "inputs": {name: {"file": Path(p).name, "sha256": _sum(Path(p))} for name, p in inputs.items()},
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in ("numpy", "torch", "gudhi", "scikit-learn", "h5py")},
    }


def _sum(path: Path) -> str:
    """The SHA-256 of a file; of a folder with the parts of a set, of the names and sums of its HDF5 files."""
    from cellscaper.disk.files import checksum

    if not path.is_dir():
        return checksum(path)
    sums = [[str(file.relative_to(path)), checksum(file)] for file in sorted(path.rglob("*.h5"))]
    return hashlib.sha256(canonical(sums).encode()).hexdigest()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


@cache
def git_state() -> str:
    """``<commit>`` or ``<commit>+changes`` of the source tree; ``unknown`` outside git."""
    try:
        run = ["git", "-C", str(SRC)]
        commit = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run([*run, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changes" if status.stdout.strip() else "")


# -- code fingerprints -------------------------------------------------------------------------------------


def code(*modules: str, apart: tuple[str, ...] = ()) -> dict[str, str]:
    """Fingerprints of ``modules`` and of all modules of the package that they import at module level.

    Imports inside functions are a choice between methods; the rule names the chosen method in ``modules``.
    ``apart``: modules to leave out with all their imports (another ``code`` has them).
    Returns {``code_<module with underscores>``: 12 hex digits}: one Snakemake param each, so that a dry
    run names the module that changed.
    """
    chosen = _closure(modules) - _closure(apart)
    return {"code_" + name.replace(".", "_"): fingerprint(name) for name in sorted(chosen)}


def digest(value: Any) -> str:
    """12 hex digits of any JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]


def _closure(modules: tuple[str, ...]) -> set[str]:
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(imports(name))
    return seen
