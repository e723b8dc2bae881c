"""paint_set: an H&E image for each layout of one part of a generated set; a killed job goes on as in `paint_images`."""

from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.painters.protocol import Painter
from cellscaper.painters.writing import stage_request, write_painted
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.methods import method
from cellscaper.run.parts import part_numbers, part_rows
from cellscaper.run.seeds import sample_seeds


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["layouts", "model?", "cells?", "images?"],
        outputs=["painted"],
        options=["decoder", "part", "parts"],
        gpus="one",
    )
    section = args.config
    part, parts = part_numbers(args.part, args.parts)
    painter: Painter = method("painters", section["method"])
    layouts = read_layouts(args.layouts, args.decoder)
    rows = part_rows(section["layouts"], section["unit"], part, parts)
    if len(layouts) != len(rows):
        raise CellscaperError(f"{args.layouts} has {len(layouts)} layouts, expected {len(rows)}; make it again")
    request = stage_request(args, painter, section, layouts, sample_seeds(args.seed, len(rows), 6, rows.start))
    provenance = record("paint_set", section, args.seed, args.inputs, [f"painters.{section['method']}"])
    what = f"{args.painted.parent}: images"
    write_painted(args.painted, painter, request, provenance | {"part": [part, parts]}, what)


if __name__ == "__main__":
    stage.run(main)
