"""paint_images: an H&E image for each generated layout.

A killed job goes on from the images that were finished, which are in ``state/`` beside the output.
"""

from cellscaper.disk.storage import read_layouts
from cellscaper.disk.weights import read_weights_for
from cellscaper.painters.protocol import Painter, Request
from cellscaper.painters.writing import write_painted
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import method
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read


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
    weights, facts = read_weights_for(args.model, layouts.classes, args.layouts)
    kind = "Sampling" if args.model else "Settings"
    request = Request(
        layouts=layouts,
        seeds=sample_seeds(args.seed, len(layouts), use=3),
        settings=read(getattr(painter, kind), args.config["settings"], f"painters {name}"),
        weights=weights,
        facts=facts,
        cells=args.cells,
        images=args.images,
        device=device(args.gpus),
    )
    provenance = record("paint_images", args.config, args.seed, args.inputs, [f"painters.{name}"])
    write_painted(args.painted, painter, request, provenance, f"{args.painted.parent}: images")


if __name__ == "__main__":
    stage.run(main)
