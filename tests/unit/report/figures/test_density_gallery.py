import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.density_gallery import DensityRow, density_gallery, fitted_windows, n_examples

BRCA = ("lymphocyte", "epithelial", "stromal")
LIZARD = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")


def layouts(n, classes, size=(64, 64), cells=12, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(cells).astype(np.uint8) % len(classes)
    made = [Layout(rng.uniform(0, min(size), (cells, 2)).astype(np.float32), labels, size) for _ in range(n)]
    return LayoutSet.build(made, classes, 0.5)


def row(title, n, classes=BRCA, seed=0):
    maps = np.random.default_rng(seed).random((n, len(classes), 16, 16)).astype(np.float32)
    return DensityRow(title, layouts(n, classes, seed=seed), maps)


def panels(figure):
    return [ax for ax in figure.axes if ax.get_label() != "scale"]


def test_each_example_is_a_layout_followed_by_the_map_of_every_class_with_its_cells():
    rows = [row("A", 5), row("B", 5, seed=1)]
    shown = panels(density_gallery(rows))
    assert len(shown) == 2 * 2 * (1 + 3)
    for r, one in enumerate(rows):
        for e, i in enumerate((0, 4)):
            first, *maps = shown[8 * r + 4 * e : 8 * r + 4 * e + 4]
            assert not first.images
            assert sorted(first.collections[0].get_offsets().tolist()) == sorted(
                one.layouts.layout(i).points[:, ::-1].tolist()
            )
            for label, ax in enumerate(maps):
                assert np.array_equal(ax.images[0].get_array(), one.maps[i, label])
                assert ax.images[0].get_clim() == (0, 1)
                assert ax.images[0].get_extent() == [-0.5, 63.5, 63.5, -0.5]
                assert np.array_equal(ax.collections[0].get_offsets()[:, ::-1], one.layouts.layout(i).of_class(label))


def test_maps_of_a_class_share_their_colours_and_the_legend_names_every_class():
    figure = density_gallery([row("A", 2)])
    scales = {ax.get_title(): ax.images[0].get_cmap() for ax in figure.axes if ax.get_label() == "scale"}
    assert list(scales) == [f"● {k} {name}" for k, name in enumerate(BRCA)]
    drawn = [ax.images[0].get_cmap() for ax in panels(figure) if ax.images]
    assert drawn == list(scales.values()) * 2


def test_many_classes_leave_room_for_one_example():
    assert (n_examples(3), n_examples(6), n_examples(20)) == (2, 1, 1)
    assert len(panels(density_gallery([row("A", 4, LIZARD)]))) == 7
    assert len(panels(density_gallery([row("A", 1), row("B", 4)]))) == 2 * 4


def test_maps_that_do_not_fit_their_layouts_are_refused():
    with pytest.raises(CellscaperError, match=r"density of 'A' has shape \(2, 3, 4, 4\), expected 3 layouts × 3"):
        DensityRow("A", layouts(3, BRCA), np.zeros((2, 3, 4, 4), np.float32))
    with pytest.raises(CellscaperError, match="0 rows"):
        density_gallery([])
    with pytest.raises(CellscaperError, match="one list of classes"):
        density_gallery([row("A", 2), row("B", 2, LIZARD)])


def test_a_fitted_window_is_the_middle_of_the_image_with_its_own_part_of_the_map():
    y, x = np.mgrid[:20, :30] * 4 + 1.5  # the centre of each 4 px pixel
    maps = [np.stack([y, x, 0 * x]).astype(np.float32)]
    cells = LayoutSet.build(
        [Layout(np.array([[30, 60], [5, 5]], np.float32), np.array([0, 1], np.uint8), (80, 120))], BRCA, 0.5
    )
    window, shown = fitted_windows(cells, maps, stride=4, scale=100.0, region=32, n=2)
    assert shown.shape == (1, 3, 8, 8)
    corner = window.origin[0]
    assert corner.tolist() == [24, 44]
    assert window.layout(0).points.tolist() == [[6, 16]]
    assert shown[0, 0, :, 0] == pytest.approx((corner[0] + 1.5 + 4 * np.arange(8)) / 100)
    assert shown[0, 1, 0] == pytest.approx(np.minimum((corner[1] + 1.5 + 4 * np.arange(8)) / 100, 1))


def test_fitted_windows_prefer_images_with_every_class_and_need_large_ones():
    full = layouts(6, BRCA, seed=3)
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (64, 64))
    cells = LayoutSet.build([empty, full.layout(0), empty, full.layout(1), empty], BRCA, 0.5)
    maps = [np.full((3, 16, 16), i, np.float32) for i in range(5)]
    window, shown = fitted_windows(cells, maps, 4, 10.0, 64, 2)
    assert shown[:, 0, 0, 0] == pytest.approx([0.1, 0.3])
    assert [len(one) for one in window] == [12, 12]
    assert len(fitted_windows(cells[[0, 2]], maps[:2], 4, 10.0, 64, 9)[0]) == 2
    for wrong in ((cells, maps[:4], 4, 1.0, 64, 2), (cells, maps, 4, 1.0, 65, 2), (cells, maps, 3, 1.0, 64, 2)):
        with pytest.raises(CellscaperError, match="fit_density again"):
            fitted_windows(*wrong)
