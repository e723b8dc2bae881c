"""cut_patches: the windows of one split that layouts are compared with and matched to."""

from cellscaper.disk.storage import read_layouts, write_layouts
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.progress import log
from cellscaper.views.patches import sliding_windows


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells"], outputs=["windows"])
    config = args.config
    cells = read_layouts(args.cells).where(split=config["split"])
    patches = sliding_windows(cells, config["region"], config["stride"], config["small"])
    write_layouts(args.windows, patches, record("cut_patches", config, None, args.inputs))
    log(f"{len(patches)} patches of {config['region']} px from {len(cells)} {config['split']} images")


if __name__ == "__main__":
    stage.run(main)
