import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.figures.count_curves import Counts, count_curves

CLASSES = ("lymphocyte", "epithelial")
RNG = np.random.default_rng(0)
REAL = Counts("test patches", RNG.poisson((5, 40), (60, 2)))
ASKED = RNG.poisson((6, 30), (25, 2))
FREE = Counts("free", RNG.poisson((9, 30), (31, 2)))
LOOSE = Counts("loose", np.maximum(ASKED + RNG.integers(-3, 4, ASKED.shape), 0), ASKED)
EXACT = Counts("exact", ASKED, ASKED)


def test_each_line_is_the_share_of_layouts_with_at_most_so_many_cells():
    figure = count_curves([REAL], [FREE, LOOSE], CLASSES)
    assert [ax.get_title() for ax in figure.axes[:3]] == [*CLASSES, "all cells"]
    for c, ax in enumerate(figure.axes[:3]):
        curves = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
        assert list(curves) == ["test patches", "free", "loose"]
        for one in (REAL, FREE, LOOSE):
            values = one.counts[:, c] if c < 2 else one.counts.sum(axis=1)
            x, y = curves[one.title].get_data()
            for at in (values.min(), np.median(values), values.max()):
                assert y[x <= at].max() == pytest.approx((values <= at).mean())
            assert [float(np.median(values)), 0.5] in [
                [float(line.get_xdata()[0]), line.get_ydata()[0]]
                for line in ax.get_lines()
                if len(line.get_xdata()) == 1
            ]


def test_generated_counts_stand_over_requested_ones_for_those_that_miss_them():
    figure = count_curves([REAL], [FREE, EXACT, LOOSE], CLASSES)
    assert len(figure.axes) == 2 * 3
    for c, ax in enumerate(figure.axes[3:]):
        dots = next(line for line in ax.get_lines() if line.get_marker() == "o")
        x, y = (one[:, c] if c < 2 else one.sum(axis=1) for one in (ASKED, LOOSE.counts))
        assert np.array_equal(dots.get_data(), (x, y))
        assert ax.get_xlim() == ax.get_ylim()
        assert ax.texts[-1].get_text().startswith(f"mean |error| {np.abs(x - y).mean():.1f}")
        curve = next(line for line in figure.axes[c].get_lines() if line.get_label() == "loose")
        assert dots.get_color() == curve.get_color()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["test patches", "free", "exact (always as requested)", "loose"]


def test_layouts_with_far_too_many_cells_are_counted_and_do_not_stretch_the_panels():
    wild = LOOSE.counts.copy()
    wild[:2] += 5000
    figure = count_curves([REAL], [Counts("wild", wild, ASKED)], CLASSES)
    for c, ax in enumerate(figure.axes):
        assert ax.get_xlim()[1] < 200
        assert c < 3 or ax.texts[-1].get_text().endswith("\n2 above")


def test_lines_of_real_layouts_are_thicker_than_those_of_generators():
    lines = count_curves([REAL, REAL], [FREE, LOOSE], CLASSES).legends[0].get_lines()
    assert [line.get_linewidth() > 2 for line in lines] == [True, True, False, False]
    assert len({line.get_color() for line in lines}) == 4


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(CellscaperError, match=r"counts of 'A': \(2, 2\) generated, \(3, 2\) requested"):
        Counts("A", np.zeros((2, 2), int), np.zeros((3, 2), int))
    with pytest.raises(CellscaperError, match="at least one layout"):
        Counts("A", np.zeros((0, 2), int))
    with pytest.raises(CellscaperError, match="expected 3"):
        count_curves([REAL], [], ("a", "b", "c"))
