import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout
from cellscaper.metrics.copies import Neighbour
from cellscaper.report.figures.palette import colour
from cellscaper.report.pages import gallery
from cellscaper.report.pages.gallery import Group, Panel, cells, gallery_page, holes

CLASSES = ("lymphocyte", "epithelial")


def ring(radius=20.0, n=12, side=64):
    """n cells of class 1 on a circle: one hole, which dies at the circle's radius."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    points = side / 2 + radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return Layout(points.astype(np.float32), np.ones(n, np.uint8), (side, side))


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_cells_are_rounded_to_half_a_pixel():
    layout = Layout(np.array([[1.2, 3.8], [0.0, 63.9]], np.float32), np.array([1, 0], np.uint8), (64, 64))
    assert cells(layout) == [2, 8, 1, 0, 128, 0]


def test_a_ring_of_cells_is_a_hole_that_dies_at_its_radius():
    of_none, of_class, of_all = holes(ring(), 2)
    assert of_none == [] and of_class == of_all and len(of_class) == 1
    y, x, death, birth = of_class[0]
    assert (y, x) == pytest.approx((32, 32), abs=0.1) and death == pytest.approx(20, abs=0.1)
    assert birth == pytest.approx(20 * np.sin(np.pi / 12), abs=0.1)  # half the distance between neighbours


def test_images_and_cells_share_coordinates_whose_whole_numbers_are_pixel_centres():
    """A picture of w px covers −½ … w − ½, and so does every drawing."""
    page = gallery_page("a gallery", [Group("", [Panel("real", ring())])], CLASSES)
    assert re.findall(r"viewBox: (.*?),", page) == ["frame(panel.size)"] * 2
    assert "return `-0.5 -0.5 ${width} ${height}`" in page
    assert "whole = { x: -0.5, y: -0.5, width, height," in page


def test_the_page_carries_everything_of_a_panel():
    image = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    density = np.zeros((2, 16, 16), np.float32)
    density[1, :8] = 1
    near = Neighbour(3.25, Layout(np.array([[5, 6]], np.float32), np.zeros(1, np.uint8), (64, 64), "img 7", (10, 20)))
    group = Group("12 epithelial", [Panel("real", ring(), image), Panel("ADM", ring(10), None, density, near)])
    data = data_of(gallery_page("a gallery", [group], CLASSES))
    assert [one["colour"] for one in data["classes"]] == colour(CLASSES)
    real, made = data["groups"][0]["panels"]
    assert real["counts"] == [0, 12] and real["near"] is None and made["image"] is None
    assert made["near"] == {"distance": 3.25, "cells": [10, 12, 0], "source": "img 7 y 10, x 20"}
    with Image.open(io.BytesIO(base64.b64decode(real["image"].split(",")[1]))) as shown:
        assert np.abs(np.asarray(shown).mean(axis=(0, 1)) - (200, 100, 50)).max() < 3
    with Image.open(io.BytesIO(base64.b64decode(made["density"][1].split(",")[1]))) as shown:
        pixels = np.asarray(shown)
    assert pixels[2, 2, 3] > 200 and pixels[12, 2, 3] == 0
    np.testing.assert_allclose(pixels[2, 2, :3] / 255, to_rgb(colour(CLASSES)[1]), atol=0.01)


def test_names_cannot_end_the_script():
    page = gallery_page("t", [Group("</script><b>", [Panel("<!-- x", ring())])], CLASSES)
    assert data_of(page)["groups"][0]["title"] == "</script><b>"
    assert page.count("</script>") == 2


def test_a_gallery_of_nothing_or_of_too_much_is_refused(monkeypatch):
    with pytest.raises(CellscaperError, match="shows nothing"):
        gallery_page("t", [Group("empty")], CLASSES)
    monkeypatch.setattr(gallery, "LARGEST", 1000)
    with pytest.raises(CellscaperError, match="MB"):
        gallery_page("t", [Group("one", [Panel("real", ring())])], CLASSES)
