"""fit_density: one density map for each class of each training image, and the quantile that normalises them."""

from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray

from cellscaper.density.maps import density_map, quantile_scale
from cellscaper.density.protocol import Estimator
from cellscaper.disk.storage import read_layouts, write_density
from cellscaper.layouts import Layout
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.methods import chosen
from cellscaper.run.progress import Progress


def image_maps(layout: Layout, classes: int, config: Any, seed: int) -> NDArray[np.float32]:
    """Maps (C, h, w) of one image."""
    method: Estimator
    method, settings = chosen("density", config)
    return np.stack(
        [
            density_map(method.fit, method.evaluate, layout.of_class(k), layout.size, config["stride"], settings, seed)
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
