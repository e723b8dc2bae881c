import numpy as np

from cellscaper.views.symmetries import EIGHT, transform


def test_points_turn_as_the_pixels_under_them_do():
    rng = np.random.default_rng(0)
    cells = rng.choice(36, 9, replace=False)
    points = np.stack(np.divmod(cells, 6), axis=1)
    raster = np.zeros((6, 6), bool)
    raster[tuple(points.T)] = True
    turned = [np.rot90(one, k) for one in (raster, raster.T) for k in range(4)]
    seen = set()
    for symmetry in EIGHT:
        made = np.zeros((6, 6), bool)
        made[tuple(transform(points, symmetry, 6).astype(int).T)] = True
        seen.add(next(i for i, one in enumerate(turned) if np.array_equal(one, made)))
    assert len(seen) == 8


def test_points_stay_in_the_window_and_are_copies():
    points = np.array([[0, 9.99], [9.5, 0]], np.float32)
    for symmetry in EIGHT:
        made = transform(points, symmetry, 10)
        assert ((made >= 0) & (made < 10)).all()
        assert made.dtype == np.float32
        assert not np.shares_memory(made, points)
