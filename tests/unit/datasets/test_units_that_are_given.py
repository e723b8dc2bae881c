"""Units that the user gives and that places contradict; places that are counted from 1."""

import pytest


def changed(world, folder, change, head="y,x,class"):
    world.save(folder)
    for i in range(world.n):
        world.table(folder / f"s_{i:02d}.csv", i, head=head, cells=[change(i, *one) for one in world.cells(i)])
    return folder


@pytest.mark.parametrize("head", ["y,x,class", "y_um,x_um,class", "Centroid Y µm,Centroid X µm,class"])
def test_px_that_are_given_for_micrometres_are_said(world, tmp_path, head):
    folder = changed(world, tmp_path / "d", lambda i, y, x, c: (y / 2, x / 2, c), head)
    result = world.check(folder, "--unit", "px", "--mpp", "0.5")
    assert not result.fault and result.complains("--unit px is given, and all", "upper left")
    assert ("µm" in head or "um" in head) == result.complains(
        "--unit px is given, but the places are in µm by the names"
    )


def test_px_that_are_given_and_right_are_not_said(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    assert not world.check(folder, "--unit", "px").complains("--unit")
    cells = [[one for one in world.cells(i) if max(one[:2]) < 100] for i in range(world.n)]
    for i, own in enumerate(cells):
        world.table(folder / f"s_{i:02d}.csv", i, cells=own)
    assert not world.check(folder, "--unit", "px").complains("--unit")  # on nuclei


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--unit", "fraction"), ("--unit fraction is given", "leave --unit out")),
        (("--unit", "fraction", "--mpp", "0.5"), ("by --unit fraction, which is given,", "Leave --unit out")),
        (("--unit", "um"), ("by --unit um", "leave --unit out")),
        (("--unit", "µm", "--mpp", "0.5"), ("by --unit um, which is given,", "Leave --unit out")),
    ],
)
def test_a_unit_that_is_given_is_named_as_the_cause(world, tmp_path, options, words):
    fault = world.check(world.plain(tmp_path / "d"), *options).fault
    assert all(word in fault for word in words), fault


def matlab(world, i, y, x, c):
    """A cell in whole px from 1; the last row of cells lies at the border."""
    height, width = world.size
    return (height if y > height - 20 else round(y) + 1), (width if x > width - 20 else round(x) + 1), c


def test_places_from_one_are_told_with_a_way_on(world, tmp_path):
    folder = changed(world, tmp_path / "d", lambda i, *one: (1, 1, "tumor") if one[0] < 12 else matlab(world, i, *one))
    assert all(word in world.check(folder).fault for word in ("counted from 1", "take 1 off all y and x in the files"))


def test_places_at_the_end_beside_zeros_are_not_from_one(world, tmp_path):
    folder = changed(world, tmp_path / "d", lambda i, *one: (0, 3, "tumor") if one[0] < 12 else matlab(world, i, *one))
    fault = world.check(folder).fault
    assert "equal to the height or width" in fault and "MATLAB" not in fault and "take 1 off these" in fault
