"""generate_set: one part of a generated set of any size.

Each layout has its own seed and its own target, and parts begin where batches begin: the parts of any number together
are the whole set. The columns are those of `sample_layouts`; a killed job goes on from the layouts that were finished.
"""

from cellscaper.disk.storage import read_layouts
from cellscaper.generators.protocol import Generator, SetSection
from cellscaper.generators.targets import set_targets
from cellscaper.generators.writing import stage_request, write_generated
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.methods import method
from cellscaper.run.parts import part_numbers, part_rows
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read


def main() -> None:
    inputs = ["cells", "targets?", "model?"]
    args = stage.arguments(__doc__, inputs, outputs=["layouts"], options=["part", "parts"], gpus="one")
    section = read(SetSection, args.config, "generate_set")
    generator: Generator = method("generators", section.method)
    part, parts = part_numbers(args.part, args.parts)
    rows = part_rows(section.layouts, section.unit, part, parts)
    train = read_layouts(args.cells).where(split="train")
    given = read_layouts(args.targets) if args.targets else None
    targets = set_targets(train, given, section, sample_seeds(args.seed, len(rows), 5, rows.start), rows.start)
    seeds = sample_seeds(args.seed, len(rows), 4, rows.start)
    request = stage_request(args, generator, section, train, targets, seeds, rows.start)
    provenance = record("generate_set", args.config, args.seed, args.inputs, [f"generators.{section.method}"])
    what = f"{args.layouts.parent}: layouts"
    write_generated(args.layouts, generator, request, provenance | {"part": [part, parts]}, what)


if __name__ == "__main__":
    stage.run(main)
