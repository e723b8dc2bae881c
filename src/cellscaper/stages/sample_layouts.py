"""sample_layouts: layouts with the counts of given targets or of random training crops.

``--purpose`` test: layouts that are scored; train: layouts that are painted for detectors. Their random numbers differ.

The maps of a diffusion are read by all three decoders, one LayoutSet each; systems that place points write one,
``points``. Columns: ``target`` is the number of the target a layout was matched to, ``requested`` (C) its counts.

A killed job goes on from the layouts that were finished, which are in ``state/`` beside the output.
"""

from cellscaper.disk.storage import read_layouts
from cellscaper.errors import CellscaperError
from cellscaper.generators.protocol import Generator, SamplingSection
from cellscaper.generators.targets import choose_targets
from cellscaper.generators.writing import stage_request, write_generated
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.methods import method
from cellscaper.run.seeds import sample_seeds
from cellscaper.run.settings import read


def main() -> None:
    inputs = ["cells", "targets", "model?"]
    args = stage.arguments(__doc__, inputs, outputs=["layouts"], options=["purpose"], gpus="one")
    section = read(SamplingSection, args.config, "sample_layouts")
    generator: Generator = method("generators", section.method)
    if args.purpose not in ("test", "train"):
        raise CellscaperError(f"--purpose {args.purpose}: expected test or train")
    train = read_layouts(args.cells).where(split="train")
    targets = choose_targets(train, read_layouts(args.targets), section, args.seed)
    seeds = sample_seeds(args.seed, len(targets), use=1 if args.purpose == "test" else 2)
    request = stage_request(args, generator, section, train, targets, seeds)
    provenance = record("sample_layouts", args.config, args.seed, args.inputs, [f"generators.{section.method}"])
    write_generated(args.layouts, generator, request, provenance, f"{args.layouts.parent}: layouts")


if __name__ == "__main__":
    stage.run(main)
