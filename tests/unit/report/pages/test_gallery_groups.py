"""What the gallery shows: which windows, with which layouts, images, maps and nearest crops."""

import numpy as np

from cellscaper.layouts import Layout, LayoutSet, crop
from cellscaper.report.pages.gallery_groups import PAIRS, Column, choose, pair_groups, window_groups

SIDE, CLASSES = 32, ("a", "b")


def test_some_of_the_chosen_windows_have_density_maps():
    common = np.arange(0, 300, 3)
    maps = {target: np.zeros(1) for target in range(0, 48, 3)}
    chosen = choose(common, [maps, {**maps, 900: np.zeros(1)}])
    assert len(chosen) == len(set(chosen.tolist())) == 12 and set(chosen.tolist()) <= set(common.tolist())
    assert sum(target in maps for target in chosen.tolist()) >= 4
    assert chosen.max() > 250
    assert choose(np.array([4, 9]), []).tolist() == [4, 9]


def some(n, side, seed, **columns):
    rng = np.random.default_rng(seed)
    items = [
        Layout(rng.uniform(0, side - 1, (9, 2)).astype(np.float32), rng.integers(0, 2, 9).astype(np.uint8),
               (side, side), f"i{i}")
        for i in range(n)
    ]  # fmt: skip
    return LayoutSet.build(items, CLASSES, 0.5, columns)


def test_a_group_holds_a_window_with_its_image_and_a_layout_of_each_column():
    cells = some(3, 64, 0, split=np.array(["train", "train", "test"]))
    images = [np.full((64, 64, 3), i, np.uint8) for i in range(3)]
    images[2][8:40, 16:48] = 200
    windows = LayoutSet.build([crop(cells.layout(2), 8, 16, SIDE, SIDE)] * 2, CLASSES, 0.5)
    maps = {1: np.ones((2, 4, 4), np.float32)}
    columns = [
        Column("A", some(2, SIDE, 1, target=np.arange(2)), maps),
        Column("B", some(1, SIDE, 2, target=np.ones(1, int))),
    ]
    (group,) = window_groups(windows, columns, cells, images)
    assert [panel.title for panel in group.panels] == ["real", "A", "B"]
    real, one, two = group.panels
    assert (real.image == 200).all() and one.image is None
    assert one.layout.points.tolist() == columns[0].layouts.layout(1).points.tolist()
    assert one.density is maps[1] and real.density is None and two.density is None
    assert all(panel.near.crop.source in ("i0", "i1") for panel in group.panels)
    assert group.title.endswith("(i2, y 8, x 16)")


def test_there_are_no_nearest_crops_where_training_images_are_smaller():
    cells = some(1, 64, 0, split=np.array(["test"]))
    columns = [Column("A", some(1, SIDE, 1, target=np.zeros(1, int)))]
    (group,) = window_groups(some(1, SIDE, 3), columns, cells, [np.zeros((64, 64, 3), np.uint8)])
    assert all(panel.near is None for panel in group.panels)


def test_painted_layouts_of_one_number_stand_together():
    images = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 20
    groups = pair_groups([("A", some(20, SIDE, 0), images), ("B", some(2, SIDE, 1), images)])
    assert [[panel.title for panel in group.panels] for group in groups] == [["A", "B"]] * 2 + [["A"]] * (PAIRS - 2)
    assert pair_groups([]) == []
