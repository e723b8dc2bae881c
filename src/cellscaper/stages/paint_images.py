"""paint_images: an H&E image for each generated layout.

A killed job goes on from the images that were finished, which are in ``state/`` beside the output.
"""

from cellscaper.disk.storage import read_layouts
from cellscaper.painters.protocol import Painter
from cellscaper.painters.writing import stage_request, write_painted
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.methods import method
from cellscaper.run.seeds import sample_seeds


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["layouts", "model?", "cells?", "images?"],
        outputs=["painted"],
        options=["decoder"],
        gpus="one",
    )
    name = args.config["method"]
    painter: Painter = method("painters", name)
    layouts = read_layouts(args.layouts, args.decoder)
    request = stage_request(args, painter, args.config, layouts, sample_seeds(args.seed, len(layouts), use=3))
    provenance = record("paint_images", args.config, args.seed, args.inputs, [f"painters.{name}"])
    write_painted(args.painted, painter, request, provenance, f"{args.painted.parent}: images")


if __name__ == "__main__":
    stage.run(main)
