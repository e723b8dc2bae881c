"""Folders of few images are reported, and the check says how many are needed; nothing is written for them."""

import pytest

from cellscaper.datasets.dots import Fractions
from cellscaper.datasets.record import random_split
from cellscaper.datasets.splitting import too_few
from cellscaper.errors import CellscaperError


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_few_images_are_reported_with_the_number_that_is_needed(world, tmp_path, n):
    world.save(tmp_path / "d", n=n)
    for i in range(n):
        world.table(tmp_path / f"d/s_{i:02d}.csv", i)
    found = world.check(tmp_path / "d", "--mpp", "0.5")
    assert f"images     {n} (" in found.said and f"dots       {sum(world.counts(n=n).values())} (" in found.said
    assert "too few for a split at random into train, val and test, which needs 6" in found.fault
    assert ("cut large ones" in found.fault) == (n < 3)
    assert found.complaints[0].startswith("✗") and not any("test windows" in one for one in found.complaints)


def test_one_image_in_a_list_of_training_images_is_reported(world, tmp_path):
    world.save(tmp_path / "d", n=2)
    for i in range(2):
        world.table(tmp_path / f"d/s_{i:02d}.csv", i)
    (tmp_path / "d/train.txt").write_text("s_00\n")
    (tmp_path / "d/test.txt").write_text("s_01\n")
    found = world.check(tmp_path / "d", "--mpp", "0.5")
    assert "images     2 (" in found.said and "none can be taken for val" in found.fault


@pytest.mark.parametrize(
    "fractions", [{"train": 0.7, "val": 0.1, "test": 0.2}, {"train": 0.5, "test": 0.5}, {"train": 1.0}]
)
@pytest.mark.parametrize("n", range(1, 9))
def test_images_are_too_few_where_the_split_cannot_be_made(fractions, n):
    split = Fractions(**fractions)
    ids = [str(i) for i in range(n)]
    try:
        random_split(ids, {name: float(getattr(split, name)) for name in ("train", "val", "test")}, 0)
        made = True
    except CellscaperError:
        made = False
    assert (too_few(n, split) is None) == made
