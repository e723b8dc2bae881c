import numpy as np
import pytest
from scipy.spatial import KDTree

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.persistence import HOLES, death_centres, persistence_gallery
from cellscaper.topology.persistence import alpha_diagram

CLASSES = ("lymphocyte", "epithelial")
PLOTS = 2  # diagram and landscape


def ring(centre, radius, n):
    angle = np.arange(n) * 2 * np.pi / n
    return centre + radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def one_layout(*points):
    labels = np.repeat(np.arange(len(points)), [len(p) for p in points]).astype(np.uint8)
    return LayoutSet.build([Layout(np.concatenate(points).astype(np.float32), labels, (200, 200))], CLASSES, 0.5)


def test_a_ring_dies_in_its_middle():
    points = ring((70, 120), 40, 9)
    deaths = alpha_diagram(points)[:, 1]
    assert deaths == pytest.approx([40])
    assert death_centres(points, deaths)[0] == pytest.approx([70, 120])


@pytest.mark.parametrize("seed", range(5))
def test_a_death_circle_touches_three_cells_and_holds_none(seed):
    points = np.random.default_rng(seed).uniform(0, 200, (60, 2))
    deaths = alpha_diagram(points)[:, 1]
    centres = death_centres(points, deaths)
    nearest = KDTree(points).query(centres, k=4)[0]
    assert nearest[:, :3] == pytest.approx(np.repeat(deaths[:, None], 3, axis=1), abs=1e-6)
    assert (nearest[:, 3] > deaths - 1e-6).all()
    assert len(np.unique(centres.round(6), axis=0)) == len(deaths)


def test_equal_deaths_take_different_places():
    points = np.concatenate([ring(centre, 10, 3) for centre in ((50, 50), (50, 150), (150, 100))])
    equal = np.full(3, 10.0)
    assert sorted(death_centres(points, equal).round(3).tolist()) == [[50, 50], [50, 150], [150, 100]]
    assert death_centres(points[:2], np.zeros(0)).shape == (0, 2)


def test_panels_hold_the_cells_the_longest_holes_and_the_diagrams():
    rng = np.random.default_rng(0)
    real = one_layout(rng.uniform(0, 200, (40, 2)), ring((100, 100), 60, 12))
    other = one_layout(rng.uniform(0, 200, (30, 2)), rng.uniform(0, 200, (2, 2)))
    figure = persistence_gallery([("real", real), ("made", other)])
    across = len(CLASSES) + 1 + PLOTS
    assert len(figure.axes) == 2 * across
    for r, layouts in enumerate((real, other)):
        *holes, diagram, landscape = figure.axes[across * r : across * (r + 1)]
        points = [*(layouts.layout(0).of_class(k) for k in range(2)), layouts.points]
        drawn = {tuple(map(tuple, line.get_xydata().tolist())) for line in diagram.get_lines()[1:]}
        assert drawn == {tuple(map(tuple, alpha_diagram(cells).tolist())) for cells in points}
        for ax, cells in zip(holes, points, strict=True):
            pairs = alpha_diagram(cells)
            longest = pairs[np.argsort(pairs[:, 0] - pairs[:, 1])[:HOLES]]
            discs, _, dots, circles, _ = ax.collections
            assert np.array_equal(dots.get_offsets()[:, ::-1], cells)
            assert np.array_equal(discs.get_offsets(), dots.get_offsets())
            assert circles.get_widths() == pytest.approx(2 * longest[:, 1])
        tallest = max(np.diff(alpha_diagram(cells)).max(initial=0) / 2 for cells in points)
        peak = max(line.get_ydata().max() for line in landscape.get_lines())
        assert peak == pytest.approx(tallest, abs=0.2)


def test_the_discs_of_a_column_have_one_radius_inside_the_life_of_the_first_rows_longest_hole():
    figure = persistence_gallery(
        [("real", one_layout(ring((100, 100), 60, 12), ring((50, 50), 20, 5))), ("b", one_layout([[5, 5]], [[9, 9]]))]
    )
    birth, death = alpha_diagram(ring((100, 100), 60, 12))[0]
    widths = [figure.axes[5 * r].collections[0].get_widths() for r in range(2)]
    assert widths[0] == pytest.approx(birth + death) and widths[1] == pytest.approx(birth + death)
    assert figure.axes[0].get_title() == f"lymphocyte, r\xa0=\xa0{(birth + death) / 2:.0f}\xa0px"


def test_layouts_without_holes_are_drawn_and_missing_ones_named():
    assert persistence_gallery([("real", one_layout([[5, 5]], [[9, 9]]))]).axes
    with pytest.raises(CellscaperError, match="no layout of made"):
        persistence_gallery([("real", one_layout([[5, 5]], [[9, 9]])), ("made", one_layout([[5, 5]], [[9, 9]])[:0])])
