"""The real BRCA-M2C: nothing is said of its own dots; wrong tables among and instead of them are found."""

import numpy as np
import pytest

from cellscaper.datasets import brca_m2c, misfits

NUMBER = 120


@pytest.fixture(scope="module")
def images(brca_m2c_path):
    settings = brca_m2c.Settings()
    return [(one.points.astype(np.float64), one.image) for one in brca_m2c.read(settings, brca_m2c_path)]


def found(images, change, ninth=False):
    """The number of images that faults name, and that are said to lie on nuclei by chance, of so many judged."""
    if ninth:
        images = [one for whole in images for one in ninths(*whole)]
    points = {}
    for i, (own, image) in enumerate(images):
        moved = change(i, own, images[(i + 1) % len(images)][0])
        points[f"{i:04d}"] = moved[((moved >= 0) & (moved <= np.array(image.shape[:2]) - 1)).all(axis=1)]
    judged = misfits.find(points, lambda name: images[int(name)][1], {name: name + ".csv" for name in points})
    numbers = [int(fault.removeprefix("the dots of ").split()[0]) for fault in judged.faults]
    return sum(numbers), len(judged.off), len(judged.judged)


def ninths(points, image):
    side = np.array(image.shape[:2]) // 3
    for k in range(9):
        corner = np.array(divmod(k, 3)) * side
        held = ((points >= corner) & (points < corner + side)).all(axis=1)
        (y, x), (down, right) = corner, corner + side
        yield points[held] - corner, np.ascontiguousarray(image[y:down, x:right])


@pytest.mark.parametrize("ninth", [False, True])
def test_nothing_is_said_of_dots_of_their_own_images(images, ninth):
    named, said, judged = found(images, lambda i, own, other: own, ninth)
    assert (named, said) == (0, 0) and judged >= (950 if ninth else NUMBER)


CHANGES = {
    "swapped": lambda own, other: own[:, ::-1],
    "a quarter": lambda own, other: own * 0.25,
    "of the next image": lambda own, other: other,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("every", [1, 4])
def test_wrong_dots_are_found(images, change, every):
    def wrong(i, own, other):
        return CHANGES[change](own, other) if i % every == 0 else own

    named, said, judged = found(images, wrong)
    off = NUMBER // every
    assert judged == NUMBER and named + said <= off
    assert named + said >= 0.9 * off
