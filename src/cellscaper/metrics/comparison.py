"""A comparison of layouts, read from the files of a run."""

from pathlib import Path

from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.metrics.protocol import Comparison, Reading


def read_comparison(
    layouts: Path,
    decoder: str,
    targets: Path,
    reference: Path | None,
    windows: Path,
    cells: Path,
    reading: Reading,
    threads: int = 1,
    gpus: int = 0,
) -> Comparison:
    """The layouts that ``decoder`` read, their targets, the reference and the test windows of the files.

    Without a reference it is the targets, and the test windows stand apart only if they are another file.
    CellscaperError for layouts of other classes and for a reference of one layout.
    """
    made, wanted = read_layouts(layouts, decoder), read_layouts(targets)
    if wanted.classes != made.classes:
        raise CellscaperError(f"{layouts} has classes {made.classes}, {targets} has {wanted.classes}")
    real = wanted[made.columns["target"]]
    tests = None if windows == targets else read_layouts(windows)
    compared = read_layouts(reference) if reference else real
    if len(compared) < 2:
        raise CellscaperError(
            f"{reference or targets}: {len(compared)} real layouts to compare with, expected at least 2; "
            "give more images, a smaller stride of the field's windows, or more layouts of each category"
        )
    train, shown = read_layouts(cells).where(split="train"), wanted if tests is None else tests
    grid, threshold = reading.grid, reading.threshold
    return Comparison(
        real, made, shown, train, decoder, grid, threshold, threads=threads, gpus=gpus, reference=compared, tests=tests
    )
