"""The weights that are shipped with the package: a file ``weights/NAME.safetensors`` and its SHA-256 for each.

`docs/pack_weights.py` makes both. Nothing else knows which there are, so another file reruns nothing. Those that only
one preset starts from lie in a folder of their own, so that no command offers them: ``demo/adm``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellscaper.disk.files import checksum
from cellscaper.errors import CellscaperError

FOLDER = Path(__file__).resolve().parents[1] / "weights"
PREFIX = "package:"  # of such weights in a configuration
SCALE = 0.02  # relative difference of µm a pixel that still counts as the scale of weights


def at_scale_of(facts: Mapping[str, Any], mpp: float) -> bool:
    """Whether cells of ``mpp`` µm a pixel have the scale of weights with these facts."""
    return abs(mpp / float(facts["mpp"]) - 1) <= SCALE


def shipped_names(preset: str = "") -> list[str]:
    """The names of the weights that this installation has; ``preset``: of those that only one preset starts from."""
    return _names(f"{preset}/*" if preset else "*")


def _names(pattern: str) -> list[str]:
    files = FOLDER.glob(f"{pattern}.sha256")
    return sorted(file.relative_to(FOLDER).with_suffix("").as_posix() for file in files)


def shipped_file(name: str) -> Path:
    """The file of shipped weights; CellscaperError if there are none, or if it is not the file of this version."""
    known = _names("*") + _names("*/*")
    if name not in known:
        raise CellscaperError(
            f"this installation has no weights of {name} (it has {', '.join(known) or 'none'}); train them, "
            "for example with `make brca TRAIN=1`, and give the training's model.safetensors (docs/weights.md)"
        )
    file = FOLDER / f"{name}.safetensors"
    if not file.exists():
        raise CellscaperError(f"{file} is missing from this installation; install cellscaper again")
    if checksum(file) != (FOLDER / f"{name}.sha256").read_text(encoding="utf-8").split()[0]:
        raise CellscaperError(f"{file} is not the file this version came with; install cellscaper again")
    return file
