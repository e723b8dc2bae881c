"""The recall of a detector in each image: how well an image shows the cells of its layout."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from cellscaper.detectors.peaks import found_in
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.detection import RADIUS, image_counts
from cellscaper.views.decoding import Cells


def recall_by_image(
    layouts: LayoutSet,
    images: Iterable[NDArray[np.uint8]],
    find: Callable[[NDArray[np.uint8]], Cells],
    radius: float = RADIUS,
) -> NDArray[np.float64]:
    """(L,) share of each layout's cells with a cell of any class that ``find`` sees within ``radius`` px, one to one.

    Images (height, width, 3) in the order of the layouts. NaN for a layout without cells.
    """
    counts = image_counts(layouts, found_in(layouts, images, find, "detections"), [radius])[:, 0, -1]
    hits, cells = counts[:, 0].astype(np.float64), counts[:, 0] + counts[:, 2]
    return np.divide(hits, cells, out=np.full(len(layouts), np.nan), where=cells > 0)
