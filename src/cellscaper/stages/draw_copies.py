"""draw_copies: crops of painted images beside the training crops that they copy or come nearest to."""

from cellscaper.disk.storage import ImageSet, read_split
from cellscaper.metrics import image_copies
from cellscaper.report.figures.copies import Beside, copies_sheet
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage
from cellscaper.run.methods import current
from cellscaper.run.settings import read

SHOWN = 6  # images


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images", "painted"], outputs=["picture"])
    current(image_copies)
    settings = read(image_copies.Settings, args.config, "metrics image_copies")
    cells, train = read_split(args.cells, args.images, "train")
    with ImageSet(args.painted) as painted:
        made = [painted[i] for i in range(min(SHOWN, len(painted)))]
    pairs = [Beside(*one) for one in image_copies.nearest_pairs(train, cells.source.tolist(), made, settings)]
    write_picture(copies_sheet(pairs), args.picture)


if __name__ == "__main__":
    stage.run(main)
