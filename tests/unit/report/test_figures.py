from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures import (
    CLASS_COLOURS,
    _outcomes,
    colour,
    detection_gallery,
    image_gallery,
    layout_gallery,
    training_curves,
)

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


def where(pixels: np.ndarray, shade: str) -> np.ndarray:
    """(N, 2) y, x of the pixels of a colour."""
    return np.argwhere((np.abs(pixels - to_rgb(shade)) < 0.02).all(axis=2))


def panel(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the only panel: the longest grey lines are its frame."""
    frame = (np.abs(pixels - to_rgb("#888888")) < 0.2).all(axis=2)
    rows = np.flatnonzero(frame.sum(axis=1) > 0.8 * frame.sum(axis=1).max())
    columns = np.flatnonzero(frame.sum(axis=0) > 0.8 * frame.sum(axis=0).max())
    return rows[0], rows[-1], columns[0], columns[-1]


def test_colours_are_the_same_for_a_class_everywhere_and_differ_within_a_dataset():
    assert colour(BRCA)[1] == colour(LIZARD)[1] == CLASS_COLOURS["epithelial"]
    for classes in (BRCA, LIZARD, ("a", "lymphocyte", "b"), tuple("abcdefgh")):
        assert len(set(colour(classes))) == len(classes)
    with pytest.raises(CellscaperError, match="no 9 different colours"):
        colour(tuple("abcdefghi"))
    with pytest.raises(CellscaperError, match="stromal, connective"):
        colour(("stromal", "connective"))


def test_a_dot_lies_where_its_y_and_x_say_with_y_down(tmp_path):
    path = tmp_path / "deep" / "gallery.png"
    layout_gallery([("one", layouts([(20, 70, 2)]))], 1, path)
    pixels = picture(path)
    top, bottom, left, right = panel(pixels)
    found = where(pixels, colour(BRCA)[2])
    inside = found[(found > (top, left)).all(axis=1) & (found < (bottom, right)).all(axis=1)]
    y, x = inside.mean(axis=0)
    assert (y - top) / (bottom - top) == pytest.approx(0.205, abs=0.015)
    assert (x - left) / (right - left) == pytest.approx(0.705, abs=0.015)
    assert [p.name for p in path.parent.iterdir()] == ["gallery.png"]


def test_a_layout_panel_shows_each_class_in_its_colour(tmp_path):
    cells = [(y, x, label) for label in range(3) for y, x in [(10 + 30 * label, 20), (15 + 30 * label, 60)]]
    layout_gallery([("all", layouts(cells))], 1, tmp_path / "all.png")
    layout_gallery([("no stromal", layouts(cells[:4]))], 1, tmp_path / "some.png")
    for label, shade in enumerate(colour(BRCA)):
        more, fewer = (len(where(picture(tmp_path / name), shade)) for name in ("all.png", "some.png"))
        assert more > 100
        assert fewer < more - 50 if label == 2 else fewer == more


def test_a_gallery_grows_with_columns_and_rows_and_leaves_missing_layouts_empty(tmp_path):
    some, one = layouts([(5, 5, 0)], [(9, 9, 1)], []), layouts([(5, 5, 0)])
    sizes = {}
    for columns, rows in ((1, 1), (4, 1), (4, 3), (4, 9)):
        path = tmp_path / f"{columns}_{rows}.png"
        titles = ["a rather long title that has to be wrapped"] * (columns - 1) + ["b"]
        layout_gallery([(title, some) for title in titles], rows, path)
        sizes[columns, rows] = picture(path).shape[:2]
    assert sizes[4, 1][1] > 2 * sizes[1, 1][1]
    assert sizes[4, 3][0] > 2 * sizes[4, 1][0]
    assert sizes[4, 9] == sizes[4, 3]
    layout_gallery([("a", some), ("b", one)], 3, tmp_path / "uneven.png")
    assert len(where(picture(tmp_path / "uneven.png"), colour(BRCA)[0])) > 0


def test_a_gallery_needs_layouts_of_the_same_classes(tmp_path):
    with pytest.raises(CellscaperError, match="one list of classes"):
        layout_gallery([("a", layouts([(5, 5, 0)])), ("b", layouts([], classes=LIZARD))], 1, tmp_path / "x.png")
    with pytest.raises(CellscaperError, match="shows nothing"):
        layout_gallery([("a", layouts())], 3, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


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
    detection_gallery([grey], reference, [("U-Net", layouts([(21, 20, 0), (40, 80, 2)]))], tmp_path / "d.png")
    pixels = picture(tmp_path / "d.png")
    assert len(where(pixels, "#C8C8C8")) > 10_000
    right = pixels[:, pixels.shape[1] // 2 :]
    for shade in colour(BRCA):
        assert len(where(right, shade)) > 10


def test_the_image_gallery_shows_the_image_with_and_without_its_cells(tmp_path):
    image = np.zeros((100, 100, 3), np.uint8)
    image[:50] = (250, 20, 250)
    image[50:] = (20, 250, 250)
    image_gallery([("painted", [image, image])], layouts([(80, 50, 1)], [(20, 50, 1)]), tmp_path / "i.png", rows=1)
    pixels = picture(tmp_path / "i.png")
    magenta, cyan = where(pixels, "#FA14FA"), where(pixels, "#14FAFA")
    assert magenta[:, 0].max() < cyan[:, 0].min() + 2
    third = pixels.shape[1] // 3
    panels = pixels[: cyan[:, 0].max()]
    plain, dotted = panels[:, third : 2 * third], panels[:, 2 * third :]
    assert len(where(plain, colour(BRCA)[1])) == 0
    assert len(where(dotted, colour(BRCA)[1])) > 30
    assert where(dotted, colour(BRCA)[1])[:, 0].min() > cyan[:, 0].min()


def test_training_curves_draw_a_line_a_log_and_leave_gaps_out(tmp_path):
    steps = np.arange(0, 500, 10)
    pd.DataFrame({"step": steps, "loss": 1 / (steps + 1)}).to_csv(tmp_path / "a.csv", index=False)
    more = pd.DataFrame({"step": steps, "loss": 3 / (steps + 1), "count": steps - 20.0})
    more.to_csv(tmp_path / "b.csv", index=False)
    training_curves([("A", tmp_path / "a.csv"), ("B", tmp_path / "b.csv")], tmp_path / "c.png")
    pixels = picture(tmp_path / "c.png")
    first, second = (where(pixels, shade) for shade in ("#0072B2", "#D55E00"))
    left = pixels.shape[1] // 2
    assert len(first[first[:, 1] < left]) > 100
    assert len(second[second[:, 1] < left]) > 100
    assert len(second[second[:, 1] > left]) > 100
    height = pixels.shape[0]
    upper = [line[(line[:, 1] < left) & (line[:, 0] < 0.8 * height)][:, 0].mean() for line in (first, second)]
    assert upper[1] < upper[0]


@pytest.mark.parametrize("text", ["", "loss\n1\n", "step\n1\n", "step,loss\n1,nothing\n"])
def test_a_file_that_is_no_training_log_is_named(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(CellscaperError, match="log.csv"):
        training_curves([("A", tmp_path / "log.csv")], tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()


def test_figures_leave_matplotlibs_settings_alone_and_repeat_exactly(tmp_path):
    before = dict(mpl.rcParams)
    for name in ("a.png", "b.png"):
        layout_gallery([("one", layouts([(20, 70, 2), (30, 30, 0)]))], 1, tmp_path / name)
    assert dict(mpl.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
