import numpy as np
import pytest

from cellscaper.datasets import phantom
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.run.settings import read


def settings(**changes):
    few = {"classes": 3, "images": {"train": 2, "val": 1, "test": 1}, "size": [96, 128], "seed": 7}
    return read(phantom.Settings, {**few, **changes}, "datasets phantom")


SETTINGS = settings()


def same(a, b):
    return a.image_id == b.image_id and all(
        np.array_equal(getattr(a, part), getattr(b, part)) for part in ("points", "labels", "image")
    )


def test_the_same_seed_gives_the_same_images_and_another_seed_others():
    first, again = list(phantom.read(SETTINGS, None)), list(phantom.read(SETTINGS, None))
    other = list(phantom.read(settings(seed=8), None))
    assert all(map(same, first, again))
    assert not any(map(same, first, other))


def test_more_images_leave_the_others_unchanged():
    few = {r.image_id: r for r in phantom.read(SETTINGS, None)}
    many = {r.image_id: r for r in phantom.read(settings(images={"val": 1, "test": 2, "train": 3}), None)}
    assert set(few) < set(many) and len(many) == 6
    assert all(same(few[name], many[name]) for name in few)


def test_images_come_by_split_and_number():
    found = [record.image_id for record in phantom.read(SETTINGS, None)]
    assert found == ["test-0000", "train-0000", "train-0001", "val-0000"]


def test_splits_do_not_repeat_each_other():
    images = [r.image for r in phantom.read(settings(images={"train": 2, "val": 2, "test": 2}), None)]
    assert all((a != b).mean() > 0.5 for i, a in enumerate(images) for b in images[:i])


@pytest.mark.parametrize("classes", [3, 6])
def test_records_fit_the_declared_size_and_classes(classes):
    names = phantom.classes(settings(classes=classes))
    assert len(names) == classes
    for record in phantom.read(settings(classes=classes), None):
        assert record.image.shape == (96, 128, 3) and record.image.dtype == np.uint8
        assert record.points.dtype == np.float32 and record.labels.dtype == np.uint8
        LayoutSet.build([Layout(record.points, record.labels, (96, 128))], names, phantom.mpp(SETTINGS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": 4}, r"phantom\.classes = 4: .*3 or 6"),
        ({"size": [32, 256]}, r"phantom\.size\.0 = 32: .*greater than or equal to 64"),
        ({"size": [256]}, r"phantom\.size.*required"),
        ({"seed": -1}, r"phantom\.seed = -1: .*greater than or equal to 0"),
        ({"images": {"training": 3}}, r"phantom\.images\.training = 3: "),
        ({"images": {"train": -3}}, r"phantom\.images\.train = -3: "),
    ],
)
def test_settings_that_make_no_tissue_are_refused_in_one_line(change, said):
    with pytest.raises(CellscaperError, match=said) as error:
        settings(**change)
    assert "\n" not in str(error.value)


def test_nothing_is_fetched(tmp_path):
    assert phantom.fetch(SETTINGS, tmp_path) == tmp_path
    assert phantom.files(SETTINGS, tmp_path) == [] and not any(tmp_path.iterdir())
