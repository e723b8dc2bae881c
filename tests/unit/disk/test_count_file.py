"""Counts of every image on disk and back, and what is refused."""

import numpy as np
import pytest

from cellscaper.disk.count_file import read_counts, write_counts
from cellscaper.errors import CellscaperError

ABOUT = {"dataset": "d", "experiment": "sd_gmm/components", "detector": "unet"}
RADII, CLASSES, IMAGES = [1, 2, 6], ("a", "NA"), ["one", "001", "null"]


def array(seed):
    return np.random.default_rng(seed).integers(0, 50, (3, 3, 3, 3))


def written(path, seed, images=IMAGES):
    write_counts(
        path, {**ABOUT, "seed": seed}, {"paper": array(seed), "released": array(seed + 10)}, images, RADII, CLASSES
    )
    return path


def test_counts_come_back_seed_by_seed(tmp_path):
    found = read_counts([written(tmp_path / "2.csv", 2), written(tmp_path / "0.csv", 0)])
    assert set(found) == {("sd_gmm/components", "unet", protocol) for protocol in ("paper", "released")}
    one = found["sd_gmm/components", "unet", "released"]
    assert np.array_equal(one.counts, np.stack([array(10), array(12)]))
    assert (one.images, one.radii, one.classes) == (tuple(IMAGES), (1, 2, 6), CLASSES)
    assert np.array_equal(one.at(6), one.counts[:, :, 2])


def test_a_threshold_that_was_not_counted_is_told(tmp_path):
    (one, _) = read_counts([written(tmp_path / "a.csv", 0)]).values()
    with pytest.raises(CellscaperError, match=r"within \[1.0, 2.0, 6.0\] px, not 4"):
        one.at(4)


def test_seeds_scored_on_other_images_are_refused(tmp_path):
    files = [written(tmp_path / "0.csv", 0), written(tmp_path / "1.csv", 1, ["one", "001", "two"])]
    with pytest.raises(CellscaperError, match="different images"):
        read_counts(files)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", None])
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "x.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CellscaperError, match="score again"):
        read_counts([file])
