"""fit_density: one density map for each class of each training image, and the quantile that normalises them."""

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray

from cellscaper.density.maps import density_map, quantile_scale
from cellscaper.density.registry import estimator
from cellscaper.disk.storage import read_layouts, write_density
from cellscaper.layouts import Layout
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.progress import Progress


def image_maps(layout: Layout, classes: int, config: dict, seed: int) -> NDArray[np.float32]:
    """Maps (C, h, w) of one image."""
    method = estimator(config["method"])
    return np.stack(
        [
            density_map(method.fit, method.evaluate, layout.of_class(k), layout.size, config["stride"], config, seed)
            for k in range(classes)
        ]
    )


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells"], outputs=["maps"])
    cells = read_layouts(args.cells).where(split="train")
    jobs = (delayed(image_maps)(layout, cells.n_classes, args.config, args.seed) for layout in cells)
    maps = []
    workers = parallel_config("loky", n_jobs=args.threads, inner_max_num_threads=1)
    with Progress(len(cells), "density maps of images") as progress, workers:
        for one in Parallel(return_as="generator")(jobs):
            maps.append(one)
            progress.update()
    provenance = record("fit_density", args.config, args.seed, args.inputs, [f"density.{args.config['method']}"])
    write_density(args.maps, maps, args.config["stride"], quantile_scale(maps), provenance)


if __name__ == "__main__":
    stage.run(main)
