"""COCO: an image for each layout, an annotation for each cell, a category for each class (ids from 1).

A cell is one visible keypoint, ``keypoints: [x, y, 2]``, with a box of 1 px around it. ``info.cellscaper`` is the head,
``cellscaper`` of each image its facts (:mod:`cellscaper.disk.formats.facts`). COCO of other programs is read by
:mod:`cellscaper.disk.formats.coco_cells`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cellscaper.disk.files import atomic
from cellscaper.disk.formats.annotations import json_format
from cellscaper.disk.formats.coco_cells import class_order
from cellscaper.disk.formats.facts import (
    Append,
    Cells,
    Columns,
    Given,
    Json,
    Say,
    assemble,
    decimals,
    dump,
    facts,
    head,
)
from cellscaper.disk.formats.foreign import read_foreign
from cellscaper.disk.formats.reading import parse, read_text, reading
from cellscaper.layouts import Layout, LayoutSet


@contextmanager
def write(path: Path, classes: Sequence[str], mpp: float) -> Iterator[Append]:
    """Yield a function that appends one layout."""
    images: list[Json] = []
    categories = [
        {"id": i, "name": name, "supercategory": "cell", "keypoints": ["centre"], "skeleton": []}
        for i, name in enumerate(classes, 1)
    ]
    with atomic(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write(f'{{"info": {dump({"cellscaper": head(classes, mpp)})},\n"categories": {dump(categories)},\n')
        file.write('"annotations": [')
        n = 0

        def append(layout: Layout, columns: Columns) -> None:
            nonlocal n
            height, width = layout.size
            images.append(
                {"id": len(images) + 1, "file_name": layout.source, "height": int(height), "width": int(width),
                 "cellscaper": facts(layout, columns)}
            )  # fmt: skip
            for (y, x), (top, left), label in zip(
                decimals(layout.points), layout.points.astype(float) - 0.5, layout.labels.tolist(), strict=True
            ):
                comma = "," if n else ""
                n += 1
                file.write(
                    f'{comma}\n{{"id": {n}, "image_id": {len(images)}, "category_id": {label + 1}, '
                    f'"keypoints": [{x}, {y}, 2], "num_keypoints": 1, '
                    f'"bbox": [{left:.3f}, {top:.3f}, 1, 1], "area": 1, "iscrowd": 0}}'
                )

        yield append
        file.write(f'\n],\n"images": {dump(images)}}}\n')


def read(path: Path, given: Given, say: Say) -> LayoutSet:
    """The layouts of a COCO file, in the order of its images; another program's JSON is read by its own reader."""
    text = read_text(path)
    with reading(path, "COCO with images, annotations and categories"):
        data = parse(text)
        own = data["info"].get("cellscaper") if isinstance(data, dict) and isinstance(data.get("info"), dict) else None
        if own is None:
            form = json_format(data, path)
            return read_foreign(path, given, say, form, class_order(data) if form == "coco" else ())
        names = {one["id"]: one["name"] for one in data["categories"]}
        images = {one["id"]: i for i, one in enumerate(data["images"])}
        if len(names) != len(data["categories"]) or len(images) != len(data["images"]):
            raise ValueError("an id occurs twice")
        cells = Cells([], [], [])
        for i, one in enumerate(data["annotations"]):
            for key, known in (("category_id", names), ("image_id", images)):
                if one[key] not in known:
                    raise ValueError(f"annotation {i} has {key} {str(one[key])[:40]!r}, which the file does not define")
            x, y = one["keypoints"][:2]
            cells.add(y, x, names[one["category_id"]], images[one["image_id"]])
        return assemble(path, cells, own, [one["cellscaper"] for one in data["images"]], given)
