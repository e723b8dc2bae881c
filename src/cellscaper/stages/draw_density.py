"""draw_density: generated density maps beside the layouts they were generated with, and real ones above them.

``--layouts``, ``--decoders`` and ``--labels`` are lists of equal length, a row of the picture each. So are ``--fitted``
(files of fit_density) and ``--fitted-labels``, which may be empty.
"""

from pathlib import Path

from cellscaper.disk.storage import DensitySet, read_array, read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.report.figures.density_gallery import DensityRow, density_gallery, fitted_windows, n_examples
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def generated(label: str, file: Path, decoder: str) -> DensityRow:
    """The layouts of a file that have density maps."""
    maps = read_array(file, "density")
    return DensityRow(label, read_layouts(file, decoder)[: len(maps)], maps)


def fitted(label: str, file: Path, train: LayoutSet, region: int) -> DensityRow:
    """Windows of the training images and the maps fitted to them."""
    with DensitySet(file) as maps:
        n = n_examples(train.n_classes)
        return DensityRow(label, *fitted_windows(train, maps, maps.stride, maps.scale, region, n))


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells?", "fitted*", "layouts*"],
        outputs=["picture"],
        options=["decoders*", "labels*", "fitted_labels*"],
    )
    made = [generated(*row) for row in stage.matched(args, "labels", "layouts", "decoders")]
    real = stage.matched(args, "fitted_labels", "fitted")
    if not made or (real and args.cells is None):
        raise CellscaperError(
            f"{len(made)} --layouts, {len(real)} --fitted: expected at least one file of layouts, and --cells for "
            "fitted maps; give them"
        )
    n = min(len(row.layouts) for row in made)
    rows = [DensityRow(row.title, row.layouts[:n], row.maps[:n]) for row in made]
    if real:
        train = read_layouts(args.cells).where(split="train")
        region = made[0].layouts.common_size()[0]
        rows = [fitted(label, file, train, region) for label, file in real] + rows
    write_picture(density_gallery(rows), args.picture)


if __name__ == "__main__":
    stage.run(main)
