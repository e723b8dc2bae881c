"""cut_patches: real layouts of the size of a field of view.

``cut`` in the section: ``windows`` of the images of a split; ``targets``, training crops of each count category, whose
counts layouts are generated for; or ``reference``, training crops that layouts are compared with (SD's evaluation).
"""

from collections.abc import Callable

from cellscaper.disk.storage import read_layouts, write_layouts
from cellscaper.layouts import LayoutSet
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.progress import log
from cellscaper.views.patches import sliding_windows
from cellscaper.views.training_crops import category_crops, reference_crops

CUTS: dict[str, Callable[..., LayoutSet]] = {
    "windows": sliding_windows,
    "targets": category_crops,
    "reference": reference_crops,
}


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells"], outputs=["windows"])
    how = dict(args.config)
    cut, split = how.pop("cut"), how.pop("split", "train")
    cells = read_layouts(args.cells).where(split=split)
    patches = CUTS[cut](cells, **how)
    write_layouts(args.windows, patches, record("cut_patches", args.config, None, args.inputs))
    log(f"{len(patches)} {cut} of {how['region']} px from {len(cells)} {split} images")


if __name__ == "__main__":
    stage.run(main)
