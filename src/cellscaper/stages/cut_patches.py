"""cut_patches: the windows of one split that layouts are compared with and matched to."""

from cellscaper import stage
from cellscaper.patches import sliding_windows
from cellscaper.progress import log
from cellscaper.provenance import record
from cellscaper.storage import read_layouts, write_layouts


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells"], outputs=["patches"])
    config = args.config
    cells = read_layouts(args.cells).where(split=config["split"])
    patches = sliding_windows(cells, config["region"], config["stride"], config["small"])
    write_layouts(args.patches, patches, record("cut_patches", config, None, args.inputs))
    log(f"{len(patches)} patches of {config['region']} px from {len(cells)} {config['split']} images")


if __name__ == "__main__":
    stage.run(main)
