"""What the gallery page shows: which real layouts, and beside each the layouts that were made for its counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellscaper.layouts import Layout, LayoutSet, evenly_spaced
from cellscaper.metrics.copies import Neighbour, nearest_crops
from cellscaper.report.figures.matched import common_targets, matched_to
from cellscaper.report.figures.panels import Arrays
from cellscaper.report.pages.gallery import Group, Panel

GROUPS, WITH_DENSITY, PAIRS = 12, 4, 6

Maps = Mapping[int, NDArray[np.float32]]


@dataclass(frozen=True)
class Column:
    """The layouts of one system, with a column ``target``; density maps (C, h, w) of some of them, by target."""

    title: str
    layouts: LayoutSet
    maps: Maps = field(default_factory=dict)


def window_groups(
    windows: LayoutSet, columns: Sequence[Column], cells: LayoutSet, images: Arrays, groups: int = GROUPS
) -> list[Group]:
    """A group for each of up to ``groups`` windows: the real layout, then the layout of each column.

    ``windows`` are all windows of one kind, ``cells`` and ``images`` the dataset they were cut from. Each layout has
    its nearest training crop, where the training images are as large as a window.
    """
    sets = [(one.title, one.layouts) for one in columns]
    chosen = choose(common_targets(sets, windows), [one.maps for one in columns if one.maps], groups)
    shown = matched_to(sets, windows, chosen)
    nearest = _neighbours([layouts for _, layouts in shown], cells.where(split="train"))
    found = []
    for i, target in enumerate(chosen.tolist()):
        window = windows.layout(target)
        counts = ", ".join(f"{n} {name}" for n, name in zip(windows.counts()[target], windows.classes, strict=True))
        real, *made = (layouts.layout(i) for _, layouts in shown)
        panels = [Panel("real", real, _window_image(images, cells, window), near=nearest[0][i])]
        for column, layout, near in zip(columns, made, nearest[1:], strict=True):
            panels.append(Panel(column.title, layout, density=column.maps.get(target), near=near[i]))
        found.append(Group(f"{counts} ({window.source}, y {window.origin[0]}, x {window.origin[1]})", panels))
    return found


def choose(common: NDArray[np.int64], with_maps: Sequence[Maps], groups: int = GROUPS) -> NDArray[np.int64]:
    """At most ``groups`` of the common targets, evenly spaced; WITH_DENSITY of them have density maps, if any has."""
    covered = np.array([t for t in common.tolist() if with_maps and all(t in one for one in with_maps)], np.int64)
    first = covered[evenly_spaced(len(covered), WITH_DENSITY)] if len(covered) else covered
    rest = np.setdiff1d(common, first)
    return np.sort(np.concatenate([first, rest[evenly_spaced(len(rest), groups - len(first))]]))


def _window_image(images: Arrays, cells: LayoutSet, window: Layout) -> NDArray[np.uint8] | None:
    """The H&E image of a window, cut from its image; None if the dataset has no such image."""
    at = np.flatnonzero(cells.source == window.source)
    if not len(at):
        return None
    (y, x), (height, width) = window.origin, window.size
    return images[int(at[0])][y : y + height, x : x + width]


def _neighbours(sets: Sequence[LayoutSet], train: LayoutSet) -> list[list[Neighbour | None]]:
    """The nearest training crops of the layouts of all sets, in one search; None if all training images are smaller."""
    layouts = [layout for one in sets for layout in one]
    if not (train.size >= sets[0].common_size()[0]).all(axis=1).any():
        return [[None] * len(one) for one in sets]
    found = iter(nearest_crops(LayoutSet.build(layouts, train.classes, train.mpp), train))
    return [[next(found) for _ in range(len(one))] for one in sets]


def pair_groups(pairs: Iterable[tuple[str, LayoutSet, Arrays]]) -> list[Group]:
    """The first PAIRS (title, layouts, painted images) of each system; equal numbers were requested the same counts."""
    groups = [Group(f"painted for training, counts of a training crop, no. {i + 1}") for i in range(PAIRS)]
    for title, layouts, painted in pairs:
        for i in range(min(len(layouts), len(painted), PAIRS)):
            groups[i].panels.append(Panel(title, layouts.layout(i), painted[i]))
    return [group for group in groups if group.panels]
