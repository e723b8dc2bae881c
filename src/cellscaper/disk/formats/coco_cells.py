"""Cells in a COCO file of any program: the first keypoint of an annotation, else the centre of its box or outline."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cellscaper.disk.formats import outlines
from cellscaper.disk.formats.annotated import Gathered
from cellscaper.disk.formats.class_names import UNCLASSIFIED, tidy
from cellscaper.disk.formats.facts import LARGEST, number
from cellscaper.disk.formats.reading import found

_CORRELATED = 0.99  # of the first and third number of boxes: they are corners, not a corner and a width


def is_coco(data: Any) -> bool:
    """Whether a JSON value has the look of COCO."""
    return isinstance(data, dict) and isinstance(data.get("images"), list) and isinstance(data.get("annotations"), list)


def read_coco(data: Any) -> Gathered:
    """The cells of all images; ValueError with the number of the first annotation that cannot be read."""
    if not isinstance(data, dict):
        raise ValueError("expected an object")
    categories = data.get("categories") or []
    names = {one["id"]: one["name"] for one in categories}
    images = {one["id"]: one for one in data["images"]}
    if len(names) != len(categories) or len(images) != len(data["images"]):
        raise ValueError("an id occurs twice")
    files = {key: _file(one) for key, one in images.items()}
    if len(set(files.values())) != len(files):
        raise ValueError("two images have the same file_name")
    out = Gathered()
    out.sizes = {files[key]: _size(one) for key, one in images.items()}
    corners = _by_corners(data["annotations"], images)
    if corners:
        out.notes.append("the boxes are corners (x1, y1, x2, y2), not width and height: their centres are taken")
    large = _regions(data["annotations"], corners)
    if large:
        out.left["regions around cells"] += len(large)
    for i, one in enumerate(data["annotations"]):
        if i in large:
            continue
        try:
            if not isinstance(one, dict):
                raise ValueError(f"it is {found(one)}, expected an object")
            for key, known in (("category_id", names), ("image_id", images)):
                if (key == "image_id" or one.get(key) is not None) and one[key] not in known:
                    raise ValueError(f"{key} {str(one[key])[:40]!r} is not defined in the file")
            if one.get("iscrowd") == 1:
                out.left["crowds"] += 1
                continue
            place = _place(one, corners)
            if place is None:
                held = one.get("bbox") or (isinstance(one.get("segmentation"), list) and one["segmentation"])
                none = "annotations without a box, outline or keypoint"
                out.leave(outlines.FLAT if held else none, f"annotation {i}")
                continue
            name = UNCLASSIFIED if one.get("category_id") is None else names[one["category_id"]]
            out.add(*place, name, i, files[one["image_id"]])
        except (TypeError, LookupError, AttributeError, ValueError) as error:
            raise ValueError(f"annotation {i}: {error}") from error
    return out


def class_order(data: Any) -> tuple[str, ...]:
    """The names of the categories in the order of their ids."""
    names = {one["id"]: tidy(one["name"]) for one in data.get("categories") or []}
    return tuple(dict.fromkeys(names[key] for key in sorted(names)))


def _file(image: Any) -> str:
    name = image.get("file_name", image.get("filename", image.get("name")))
    if not isinstance(name, str) or not name:
        raise ValueError(f"image {str(image['id'])[:40]!r} has file_name {name!r}, expected a name")
    return name


def _size(image: Any) -> tuple[int, int] | None:
    if "height" not in image and "width" not in image:
        return None
    size = [image["height"], image["width"]]
    if not all(isinstance(side, int) and not isinstance(side, bool) and 0 < side < 2**31 for side in size):
        raise ValueError(f"image {str(image['id'])[:40]!r} has the size {size}, expected height and width in px")
    return size[0], size[1]


def _place(annotation: Any, corners: bool) -> tuple[Any, Any] | None:
    """y, x of a cell; None for an annotation without a place, and for a box or outline without area."""
    if keypoint := _keypoint(annotation):
        x, y = keypoint
        return y, x
    if annotation.get("bbox"):
        x, y, width, height = (number(float(value), "bbox") for value in annotation["bbox"])
        if (width == x or height == y) if corners else not (width and height):
            return None
        return ((y + height) / 2, (x + width) / 2) if corners else (y + height / 2, x + width / 2)
    rings = annotation.get("segmentation")
    if isinstance(rings, list) and rings:
        rings = rings if isinstance(rings[0], list) else [rings]
        made = [outlines.outline([[x, y] for x, y in zip(ring[::2], ring[1::2], strict=True)]) for ring in rings]
        shapes = [one for one in made if one is not None and one.area]
        if shapes:
            largest = max(shapes, key=lambda one: one.area)
            return largest.y, largest.x
    return None


def _keypoint(annotation: Any) -> Any:
    """x, y of the first keypoint; None without one, and for one that is not labelled (its third number is 0)."""
    keypoints = annotation.get("keypoints")
    return keypoints[:2] if keypoints and list(keypoints[2:3]) != [0] else None


def _regions(annotations: Sequence[Any], corners: bool) -> set[int]:
    """The numbers of the annotations whose boxes are regions of tissue."""
    boxed = {i: box for i, one in enumerate(annotations) if (box := _box(one, corners)) is not None}
    boxes = np.array(list(boxed.values()), np.float64).reshape(-1, 4)
    if not corners:
        boxes[:, 2:] += boxes[:, :2]
    numbers = list(boxed)
    images = [str(annotations[i].get("image_id")) for i in numbers]
    return {numbers[k] for k in outlines.of_each_image(images, lambda own: outlines.region_boxes(boxes[own]))}


def _box(annotation: Any, corners: bool) -> list[float] | None:
    """Four numbers of a box; those of a point for an annotation of a keypoint. None if it has neither."""
    if not isinstance(annotation, dict):
        return None
    keypoint = _keypoint(annotation)
    box = [*keypoint, *(keypoint if corners else (0, 0))] if isinstance(keypoint, list) else annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return None
    plain = all(isinstance(value, int | float) and abs(value) < LARGEST for value in box)
    return box if plain else None


def _by_corners(annotations: Sequence[Any], images: dict[Any, Any]) -> bool:
    """Whether boxes are x1, y1, x2, y2: as corners all fit into their images, as widths they would not."""
    boxes, sizes = [], []
    for one in annotations:
        box = one.get("bbox") if isinstance(one, dict) and not one.get("keypoints") else None
        plain = isinstance(box, list) and len(box) == 4
        if not plain or any(isinstance(v, bool) or not isinstance(v, int | float) for v in box):  # type: ignore[union-attr]
            continue
        image = images.get(one["image_id"], {}) if isinstance(one.get("image_id"), int | str) else {}
        size = [image.get(side) if isinstance(image, dict) else None for side in ("width", "height")]
        boxes.append(box)
        sizes.append([float(side) if isinstance(side, int) else np.nan for side in size])
    if len(boxes) < 3:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        found, room = np.array(boxes, np.float64), np.array(sizes)
        if not np.isfinite(found).all() or (found[:, 2:] <= found[:, :2]).any():
            return False
        beyond = (found[:, :2] + found[:, 2:] > room + 1).any(axis=1)
        fit = ~(found[:, 2:] > room + 1).any(axis=1)
        if beyond.any():
            return bool(fit.all() and beyond.mean() > 0.02)
        straight = [np.corrcoef(found[:, i], found[:, i + 2])[0, 1] for i in (0, 1) if np.ptp(found[:, i]) > 0]
    return len(boxes) >= 10 and bool(straight) and min(straight) > _CORRELATED
