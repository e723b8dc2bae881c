"""What YOLO writes: polygons, oriented boxes, boxes among them, key points, confidences, places over the border."""

import numpy as np
import pytest

from cellscaper.disk.export import read
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.formats.outline_lines import are_outlines, read_outlines
from cellscaper.disk.formats.table_form import find_form
from cellscaper.disk.formats.text_table import split_lines

PLACES = [(20.0 * (k % 6) + 15, 18.0 * (k // 6) + 12) for k in range(30)]  # x, y
SIDES = np.array([200.0, 100.0])


def yolo(form):
    """A line of each place; ``form(x, y)`` are its numbers in fractions, of cells of 10 × 10 px."""
    return "".join(
        f"{k % 2} " + " ".join(f"{value:.6f}" for value in form(*np.array(place) / SIDES)) + "\n"
        for k, place in enumerate(PLACES)
    )


def corners(x, y, n=4, turn=0.3):
    angle = turn + np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + 5 / 200 * np.cos(angle), y + 5 / 100 * np.sin(angle)], 1).ravel().tolist()


def boxed(x, y):
    return [x, y, 10 / 200, 10 / 100]


FORMS = {
    "polygons": lambda x, y: corners(x, y, 6 + round(x * 200) % 3),
    "triangles": lambda x, y: corners(x, y, 3),
    "oriented boxes": corners,
    "polygons with a confidence": lambda x, y: [*corners(x, y, 6 + round(x * 200) % 3), 0.71],
    "oriented boxes with a confidence": lambda x, y: [*corners(x, y), 0.71],
    "boxes and polygons": lambda x, y: corners(x, y, 8) if round(x * 200) % 3 else boxed(x, y),
    "a key point": lambda x, y: [*boxed(x, y), x + 0.01, y - 0.02],
    "a visible key point": lambda x, y: [*boxed(x, y), x + 0.01, y - 0.02, 2],
    "two key points": lambda x, y: [*boxed(x, y), x + 0.01, y - 0.02, x, y],
    "three visible key points": lambda x, y: [*boxed(x, y), x, y - 0.02, 1, 0, 0, 0, x, y, 2],
    "key points found": lambda x, y: [*boxed(x, y), x + 0.01, y - 0.02, 0.93, 0.88],
}


@pytest.mark.parametrize("name", FORMS)
def test_all_that_yolo_writes(tmp_path, name):
    (tmp_path / "a.txt").write_text(yolo(FORMS[name]))
    assert are_outlines(tmp_path / "a.txt")
    found = read_outlines(yolo(FORMS[name])).done()
    assert found.unit == "fraction" and not found.left and found.names == ["0", "1"] * 15
    np.testing.assert_allclose(found.points * SIDES[::-1], [(y, x) for x, y in PLACES], atol=1e-3)


@pytest.mark.parametrize("name", ["polygons", "oriented boxes", "boxes and polygons", "two key points"])
def test_places_of_yolo_may_lie_a_little_outside(tmp_path, name):
    text = yolo(FORMS[name]) + yolo(lambda x, y: FORMS[name](x - 15 / 200 - 1e-7, y - 12 / 100 + 0.005)).split("\n")[0]
    (tmp_path / "a.txt").write_text(text)
    assert are_outlines(tmp_path / "a.txt") and " -0.0" in text
    np.testing.assert_allclose(read_outlines(text).points[-1], [0.005, 0], atol=1e-5)
    assert read_outlines(text).points[-1][1] >= 0


def test_boxes_of_yolo_are_tables_with_and_without_a_confidence(tmp_path):
    for more in ([], [0.5]):
        path = tmp_path / "a.txt"
        path.write_text(yolo(lambda x, y, more=more: [*boxed(x, y), *more]))
        assert not are_outlines(path)
        found = find_form({path: split_lines(path.read_text(), path)}, {path: (100, 200)})
        assert found.unit == "fraction" and found.form.columns[:3] == ("class", "x", "y")
        np.testing.assert_allclose(read(path, Given((100, 200), 0.5)).points[3], [12, 75], atol=1e-3)


@pytest.mark.parametrize(
    "text", ["0 0 1 0 1 1 0 1\n", "0 12.5 3.5 0.1 0.2 0.3 0.4\n", "a 0.1 0.2 0.3 0.4 0.5 0.6\n", "0 .1 .2 .3 .4\n"]
)
def test_other_lines_are_none_of_yolo(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert not are_outlines(tmp_path / "a.txt")


def test_a_line_that_is_none_of_yolo_is_named():
    with pytest.raises(ValueError, match="line 31 is '0 7.5 0.1.*expected a class and fractions"):
        read_outlines(yolo(FORMS["polygons"]) + "0 7.5 0.1 0.2 0.3 0.1 0.1\n")
