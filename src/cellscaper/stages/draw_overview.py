"""draw_overview: the picture that the report opens with: real windows, generated layouts and their painted images.

``--labels``, ``--layouts``, ``--decoders`` and ``--painted`` are lists of equal length, a row each.
"""

from contextlib import ExitStack

from cellscaper.disk.storage import ImageSet, read_layouts, read_split
from cellscaper.report.figures.overview import overview
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "images", "windows", "layouts+", "painted+"],
        outputs=["picture"],
        options=["decoders+", "labels+"],
    )
    cells, images = read_split(args.cells, args.images, "test")
    with ExitStack() as files:
        systems = [
            (label, read_layouts(file, decoder), files.enter_context(ImageSet(painted)))
            for label, file, decoder, painted in stage.matched(args, "labels", "layouts", "decoders", "painted")
        ]
        figure = overview(systems, read_layouts(args.windows), cells, images)
    write_picture(figure, args.picture)


if __name__ == "__main__":
    stage.run(main)
