"""The picture that a report opens with."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.overview import overview, window_image

CLASSES = ("a", "b")
SIZE = 40


def layouts(*counts, source=(), origin=None, size=SIZE):
    """Layouts with these counts of both classes, at random places."""
    rng, made = np.random.default_rng(0), []
    for one in counts:
        points = rng.uniform(0, size - 1, (sum(one), 2)).astype(np.float32)
        made.append(Layout(points, np.repeat([0, 1], one).astype(np.uint8), (size, size)))
    more = {"source": np.array(source)} if source else {}
    found = LayoutSet.build(made, CLASSES, 0.5)
    if origin is not None:
        more["origin"] = np.array(origin)
    return LayoutSet(**{**{name: getattr(found, name) for name in found.__dataclass_fields__}, **more})


@pytest.fixture
def tissue():
    """Two test images of 100 px whose pixels say where they are, their cells, and two windows of each."""
    images = [np.indices((100, 100)).transpose(1, 2, 0).astype(np.uint8) for _ in range(2)]
    images = [np.concatenate([image, np.full((100, 100, 1), n, np.uint8)], axis=2) for n, image in enumerate(images)]
    cells = layouts((9, 9), (4, 4), source=("one", "two"), size=100)
    origin = [(0, 0), (20, 40), (0, 0), (60, 10)]
    windows = layouts((5, 0), (1, 4), (8, 8), (1, 4), source=("one", "one", "two", "two"), origin=origin)
    return images, cells, windows


def shown(figure):
    """The image panels of a figure, row by row, and the numbers below the layouts."""
    panels = [ax for ax in figure.axes if ax.images]
    counts = [
        [text.get_text() for text in ax.texts if text.get_text().isdecimal()] for ax in figure.axes if not ax.images
    ]
    return [np.asarray(ax.images[0].get_array()) for ax in panels], counts


def test_a_system_stands_beside_the_real_window_of_the_nearest_counts(tissue):
    images, cells, windows = tissue
    made = layouts((0, 1), (1, 4), (9, 9))  # the second has the median number of cells
    painted = [np.full((SIZE, SIZE, 3), 10 * n, np.uint8) for n in range(3)]
    figure = overview([("one system", made, painted), ("another", made, painted)], windows, cells, images)
    panels, counts = shown(figure)
    assert panels[0][0, 0].tolist() == [20, 40, 0] and panels[0].shape == (SIZE, SIZE, 3)  # window 1 of image one
    assert panels[2][0, 0].tolist() == [60, 10, 1]  # equal counts: the next window that no other row shows
    assert (panels[1] == 10).all() and (panels[3] == 10).all()
    assert counts == [["1", "4"]] * 4
    names = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "one system" in names and "another" in names


def test_more_rows_than_windows_show_a_window_again(tissue):
    images, cells, windows = tissue
    made, painted = layouts((1, 4)), [np.zeros((SIZE, SIZE, 3), np.uint8)]
    figure = overview([(str(n), made, painted) for n in range(3)], windows[[1]], cells, images)
    assert len(shown(figure)[0]) == 6


def test_what_cannot_be_shown_is_an_error(tissue):
    images, cells, windows = tissue
    with pytest.raises(CellscaperError, match="nothing has no layouts to show"):
        overview([("nothing", layouts((1, 1))[:0], [])], windows, cells, images)
    lost = layouts((1, 4), source=("three",))
    with pytest.raises(CellscaperError, match="image 'three' of a window is 0 times among the images"):
        window_image(lost, cells, images)
