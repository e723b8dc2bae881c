"""Label masks of cellpose, StarDist and others: the values number the cells; a cell is the centroid of a value.

A number that marks two areas far apart is two cells: more cells than the file has numbers for were saved.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cellscaper.disk.formats.annotated import Gathered
from cellscaper.disk.formats.class_names import UNCLASSIFIED
from cellscaper.errors import CellscaperError

ENDINGS = (".png", ".tif", ".tiff")
MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L", "F", "1")
_MOST_PIXELS = 400_000_000
FAR_LARGER = "areas far larger than cells (background, regions)"
_LARGE, _FEWEST, _MOST_LARGE = 25, 8, 0.1  # median areas; objects that give a median; share of objects
_WHOLE = 1 / 3  # of the image: an area at all four borders


def read_mask(path: Path) -> Gathered:
    """The centroids of all values above 0. CellscaperError for an image that does not number objects."""
    values = _values(path)
    largest = int(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else 0
    return centroids(values.astype(np.int64), path, largest)


def centroids(values: NDArray[np.int64], path: Path, largest: int = 0) -> Gathered:
    """The centroids of a label image (H, W), in the order of the labels.

    ``largest``: the largest number that the file can hold, 0 if that does not matter. CellscaperError for a mask of
    classes, and for one with numbers up to the largest of which some mark two areas far apart.

    A number for the background and for regions is no cell.
    """
    out = Gathered()
    for label in (large := _far_larger(values)):
        out.leave(FAR_LARGER, f"number {label}")
    if large:
        values = np.where(np.isin(values, large), 0, values)
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
        twice = _twice(flat.reshape(values.shape), counts, int(labels[0] == 0))
        if twice and labels.max() == largest:
            raise CellscaperError(
                f"{path} numbers cells up to {largest}, the most that it can hold, and {_numbers(twice)} two areas "
                "far apart or more: the numbers of further cells began again; save the mask with more bits a pixel"
            )
        if twice:
            out.notes.append(
                f"{_numbers(twice)} two areas far apart or more in {path.name}: each number is taken for one cell"
            )
        for label, one, other in zip(labels.tolist(), y.tolist(), x.tolist(), strict=True):
            if label > 0:
                out.add(one, other, UNCLASSIFIED, label)
    out.sizes = {path.name: (int(values.shape[0]), int(values.shape[1]))}
    out.notes.append("the cells are the centroids of the values of a label mask")
    return out


def _far_larger(values: NDArray[np.int64]) -> list[int]:
    """The numbers of areas that are no cells: of over _LARGE median areas, or of most of the image up to its borders.

    Where many objects were that large, the median would be that of specks.
    """
    labels, counts = np.unique(values[values > 0], return_counts=True)
    if not len(labels):
        return []
    large = counts >= _LARGE * np.median(counts)
    if len(labels) < _FEWEST or large.sum() > max(1, _MOST_LARGE * len(labels)):
        large[:] = False
    at_all = set.intersection(*(set(np.unique(side)) for side in (values[0], values[-1], values[:, 0], values[:, -1])))
    whole = np.isin(labels, list(at_all)) & (counts >= _WHOLE * values.size)
    return [int(label) for label in labels[large | whole]]


def _pieces(values: NDArray[np.int64]) -> int:
    """Number of connected areas of one value above 0, counted along rows: starts without a neighbour above."""
    from scipy.ndimage import label

    whole = 0
    for one in np.unique(values)[:64]:
        if one > 0:
            whole += label(values == one)[1]
    known = int((np.unique(values) > 0).sum())
    return whole if known <= 64 else whole * known // 64


def _twice(index: NDArray[np.int64], counts: NDArray[np.int64], first: int) -> int:
    """How many objects have two areas of some size, as far apart as an object is wide.

    index (H, W) the object of each pixel; counts (N,) the pixels of each; objects from ``first`` on are cells.
    """
    from scipy.ndimage import find_objects, label

    typical = float(np.median(counts[first:]))
    wide = np.sqrt(typical)
    number = 0
    for k, box in enumerate(find_objects(index + 1)):
        if k < first or box is None or max(one.stop - one.start for one in box) < 3 * wide:
            continue
        parts, _ = label(index[box] == k, np.ones((3, 3)))
        sizes = np.bincount(parts.ravel())
        boxes = [one for one, size in zip(find_objects(parts), sizes[1:], strict=True) if size >= typical / 5]
        number += any(_gap(one, other) > wide for i, one in enumerate(boxes) for other in boxes[:i])
    return number


def _gap(one: tuple[slice, ...], other: tuple[slice, ...]) -> int:
    """Pixels between two boxes along the axis where they lie further apart."""
    return max(max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True))


def _numbers(number: int) -> str:
    return "1 number marks" if number == 1 else f"{number} numbers mark"


def _values(path: Path) -> NDArray[Any]:
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
    return values
