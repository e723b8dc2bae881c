"""Cells of other programs, in the formats' own words; the writers here are independent of our readers."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.errors import CellscaperError

POINTS = np.array([[3.5, 10.25], [7.0, 2.0], [0.5, 19.0]])  # y, x
KINDS = [2, 1, 2]


def hovernet(nuclei=None):
    found = {
        str(i + 1): {"bbox": [[0, 0], [1, 1]], "centroid": [x, y], "contour": [], "type_prob": 0.9, "type": kind}
        for i, ((y, x), kind) in enumerate(zip(POINTS.tolist(), KINDS, strict=True))
    }
    return {"mag": 40, "nuc": found if nuclei is None else nuclei}


def square(y, x, side=2.0):
    """A closed ring around y, x, corners as x, y."""
    h = side / 2
    return [[x - h, y - h], [x + h, y - h], [x + h, y + h], [x - h, y + h], [x - h, y - h]]


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


def test_hovernet_json_with_and_without_its_outer_map(tmp_path):
    for name, value in (("a.json", hovernet()), ("b.json", hovernet()["nuc"])):
        path = write_json(tmp_path / name, value)
        assert format_of(path) == "hovernet"
        found = read_annotated(path, "hovernet")
        np.testing.assert_array_equal(found.points, POINTS)
        assert found.names == ["2", "1", "2"]


def test_a_nucleus_without_a_type_is_unclassified(tmp_path):
    path = write_json(
        tmp_path / "a.json", hovernet({"1": {"centroid": [1, 2], "type": None}, "2": {"centroid": [3, 4]}})
    )
    assert read_annotated(path, "hovernet").names == ["unclassified"] * 2


@pytest.mark.parametrize("keys", [("class", "centroid"), ("inst_type", "inst_centroid")])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_mat_of_lizard_and_of_hovernet(tmp_path, keys, n):
    savemat(tmp_path / "a.mat", {keys[0]: np.array(KINDS[:n]).reshape(n, 1), keys[1]: POINTS[:n, ::-1]})
    found = read_annotated(tmp_path / "a.mat", format_of(tmp_path / "a.mat"))
    np.testing.assert_array_equal(found.points, POINTS[:n])
    assert found.names == [str(kind) for kind in KINDS[:n]]


def test_qupath_outlines_are_their_centroids_and_points_themselves(tmp_path):
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [square(y, x)]},
            "properties": {"objectType": "cell", "classification": {"name": f"kind {kind}", "color": [1, 2, 3]}},
        }
        for (y, x), kind in zip(POINTS.tolist(), KINDS, strict=True)
    ]
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [4, 6]}, "properties": {}}
    for name, value in (
        ("a.geojson", {"type": "FeatureCollection", "features": [*features, point]}),
        ("b.json", [*features, point]),
    ):
        path = write_json(tmp_path / name, value)
        assert format_of(path) == "geojson"
        found = read_annotated(path, "geojson")
        np.testing.assert_allclose(found.points, [*POINTS.tolist(), [6, 4]])
        assert found.names == ["kind 2", "kind 1", "kind 2", "unclassified"]


def test_other_endings_are_tables(tmp_path):
    assert format_of(tmp_path / "a.csv") == format_of(tmp_path / "a.txt") == "table"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "is not JSON"),
        ("a.json", b'{"nuc": {"7": {"centroid": [1]}}}', "nucleus 7"),
        ("a.json", b'{"nuc": {"7": {"centroid": ["a", 1]}}}', "nucleus 7"),
        ("a.json", b'{"nuc": [1]}', "is not JSON of HoVer-Net"),
        ("a.geojson", b'{"type": "FeatureCollection"}', "is not GeoJSON"),
        ("a.geojson", b'[{"geometry": {"type": "LineString", "coordinates": []}, "properties": {}}]', "are lines"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "is not a readable MATLAB file"),
    ],
)  # fmt: skip
def test_damaged_files_are_told_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CellscaperError, match=message) as caught:
        read_annotated(tmp_path / name, format_of(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"class": [[1], [2]], "centroid": [[1.0, 2.0]]}, "2 values in class"),
        ({"class": [[1.5]], "centroid": [[1.0, 2.0]]}, "whole number"),
        ({"class": [[1]], "centroid": [[1.0, 2.0, 3.0]]}, "N × 2"),
        ({"class": [[1]], "centroid": [[np.inf, 2.0]]}, "finite"),
        ({"inst_map": [[1]]}, "has no centroids"),
    ],
)
def test_label_files_that_do_not_fit_together_are_told(tmp_path, arrays, message):
    savemat(tmp_path / "a.mat", arrays)
    with pytest.raises(CellscaperError, match=message):
        read_annotated(tmp_path / "a.mat", "mat")
