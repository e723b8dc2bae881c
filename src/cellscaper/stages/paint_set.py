"""paint_set: an H&E image for each layout of one part of a generated set; a killed job goes on as in `paint_images`."""

from cellscaper.disk.storage import read_layouts
from cellscaper.disk.weights import read_weights_for
from cellscaper.errors import CellscaperError
from cellscaper.painters.protocol import Painter, Request
from cellscaper.painters.writing import write_painted
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import method
from cellscaper.run.parts import part_rows
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["layouts", "model?", "cells?", "images?"],
        outputs=["painted"],
        options=["decoder", "part", "parts"],
        gpus="one",
    )
    section, part, parts = args.config, int(args.part), int(args.parts)
    painter: Painter = method("painters", section["method"])
    layouts = read_layouts(args.layouts, args.decoder)
    rows = part_rows(section["layouts"], section["unit"], part, parts)
    if len(layouts) != len(rows):
        raise CellscaperError(f"{args.layouts} has {len(layouts)} layouts, expected {len(rows)}; make it again")
    weights, facts = read_weights_for(args.model, layouts.classes, args.layouts)
    kind = "Sampling" if args.model else "Settings"
    request = Request(
        layouts=layouts,
        seeds=sample_seeds(args.seed, len(rows), 6, rows.start),
        settings=read(getattr(painter, kind), section["settings"], f"painters {section['method']}"),
        weights=weights,
        facts=facts,
        cells=args.cells,
        images=args.images,
        device=device(args.gpus),
    )
    provenance = record("paint_set", section, args.seed, args.inputs, [f"painters.{section['method']}"])
    what = f"{args.painted.parent}: images"
    write_painted(args.painted, painter, request, provenance | {"part": [part, parts]}, what)


if __name__ == "__main__":
    stage.run(main)
