"""Label masks of cellpose, StarDist and others: the values number the cells; a cell is the centroid of a value."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cellscaper.disk.formats.annotated import Gathered
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.errors import CellscaperError

ENDINGS = (".png", ".tif", ".tiff")
MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L", "F", "1")
_MOST_PIXELS = 400_000_000


def read_mask(path: Path) -> Gathered:
    """The centroids of all values above 0. CellscaperError for an image that does not number objects."""
    return centroids(_values(path), path)


def centroids(values: NDArray[np.int64], path: Path) -> Gathered:
    """The centroids of a label image (H, W), in the order of the labels; CellscaperError for a mask of classes."""
    out = Gathered()
    labels, flat, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(labels) > 1 and labels.max() > 0:
        rows, columns = np.indices(values.shape)
        y = np.bincount(flat.ravel(), rows.ravel()) / counts
        x = np.bincount(flat.ravel(), columns.ravel()) / counts
        pieces = _pieces(values)
        known = int((labels > 0).sum())
        if pieces > 3 * known + 3:
            raise CellscaperError(
                f"{path} has {known} values in {pieces} separate areas: it marks classes or one kind, it does not "
                "number cells; expected another value for each cell"
            )
        for label, one, other in zip(labels.tolist(), y.tolist(), x.tolist(), strict=True):
            if label > 0:
                out.add(one, other, UNCLASSIFIED, label)
    out.sizes = {path.name: (int(values.shape[0]), int(values.shape[1]))}
    out.notes.append("the cells are the centroids of the values of a label mask")
    return out


def _pieces(values: NDArray[np.int64]) -> int:
    """Number of connected areas of one value above 0, counted along rows: starts without a neighbour above."""
    from scipy.ndimage import label

    whole = 0
    for one in np.unique(values)[:64]:
        if one > 0:
            whole += label(values == one)[1]
    known = int((np.unique(values) > 0).sum())
    return whole if known <= 64 else whole * known // 64


def _values(path: Path) -> NDArray[np.int64]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.mode not in MODES or image.width * image.height > _MOST_PIXELS:
                    raise CellscaperError(f"{path} is a picture of kind {image.mode}, expected a label mask of numbers")
                values = np.array(image)
    except Image.DecompressionBombError as error:
        raise CellscaperError(f"{path} is too large for a label mask; cut it into regions") from error
    except UnidentifiedImageError as error:
        raise CellscaperError(f"{path} is not an image that Pillow can read; expected a label mask") from error
    except CellscaperError:
        raise
    except Exception as error:  # a decoder may raise any exception on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CellscaperError(f"{path} is truncated or damaged ({reason[:120]}); get the file again") from error
    if (
        values.ndim != 2
        or not np.isfinite(values).all()
        or (values != np.floor(values)).any()
        or values.min(initial=0) < 0
    ):
        raise CellscaperError(f"{path} holds other values than whole numbers from 0; expected a label mask")
    if values.max(initial=0) >= 1 << 40:
        raise CellscaperError(f"{path} holds values up to {values.max()}; expected a label mask")
    return values.astype(np.int64)
