"""Hits, false detections and misses of every image as tidy CSV, the source of intervals and threshold curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellscaper.disk.checked_csv import with_checks, without_checks
from cellscaper.disk.files import write_text
from cellscaper.errors import CellscaperError

COLUMNS = (
    "dataset",
    "experiment",
    "detector",
    "seed",
    "protocol",
    "radius",
    "image",
    "class",
    "hits",
    "false",
    "missed",
)
DETECTION = "detection"  # the class of all cells together


@dataclass(frozen=True)
class ImageCounts:
    """Counts of one detector's trainings under one protocol.

    counts (S, L, R, C + 1, 3): trainings, images, thresholds, classes and detection, hits/false/missed
    """

    counts: NDArray[np.int64]
    images: tuple[str, ...]
    radii: tuple[float, ...]
    classes: tuple[str, ...]

    def at(self, radius: float) -> NDArray[np.int64]:
        """(S, L, C + 1, 3) at one threshold; CellscaperError if it was not counted."""
        if radius not in self.radii:
            raise CellscaperError(f"detections were counted within {list(self.radii)} px, not {radius}; score again")
        return self.counts[:, :, self.radii.index(radius)]


def write_counts(
    path: Path,
    about: Mapping[str, Any],
    counts: Mapping[str, NDArray[np.int64]],
    images: Sequence[str],
    radii: Sequence[float],
    classes: Sequence[str],
) -> None:
    """Write the counts (L, R, C + 1, 3) of each protocol; ``about`` holds dataset, experiment, detector and seed."""
    parts = []
    for protocol, array in counts.items():
        index = pd.MultiIndex.from_product(
            [list(images), list(radii), [*classes, DETECTION]], names=["image", "radius", "class"]
        )
        part = pd.DataFrame(array.reshape(-1, 3), index=index, columns=["hits", "false", "missed"]).reset_index()
        parts.append(part.assign(protocol=protocol, **about))
    write_text(path, with_checks(COLUMNS, pd.concat(parts)[list(COLUMNS)].astype(str).to_numpy().tolist()))


def read_counts(paths: Sequence[Path]) -> dict[tuple[str, str, str], ImageCounts]:
    """Counts by (experiment, detector, protocol), the files of several seeds joined in order of their seeds.

    CellscaperError for any other file, and if the seeds of a detector have different images.
    """
    found: dict[tuple[str, str, str], dict[int, pd.DataFrame]] = {}
    for path in paths:
        try:
            frame = without_checks(path, pd.read_csv(path, dtype=str, keep_default_na=False))
            if tuple(frame.columns) != COLUMNS:
                raise CellscaperError(f"{path} has not the columns {', '.join(COLUMNS)}; score again")
            frame = frame.astype({"seed": int, "radius": float, "hits": int, "false": int, "missed": int})
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise CellscaperError(f"{path} holds no counts of detections ({reason}); score again") from error
        for names, part in frame.groupby(["experiment", "detector", "protocol", "seed"], sort=False):
            experiment, detector, protocol, seed = map(str, tuple(names))
            found.setdefault((experiment, detector, protocol), {})[int(seed)] = part
    return {key: _joined(key, [by_seed[seed] for seed in sorted(by_seed)]) for key, by_seed in found.items()}


def _joined(key: tuple[str, str, str], parts: Sequence[pd.DataFrame]) -> ImageCounts:
    axes = [tuple(parts[0][name].drop_duplicates()) for name in ("image", "radius", "class")]
    for part in parts:
        if [tuple(part[name].drop_duplicates()) for name in ("image", "radius", "class")] != axes:
            raise CellscaperError(f"the seeds of {' '.join(key)} were scored on different images; score them again")
    images, radii, classes = axes
    shape = (len(parts), len(images), len(radii), len(classes), 3)
    numbers = np.stack([part[["hits", "false", "missed"]].to_numpy(np.int64) for part in parts])
    return ImageCounts(numbers.reshape(shape), images, radii, classes[:-1])
