from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.galleries import (
    _outcomes,
    detection_gallery,
    image_gallery,
    layout_gallery,
    painted_gallery,
)
from cellscaper.report.figures.palette import colour
from cellscaper.report.figures.sheet import write_picture

BRCA = ("lymphocyte", "epithelial", "stromal")
LIZARD = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")


def layout(cells: list[tuple[float, float, int]], size: int = 100) -> Layout:
    array = np.array(cells, float).reshape(-1, 3)
    return Layout(array[:, :2].astype(np.float32), array[:, 2].astype(np.uint8), (size, size))


def layouts(*each: list[tuple[float, float, int]], classes: tuple[str, ...] = BRCA) -> LayoutSet:
    return LayoutSet.build([layout(cells) for cells in each], classes, mpp=0.5)


def picture(path: Path) -> np.ndarray:
    """The PNG as (H, W, 3) in 0…1."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        image.load()
        return np.asarray(image.convert("RGB"), float) / 255


def pixels_of(figure: Figure, folder: Path) -> np.ndarray:
    write_picture(figure, folder / "shown.png")
    return picture(folder / "shown.png")


def where(pixels: np.ndarray, shade: str) -> np.ndarray:
    """(N, 2) y, x of the pixels of a colour."""
    return np.argwhere((np.abs(pixels - to_rgb(shade)) < 0.02).all(axis=2))


def panel(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the only panel: the longest grey lines are its frame."""
    frame = (np.abs(pixels - to_rgb("#888888")) < 0.2).all(axis=2)
    rows = np.flatnonzero(frame.sum(axis=1) > 0.8 * frame.sum(axis=1).max())
    columns = np.flatnonzero(frame.sum(axis=0) > 0.8 * frame.sum(axis=0).max())
    return rows[0], rows[-1], columns[0], columns[-1]


def test_a_dot_lies_where_its_y_and_x_say_with_y_down(tmp_path):
    path = tmp_path / "deep" / "gallery.png"
    write_picture(layout_gallery([("one", layouts([(20, 70, 2)]))], 1), path)
    pixels = picture(path)
    top, bottom, left, right = panel(pixels)
    found = where(pixels, colour(BRCA)[2])
    inside = found[(found > (top, left)).all(axis=1) & (found < (bottom, right)).all(axis=1)]
    y, x = inside.mean(axis=0)
    assert (y - top) / (bottom - top) == pytest.approx(0.205, abs=0.015)
    assert (x - left) / (right - left) == pytest.approx(0.705, abs=0.015)
    assert [p.name for p in path.parent.iterdir()] == ["gallery.png"]


@pytest.mark.slow
def test_a_layout_panel_shows_each_class_in_its_colour(tmp_path):
    cells = [(y, x, label) for label in range(3) for y, x in [(10 + 30 * label, 20), (15 + 30 * label, 60)]]
    all_of, some = (layout_gallery([("a", layouts(chosen))], 1) for chosen in (cells, cells[:4]))
    for label, shade in enumerate(colour(BRCA)):
        more, fewer = (len(where(pixels_of(one, tmp_path), shade)) for one in (all_of, some))
        assert more > 100
        assert fewer < more - 50 if label == 2 else fewer == more


@pytest.mark.slow
def test_a_gallery_grows_with_columns_and_rows_and_leaves_missing_layouts_empty(tmp_path):
    some, one = layouts([(5, 5, 0)], [(9, 9, 1)], []), layouts([(5, 5, 0)])
    sizes = {}
    for columns, rows in ((1, 1), (4, 1), (4, 3), (4, 9)):
        titles = ["a rather long title that has to be wrapped"] * (columns - 1) + ["b"]
        sizes[columns, rows] = layout_gallery([(title, some) for title in titles], rows).get_size_inches().tolist()
    assert sizes[4, 1][0] > 2 * sizes[1, 1][0]
    assert sizes[4, 3][1] > 2 * sizes[4, 1][1]
    assert sizes[4, 9] == sizes[4, 3]
    uneven = layout_gallery([("a", some), ("b", one)], 3)
    assert [text.get_text() for ax in uneven.axes for text in ax.texts].count("none") == 2
    assert len(where(pixels_of(uneven, tmp_path), colour(BRCA)[0])) > 0


def test_a_gallery_needs_layouts_of_the_same_classes():
    with pytest.raises(CellscaperError, match="one list of classes"):
        layout_gallery([("a", layouts([(5, 5, 0)])), ("b", layouts([], classes=LIZARD))], 1)
    with pytest.raises(CellscaperError, match="shows nothing"):
        layout_gallery([("a", layouts())], 3)


def test_outcomes_of_detections_are_told_apart():
    reference = layout([(10, 10, 0), (50, 50, 1), (80, 80, 2), (30, 30, 0)])
    found = layout([(12, 10, 0), (50, 53, 2), (80, 87, 2), (5, 90, 1), (30, 30, 0), (31, 30, 0)])
    out = _outcomes(reference, found, 3, radius=6)
    shown = {name: [(*p, lab) for p, lab in zip(points.tolist(), labels.tolist(), strict=True)]
             for name, (points, labels) in out.items()}  # fmt: skip
    assert shown == {
        "hit": [(12, 10, 0), (30, 30, 0)],
        "wrong class": [(50, 53, 2)],
        "missed": [(80, 80, 2)],
        "false positive": [(80, 87, 2), (5, 90, 1), (31, 30, 0)],
    }


def test_a_hit_takes_the_dot_of_its_class_before_a_nearer_one_of_another_class():
    out = _outcomes(layout([(10, 10, 0), (14, 10, 1)]), layout([(11, 10, 1)]), 3, radius=6)
    assert out["hit"][0].tolist() == [[11, 10]]
    assert out["missed"][0].tolist() == [[10, 10]]


def test_detections_are_drawn_over_the_image(tmp_path):
    grey = np.full((100, 100, 3), 200, np.uint8)
    reference = layouts([(20, 20, 0), (70, 70, 1)])
    figure = detection_gallery([grey], reference, [("U-Net", layouts([(21, 20, 0), (40, 80, 2)]))])
    pixels = pixels_of(figure, tmp_path)
    assert len(where(pixels, "#C8C8C8")) > 10_000
    right = pixels[:, pixels.shape[1] // 2 :]
    for shade in colour(BRCA):
        assert len(where(right, shade)) > 10


def test_the_image_gallery_shows_the_image_with_and_without_its_cells(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    image[:50] = (250, 20, 250)
    image[50:] = (20, 250, 250)
    figure = image_gallery([("painted", [image, image])], layouts([(80, 50, 1)], [(20, 50, 1)]), rows=1)
    pixels = pixels_of(figure, tmp_path)
    magenta, cyan = where(pixels, "#FA14FA"), where(pixels, "#14FAFA")
    assert magenta[:, 0].max() < cyan[:, 0].min() + 2
    third = pixels.shape[1] // 3
    panels = pixels[: cyan[:, 0].max()]
    plain, dotted = panels[:, third : 2 * third], panels[:, 2 * third :]
    assert len(where(plain, colour(BRCA)[1])) == 0
    assert len(where(dotted, colour(BRCA)[1])) > 30
    assert where(dotted, colour(BRCA)[1])[:, 0].min() > cyan[:, 0].min()


def test_the_gallery_of_painted_images_shows_the_middle_of_larger_ones(tmp_path):
    large, small = np.zeros((100, 120, 3), np.uint8), np.full((40, 40, 3), (20, 250, 250), np.uint8)
    large[30:70, 40:80] = (250, 20, 250)
    pixels = pixels_of(painted_gallery([("real", [large, large]), ("painted", [small])], rows=2), tmp_path)
    magenta, cyan = where(pixels, "#FA14FA"), where(pixels, "#14FAFA")
    assert len(where(pixels, "#000000")) < 0.01 * len(magenta)  # the border of the larger image is cut off
    assert len(magenta) == pytest.approx(2 * len(cyan), rel=0.02)


def test_figures_leave_matplotlibs_settings_alone_and_repeat_exactly(tmp_path):
    before = dict(mpl.rcParams)
    for name in ("a.png", "b.png"):
        write_picture(layout_gallery([("one", layouts([(20, 70, 2), (30, 30, 0)]))], 1), tmp_path / name)
    assert dict(mpl.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
