"""make_gallery: one HTML file to look through layouts: real, generated and random ones of the same counts.

``--config`` holds ``windows``, a list of {windows: file, columns: [[label, layouts file, decoder], …]}, and ``pairs``,
a list of [label, layouts file, decoder, images file] of layouts that were painted.
"""

from contextlib import ExitStack
from pathlib import Path

from cellscaper.disk.files import write_text
from cellscaper.disk.storage import ImageSet, array_names, read_array, read_layouts
from cellscaper.report.pages.gallery import gallery_page
from cellscaper.report.pages.gallery_groups import PAIRS, Column, pair_groups, window_groups
from cellscaper.run import stage
from cellscaper.run.progress import log


def read_column(label: str, file: Path, decoder: str) -> Column:
    """The layouts of a file, and the density maps of the first of them."""
    layouts = read_layouts(file, decoder)
    if "density" not in array_names(file):
        return Column(label, layouts)
    maps = read_array(file, "density")
    return Column(label, layouts, dict(zip(layouts.columns["target"][: len(maps)].tolist(), maps, strict=True)))


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images"], outputs=["gallery"], options=["dataset"])
    cells, groups = read_layouts(args.cells), []
    with ExitStack() as files:
        images = files.enter_context(ImageSet(args.images))
        for block in args.config["windows"]:
            columns = [read_column(label, Path(file), decoder) for label, file, decoder in block["columns"]]
            groups += window_groups(read_layouts(Path(block["windows"])), columns, cells, images)
        groups += pair_groups(
            (label, read_layouts(Path(file), decoder, slice(0, PAIRS)), files.enter_context(ImageSet(Path(painted))))
            for label, file, decoder, painted in args.config["pairs"]
        )
    page = gallery_page(f"cellscaper gallery: {args.dataset}", groups, cells.classes)
    write_text(args.gallery, page)
    log(f"{args.gallery}: {len(groups)} groups, {len(page) / 2**20:.1f} MB")


if __name__ == "__main__":
    stage.run(main)
