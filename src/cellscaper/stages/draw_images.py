"""draw_images: generated layouts, the H&E images painted for them, and the same images with their dots."""

from cellscaper.disk.storage import ImageSet, read_layouts
from cellscaper.report.figures.galleries import image_gallery
from cellscaper.report.figures.sheet import write_picture
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(__doc__, inputs=["layouts", "painted"], outputs=["picture"], options=["decoder", "label"])
    layouts = read_layouts(args.layouts, args.decoder)
    with ImageSet(args.painted) as painted:
        write_picture(image_gallery([(args.label, painted)], layouts), args.picture)


if __name__ == "__main__":
    stage.run(main)
