"""make_gallery: one HTML file to look through layouts: real, generated and random ones of the same counts.

``--config`` holds ``windows``, a list of {patches: file, columns: [[label, layouts file, decoder], …]}, and ``pairs``,
a list of [label, layouts file, decoder, images file] of layouts that were painted.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellscaper.disk.files import write_text
from cellscaper.disk.storage import ImageSet, array_names, read_array, read_layouts
from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.metrics.copies import Neighbour, nearest_crops
from cellscaper.report.figures.matched import common_targets, matched_to
from cellscaper.report.figures.panels import Arrays
from cellscaper.report.pages.gallery import Group, Panel, gallery_page
from cellscaper.run import stage
from cellscaper.run.progress import log

GROUPS, WITH_DENSITY, PAIRS = 12, 4, 6


def density_of(file: Path, layouts: LayoutSet) -> dict[int, NDArray[np.float32]]:
    """The density maps of the layouts that have one, by target."""
    if "density" not in array_names(file):
        return {}
    maps = read_array(file, "density")
    return dict(zip(layouts.columns["target"][: len(maps)].tolist(), maps, strict=True))


def choose(common: NDArray[np.int64], with_maps: list[dict[int, NDArray]]) -> NDArray[np.int64]:
    """GROUPS of the common targets, evenly spaced; WITH_DENSITY of them have density maps where some do."""
    covered = np.array([t for t in common.tolist() if with_maps and all(t in one for one in with_maps)], np.int64)
    first = covered[evenly_spaced(len(covered), WITH_DENSITY)] if len(covered) else covered
    rest = np.setdiff1d(common, first)
    return np.sort(np.concatenate([first, rest[evenly_spaced(len(rest), GROUPS - len(first))]]))


def patch_image(images: Arrays, cells: LayoutSet, patch: Layout) -> NDArray[np.uint8] | None:
    """The H&E image of a test window, cut from its image."""
    at = np.flatnonzero(cells.source == patch.source)
    if not len(at):
        return None
    (y, x), (height, width) = patch.origin, patch.size
    return images[int(at[0])][y : y + height, x : x + width]


def neighbours(sets: list[LayoutSet], train: LayoutSet) -> list[list[Neighbour | None]]:
    """The nearest training crops of the layouts of all sets, in one search; None where training images are smaller."""
    layouts = [layout for one in sets for layout in one]
    if not (train.size >= sets[0].common_size()[0]).all(axis=1).any():
        return [[None] * len(one) for one in sets]
    found = iter(nearest_crops(LayoutSet.build(layouts, train.classes, train.mpp), train))
    return [[next(found) for _ in range(len(one))] for one in sets]


def window_groups(block: dict[str, Any], cells: LayoutSet, images: Arrays) -> list[Group]:
    """The groups of one kind of test windows."""
    patches = read_layouts(Path(block["patches"]))
    columns = [(label, read_layouts(Path(file), decoder)) for label, file, decoder in block["columns"]]
    maps = [density_of(Path(file), one) for (_, one), (_, file, _) in zip(columns, block["columns"], strict=True)]
    chosen = choose(common_targets(columns, patches), [one for one in maps if one])
    shown = matched_to(columns, patches, chosen)
    near = neighbours([layouts for _, layouts in shown], cells.where(split="train"))
    groups = []
    for i, target in enumerate(chosen.tolist()):
        patch = patches.layout(target)
        counts = ", ".join(f"{n} {name}" for n, name in zip(patches.counts()[target], patches.classes, strict=True))
        panels = []
        for column, ((title, layouts), crops) in enumerate(zip(shown, near, strict=True)):
            image = patch_image(images, cells, patch) if column == 0 else None
            density = maps[column - 1].get(target) if column else None
            panels.append(Panel(title, layouts.layout(i), image, density, crops[i]))
        groups.append(Group(f"{counts} ({patch.source}, y {patch.origin[0]}, x {patch.origin[1]})", panels))
    return groups


def pair_groups(pairs: list[list[str]]) -> list[Group]:
    """The first painted layouts of each system; those with the same number were asked for with the same counts."""
    groups = [Group(f"painted for training, counts of a training crop, no. {i + 1}") for i in range(PAIRS)]
    for label, layouts_file, decoder, images_file in pairs:
        layouts = read_layouts(Path(layouts_file), decoder, slice(0, PAIRS))
        with ImageSet(Path(images_file)) as painted:
            for i in range(min(len(layouts), len(painted))):
                groups[i].panels.append(Panel(label, layouts.layout(i), painted[i]))
    return [group for group in groups if group.panels]


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images"], outputs=["gallery"], options=["dataset"])
    cells = read_layouts(args.cells)
    groups: list[Group] = []
    with ImageSet(args.images) as images:
        for block in args.config["windows"]:
            groups += window_groups(block, cells, images)
    groups += pair_groups(args.config["pairs"])
    page = gallery_page(f"cellscaper gallery: {args.dataset}", groups, cells.classes)
    write_text(args.gallery, page)
    log(f"{args.gallery}: {len(groups)} groups, {len(page) / 2**20:.1f} MB")


if __name__ == "__main__":
    stage.run(main)
